//! From an accepted event to the cell that counts it.

use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::sync::atomic::AtomicU64;

use aya_ebpf::helpers::generated::{bpf_get_current_comm, bpf_loop};
use weir_abi::{
    BUCKETS, Control, DIRECT_ROWS, KEY_WORDS, bucket_key, measure, op, ordered, pack_spare, source as kind,
};

use crate::atomic;
use crate::maps::{self, AnyMap, Inserted};
use crate::plan::{ClauseRef, MeasureRef, PLAN, SourceRef, plan};
use crate::source;
use crate::span::{self, Taken};

/// How often a maximum is tried against other CPUs before it is given up and counted as inexact. A round is
/// lost only to a CPU that raised the same cell in between, and it can be raised so often only while values grow.
const MAXIMUM_ROUNDS: usize = 16;

/// The row of events that found no row of their own.
const OVERFLOW: u32 = 0;

/// Key words on the stack, of which the plan's are filled.
struct Key(MaybeUninit<[u64; KEY_WORDS]>);

/// One event of a table.
#[inline(always)]
pub fn event(context: *mut c_void) {
    let Some(control) = maps::control() else { return };
    // SAFETY: the verifier checked that the value is there; its fields are atomic.
    let control = unsafe { control.as_ref() };
    let mut taken = Taken::NOTHING;
    if plan!(skip_selves) != 0 || plan!(span) != 0 {
        let thread = source::thread();
        if is_self(control, thread) {
            return;
        }
        if plan!(span) != 0 {
            match span::take(control, thread) {
                Some(start) => taken = start,
                None => return,
            }
        }
    }
    macro_rules! filter {
        ($($index:literal)+) => {
            $(if !holds(context, &taken, ClauseRef::new(&PLAN.clauses[$index])) {
                return;
            })+
        };
    }
    filter!(0 1 2 3 4 5 6 7);

    // Read once: everything below belongs to the bank and the dictionary that this word names.
    let word = atomic::load(&control.word);
    if plan!(hold) != 0 {
        hold(control);
    }
    let bank = (word & 1) as u32;
    let generation = (word >> 1) as u32;

    let id = row(context, &taken, control, generation);
    let shard = source::cpu() & plan!(shard_mask);
    let shard = bank << (plan!(shards_shift) & 31) | shard;
    let index = shard << (plan!(capacity_shift) & 31) | id;
    let Some(cell) = maps::cell(index) else { return };
    let cell = cell.as_ptr();
    add(cell, 0, 1);
    macro_rules! measures {
        ($($index:literal)+) => {
            $(apply(
                context, &taken, control, generation, shard, id, cell,
                MeasureRef::new(&PLAN.measures[$index]),
            );)+
        };
    }
    measures!(0 1 2 3 4 5 6 7);
}

/// Whether the process is one of Weir's own that this table leaves out.
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

#[inline(always)]
fn holds(context: *mut c_void, taken: &Taken, clause: ClauseRef) -> bool {
    let op = clause.op();
    if op == op::NONE {
        return true;
    }
    let (left, right) = (source::read(context, taken, clause.source()), clause.value());
    if op == op::EQ {
        return left == right;
    }
    if op == op::NE {
        return left != right;
    }
    if clause.signed() != 0 { compare(op, left as i64, right as i64) } else { compare(op, left, right) }
}

#[inline(always)]
fn compare<T: PartialOrd>(op: u32, left: T, right: T) -> bool {
    if op == op::LT {
        return left < right;
    }
    if op == op::LE {
        return left <= right;
    }
    if op == op::GT {
        return left > right;
    }
    left >= right
}

