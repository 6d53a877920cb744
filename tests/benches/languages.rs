//! The same plugin (tests/conformance) in every language: how large it is, how long it takes to compile and to start, and
//! what an interval takes, by pulled columns and by questions. Then a thousand plugins in one tenant.
#![allow(
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends at once if it cannot measure"
)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, UInt64Array};
use arrow::datatypes::UInt64Type;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use weir::sandbox::{Limits, OptionValue, Plugin, Room, Sandbox};
use weir::snapshot::{Coverage, Interval, Snapshot, schema};

const LANGUAGES: [&str; 7] = ["rust", "c", "zig", "go", "javascript", "typescript", "python"];
const ROUNDS: u64 = 31;
/// What is small, and what is large.
const SIZES: [usize; 2] = [10_000, 100_000];
const IDLE: usize = 1_000;

fn main() -> std::process::ExitCode {
    // The sandbox is this program, started again.
    if let Some(code) = weir::sandbox::enter_if_asked() {
        return code;
    }
    let sizes = SIZES.map(rows);
    let native = sizes.each_ref().map(natively);
    println!(
        "sums of three columns and the ten biggest rows of one, natively: {:.0} and {:.0} us",
        native[0], native[1]
    );
    println!(
        "times of an interval are medians of {ROUNDS}, in us, net of one in which the plugin does nothing\n"
    );
    print!("| language | size, KB | compile, s | cached start, ms | nothing |");
    println!(
        " columns, 10,000 | questions, 10,000 | columns, 100,000 | questions, 100,000 | columns to native |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    // Those that are named, or all.
    let named: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    for language in
        LANGUAGES.into_iter().filter(|language| named.is_empty() || named.iter().any(|name| name == language))
    {
        let component = std::fs::read(plugin_file(&format!("conformance/tally-{language}")));
        let component = component.expect("cargo xtask plugins builds it");
        let size = component.len() / 1000;
        let (compile, start) = starts(&component, &sizes[0]);
        let nothing = interval(&component, "unknown", &sizes[0]);
        let time = |mode: &str, rows: &RecordBatch| interval(&component, mode, rows) - nothing;
        let [columns, questions] =
            ["columns", "questions"].map(|mode| sizes.each_ref().map(|rows| time(mode, rows)));
        println!(
            "| {language} | {size} | {compile:.2} | {start:.1} | {nothing:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.1} |",
            columns[0],
            questions[0],
            columns[1],
            questions[1],
            columns[1] / native[1]
        );
    }
    println!();
    idle(&sizes[0]);
    std::process::ExitCode::SUCCESS
}

fn plugin_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/plugins").join(name).with_extension("wasm")
}

/// Numbers without order, from a generator by Marsaglia (xorshift).
fn rows(count: usize) -> RecordBatch {
    let table = weir_tests::tables(
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
    let ids: ArrayRef = Arc::new((0..count as i64).collect::<arrow::array::Int64Array>());
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

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e6
}

/// The first two processors, each alone; the same one twice if there is no other.
fn processors() -> [CpuSet; 2] {
    let all = sched_getaffinity(None).expect("a process runs somewhere");
    let mut each = (0..CpuSet::MAX_CPU).filter(|cpu| all.is_set(*cpu)).map(|cpu| {
        let mut one = CpuSet::new();
        one.set(cpu);
        one
    });
    let first = each.next().expect("a process runs somewhere");
    [first, each.next().unwrap_or(first)]
}

/// In microseconds, of columns that another processor wrote, as the host's does for a sandbox.
fn natively(rows: &RecordBatch) -> f64 {
    use arrow::array::AsArray;
    let all = sched_getaffinity(None).expect("a process runs somewhere");
    let [ours, theirs] = processors();
    let stay = |on: &CpuSet| sched_setaffinity(None, on).expect("it is one of those to run on");
    let columns = ["a", "b", "c"].map(|name| {
        let column = rows.column_by_name(name).expect("it is there");
        &column.as_primitive::<UInt64Type>().values()[..]
    });
    let mut written = columns.map(<[u64]>::to_vec);
    let round = |_| {
        stay(&ours);
        written.iter_mut().zip(columns).for_each(|(to, from)| to.copy_from_slice(from));
        stay(&theirs);
        let start = Instant::now();
        for column in &written {
            black_box(black_box(column).iter().fold(0u64, |sum, value| sum.wrapping_add(*value)));
        }
        let mut best: Vec<(u64, usize)> = Vec::with_capacity(11);
        for (row, value) in written[0].iter().enumerate() {
            if best.len() < 10 || *value > best[9].0 {
                let place = best.partition_point(|(other, _)| other >= value);
                best.insert(place, (*value, row));
                best.truncate(10);
            }
        }
        black_box(best);
        start.elapsed()
    };
    let time = median((0..ROUNDS).map(round).collect());
    stay(&all);
    time
}

fn plugin(component: &[u8], mode: &str, rows: &RecordBatch) -> Plugin {
    Plugin {
        name: "tally".into(),
        component: component.to_vec(),
        tables: vec![("t".into(), rows.schema())],
        options: BTreeMap::from([("mode".to_owned(), OptionValue::Text(mode.to_owned()))]),
        limits: Limits { memory: 256 << 20, deadline: Duration::from_secs(5) },
    }
}

/// Seconds to compile, and milliseconds from compiled code to a plugin that has been configured.
fn starts(component: &[u8], rows: &RecordBatch) -> (f64, f64) {
    let mut sandbox = Sandbox::empty(Room { guest: 256 << 20, code: 1 << 30 }).expect("a sandbox starts");
    let compiler = sandbox.compiler();
    let begin = Instant::now();
    let compiled = compiler.compile(plugin(component, "all", rows)).expect("it compiles");
    let compile = begin.elapsed().as_secs_f64();
    // The process comes up with its first plugin.
    sandbox.add(compiled).expect("there is room");
    configured(&mut sandbox, 1);
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        let compiled = compiler.compile(plugin(component, "all", rows)).expect("it is known");
        let number = sandbox.add(compiled).expect("there is room");
        configured(&mut sandbox, 1);
        times.push(begin.elapsed());
        sandbox.remove(number);
    }
    (compile, median(times) / 1e3)
}

