//! Stacks as keys. A key has a stack's hash; the addresses are kept once a row, when it is made.

use core::ffi::c_void;
use core::sync::atomic::AtomicU64;

use aya_ebpf::helpers::generated::bpf_get_stack;
use weir_abi::{Frame, STACK_FRAMES, STACK_WORDS, STACKS_AT_ONCE};

use crate::atomic;
use crate::maps;
use crate::plan::plan;
use crate::task;

/// BPF_F_USER_STACK.
const USER: u64 = 1 << 8;
/// Odd, and with bits everywhere: the golden ratio's.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// Room in which the stacks of one event are until its row is known: a word that says whether it is in use, and
/// two stacks.
#[repr(C)]
struct Room {
    taken: u64,
    stacks: [[u64; STACK_WORDS]; 2],
}

/// The stacks of one event; null if it has none. No `Option`, for what stands beside a `None` is not initialised,
/// and the verifier wants to know of every word that is passed on.
#[derive(Clone, Copy)]
pub struct Stacks(*mut Room);

impl Stacks {
    const NONE: Self = Self(core::ptr::null_mut());
}

/// Takes the stacks that are keys, and puts their hashes into the key.
///
/// A program can be interrupted, or preempted, by another one on the same CPU, so each takes room of its own. Where
/// there is none left the event's stacks are null.
#[inline(always)]
pub fn take(context: *mut c_void, frame: *mut Frame) -> Stacks {
    if plan!(kernel_stack) == 0 && plan!(user_stack) == 0 {
        return Stacks::NONE;
    }
    let Some(room) = room() else {
        fail(frame, plan!(kernel_stack), plan!(null_bits[0]));
        fail(frame, plan!(user_stack), plan!(null_bits[1]));
        return Stacks::NONE;
    };
    if plan!(kernel_stack) != 0 {
        // SAFETY: the verifier checked that the room is there.
        let into = unsafe { &raw mut (*room).stacks[0] };
        read(context, frame, into, 0, plan!(kernel_stack), plan!(null_bits[0]));
    }
    if plan!(user_stack) != 0 {
        // SAFETY: as above.
        let into = unsafe { &raw mut (*room).stacks[1] };
        read(context, frame, into, USER, plan!(user_stack), plan!(null_bits[1]));
    }
    Stacks(room)
}

#[inline(always)]
fn room() -> Option<*mut Room> {
    macro_rules! attempt {
        ($($index:literal)+) => {
            $(if let Some(room) = maps::room($index) {
                // SAFETY: the verifier checked that the value is there; the word is accessed atomically only.
                let taken = unsafe { AtomicU64::from_ptr(room.as_ptr()) };
                if atomic::swap(taken, 1) == 0 {
                    return Some(room.as_ptr().cast());
                }
            })+
        };
    }
    attempt!(0 1 2 3);
    None
}

/// Gives the room back, when nobody needs what is in it any more.
#[inline(always)]
pub fn release(stacks: Stacks) {
    if !stacks.0.is_null() {
        // SAFETY: the room is this program's own, and its first word an aligned one.
        atomic::store(unsafe { AtomicU64::from_ptr(stacks.0.cast()) }, 0);
    }
}

/// One stack, its hash as the key's word `word - 1`.
#[inline(always)]
fn read(
    context: *mut c_void,
    frame: *mut Frame,
    into: *mut [u64; STACK_WORDS],
    flags: u64,
    word: u32,
    null: u32,
) {
    // SAFETY: the verifier checks that there is room for so many bytes after the first word.
    let bytes =
        unsafe { bpf_get_stack(context, into.cast::<u64>().add(1).cast(), (STACK_FRAMES * 8) as u32, flags) };
    if bytes < 0 {
        // A kernel thread has no stack of a process: that is an empty one.
        if flags != USER {
            fail(frame, word, null);
            // SAFETY: the first word of the stack.
            unsafe { into.cast::<u64>().write(0) };
            return;
        }
    }
    let frames = if bytes < 0 { 0 } else { bytes as u64 >> 3 };
    // The stack of a process means nothing without the process.
    let process = if flags == USER { task::thread() >> 32 } else { 0 };
    let mut hash = (frames ^ process << 32).wrapping_mul(FACTOR);
    let mut index = 0;
    while index < STACK_FRAMES as u64 {
        if index >= frames {
            break;
        }
        // SAFETY: below the number of words; the verifier checks it.
        let address = unsafe { into.cast::<u64>().add(1 + index as usize).read() };
        hash = (hash ^ address).wrapping_mul(FACTOR);
        hash ^= hash >> 29;
        index += 1;
    }
    // SAFETY: the first word of the stack.
    unsafe { into.cast::<u64>().write(frames | process << 32) };
    put(frame, word, hash);
}

#[inline(always)]
fn put(frame: *mut Frame, word: u32, value: u64) {
    // SAFETY: the host makes no plan with more key words than there are; the mask shows it to the verifier.
    unsafe { (&raw mut (*frame).key).cast::<u64>().add((word - 1 & 15) as usize).write(value) };
}

/// The event's key has no stack.
#[inline(always)]
fn fail(frame: *mut Frame, word: u32, null: u32) {
    if word == 0 {
        return;
    }
    put(frame, word, 0);
    let at = (plan!(null_word) - 1 & 15) as usize;
    // SAFETY: as in `put`; the host gives a table with stacks a word for nulls.
    let nulls = unsafe { (&raw mut (*frame).key).cast::<u64>().add(at) };
    // SAFETY: as above.
    unsafe { nulls.write(nulls.read() | u64::from(null)) };
}

/// Keeps the stacks of a new row.
#[inline(always)]
pub fn keep(stacks: Stacks, place: u32) {
    let room = stacks.0;
    if room.is_null() {
        return;
    }
    let Some(kept) = maps::stacks(place) else { return };
    let kept = kept.as_ptr();
    let mut at = 0;
    if plan!(kernel_stack) != 0 {
        // SAFETY: the row has room for every stack that is a key.
        copy(unsafe { &raw const (*room).stacks[0] }.cast(), kept);
        at += STACK_WORDS;
    }
    if plan!(user_stack) != 0 {
        // SAFETY: as above.
        copy(unsafe { &raw const (*room).stacks[1] }.cast(), unsafe { kept.add(at) });
    }
}

#[inline(always)]
fn copy(from: *const u64, to: *mut u64) {
    let mut index = 0;
    while index < STACK_WORDS {
        // SAFETY: both have so many words; the verifier checks it.
        unsafe { to.add(index).write_volatile(from.add(index).read_volatile()) };
        index += 1;
    }
}

const _: () = assert!(STACKS_AT_ONCE == 4, "room() tries so many");
