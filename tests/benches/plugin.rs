//! A Rust plugin's sums of three columns and the ten biggest rows of one, at 100,000 rows: by pulled columns and by
//! questions, beside the same natively. What a call costs that does nothing is taken off.
#![allow(
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends at once if it cannot measure"
)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use arrow::array::RecordBatch;
use weir::sandbox::{OptionValue, Plugin, Sandbox};
use weir::snapshot::{Coverage, Interval, Snapshot};
use weir_tests::native::{columns, from_another_processor, median, natively, processors, rows, stay};

const ROWS: usize = 100_000;
const ROUNDS: u64 = 101;

fn main() -> std::process::ExitCode {
    // The sandbox is this program, started again.
    if let Some(code) = weir::sandbox::enter_if_asked() {
        return code;
    }
    let rows = rows(ROWS);
    let own = median(ROUNDS, |_| natively(columns(&rows)));
    let native = from_another_processor(&rows, ROUNDS);
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
    median(ROUNDS, |number| {
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
