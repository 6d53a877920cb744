//! From an accepted event to the cell that counts it.

use core::arch::asm;
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::sync::atomic::AtomicU64;

use aya_ebpf::helpers::generated::bpf_loop;
use weir_abi::{Control, Frame, MEASURES, measure, ordered};

use crate::atomic;
use crate::bucket;
use crate::dictionary::{self, find};
use crate::maps;
use crate::plan::plan;
use crate::stack::{self, Stacks};
use crate::task;

/// How often a maximum is tried against other CPUs before it is given up and counted as inexact. A round is
/// lost only to a CPU that raised the same cell in between, and it can be raised so often only while values grow.
const MAXIMUM_ROUNDS: usize = 16;

/// The row of events that found no row of their own.
const OVERFLOW: u32 = 0;

/// Where an event is counted.
pub struct Row {
    pub id: u32,
    pub generation: u32,
    /// The bank and the CPU's shard of it.
    pub shard: u32,
    pub cell: *mut u64,
}

/// The table's expressions: whether the filter accepts the event, and, if it does, its key and what is measured in
/// the frame.
#[inline(always)]
pub fn evaluate(context: *mut c_void, frame: *mut Frame) -> u64 {
    spliced!(weir_abi::EVALUATE, context, frame)
}

/// The key by which the start and the end of a span are paired.
#[inline(always)]
pub fn pair(context: *mut c_void, frame: *mut Frame) -> u64 {
    spliced!(weir_abi::PAIR, context, frame)
}

/// Stands for code of the table's own, which the host puts in its place. Not called: on machines that guard their
/// returns a call costs more than most of what it would compute.
macro_rules! spliced {
    ($place:expr, $context:expr, $frame:expr) => {{
        let result: u64;
        // SAFETY: what is put here reads the context, works on the frame, and has these registers for it; that it
        // does no more, the verifier checks.
        unsafe {
            asm!(
                "r0 = {0} ll",
                const $place,
                in("r6") $context,
                in("r7") $frame,
                out("r0") result,
                out("r1") _,
                out("r2") _,
                out("r3") _,
                out("r4") _,
                out("r5") _,
                out("r8") _,
            );
        }
        result
    }};
}
use spliced;

/// One event of a table.
#[inline(always)]
pub fn event(context: *mut c_void) {
    let control = maps::control();
    let mut frame = MaybeUninit::<Frame>::uninit();
    let frame = frame.as_mut_ptr();
    // Where spans are paired by a key, whoever is interrupted by an end has nothing to do with it; whose a span is,
    // its start has decided.
    if plan!(thread) != 0 && who(control, frame) && plan!(paired) == 0 {
        return;
    }
    if plan!(span) != 0 && !crate::span::take(control, context, frame) {
        return;
    }
    if evaluate(context, frame) == 0 {
        return;
    }
    let stacks = stack::take(context, frame);

    // Read once: everything below belongs to the bank and the dictionary that this word names.
    let word = atomic::load(&control.word);
    if plan!(hold) != 0 {
        hold(control);
    }
    let bank = (word & 1) as u32;
    let generation = (word >> 1) as u32;

    let id = row(frame, stacks, generation);
    stack::release(stacks);
    let shard = bank << (plan!(shards_shift) & 31) | task::cpu() & plan!(shard_mask);
    let Some(cell) = maps::cell(shard << (plan!(capacity_shift) & 31) | id) else { return };
    let row = Row { id, generation, shard, cell: cell.as_ptr() };
    add(row.cell, 0, 1);
    let measures = plan!(measure_count);
    macro_rules! measures {
        ($($index:literal)+) => {
            $(if measures > $index {
                apply::<$index>(frame, &row);
            })+
        };
    }
    measures!(0 1 2 3 4 5 6 7);
}

/// Notes who runs; true if it is one of Weir's own processes that this table leaves out.
#[inline(always)]
pub fn who(control: &Control, frame: *mut Frame) -> bool {
    let thread = task::thread();
    // SAFETY: a field of the structure on the stack.
    unsafe { (&raw mut (*frame).thread).write(thread) };
    is_self(control, thread)
}

