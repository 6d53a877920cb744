//! What an engineer sees, whole.

use std::time::{Duration, SystemTime};

use weir::event::{Event, Label, MetricValue, Output, Severity, Totals};
use weir::sink::{Detail, Sink, Text};
use weir::snapshot::{Coverage, Snapshot};
use weir::table::{KeyKind, MeasureKind};

use crate::samples::*;

fn shown(detail: Detail, event: &Event<'_>) -> String {
    let out = Shared::default();
    Text::new(out.clone(), detail).put(event).unwrap();
    out.take()
}

fn rows(snapshot: &Snapshot) -> String {
    shown(Detail::Rows, &Event::Snapshot(snapshot))
}

#[test]
fn the_biggest_rows_come_first_and_overflow_last() {
    let mut counts: Vec<Row> =
        (1..=12).map(|n| (Some(vec![text(&format!("job-{n}"))]), vec![Value::Number(n * 100)])).collect();
    counts.push((None, vec![Value::Number(77_777)]));
    let coverage = Coverage { overflow: 77_777, missed: 3, missed_reliable: false, ..coverage(85_577) };
    assert_eq!(
        rows(&snapshot(&opens(), interval(7, false), coverage, &counts)),
        "
opens, interval 7 (1.00s from 10:00:07): 85,577 events in 13 rows, 77,777 IN OVERFLOW, 3 MISSED (this kernel may not count all)
  comm         calls
  job-12       1,200
  job-11       1,100
  job-10       1,000
  job-9          900
  job-8          800
  job-7          700
  job-6          600
  job-5          500
  job-4          400
  job-3          300
  (overflow)  77,777
  and 2 rows more
"
    );
}

#[test]
fn nothing_is_said_to_be_nothing() {
    assert_eq!(
        rows(&snapshot(&opens(), interval(0, false), coverage(0), &[])),
        "
opens, interval 0 (1.00s from 10:00:00): 0 events in 0 rows, 0 in overflow, 0 missed
  comm  calls
"
    );
}

#[test]
fn keys_that_differ_look_different() {
    let keys = ["", "(null)", "(overflow)", "a", "a ", " a", "\"a\"", "a\n", "a\\n", "\u{202e}a"];
    let mut counts: Vec<Row> = Vec::new();
    for key in keys {
        counts.push((Some(vec![text(key)]), vec![Value::Number(1)]));
    }
    counts.truncate(10);
    let printed = rows(&snapshot(&opens(), interval(0, false), coverage(10), &counts));
    assert_eq!(
        printed.lines().skip(3).collect::<Vec<_>>(),
        [
            r#"  ""                1"#,
            r#"  "(null)"          1"#,
            r#"  "(overflow)"      1"#,
            r#"  a                 1"#,
            r#"  "a "              1"#,
            r#"  " a"              1"#,
            r#"  "\"a\""           1"#,
            r#"  a\n               1"#,
            r#"  a\\n              1"#,
            r#"  \u{202e}a         1"#,
        ]
    );
}

#[test]
fn few_histograms_are_drawn() {
    let table = table(
        "read_latency",
        &[("comm", KeyKind::Text(16))],
        &[("calls", MeasureKind::Count, false, ""), ("latency", MeasureKind::Hist(0), false, "ns")],
    );
    let cat = Value::Hist(78, 100_000, vec![(0, Some(1), 1), (1024, Some(2048), 51), (2048, Some(4096), 25)]);
    let dd = Value::Hist(1, 1 << 63, vec![(1 << 63, None, 1)]);
    let counts = [
        (Some(vec![text("dd")]), vec![Value::Number(1), dd]),
        (Some(vec![text("cat")]), vec![Value::Number(78), cat]),
    ];
    assert_eq!(
        rows(&snapshot(&table, interval(1, false), coverage(79), &counts)),
        "
read_latency, interval 1 (1.00s from 10:00:01): 79 events in 2 rows, 0 in overflow, 0 missed
  comm  calls
  cat      78
    latency: 78 values, 1.28µs on average
    [0]                1 |                                        |
    ...
    [1.02µs, 2.05µs)  51 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|
    [2.05µs, 4.10µs)  25 |@@@@@@@@@@@@@@@@@@@                     |
    1 value FOUND NO BUCKET
  dd        1
    latency: 1 value, 9223372037s on average
    [9223372037s, ...)  1 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|
"
    );
}

#[test]
fn a_histogram_without_keys_stands_alone() {
    let table = table("sizes", &[], &[("size", MeasureKind::Hist(0), true, "")]);
    let sizes = Value::Hist(6, 0, vec![(i64::MIN.into(), Some(0), 2), (1024, Some(2048), 4)]);
    assert_eq!(
        rows(&snapshot(&table, interval(1, false), coverage(6), &[(Some(vec![]), vec![sizes])])),
        "
sizes, interval 1 (1.00s from 10:00:01): 6 events in 1 row, 0 in overflow, 0 missed
    size: 6 values, 0 on average
    (..., 0)  2 |@@@@@@@@@@@@@@@@@@@@                    |
    ...
    [1K, 2K)  4 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|
"
    );
}

