//! The same plugin (tests/conformance) in every language: how large it is, how long it takes to compile and to start, and
//! what an interval takes, by pulled columns and by questions. Then a thousand plugins in one tenant.
#![allow(
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends at once if it cannot measure"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use arrow::array::RecordBatch;
use weir::sandbox::{Limits, OptionValue, Plugin, Room, Sandbox};
use weir::snapshot::{Coverage, Interval, Snapshot};
use weir_tests::events;
use weir_tests::held::Held;
use weir_tests::native::{from_another_processor, median, rows};

const LANGUAGES: [&str; 7] = ["rust", "c", "zig", "go", "javascript", "typescript", "python"];
const ROUNDS: u64 = 31;
/// What is small, and what is large.
const SIZES: [usize; 2] = [10_000, 100_000];
const IDLE: usize = 1_000;
/// Components that differ, each with code of its own.
const DIFFERENT: usize = 100;

fn main() -> std::process::ExitCode {
    // The sandbox is this program, started again.
    if let Some(code) = weir::sandbox::enter_if_asked() {
        return code;
    }
    let sizes = SIZES.map(rows);
    let native = sizes.each_ref().map(|rows| from_another_processor(rows, ROUNDS));
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
    configured(&mut sandbox);
    let start = median(ROUNDS, |_| {
        let begin = Instant::now();
        let compiled = compiler.compile(plugin(component, "all", rows)).expect("it is known");
        let number = sandbox.add(compiled).expect("there is room");
        configured(&mut sandbox);
        let time = begin.elapsed();
        sandbox.remove(number);
        time
    });
    (compile, start / 1e3)
}

/// Waits until the plugin that was added last has been configured.
fn configured(sandbox: &mut Sandbox) {
    let mut done = false;
    while !done {
        wait(sandbox);
        let answers = sandbox.answers().expect("the sandbox answers");
        done = answers.iter().any(|answer| answer.configure);
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
    median(ROUNDS, round)
}

/// All on one processor, the host too.
fn idle(rows: &RecordBatch) {
    events::pin(events::cpus()[0]);
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
    let add = |sandbox: &mut Sandbox, plugin: Plugin| {
        let compiled = compiler.compile(plugin).expect("it compiles");
        sandbox.add(compiled).expect("there is room");
        configured(sandbox);
    };
    add(&mut sandbox, one.clone());
    let before = Held::memory(sandbox.pid());
    (1..IDLE).for_each(|_| add(&mut sandbox, one.clone()));
    let each = (Held::memory(sandbox.pid()) - before) as f64 / (IDLE - 1) as f64;
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
    let all = median(ROUNDS, round);
    // A custom section (section 0) with a name of three bytes and other contents is another component.
    let mut others = Sandbox::empty(Room { guest: 64 << 20, code: 1 << 30 }).expect("a sandbox starts");
    let compiler = others.compiler();
    let mut different = |number: usize| {
        let mut plugin = one.clone();
        plugin.component.extend([&[0, 12, 3], &b"one"[..], &number.to_le_bytes()].concat());
        let compiled = compiler.compile(plugin).expect("it compiles");
        others.add(compiled).expect("there is room");
        configured(&mut others);
        [Held::memory(others.pid()), Held::anonymous(others.pid())]
    };
    let before = different(0);
    let after = (1..DIFFERENT).map(different).last().expect("there are some");
    let [of_other, anonymous] =
        [0, 1].map(|what| (after[what] - before[what]) as f64 / (DIFFERENT - 1) as f64);
    println!(
        "{DIFFERENT} plugins of as many components in one tenant: {of_other:.0} KiB each, all but {anonymous:.0} KiB the \
         pages of the file that the compiler wrote;"
    );
    println!(
        "{IDLE} plugins of one component in one tenant: {each:.0} KiB each of the sandbox's own memory;"
    );
    println!(
        "one snapshot of {} rows, from its end to the last answer: {:.0} ms",
        rows.num_rows(),
        all / 1e3
    );
}
