//! From an accepted event to the cell that counts it.

use core::arch::asm;
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::sync::atomic::AtomicU64;

use aya_ebpf::helpers::generated::bpf_loop;
use weir_abi::{Control, Frame, MEASURES, measure, ordered};

use crate::atomic;
use crate::bucket::Histogram;
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
/// the frame. The host puts its own function here; this one only keeps the place.
#[inline(never)]
pub extern "C" fn evaluate(context: *mut c_void, frame: *mut Frame) -> u64 {
    place(context, frame)
}

/// The key by which the start and the end of a span are paired. As [`evaluate`].
#[inline(never)]
pub extern "C" fn pair(context: *mut c_void, frame: *mut Frame) -> u64 {
    place(context, frame) ^ 1
}

/// What the compiler cannot see through.
#[inline(always)]
fn place(context: *mut c_void, frame: *mut Frame) -> u64 {
    let result: u64;
    // SAFETY: an assignment; what is said of memory keeps the compiler from assumptions about the frame.
    unsafe { asm!("{0} = {1}", "{0} = {2}", out(reg) result, in(reg) context, in(reg) frame) };
    result
}

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

    let id = row(frame, stacks, control, generation);
    stack::release(stacks);
    let shard = bank << (plan!(shards_shift) & 31) | task::cpu() & plan!(shard_mask);
    let Some(cell) = maps::cell(shard << (plan!(capacity_shift) & 31) | id) else { return };
    let row = Row { id, generation, shard, cell: cell.as_ptr() };
    add(row.cell, 0, 1);
    let measures = plan!(measure_count);
    macro_rules! measures {
        ($($index:literal)+) => {
            $(if measures > $index {
                apply!($index, frame, &row, control);
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
fn row(frame: *const Frame, stacks: Stacks, control: &Control, generation: u32) -> u32 {
    if plan!(key_words) == 0 {
        return 1;
    }
    let Some(rows) = maps::rows(generation) else { return OVERFLOW };
    // SAFETY: a field of the structure on the stack.
    let key = unsafe { &raw const (*frame).key }.cast::<u64>();
    match find(rows, key) {
        Some(id) => id,
        None => dictionary::admit_row(rows, key, stacks, control, generation),
    }
}

/// One measure. A macro, so that every word of the plan is at a constant place.
macro_rules! apply {
    ($index:literal, $frame:expr, $row:expr, $control:expr) => {{
        let counted = plan!(measures[$index].counted);
        // SAFETY: a field of the structure on the stack, which `evaluate` writes if a measure is conditional.
        if counted == 0 || unsafe { (*$frame).present } & 1 << $index != 0 {
            if counted != 0 {
                add($row.cell, counted, 1);
            }
            let kind = plan!(measures[$index].kind);
            if kind != measure::COUNT {
                // SAFETY: as above; `evaluate` writes the value of every other kind.
                let value = unsafe { (*$frame).values[$index] };
                let at = plan!(measures[$index].word);
                let signed = plan!(measures[$index].signed) != 0;
                if kind == measure::SUM {
                    add($row.cell, at, value);
                }
                if kind == measure::MIN {
                    raise($row, at, !ordered(value, signed), $control);
                }
                if kind == measure::MAX {
                    raise($row, at, ordered(value, signed), $control);
                }
                if kind == measure::STATS {
                    add($row.cell, at, value);
                    raise($row, at + 1, !ordered(value, signed), $control);
                    raise($row, at + 2, ordered(value, signed), $control);
                }
                if kind == measure::HIST {
                    let histogram = Histogram {
                        number: plan!(measures[$index].histogram),
                        first_bucket: plan!(measures[$index].first_bucket),
                        buckets: plan!(measures[$index].buckets),
                        resolution: plan!(measures[$index].resolution),
                        low: plan!(measures[$index].low),
                        high: plan!(measures[$index].high),
                        step: plan!(measures[$index].step),
                        signed,
                    };
                    histogram.count(value, at, $row, $control);
                }
            }
        }
    }};
}
use apply;

/// One word of a cell.
#[inline(always)]
fn word<'a>(cell: *mut u64, at: u32) -> &'a AtomicU64 {
    // SAFETY: the host gives cells the words that its plan names, and the verifier checks it. They are aligned
    // and only accessed atomically while a program can run.
    unsafe { AtomicU64::from_ptr(cell.add(at as usize)) }
}

#[inline(always)]
pub fn add(cell: *mut u64, at: u32, value: u64) {
    atomic::add(word(cell, at), value);
}

/// Keeps the greater of the word and the value.
#[inline(always)]
fn raise(row: &Row, at: u32, value: u64, control: &Control) {
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
