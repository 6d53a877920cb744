//! Spans: a start saved by thread, taken back at the end.

use core::ffi::c_void;
use core::mem::MaybeUninit;

use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use weir_abi::{Counters, SAVED};

use crate::atomic;
use crate::maps;
use crate::plan::{PLAN, SourceRef, plan};
use crate::source;
use crate::table;

/// What a start leaves behind. The map's values are cut to the fields in use.
#[repr(C)]
struct Start {
    began: u64,
    saved: [u64; SAVED],
}

/// What an end takes back. Four words and no array: an array is zeroed by a loop over its bytes.
#[derive(Clone, Copy)]
pub struct Taken {
    pub elapsed: u64,
    saved: (u64, u64, u64, u64),
}

impl Taken {
    pub const NOTHING: Self = Self { elapsed: 0, saved: (0, 0, 0, 0) };

    #[inline(always)]
    pub fn saved(&self, index: u32) -> u64 {
        match index {
            0 => self.saved.0,
            1 => self.saved.1,
            2 => self.saved.2,
            _ => self.saved.3,
        }
    }
}

#[inline(always)]
fn now() -> u64 {
    // SAFETY: the helper takes nothing.
    unsafe { bpf_ktime_get_ns() }
}

/// Saves a start, in the place of an older one of the same thread.
#[inline(always)]
pub fn start(context: *mut c_void) {
    let thread = source::thread();
    let Some(control) = maps::control() else { return };
    // SAFETY: the verifier checked that the value is there; its fields are atomic.
    let control = unsafe { control.as_ref() };
    if table::is_self(control, thread) {
        return;
    }
    // Only what the plan saves is written, and no more of it is copied into the map.
    let mut start = MaybeUninit::<Start>::uninit();
    let start = start.as_mut_ptr();
    macro_rules! save {
        ($($index:literal)+) => {
            $(if plan!(saved[$index].kind) != 0 {
                let value = source::read(context, &Taken::NOTHING, SourceRef::new(&PLAN.saved[$index]));
                // SAFETY: a field of the structure on the stack.
                unsafe { (&raw mut (*start).saved[$index]).write(value) };
            })+
        };
    }
    save!(0 1 2 3);
    let starts = maps::starts();
    let replaced = starts.get::<Start, _>(&thread).is_some();
    // SAFETY: a field of the structure on the stack.
    unsafe { (&raw mut (*start).began).write(now()) };
    if !starts.put(&thread, start) {
        count(control, |counters| &counters.starts_dropped);
    } else if replaced {
        count(control, |counters| &counters.starts_replaced);
    }
}

/// Takes back the start of the current thread. `None`, counted, if there is none.
#[inline(always)]
pub fn take(control: &weir_abi::Control, thread: u64) -> Option<Taken> {
    let starts = maps::starts();
    let Some(start) = starts.get::<Start, _>(&thread) else {
        count(control, |counters| &counters.ends_unmatched);
        return None;
    };
    let mut taken = Taken::NOTHING;
    let start = start.as_ptr();
    macro_rules! load {
        ($($index:tt)+) => {
            $(if plan!(saved[$index].kind) != 0 {
                // SAFETY: the map's values have room for every field that the plan saves.
                taken.saved.$index = unsafe { (*start).saved[$index] };
            })+
        };
    }
    load!(0 1 2 3);
    // SAFETY: every value has its time first.
    let began = unsafe { (*start).began };
    // The clock of two CPUs may differ by less than it takes to tell.
    taken.elapsed = now().saturating_sub(began);
    starts.remove(&thread);
    Some(taken)
}

#[inline(always)]
pub fn thread_exit() {
    let thread = source::thread();
    let Some(control) = maps::control() else { return };
    if maps::starts().remove(&thread) {
        // SAFETY: the verifier checked that the value is there; its fields are atomic.
        count(unsafe { control.as_ref() }, |counters| &counters.starts_abandoned);
    }
}

/// Adds one to a counter of the current bank.
#[inline(always)]
fn count(control: &weir_abi::Control, which: impl Fn(&Counters) -> &core::sync::atomic::AtomicU64) {
    let bank = atomic::load(&control.word) & 1;
    atomic::add(which(if bank == 0 { &control.counters[0] } else { &control.counters[1] }), 1);
}