/// The id of the event's row.
#[inline(always)]
fn row(context: *mut c_void, taken: &Taken, control: &Control, generation: u32) -> u32 {
    if plan!(key_words) == 0 {
        return 1;
    }
    let mut key = Key(MaybeUninit::uninit());
    let words = key.0.as_mut_ptr().cast::<u64>();
    let mut at = 0;
    macro_rules! fill {
        ($($index:literal)+) => {
            $(at = fill(context, taken, words, at, SourceRef::new(&PLAN.keys[$index]));)+
        };
    }
    fill!(0 1 2 3 4 5 6 7);
    let _ = at;
    let Some(rows) = maps::rows(generation) else { return OVERFLOW };
    match rows.get::<u32, _>(words) {
        // SAFETY: the verifier checked that the value is there.
        Some(id) => unsafe { id.as_ptr().read_volatile() },
        None => admit_row(rows, words, control, generation),
    }
}

#[inline(always)]
fn fill(context: *mut c_void, taken: &Taken, words: *mut u64, at: usize, source: SourceRef) -> usize {
    let kind = source.kind();
    if kind == kind::NONE {
        return at;
    }
    // SAFETY: the host makes no plan with more key words than there are; the mask shows it to the verifier.
    let word = unsafe { words.add(at & (KEY_WORDS - 1)) };
    if kind == kind::COMM {
        // SAFETY: a name is two words, and the host counts it as such.
        unsafe {
            // Zeroed first: what the helper leaves after the end of the name would tell equal names apart.
            word.write(0);
            word.add(1).write(0);
            bpf_get_current_comm(word.cast(), 16);
        }
        return at + 2;
    }
    // SAFETY: as above.
    unsafe { word.write(source::read(context, taken, source)) };
    at + 1
}

/// Gives a new key a row. Out of line: it runs once for each key, and its registers are not the hot path's.
#[inline(never)]
fn admit_row(rows: AnyMap, key: *const u64, control: &Control, generation: u32) -> u32 {
    let next = if generation & 1 == 0 { &control.next_row[0] } else { &control.next_row[1] };
    let shift = plan!(capacity_shift) & 31;
    let Some(spare) = maps::spare(0) else { return OVERFLOW };
    // SAFETY: the verifier checked that the value is there; it is aligned and only accessed atomically.
    let spare = unsafe { AtomicU64::from_ptr(spare.as_ptr()) };
    let id = take_id(spare, next, generation, 1 << shift);
    if id == 0 {
        return OVERFLOW;
    }
    let Some(stored) = maps::key((generation & 1) << shift | id) else { return OVERFLOW };
    macro_rules! store {
        ($($index:literal)+) => {
            $(if plan!(key_words) > $index {
                // SAFETY: a stored key has the plan's words, as the one on the stack has.
                unsafe { stored.as_ptr().add($index).write_volatile(key.add($index).read()) };
            })+
        };
    }
    store!(0 1 2 3 4 5 6 7);
    match rows.insert(key, &id) {
        Inserted::New => id,
        Inserted::Exists => {
            atomic::store(spare, pack_spare(generation, id));
            match rows.get::<u32, _>(key) {
                // SAFETY: the verifier checked that the value is there.
                Some(id) => unsafe { id.as_ptr().read_volatile() },
                None => OVERFLOW,
            }
        }
        Inserted::Refused => {
            atomic::store(spare, pack_spare(generation, id));
            OVERFLOW
        }
    }
}

