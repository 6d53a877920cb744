//! Weir's kernel side: generic programs that a [`weir_abi::Plan`] and a table's compiled expressions specialise.
//!
//! The host writes the plan's words into the code as constants, puts code of the table's own, for what it keys on,
//! filters by and measures, where [`table::evaluate`] stands, and drops the branches that the constants do not take.
//! What runs is a program for one table.
//!
//! ```text
//!             ┌ start: evaluate ─▶ save the time and some values by thread, or by a key     (the `from` of a span)
//! probe fires ┤
//!             └ event: take the start back ─▶ evaluate ─▶ read the control word ─▶ row ─▶ add
//! ```
//!
//! Everything after the read of the control word uses the bank and the dictionary which that word names. The
//! host changes the word, waits until every program that may have read the old one has ended, and only then
//! reads the old bank; see `weir::kernel`.
//!
//! A program is the same for every kind of attach point. The host loads it as the kind that it needs; the section
//! in which it stands here says nothing.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod atomic;
mod bucket;
mod dictionary;
mod maps;
mod plan;
mod span;
mod stack;
mod table;
mod task;

use core::ffi::c_void;

/// The probe that counts, or the end of a span.
#[unsafe(no_mangle)]
#[unsafe(link_section = "raw_tp/event")]
pub extern "C" fn event(context: *mut c_void) -> i32 {
    table::event(context);
    0
}

/// The start of a span.
#[unsafe(no_mangle)]
#[unsafe(link_section = "raw_tp/start")]
pub extern "C" fn start(context: *mut c_void) -> i32 {
    span::start(context);
    0
}

/// At the exit of a thread: its start, if it left one, will never see its end.
#[unsafe(no_mangle)]
#[unsafe(link_section = "raw_tp/thread_exit")]
pub extern "C" fn thread_exit(_: *mut c_void) -> i32 {
    span::thread_exit();
    0
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // No path leads here: nothing in this program indexes, unwraps or divides by zero.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";
