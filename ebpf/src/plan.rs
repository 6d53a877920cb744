//! The plan as the programs read it: each word stands in the code as a constant that names its place in the plan, and
//! over which the host writes the word itself before it loads the program. The verifier sees what was written.

use weir_abi::Plan;

/// Nothing is read from it; it has the types of the words.
pub static SHAPE: Plan = Plan::EMPTY;

/// What a word of the plan is taken for.
pub trait Word {
    fn of(word: u64) -> Self;
}

impl Word for u32 {
    #[inline(always)]
    fn of(word: u64) -> Self {
        // SAFETY: the host writes words of four bytes with zeros above them. The compiler cannot know it, and would
        // take them off.
        unsafe { core::hint::assert_unchecked(word <= u32::MAX as u64) };
        word as u32
    }
}

impl Word for u64 {
    #[inline(always)]
    fn of(word: u64) -> Self {
        word
    }
}

impl Word for i64 {
    #[inline(always)]
    fn of(word: u64) -> Self {
        word as i64
    }
}

/// The word, as the type of what stands at its place.
#[inline(always)]
pub fn typed<T: Word>(_: &T, word: u64) -> T {
    T::of(word)
}

/// The word at a place, as [`weir_abi::plan_place`] names it. Not `pure`: the compiler would load each word once, early,
/// and keep on the stack what is a constant wherever it is needed.
macro_rules! at {
    ($field:expr, $offset:expr) => {{
        let word: u64;
        // SAFETY: it loads a constant.
        unsafe {
            core::arch::asm!(
                "{0} = {1} ll",
                out(reg) word,
                const weir_abi::plan_place($offset, size_of_val(&$field)),
                options(nomem, nostack, preserves_flags),
            );
        }
        crate::plan::typed(&$field, word)
    }};
}
pub(crate) use at;

/// Reads one word of the plan.
macro_rules! plan {
    (measures[$index:ident].$field:ident) => {
        crate::plan::at!(
            crate::plan::SHAPE.measures[0].$field,
            core::mem::offset_of!(weir_abi::Plan, measures)
                + $index * size_of::<weir_abi::Measure>()
                + core::mem::offset_of!(weir_abi::Measure, $field)
        )
    };
    (null_bits[$index:literal]) => {
        crate::plan::at!(
            crate::plan::SHAPE.null_bits[$index],
            core::mem::offset_of!(weir_abi::Plan, null_bits) + $index * 4
        )
    };
    ($field:ident) => {
        crate::plan::at!(crate::plan::SHAPE.$field, core::mem::offset_of!(weir_abi::Plan, $field))
    };
}
pub(crate) use plan;
