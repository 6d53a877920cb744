//! Weir's kernel side: a few generic programs that a [`weir_abi::Plan`] specialises.
//!
//! The plan is a read-only global. The host fills it before it loads the programs, so that the verifier knows
//! its words, follows only the branches which they take, and removes the others. What runs is a program for
//! one table.
//!
//! ```text
//!             ┌ start_*: save the time and some fields by thread          (the `from` of a span)
//! probe fires ┤
//!             └ event_*: take the start back ─▶ filter ─▶ read the control word ─▶ key ─▶ row ─▶ add
//! ```
//!
//! Everything after the read of the control word uses the bank and the dictionary which that word names. The
//! host changes the word, waits until every program that may have read the old one has ended, and only then
//! reads the old bank; see `weir::kernel`.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod atomic;
mod maps;
mod plan;
mod source;
mod span;
mod table;

use aya_ebpf::EbpfContext;
use aya_ebpf::macros::{btf_tracepoint, raw_tracepoint, tracepoint};
use aya_ebpf::programs::{BtfTracePointContext, RawTracePointContext, TracePointContext};

#[tracepoint]
#[inline(always)]
pub fn event_tracepoint(context: TracePointContext) -> u32 {
    table::event(context.as_ptr());
    0
}

#[raw_tracepoint]
#[inline(always)]
pub fn event_raw(context: RawTracePointContext) -> i32 {
    table::event(context.as_ptr());
    0
}

#[btf_tracepoint]
#[inline(always)]
pub fn event_btf(context: BtfTracePointContext) -> i32 {
    table::event(context.as_ptr());
    0
}

#[tracepoint]
#[inline(always)]
pub fn start_tracepoint(context: TracePointContext) -> u32 {
    span::start(context.as_ptr());
    0
}

#[raw_tracepoint]
#[inline(always)]
pub fn start_raw(context: RawTracePointContext) -> i32 {
    span::start(context.as_ptr());
    0
}

#[btf_tracepoint]
#[inline(always)]
pub fn start_btf(context: BtfTracePointContext) -> i32 {
    span::start(context.as_ptr());
    0
}

/// At the exit of a thread: its start, if it left one, will never see its end.
#[raw_tracepoint]
#[inline(always)]
pub fn thread_exit(_: RawTracePointContext) -> i32 {
    span::thread_exit();
    0
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // No path leads here: nothing in this program indexes, unwraps or divides.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";