fn configured(sandbox: &mut Sandbox, count: usize) {
    let mut left = count;
    while left > 0 {
        wait(sandbox);
        let answers = sandbox.answers().expect("the sandbox answers");
        left -= answers.iter().filter(|answer| answer.configure).count();
        assert_well(&answers);
    }
}

fn wait(sandbox: &Sandbox) {
    let mut fds = [rustix::event::PollFd::new(sandbox, rustix::event::PollFlags::IN)];
    rustix::event::poll(&mut fds, None).expect("poll");
}

fn assert_well(answers: &[weir::sandbox::Answer]) {
    let faulty = |output: &weir::event::Output| matches!(output, weir::event::Output::Fault { .. });
    assert!(!answers.iter().any(|answer| answer.outputs.iter().any(faulty)), "{answers:?}");
}

fn snapshot(number: u64, rows: &RecordBatch) -> (Interval, [Snapshot; 1]) {
    let interval =
        Interval { number, began: SystemTime::UNIX_EPOCH, length: Duration::from_secs(1), last: false };
    let coverage = Coverage { events: rows.num_rows() as u64, cpus: 1, ..Coverage::default() };
    (interval, [Snapshot { table: "t".into(), interval, coverage, rows: rows.clone() }])
}

/// From the moment at which a snapshot is in the ring to the answer, in microseconds.
fn interval(component: &[u8], mode: &str, rows: &RecordBatch) -> f64 {
    let mut sandbox = Sandbox::start(vec![plugin(component, mode, rows)]).expect("the plugin starts");
    let round = |number| {
        let (interval, snapshots) = snapshot(number, rows);
        sandbox.analyze(&interval, &snapshots).expect("the snapshot is handed over");
        let begin = Instant::now();
        let mut answers = Vec::new();
        while answers.is_empty() {
            wait(&sandbox);
            answers = sandbox.answers().expect("the sandbox answers");
        }
        assert_well(&answers);
        begin.elapsed()
    };
    median((0..ROUNDS).map(round).collect())
}

/// Private memory of a process, in KiB.
fn private(pid: u32) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("it runs");
    let field = |name: &str| -> u64 {
        let line = rollup.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel says so");
        line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
    };
    field("Private_Clean:") + field("Private_Dirty:")
}

fn idle(rows: &RecordBatch) {
    let component =
        std::fs::read(plugin_file("conformance/first-rust")).expect("cargo xtask plugins builds it");
    let one = Plugin {
        name: "first".into(),
        component,
        tables: vec![("t".into(), rows.schema())],
        options: BTreeMap::from([("limit".to_owned(), OptionValue::Integer(3))]),
        limits: Limits::default(),
    };
    let mut sandbox = Sandbox::empty(Room { guest: 64 << 20, code: 1 << 30 }).expect("a sandbox starts");
    let compiler = sandbox.compiler();
    let add = |sandbox: &mut Sandbox| {
        let compiled = compiler.compile(one.clone()).expect("it compiles");
        sandbox.add(compiled).expect("there is room");
        configured(sandbox, 1);
    };
    add(&mut sandbox);
    let before = private(sandbox.pid());
    (1..IDLE).for_each(|_| add(&mut sandbox));
    let each = (private(sandbox.pid()) - before) as f64 / (IDLE - 1) as f64;
    let round = |number| {
        let (interval, snapshots) = snapshot(number, rows);
        let begin = Instant::now();
        sandbox.analyze(&interval, &snapshots).expect("the snapshot is handed over");
        let mut answers = 0;
        while answers < IDLE {
            wait(&sandbox);
            let new = sandbox.answers().expect("the sandbox answers");
            assert_well(&new);
            answers += new.len();
        }
        begin.elapsed()
    };
    let all = median((0..ROUNDS).map(round).collect());
    println!(
        "{IDLE} plugins of one component in one tenant: {each:.0} KiB each of the sandbox's own memory;"
    );
    println!(
        "one snapshot of {} rows, from its end to the last answer: {:.0} ms",
        rows.num_rows(),
        all / 1e3
    );
}
