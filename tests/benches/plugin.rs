//! A Rust plugin's sums of three columns and the ten biggest rows of one, at 100,000 rows: by pulled columns and by
//! questions, beside the same natively. What a call costs that does nothing is taken off.
#![allow(
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends at once if it cannot measure"
)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime};

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, UInt64Array};
use arrow::datatypes::UInt64Type;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use weir::sandbox::{OptionValue, Plugin, Sandbox};
use weir::snapshot::{Coverage, Interval, Snapshot, schema};

const ROWS: usize = 100_000;
const ROUNDS: usize = 101;

fn main() -> std::process::ExitCode {
    // The sandbox is this program, started again.
    if let Some(code) = weir::sandbox::enter_if_asked() {
        return code;
    }
    let rows = rows();
    let own = median(|_| natively(columns(&rows)));
    let native = from_another_processor(&rows);
    let nothing = through_plugin(&rows, "nothing");
    println!("{ROWS} rows, median of {ROUNDS}, in us; a call that does nothing takes {nothing:.0}\n");
    println!("| way | time | to native |\n|---|---|---|");
    println!("| native, columns that this processor had last | {own:.0} | {:.2} |", own / native);
    println!("| native | {native:.0} | 1 |");
    for way in ["columns", "questions"] {
        let time = through_plugin(&rows, way) - nothing;
        println!("| {way} | {time:.0} | {:.2} |", time / native);
    }
    std::process::ExitCode::SUCCESS
}

/// Numbers without order, from a generator by Marsaglia (xorshift).
fn rows() -> RecordBatch {
    let table = weir_tests::tables(
        "[tables.t]\non = \"tp_btf:sys_enter\"\nby = { id = \"args.id\" }\nshow = { a = \"count()\", b = \"count()\", c = \"count()\" }",
    );
    let schema = schema(&table[0]);
    let mut state = 1u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % 1_000_000_000
    };
    let mut numbers = || -> ArrayRef { Arc::new((0..ROWS).map(|_| random()).collect::<UInt64Array>()) };
    let ids: ArrayRef = Arc::new((0..ROWS as i64).collect::<arrow::array::Int64Array>());
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt64Array::from_value(0, ROWS)),
        Arc::new(BooleanArray::from(vec![false; ROWS])),
        ids,
        numbers(),
        numbers(),
        numbers(),
    ];
    RecordBatch::try_new(schema, columns).expect("the columns are those of the schema")
}

/// The first two processors, each alone; the same one twice if there is no other.
fn processors() -> &'static [CpuSet; 2] {
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

fn stay(on: &CpuSet) {
    sched_setaffinity(None, on).expect("it is one of those to run on");
}

/// The median of some rounds, in microseconds.
fn median(mut work: impl FnMut(u64) -> Duration) -> f64 {
    let mut times: Vec<Duration> = (0..ROUNDS as u64).map(&mut work).collect();
    times.sort();
    times[ROUNDS / 2].as_secs_f64() * 1e6
}

fn columns(rows: &RecordBatch) -> [&[u64]; 3] {
    use arrow::array::AsArray;
    black_box(["a", "b", "c"]).map(|name| {
        &rows.column_by_name(name).expect("it is there").as_primitive::<UInt64Type>().values()[..]
    })
}

/// The sandbox has its columns from the processor on which the host wrote them, and so has this.
fn from_another_processor(rows: &RecordBatch) -> f64 {
    let mut written = columns(rows).map(<[u64]>::to_vec);
    let [ours, theirs] = processors();
    let time = median(|_| {
        stay(ours);
        for (to, from) in written.iter_mut().zip(columns(rows)) {
            to.copy_from_slice(from);
        }
        stay(theirs);
        natively(written.each_ref().map(Vec::as_slice))
    });
    stay(ours);
    time
}

fn natively(columns: [&[u64]; 3]) -> Duration {
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

fn through_plugin(rows: &RecordBatch, way: &str) -> f64 {
    let component =
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/plugins/hostile/reader.wasm"))
            .expect("cargo xtask plugins builds it");
    let plugin = Plugin {
        name: "reader".into(),
        component,
        tables: vec![("t".into(), rows.schema())],
        options: BTreeMap::from([("way".to_owned(), OptionValue::Text(way.to_owned()))]),
        limits: Default::default(),
    };
    // Each process stays on a processor of its own. Left to itself the kernel at times runs the sandbox in place of
    // the one that wakes it, and the call is over before its time is taken.
    let [ours, theirs] = processors();
    stay(theirs);
    let mut sandbox = Sandbox::start(vec![plugin]).expect("the plugin starts");
    stay(ours);
    median(|number| {
        let interval =
            Interval { number, began: SystemTime::UNIX_EPOCH, length: Duration::from_secs(1), last: false };
        let coverage = Coverage { events: ROWS as u64, cpus: 1, ..Coverage::default() };
        let snapshot = Snapshot { table: "t".into(), interval, coverage, rows: rows.clone() };
        sandbox.analyze(&interval, &[snapshot]).expect("the snapshot is handed over");
        // Writing the snapshot is the host's work; what follows is the plugin's call and its answer.
        let start = Instant::now();
        let mut answers = Vec::new();
        while answers.is_empty() {
            let mut fds = [rustix::event::PollFd::new(&sandbox, rustix::event::PollFlags::IN)];
            rustix::event::poll(&mut fds, None).expect("poll");
            answers = sandbox.answers().expect("the sandbox answers");
        }
        let time = start.elapsed();
        let faulty = |output: &weir::event::Output| matches!(output, weir::event::Output::Fault { .. });
        assert!(!answers.iter().any(|answer| answer.outputs.iter().any(faulty)), "{answers:?}");
        time
    })
}