#[inline(always)]
pub fn is_self(control: &Control, thread: u64) -> bool {
    if plan!(skip_selves) == 0 {
        return false;
    }
    let process = thread >> 32;
    process == atomic::load(&control.selves[0])
        || process == atomic::load(&control.selves[1])
        || process == atomic::load(&control.selves[2])
        || process == atomic::load(&control.selves[3])
}

/// The id of the event's row.
#[inline(always)]
fn row(frame: *const Frame, stacks: Stacks, generation: u32) -> u32 {
    if plan!(key_words) == 0 {
        return 1;
    }
    let Some(rows) = maps::rows(generation) else { return OVERFLOW };
    // SAFETY: a field of the structure on the stack.
    let key = unsafe { &raw const (*frame).key }.cast::<u64>();
    match find(rows, key) {
        Some(id) => id,
        None => dictionary::admit_row(key, stacks, generation),
    }
}

/// One measure. Its number is a constant, so that every word of the plan is at a constant place.
#[inline(always)]
fn apply<const INDEX: usize>(frame: *const Frame, row: &Row) {
    let counted = plan!(measures[INDEX].counted);
    if counted != 0 {
        // SAFETY: a field of the structure on the stack, which `evaluate` writes if a measure is conditional.
        if unsafe { (*frame).present } & 1 << INDEX == 0 {
            return;
        }
        add(row.cell, counted.into(), 1);
    }
    let kind = plan!(measures[INDEX].kind);
    if kind == measure::COUNT {
        return;
    }
    // SAFETY: as above; `evaluate` writes the value of every other kind.
    let value = unsafe { (*frame).values[INDEX] };
    let at = plan!(measures[INDEX].word).into();
    if kind == measure::SUM || kind == measure::STATS || kind == measure::HIST {
        add(row.cell, at, value);
    }
    if kind == measure::MIN {
        raise(row, at, !image::<INDEX>(value));
    }
    if kind == measure::MAX {
        raise(row, at, image::<INDEX>(value));
    }
    if kind == measure::STATS {
        raise(row, at + 1, !image::<INDEX>(value));
        raise(row, at + 2, image::<INDEX>(value));
    }
    if kind == measure::HIST {
        bucket::count::<INDEX>(value, at + 1, row);
    }
}

#[inline(always)]
fn image<const INDEX: usize>(value: u64) -> u64 {
    ordered(value, plan!(measures[INDEX].signed) != 0)
}

/// One word of a cell.
#[inline(always)]
fn word<'a>(cell: *mut u64, at: u64) -> &'a AtomicU64 {
    // SAFETY: the host gives cells the words that its plan names, and the verifier checks it. They are aligned
    // and only accessed atomically while a program can run.
    unsafe { AtomicU64::from_ptr(cell.add(at as usize)) }
}

#[inline(always)]
pub fn add(cell: *mut u64, at: u64, value: u64) {
    atomic::add(word(cell, at), value);
}

/// Keeps the greater of the word and the value.
#[inline(always)]
fn raise(row: &Row, at: u64, value: u64) {
    let word = word(row.cell, at);
    let mut old = atomic::load(word);
    for _ in 0..MAXIMUM_ROUNDS {
        if value <= old {
            return;
        }
        let found = atomic::compare_exchange(word, old, value);
        if found == old {
            return;
        }
        old = found;
    }
    let bank = row.shard >> (plan!(shards_shift) & 31);
    let control = maps::control();
    atomic::add(&(if bank == 0 { &control.counters[0] } else { &control.counters[1] }).inexact, 1);
}

/// Waits, for the test which proves that a closing waits for programs that have read the control word.
#[inline(always)]
fn hold(control: &Control) {
    atomic::add(&control.held, 1);
    let turns = plan!(hold);
    // SAFETY: the callback has the signature that the helper calls, and uses no context.
    unsafe { bpf_loop(turns, (turn as *const ()).cast_mut().cast(), core::ptr::null_mut(), 0) };
}

#[inline(never)]
extern "C" fn turn(_: u32, _: *mut c_void) -> i64 {
    0
}

const _: () = assert!(MEASURES == 8, "event applies so many");