/// A spare id of this generation, or the next one; 0 if there is none.
#[inline(always)]
fn take_id(spare: &AtomicU64, next: &AtomicU64, generation: u32, capacity: u64) -> u32 {
    if (atomic::load(spare) >> 32) as u32 == generation {
        // Exchanged, so that a program which interrupts this one cannot take the same id.
        let found = atomic::swap(spare, 0);
        if (found >> 32) as u32 == generation && found as u32 != 0 {
            return found as u32;
        }
    }
    // Looked at first, so that a full table does not count on for ever.
    if atomic::load(next) >= capacity {
        return 0;
    }
    let id = atomic::fetch_add(next, 1);
    if id >= capacity { 0 } else { id as u32 }
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn apply(
    context: *mut c_void,
    taken: &Taken,
    control: &Control,
    generation: u32,
    shard: u32,
    id: u32,
    cell: *mut u64,
    measure: MeasureRef,
) {
    let kind = measure.kind();
    if kind == measure::NONE {
        return;
    }
    let value = source::read(context, taken, measure.source());
    let at = measure.word();
    if kind == measure::SUM {
        add(cell, at, value);
    }
    if kind == measure::MIN {
        raise(cell, at, !ordered(value, measure.signed()), control, shard);
    }
    if kind == measure::MAX {
        raise(cell, at, ordered(value, measure.signed()), control, shard);
    }
    if kind == measure::HIST {
        add(cell, at, value);
        let bucket = weir_abi::bucket(value, measure.signed());
        if !count_bucket(control, generation, shard, id, measure.histogram(), bucket) {
            add(cell, at + 1, 1);
        }
    }
}

/// One word of a cell.
#[inline(always)]
fn word<'a>(cell: *mut u64, at: u32) -> &'a AtomicU64 {
    // SAFETY: the host gives cells the words that its plan names, and the verifier checks it. They are aligned
    // and only accessed atomically while a program can run.
    unsafe { AtomicU64::from_ptr(cell.add((at & 31) as usize)) }
}

#[inline(always)]
fn add(cell: *mut u64, at: u32, value: u64) {
    atomic::add(word(cell, at), value);
}

/// Keeps the greater of the word and the value.
#[inline(always)]
fn raise(cell: *mut u64, at: u32, value: u64, control: &Control, shard: u32) {
    let word = word(cell, at);
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
    let bank = shard >> (plan!(shards_shift) & 31);
    atomic::add(&(if bank == 0 { &control.counters[0] } else { &control.counters[1] }).inexact, 1);
}

/// Counts a value in its bucket; false if there is no room for the bucket.
#[inline(always)]
fn count_bucket(
    control: &Control,
    generation: u32,
    shard: u32,
    row: u32,
    histogram: u32,
    bucket: u32,
) -> bool {
    // The first rows have their buckets from the start: the overflow row must always be able to count, and a
    // table without a key has but one row.
    let id = if row < DIRECT_ROWS {
        (row * plan!(histograms) + histogram) * BUCKETS + bucket
    } else {
        let Some(buckets) = maps::buckets(generation) else { return false };
        let key = bucket_key(row, histogram, bucket);
        let id = match buckets.get::<u32, _>(&key) {
            // SAFETY: the verifier checked that the value is there.
            Some(id) => unsafe { id.as_ptr().read_volatile() },
            None => admit_bucket(buckets, key, control, generation),
        };
        if id == 0 {
            return false;
        }
        id
    };
    let Some(cell) = maps::bucket_cell(shard << (plan!(bucket_shift) & 31) | id) else { return false };
    add(cell.as_ptr(), 0, 1);
    true
}

/// Gives a new bucket a cell; 0 if there is none left.
#[inline(never)]
fn admit_bucket(buckets: AnyMap, key: u64, control: &Control, generation: u32) -> u32 {
    let next = if generation & 1 == 0 { &control.next_bucket[0] } else { &control.next_bucket[1] };
    let shift = plan!(bucket_shift) & 31;
    let Some(spare) = maps::spare(1) else { return 0 };
    // SAFETY: the verifier checked that the value is there; it is aligned and only accessed atomically.
    let spare = unsafe { AtomicU64::from_ptr(spare.as_ptr()) };
    let id = take_id(spare, next, generation, 1 << shift);
    if id == 0 {
        return 0;
    }
    let Some(stored) = maps::bucket_key((generation & 1) << shift | id) else { return 0 };
    // SAFETY: the verifier checked that the value is there.
    unsafe { stored.as_ptr().write_volatile(key) };
    match buckets.insert(&key, &id) {
        Inserted::New => id,
        Inserted::Exists => {
            atomic::store(spare, pack_spare(generation, id));
            match buckets.get::<u32, _>(&key) {
                // SAFETY: the verifier checked that the value is there.
                Some(id) => unsafe { id.as_ptr().read_volatile() },
                None => 0,
            }
        }
        Inserted::Refused => {
            atomic::store(spare, pack_spare(generation, id));
            0
        }
    }
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
