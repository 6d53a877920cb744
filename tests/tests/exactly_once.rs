//! Every event is counted in exactly one interval, and under its own key.

#![allow(clippy::print_stdout, reason = "what was counted is shown beside the verdict")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use weir::kernel::Tables;
use weir_tests::events::{NOWHERE, call, cpus, pin};
use weir_tests::look::add_by_key;
use weir_tests::{attach, emulated};

/// Between two closings; nothing at all is back to back.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::ZERO];
const KEYS: [u64; 3] = [1, 64, 4096];

fn calls() -> u64 {
    if emulated() { 40_000 } else { 1_000_000 }
}

fn table(on: &str) -> Tables {
    attach(&format!(
        r#"
        [tables.calls]
        on = "{on}"
        where = "args.id >= {NOWHERE} && pid == {}"
        by = {{ id = "args.id" }}
        show = {{ calls = "count()", sum = "sum(args.id)" }}
        keys = 4096
        "#,
        std::process::id()
    ))
}

/// Threads pinned to each CPU make a known number of calls while intervals close.
fn produce(tables: &mut Tables, keys: u64, pause: Duration) -> (BTreeMap<i128, i128>, u64, u64, bool) {
    let cpus = cpus();
    let (mut counted, mut missed, mut reliable) = (BTreeMap::new(), 0, true);
    let mut intervals = 0;
    let running = AtomicUsize::new(cpus.len());
    std::thread::scope(|scope| {
        for cpu in &cpus {
            scope.spawn(|| {
                pin(*cpu);
                (0..calls()).for_each(|number| call(number % keys));
                running.fetch_sub(1, Ordering::Release);
            });
        }
        loop {
            let last = running.load(Ordering::Acquire) == 0;
            let start = Instant::now();
            for snapshot in tables.close().expect("the interval closes") {
                let coverage = snapshot.coverage;
                let mut sums = BTreeMap::new();
                add_by_key(&mut counted, &snapshot.rows, "id", "calls");
                add_by_key(&mut sums, &snapshot.rows, "id", "sum");
                assert_eq!(coverage.overflow, 0);
                let rows: i128 = weir_tests::look::numbers(&snapshot.rows, "calls").iter().sum();
                assert_eq!(rows, coverage.events.into(), "the rows are the coverage's events");
                let mut calls = BTreeMap::new();
                add_by_key(&mut calls, &snapshot.rows, "id", "calls");
                for (id, sum) in sums {
                    assert_eq!(sum, id * calls[&id], "a torn value");
                }
                missed += coverage.missed;
                reliable &= coverage.missed_reliable;
            }
            intervals += 1;
            if last {
                break;
            }
            std::thread::sleep(pause.saturating_sub(start.elapsed()));
        }
    });
    (counted, missed, intervals, reliable)
}

fn exactly_once(on: &str) {
    let threads = cpus().len() as u64;
    for keys in KEYS {
        for pause in PAUSES {
            let mut tables = table(on);
            let (counted, missed, intervals, reliable) = produce(&mut tables, keys, pause);
            let total: i128 = counted.values().sum();
            let produced = i128::from(threads * calls());
            println!(
                "{on}, {keys} keys, {intervals} intervals: {produced} produced, {total} counted, {missed} missed"
            );
            if !reliable {
                // This kernel does not count what it skips, and the snapshot says so.
                assert!(total <= produced, "{total} counted of {produced}");
                continue;
            }
            assert_eq!(produced, total + i128::from(missed));
            if missed == 0 {
                for key in 0..keys {
                    let expected = threads * (calls() / keys + u64::from(key < calls() % keys));
                    assert_eq!(counted.get(&(NOWHERE + key).into()), Some(&expected.into()), "key {key}");
                }
            }
        }
    }
}

#[test]
fn raw_tracepoints_count_each_event_once() {
    exactly_once("rawtracepoint:sys_enter");
}

#[test]
fn btf_tracepoints_count_each_event_once() {
    exactly_once("tp_btf:sys_enter");
}

#[test]
fn tracepoints_count_each_event_once() {
    exactly_once("tracepoint:raw_syscalls:sys_enter");
}