#[test]
fn many_histograms_are_summed_up() {
    let row = |pid: i128| {
        let latency = Value::Hist(
            100,
            0,
            vec![(1024, Some(2048), 98), (1 << 20, Some(1 << 21), 1), (1 << 63, None, 1)],
        );
        let values =
            vec![Value::Number(pid), Value::Number(4096), Value::Number(-5), Value::Avg(8, 20), latency];
        (Some(vec![text("cat"), Key::Number(pid), Key::Null]), values)
    };
    assert_eq!(
        rows(&snapshot(&reads(), interval(1, false), coverage(10), &[row(1000), row(2), row(3), row(4)])),
        "
reads, interval 1 (1.00s from 10:00:01): 10 events in 4 rows, 0 in overflow, 0 missed
  comm   pid     ret  calls  bytes  least  mean  latency p50  latency p99
  cat   1000  (null)  1,000  4,096     -5   2.5      <2.05µs      <2.10ms
  cat      4  (null)      4  4,096     -5   2.5      <2.05µs      <2.10ms
  cat      3  (null)      3  4,096     -5   2.5      <2.05µs      <2.10ms
  cat      2  (null)      2  4,096     -5   2.5      <2.05µs      <2.10ms
"
    );
}

#[test]
fn beside_plugins_a_snapshot_is_a_line() {
    let snapshot = snapshot(&opens(), interval(7, false), coverage(1), &[]);
    assert_eq!(
        shown(Detail::Coverage, &Event::Snapshot(&snapshot)),
        "opens, interval 7 (1.00s from 10:00:07): 1 event in 0 rows, 0 in overflow, 0 missed\n"
    );
}

#[test]
fn plugins_speak_in_lines_of_their_own() {
    let label = |name: &str, value: &str| Label { name: name.to_owned(), value: value.to_owned() };
    let cases = [
        (
            Output::Metric {
                name: "reads".to_owned(),
                labels: vec![label("comm", "a\"b"), label("x", "1")],
                value: MetricValue::Counter { delta: 12.0, total: 1200.5 },
            },
            "top: reads{comm=\"a\\\"b\", x=\"1\"} +12 = 1,200.5\n",
        ),
        (
            Output::Metric { name: "load".to_owned(), labels: vec![], value: MetricValue::Gauge(0.25) },
            "top: load = 0.25\n",
        ),
        (
            Output::Metric {
                name: "h".to_owned(),
                labels: vec![],
                value: MetricValue::Histogram { count: 2, sum: 3.0, buckets: vec![] },
            },
            "top: h = 2 values, sum 3\n",
        ),
        (
            Output::Report {
                level: Severity::Warning,
                code: "slow\x1b[0m".to_owned(),
                title: "Too slow".to_owned(),
                fields: vec![label("comm", "cat\nroot: all is well"), label("p99 of reads", "12ms")],
            },
            "top: warning [slow\\x1b[0m]: Too slow\n  comm          cat\\nroot: all is well\n  p99 of reads  12ms\n",
        ),
        (
            Output::Artefact {
                name: "a.svg".to_owned(),
                media_type: "image/svg+xml".to_owned(),
                bytes: vec![0; 2000],
            },
            "top: artefact a.svg (image/svg+xml): 2,000 bytes\n",
        ),
        (Output::Log { level: Severity::Debug, message: "hi".to_owned() }, "top: debug: hi\n"),
        (
            Output::Fault { reason: "trap".to_owned(), message: "unreachable\n".to_owned() },
            "top: FAULT [trap]: unreachable\\n\n",
        ),
    ];
    for (output, expected) in &cases {
        assert_eq!(shown(Detail::Coverage, &Event::Plugin { plugin: "top", interval: 1, output }), *expected);
    }
}

#[test]
fn the_last_line_has_the_totals() {
    let at = SystemTime::UNIX_EPOCH;
    let totals =
        Totals { intervals: 10, elapsed: Duration::from_secs(10), events: 1200, ..Totals::default() };
    assert_eq!(
        shown(Detail::Rows, &Event::End { at, totals: &totals }),
        "\n1,200 events counted in 10 intervals over 10.0s, 0 in overflow, 0 missed\n"
    );
    let totals = Totals { plugin_faults: 1, plugin_skipped: 2, starts_dropped: 5, inexact: 6, ..totals };
    assert_eq!(
        shown(Detail::Coverage, &Event::End { at, totals: &totals }),
        "\n1,200 events counted in 10 intervals over 10.0s, 0 in overflow, 0 missed, 6 NOT IN A MIN OR MAX, \
         5 STARTS DROPPED, 1 plugin fault, 2 intervals SKIPPED BY A PLUGIN\n"
    );
}

#[test]
fn a_reader_that_left_is_no_error() {
    struct Closed;
    impl std::io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut sink = Text::new(Closed, Detail::Rows);
    assert!(!sink.closed());
    sink.put(&Event::Start { at: SystemTime::UNIX_EPOCH, tables: &[] }).unwrap();
    assert!(sink.closed());
}
