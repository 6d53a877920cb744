//! The plan as the programs read it: word by word, never folded at compile time.

use weir_abi::Plan;

/// Filled by the host before loading.
#[unsafe(no_mangle)]
pub static PLAN: Plan = Plan::EMPTY;

/// Reads one word of the plan. Volatile, or the compiler would fold the zeros above into the program.
macro_rules! plan {
    ($($field:tt)+) => {
        // SAFETY: the field of a static; read in place.
        unsafe { core::ptr::read_volatile(&raw const crate::plan::PLAN.$($field)+) }
    };
}
pub(crate) use plan;
