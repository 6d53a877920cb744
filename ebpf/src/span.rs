//! Spans: a start saved by thread, or by a key, and taken back at the end.

use core::ffi::c_void;
use core::mem::MaybeUninit;

use weir_abi::{Control, Frame, SAVED};

use crate::atomic;
use crate::maps;
use crate::plan::plan;
use crate::table::{self, evaluate, is_self, pair};
use crate::task;

/// What a start leaves behind, as it stands in a [`Frame`]. The map's values are cut to the fields in use.
#[repr(C)]
struct Start {
    began: u64,
    saved: [u64; SAVED],
}

/// By what the start is kept: the key of a pair, or the thread.
#[inline(always)]
fn key(context: *mut c_void, frame: *mut Frame) -> u64 {
    if plan!(paired) != 0 {
        return pair(context, frame);
    }
    // SAFETY: a field of the structure on the stack; the host sets `thread` in the plan of such a span.
    unsafe { (*frame).thread }
}

/// Saves a start, in the place of an older one with the same key.
#[inline(always)]
pub fn start(context: *mut c_void) {
    let control = maps::control();
    let mut frame = MaybeUninit::<Frame>::uninit();
    let frame = frame.as_mut_ptr();
    if plan!(thread) != 0 && table::who(control, frame) {
        return;
    }
    let key = key(context, frame);
    if evaluate(context, frame) == 0 {
        return;
    }
    let starts = maps::starts();
    let replaced = starts.get::<Start, _>(&key).is_some();
    // SAFETY: a field of the structure on the stack. Only what the plan saves was written, and no more of it is
    // copied into the map.
    let began = unsafe { &raw mut (*frame).began };
    // SAFETY: as above.
    unsafe { began.write(task::now()) };
    if !starts.put(&key, began) {
        atomic::add(&maps::counters(control).starts_dropped, 1);
    } else if replaced {
        atomic::add(&maps::counters(control).starts_replaced, 1);
    }
}

/// Takes back the start of what ends now; false, counted, if there is none.
#[inline(always)]
pub fn take(control: &Control, context: *mut c_void, frame: *mut Frame) -> bool {
    let key = key(context, frame);
    let starts = maps::starts();
    let Some(start) = starts.get::<Start, _>(&key) else {
        atomic::add(&maps::counters(control).ends_unmatched, 1);
        return false;
    };
    let start = start.as_ptr();
    macro_rules! load {
        ($($index:literal)+) => {
            $(if plan!(saved) > $index {
                // SAFETY: the map's values have room for every value that the plan saves, and the frame for all.
                unsafe { (&raw mut (*frame).saved[$index]).write((*start).saved[$index]) };
            })+
        };
    }
    load!(0 1 2 3);
    // SAFETY: every value has its time first.
    let began = unsafe { (*start).began };
    // The clocks of two CPUs may differ by less than it takes to tell.
    let elapsed = task::now().saturating_sub(began);
    // SAFETY: a field of the structure on the stack.
    unsafe { (&raw mut (*frame).elapsed).write(elapsed) };
    starts.remove(&key);
    true
}

#[inline(always)]
pub fn thread_exit() {
    let control = maps::control();
    let thread = task::thread();
    if !is_self(control, thread) && maps::starts().remove(&thread) {
        atomic::add(&maps::counters(control).starts_abandoned, 1);
    }
}

const _: () = assert!(SAVED == 4, "take loads so many values");
