//! What plugins are measured against: three columns of numbers, and native code that adds them up and finds the ten biggest
//! rows of one.

use std::hint::black_box;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, UInt64Array};
use arrow::datatypes::UInt64Type;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use weir::snapshot::schema;

/// A table's rows: numbers without order, from a generator by Marsaglia (xorshift).
#[must_use]
pub fn rows(count: usize) -> RecordBatch {
    let table = crate::tables(
        "[tables.t]\non = \"tp_btf:sys_enter\"\nby = { id = \"args.id\" }\nshow = { a = \"count()\", b = \"count()\", c = \"count()\" }",
    );
    let mut state = 1u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % 1_000_000_000
    };
    let mut numbers = || -> ArrayRef { Arc::new((0..count).map(|_| random()).collect::<UInt64Array>()) };
    let ids: ArrayRef = Arc::new((0..count as i64).collect::<Int64Array>());
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt64Array::from_value(0, count)),
        Arc::new(BooleanArray::from(vec![false; count])),
        ids,
        numbers(),
        numbers(),
        numbers(),
    ];
    RecordBatch::try_new(schema(&table[0]), columns).expect("the columns are those of the schema")
}

/// Those with numbers.
#[must_use]
pub fn columns(rows: &RecordBatch) -> [&[u64]; 3] {
    black_box(["a", "b", "c"]).map(|name| {
        &rows.column_by_name(name).expect("it is there").as_primitive::<UInt64Type>().values()[..]
    })
}

/// How long it takes natively.
#[must_use]
pub fn natively(columns: [&[u64]; 3]) -> Duration {
    let start = Instant::now();
    for column in columns {
        black_box(column.iter().fold(0u64, |sum, value| sum.wrapping_add(*value)));
    }
    let mut best: Vec<(u64, usize)> = Vec::with_capacity(11);
    for (row, value) in columns[2].iter().enumerate() {
        if best.len() < 10 || *value > best[9].0 {
            let place = best.partition_point(|(other, _)| other >= value);
            best.insert(place, (*value, row));
            best.truncate(10);
        }
    }
    black_box(best);
    start.elapsed()
}

/// The same, the median of so many rounds, of columns that another processor wrote: the sandbox has its columns from the
/// processor on which the host wrote them. Afterwards this thread runs where it did before.
#[must_use]
pub fn from_another_processor(rows: &RecordBatch, rounds: u64) -> f64 {
    let before = sched_getaffinity(None).expect("a process runs somewhere");
    let mut written = columns(rows).map(<[u64]>::to_vec);
    let [ours, theirs] = processors();
    let time = median(rounds, |_| {
        stay(ours);
        for (to, from) in written.iter_mut().zip(columns(rows)) {
            to.copy_from_slice(from);
        }
        stay(theirs);
        natively(written.each_ref().map(Vec::as_slice))
    });
    stay(&before);
    time
}

/// The first two processors, each alone; the same one twice if there is no other.
#[must_use]
pub fn processors() -> &'static [CpuSet; 2] {
    static PROCESSORS: LazyLock<[CpuSet; 2]> = LazyLock::new(|| {
        let all = sched_getaffinity(None).expect("a process runs somewhere");
        let mut each = (0..CpuSet::MAX_CPU).filter(|cpu| all.is_set(*cpu)).map(|cpu| {
            let mut one = CpuSet::new();
            one.set(cpu);
            one
        });
        let first = each.next().expect("a process runs somewhere");
        [first, each.next().unwrap_or(first)]
    });
    &PROCESSORS
}

/// Has this thread, and what it starts, run there.
pub fn stay(on: &CpuSet) {
    sched_setaffinity(None, on).expect("it is one of those to run on");
}

/// The median of some rounds, in microseconds.
pub fn median(rounds: u64, work: impl FnMut(u64) -> Duration) -> f64 {
    let mut times: Vec<Duration> = (0..rounds).map(work).collect();
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e6
}
