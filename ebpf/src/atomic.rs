//! Atomic instructions of the eBPF machine, which `core` does not offer for this target
//! (Documentation/bpf/standardization/instruction-set.rst, "Atomic operations").
//!
//! Additions are atomic although each CPU has a shard of its own: a program can be interrupted by another on
//! the same CPU, and CPUs may share a shard.

use core::arch::asm;
use core::sync::atomic::AtomicU64;

/// A plain load: the machine's loads of aligned words are atomic, and `core`'s cannot be compiled for it.
#[inline(always)]
pub fn load(word: &AtomicU64) -> u64 {
    // SAFETY: the word is valid and aligned.
    unsafe { word.as_ptr().read_volatile() }
}

#[inline(always)]
pub fn store(word: &AtomicU64, value: u64) {
    // SAFETY: as in `load`.
    unsafe { word.as_ptr().write_volatile(value) }
}

#[inline(always)]
pub fn add(word: &AtomicU64, value: u64) {
    // SAFETY: the word is valid, aligned and shared by atomic accesses only.
    unsafe { asm!("lock *(u64 *)({0} + 0) += {1}", in(reg) word.as_ptr(), in(reg) value) }
}

#[inline(always)]
pub fn fetch_add(word: &AtomicU64, value: u64) -> u64 {
    let mut result = value;
    // SAFETY: as in `add`.
    unsafe { asm!("{1} = atomic_fetch_add((u64 *)({0} + 0), {1})", in(reg) word.as_ptr(), inout(reg) result) }
    result
}

#[inline(always)]
pub fn swap(word: &AtomicU64, value: u64) -> u64 {
    let mut result = value;
    // SAFETY: as in `add`.
    unsafe { asm!("{1} = xchg_64({0} + 0, {1})", in(reg) word.as_ptr(), inout(reg) result) }
    result
}

/// Stores `new` if the word is `old`, and returns what it was.
#[inline(always)]
pub fn compare_exchange(word: &AtomicU64, old: u64, new: u64) -> u64 {
    let mut result = old;
    // SAFETY: as in `add`; the instruction compares with and answers in r0.
    unsafe {
        asm!("r0 = cmpxchg_64({0} + 0, r0, {1})", in(reg) word.as_ptr(), in(reg) new, inout("r0") result);
    }
    result
}
