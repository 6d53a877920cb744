//! The plan as the programs read it: word by word, never folded at compile time.

use weir_abi::{Clause, Measure, Plan, Source};

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

/// One source of the plan.
#[derive(Clone, Copy)]
pub struct SourceRef(*const Source);

/// One condition of the plan.
#[derive(Clone, Copy)]
pub struct ClauseRef(*const Clause);

/// One measure of the plan.
#[derive(Clone, Copy)]
pub struct MeasureRef(*const Measure);

macro_rules! word {
    ($pointer:expr, $field:ident) => {
        // SAFETY: the pointer was made from a reference into the static plan.
        unsafe { core::ptr::read_volatile(&raw const (*$pointer).$field) }
    };
}

impl SourceRef {
    #[inline(always)]
    pub fn new(source: &'static Source) -> Self {
        Self(source)
    }
    #[inline(always)]
    pub fn kind(self) -> u32 {
        word!(self.0, kind)
    }
    #[inline(always)]
    pub fn a(self) -> u32 {
        word!(self.0, a)
    }
    #[inline(always)]
    pub fn b(self) -> u32 {
        word!(self.0, b)
    }
    #[inline(always)]
    pub fn c(self) -> u32 {
        word!(self.0, c)
    }
}

impl ClauseRef {
    #[inline(always)]
    pub fn new(clause: &'static Clause) -> Self {
        Self(clause)
    }
    #[inline(always)]
    pub fn source(self) -> SourceRef {
        // SAFETY: the pointer was made from a reference into the static plan; no value is read here.
        SourceRef(unsafe { &raw const (*self.0).source })
    }
    #[inline(always)]
    pub fn op(self) -> u32 {
        word!(self.0, op)
    }
    #[inline(always)]
    pub fn signed(self) -> u32 {
        word!(self.0, signed)
    }
    #[inline(always)]
    pub fn value(self) -> u64 {
        word!(self.0, value)
    }
}

impl MeasureRef {
    #[inline(always)]
    pub fn new(measure: &'static Measure) -> Self {
        Self(measure)
    }
    #[inline(always)]
    pub fn source(self) -> SourceRef {
        // SAFETY: the pointer was made from a reference into the static plan; no value is read here.
        SourceRef(unsafe { &raw const (*self.0).source })
    }
    #[inline(always)]
    pub fn kind(self) -> u32 {
        word!(self.0, kind)
    }
    #[inline(always)]
    pub fn signed(self) -> bool {
        word!(self.0, signed) != 0
    }
    #[inline(always)]
    pub fn word(self) -> u32 {
        word!(self.0, word)
    }
    #[inline(always)]
    pub fn histogram(self) -> u32 {
        word!(self.0, histogram)
    }
}
