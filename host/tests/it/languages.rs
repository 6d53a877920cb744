//! The same plugins in every language see the same and say the same.
//!
//! `first` is what `weir plugin new` makes; `tally` (tests/conformance) reads everything that there is to read. Both run
//! on a recording that has every type of column, empty tables, overflow, intervals that are missing, hostile texts, and
//! 100,000 rows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use serde_json::Value as Json;
use weir::recording::Recorder;
use weir::snapshot::{Coverage, Interval, Snapshot};
use weir::table::{KeyKind, MeasureKind, TableSpec};

use crate::command::plugins;
use crate::samples::*;

const LANGUAGES: [&str; 7] = ["rust", "c", "go", "javascript", "typescript", "python", "zig"];
/// What tally can be asked for that has the same answer everywhere.
const MODES: [&str; 6] = ["all", "columns", "questions", "histograms", "state", "unknown"];
/// What becomes of what a plugin should not do, and the fault's reason.
const FAULTS: [(&str, &str); 4] =
    [("fail", "failed"), ("trap", "trap"), ("loop", "deadline"), ("memory", "memory")];
/// Where it is another one: an exception of Python's is one of the plugin's own failures, with a message.
const OTHER_FAULTS: [(&str, &str, &str); 1] = [("trap", "python", "failed")];

/// Every type of column.
fn all() -> TableSpec {
    let mut table = table(
        "all",
        &[("comm", KeyKind::Text(64)), ("pid", KeyKind::Unsigned), ("ret", KeyKind::Signed)],
        &[
            ("calls", MeasureKind::Count, false, ""),
            ("bytes", MeasureKind::Sum, false, "B"),
            ("delta", MeasureKind::Sum, true, ""),
            ("least", MeasureKind::Min, true, ""),
            ("most", MeasureKind::Max, false, ""),
            ("mean", MeasureKind::Avg, true, ""),
            ("about", MeasureKind::Stats, false, "ns"),
            ("latency", MeasureKind::Hist(0), false, "ns"),
            ("steps", MeasureKind::Lhist { low: -10, high: 10, step: 5 }, true, ""),
        ],
    );
    // Not every row has a least and a greatest value.
    table.measures.iter_mut().for_each(|measure| measure.conditional = true);
    table
}

fn big() -> TableSpec {
    table(
        "big",
        &[("comm", KeyKind::Text(16)), ("pid", KeyKind::Unsigned)],
        &[
            ("calls", MeasureKind::Count, false, ""),
            ("bytes", MeasureKind::Sum, false, "B"),
            ("time", MeasureKind::Sum, false, "ns"),
        ],
    )
}

/// Without a key.
fn one() -> TableSpec {
    table("one", &[], &[("events", MeasureKind::Count, false, "")])
}

/// Whose keys can be mistaken for each other.
fn pairs() -> TableSpec {
    table(
        "pairs",
        &[("a", KeyKind::Text(16)), ("b", KeyKind::Text(16))],
        &[("calls", MeasureKind::Count, false, "")],
    )
}

/// Without a number to rank by.
fn nothing() -> TableSpec {
    table("nothing", &[("comm", KeyKind::Text(16))], &[("least", MeasureKind::Min, true, "")])
}

/// Texts that are not text: control characters, escapes, what is no UTF-8, and what is only nearly.
const HOSTILE: [&[u8]; 16] = [
    b"",
    b"a\\b",
    b"\x1b[2J\x07\n\t",
    b"\xff\xfe",
    b"half \xe2\x82",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xc0\xaf",
    "\u{202e}gnp.exe \u{10ffff}".as_bytes(),
    b"{\"a\": [1, \"</script>\"]}",
    b"\xf0\x9f\x98\x80\x80ok",
    b"all",
    // Where C's strings end.
    b"a\0b",
    b"a\0c",
    b"\0",
    b"a\\x00b",
];

/// Each joined by a space, or by what stands between quotes, is another one.
const PAIRS: [[&str; 2]; 6] =
    [["a b", "c"], ["a", "b c"], ["a\" b=\"b", "c"], ["a", "b\" b=\"c"], ["a\\", "b"], ["a\\\" b=\"", "b"]];

fn all_rows() -> Vec<Row> {
    let row = |at: usize, comm: &[u8]| {
        let n = at as i128;
        let keys = vec![Key::Text(comm.to_vec()), Key::Number(n * 1000), Key::Number(5 - n)];
        let buckets = vec![(1, Some(2), at as u64), (1 << 20, Some(1 << 21), 3), (1 << 62, None, 1)];
        let steps = vec![(i128::from(i64::MIN), Some(-10), 2), (-10, Some(-5), 1), (10, None, 7)];
        let values = vec![
            Value::Number(n + 1),
            Value::Number(i128::from(u64::MAX) - n),
            Value::Number(i128::from(i64::MIN) + n),
            if at == 3 { Value::Null } else { Value::Number(-n) },
            Value::Number(n << 50),
            Value::Avg(3, 10 - n),
            Value::Stats(2, 7 * n, (at != 2).then_some([n, 6 * n])),
            Value::Hist(at as u64 + 4, n << 40, buckets),
            Value::Hist(12, -n, steps),
        ];
        (Some(keys), values)
    };
    let mut rows: Vec<Row> = HOSTILE.iter().enumerate().map(|(at, comm)| row(at, comm)).collect();
    let null = row(40, b"x").1;
    rows.push((Some(vec![Key::Null, Key::Null, Key::Null]), null));
    let overflow = row(1000, b"x").1;
    rows.push((None, overflow));
    rows
}

fn pair_rows() -> Vec<Row> {
    let row = |at: usize, pair: &[&str; 2]| {
        let keys = pair.iter().map(|key| text(key)).collect();
        (Some(keys), vec![Value::Number(at as i128 + 1)])
    };
    PAIRS.iter().enumerate().map(|(at, pair)| row(at, pair)).collect()
}

fn big_rows(count: u64) -> Vec<Row> {
    // Numbers without an order, from the constants of Knuth's MMIX.
    let mut state = 1u64;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    (0..count)
        .map(|pid| {
            let comm = format!("worker/{}", next() % 100);
            let keys = vec![text(&comm), Key::Number(i128::from(pid))];
            let values =
                [next() % 1000, next(), next() << 20].map(|number| Value::Number(i128::from(number)));
            (Some(keys), values.to_vec())
        })
        .collect()
}

/// The recording.
fn record(path: &Path) {
    let tables = [all(), big(), one(), nothing(), pairs()];
    let snapshots = |interval: Interval, coverages: [Coverage; 5], rows: [Vec<Row>; 5]| -> Vec<Snapshot> {
        let parts = tables.iter().zip(coverages).zip(rows);
        parts.map(|((table, coverage), rows)| snapshot(table, interval, coverage, &rows)).collect()
    };
    let unsure = Coverage { missed: 5, missed_reliable: false, ..coverage(9) };
    let lossy = Coverage { overflow: 1001, missed: 17, ..coverage(1 << 60) };
    let least = (Some(vec![text("x")]), vec![Value::Number(-3)]);
    let events = |number: i128| (Some(Vec::new()), vec![Value::Number(number)]);
    let intervals = [
        snapshots(
            interval(0, false),
            [lossy, coverage(100_000), coverage(7), coverage(1), coverage(21)],
            [all_rows(), big_rows(100_000), vec![events(7)], vec![least], pair_rows()],
        ),
        snapshots(interval(1, false), [coverage(0); 5], Default::default()),
        // The second is missing.
        snapshots(
            interval(3, true),
            [unsure, coverage(10), coverage(1), coverage(0), coverage(0)],
            [all_rows()[..2].to_vec(), big_rows(10), vec![events(1)], Vec::new(), Vec::new()],
        ),
    ];
    put_run(&mut Recorder::new(path).unwrap(), &tables, &intervals);
}

/// A configuration that runs a plugin of each language in each mode, whose names are `PLUGIN-LANGUAGE-MODE`.
fn configuration(plugin: &str, modes: &[&str], limits: &str) -> String {
    let mut text = String::new();
    for language in LANGUAGES {
        for mode in modes {
            let component = plugins().join(format!("conformance/{plugin}-{language}.wasm"));
            // All that `first` shows of a table, not its three biggest keys.
            let options =
                if plugin == "tally" { format!("mode = \"{mode}\"") } else { "limit = 100".to_owned() };
            writeln!(
                text,
                "[plugins.{plugin}-{language}-{mode}]\ncomponent = {:?}\noptions = {{ {options} }}\n\
                 limits = {{ {limits} }}",
                component.display().to_string()
            )
            .unwrap();
        }
    }
    text
}

/// What each plugin put out, without its name.
fn replayed(recording: &Path, config: &Path) -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(["replay", "--format", "json"])
        .arg(recording)
        .arg("-c")
        .arg(config)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut outputs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in str::from_utf8(&output.stdout).unwrap().lines() {
        // The order of a report's fields is kept in the text, and only there.
        let Some((head, rest)) = line.split_once(",\"plugin\":\"") else { continue };
        let (plugin, rest) = rest.split_once('"').unwrap();
        outputs.entry(plugin.to_owned()).or_default().push(format!("{head}{rest}"));
    }
    outputs
}

/// What all of them put out, in one replay: half of them take many seconds to compile.
static OUTPUTS: LazyLock<BTreeMap<String, Vec<String>>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let (recording, config) = (folder.path().join("x.weir"), folder.path().join("weir.toml"));
    record(&recording);
    let limits = "memory = \"512MiB\", deadline = \"30s\"";
    // Enough to begin with what cannot end.
    let small = "memory = \"128MiB\", deadline = \"200ms\"";
    let text = configuration("tally", &MODES, limits)
        + &configuration("tally", &FAULTS.map(|(mode, ..)| mode), small)
        + &configuration("first", &["default"], limits);
    std::fs::write(&config, text).unwrap();
    replayed(&recording, &config)
});

#[test]
fn all_languages_say_the_same() {
    let outputs = &*OUTPUTS;
    let of = |plugin: &str, language: &str, mode: &str| -> &[String] {
        outputs.get(&format!("{plugin}-{language}-{mode}")).map_or(&[], Vec::as_slice)
    };
    let rust = |plugin: &str, mode: &str| of(plugin, "rust", mode);
    let mut different = Vec::new();
    for (plugin, mode) in MODES.map(|mode| ("tally", mode)).into_iter().chain([("first", "default")]) {
        for language in &LANGUAGES[1..] {
            let (theirs, ours) = (of(plugin, language, mode), rust(plugin, mode));
            let first = theirs.iter().zip(ours).find(|(theirs, ours)| theirs != ours);
            if let Some((theirs, ours)) = first {
                different
                    .push(format!("{plugin} in {language}, {mode}:\n  {theirs}\n  and in Rust\n  {ours}"));
            } else if theirs.len() != ours.len() {
                let (theirs, ours) = (theirs.len(), ours.len());
                different
                    .push(format!("{plugin} in {language}, {mode}: {theirs} outputs, and in Rust {ours}"));
            }
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    // That all are the same would hold of plugins that say nothing.
    assert_eq!(rust("tally", "all").len(), 5 * 3);
    // Columns that were pulled, and questions, come to the same.
    let code =
        |lines: &[String]| lines.iter().map(|line| line.replace("columns", "questions")).collect::<Vec<_>>();
    assert_eq!(code(rust("tally", "columns")), code(rust("tally", "questions")));
    assert_eq!(rust("tally", "columns").len(), 3);
    let titles: Vec<String> = rust("first", "default")
        .iter()
        .filter_map(|line| serde_json::from_str::<Json>(line).ok()?["title"].as_str().map(str::to_owned))
        .collect();
    // The escapes of a title are the plugin's, and then the JSON lines'.
    assert_eq!(
        titles[..2],
        [r#"all 1: comm="" pid=0 ret=0"#, r#"all 2: comm="a\\\\x00b" pid=15000 ret=-10"#]
    );
    // Different keys look different.
    let keys = |table: &'static str| {
        let keys = titles.iter().filter_map(move |title| title.strip_prefix(table)?.split_once(": "));
        keys.map(|(_, key)| key.split(" pid=").next().unwrap()).collect::<BTreeSet<&str>>()
    };
    assert_eq!(keys("pairs ").len(), PAIRS.len(), "{titles:?}");
    assert_eq!(keys("all ").len(), HOSTILE.len(), "{titles:?}");
    assert!(titles.iter().any(|title| title.starts_with("big 1: comm=\"worker/")), "{titles:?}");
    assert!(titles.iter().any(|title| title == "one 1: all"), "{titles:?}");
    let interval = |at: usize| {
        let line: Json = serde_json::from_str(&rust("tally", "all")[at]).unwrap();
        line["fields"]["interval"].as_str().unwrap().to_owned()
    };
    assert_eq!(interval(0), "0 1795341600.000000000 false 0");
    assert_eq!(interval(10), "3 1795341603.000000000 true 1", "one interval is missing");
    // Quantiles that a plugin takes are those that the host gives. Some values have no bucket.
    let histograms: Vec<Json> =
        rust("tally", "histograms").iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(histograms.len(), 2 * 3);
    for report in &histograms {
        assert_eq!(report["fields"]["quantiles"], report["fields"]["asked"], "{report}");
    }
    let bound = f64::to_bits(-5.0);
    let quantiles = histograms[1]["fields"]["quantiles"].as_str().unwrap();
    assert!(quantiles.contains(&format!("{bound:016x}")), "{quantiles}");
}

#[test]
fn what_goes_wrong_has_the_same_reason() {
    for (mode, reason) in FAULTS {
        for language in LANGUAGES {
            let other = OTHER_FAULTS.iter().find(|(at, of, _)| (*at, *of) == (mode, language));
            let expected = other.map_or(reason, |(_, _, reason)| reason);
            let lines = &OUTPUTS[&format!("tally-{language}-{mode}")];
            let lines = lines.iter().map(|line| serde_json::from_str::<Json>(line).unwrap());
            let faults: Vec<Json> = lines.filter(|line| line["type"] == "fault").collect();
            // One in each interval, whatever was the end of the one before.
            let reasons: Vec<&Json> = faults.iter().map(|fault| &fault["reason"]).collect();
            assert_eq!(reasons, [expected; 3], "{mode} in {language}: {faults:?}");
        }
    }
}

/// What Go's library asks of WASI is answered from the interval, the same in every replay.
#[test]
fn go_has_the_interval_for_a_clock() {
    let folder = tempfile::tempdir().unwrap();
    let (recording, config) = (folder.path().join("x.weir"), folder.path().join("weir.toml"));
    let component = plugins().join("conformance/tally-go.wasm");
    std::fs::write(
        &config,
        format!("[plugins.go]\ncomponent = {component:?}\noptions = {{ mode = \"wasi\" }}\n"),
    )
    .unwrap();
    let rows = [(Some(vec![text("cat")]), vec![Value::Number(1)])];
    let intervals = [interval(0, false), interval(7, true)];
    let intervals = intervals.map(|at| vec![snapshot(&opens(), at, coverage(1), &rows)]);
    put_run(&mut Recorder::new(&recording).unwrap(), &[opens()], &intervals);
    let said = replayed(&recording, &config);
    assert_eq!(said, replayed(&recording, &config));
    let lines: Vec<Json> = said["go"].iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<(&str, &str)> = lines
        .iter()
        .map(|line| (line["level"].as_str().unwrap(), line["message"].as_str().unwrap()))
        .collect();
    let [first, second] = [0, 1].map(|interval| &told[interval * told.len() / 2..][..told.len() / 2]);
    assert_eq!(first[0], ("debug", "began 2026-11-22T10:00:00Z slept 1h0m0s"));
    assert_eq!(second[0], ("debug", "began 2026-11-22T10:00:07Z slept 1h0m0s"));
    assert!(first[1].1.starts_with("random ") && first[1] != second[1], "{told:?}");
    let long = "x".repeat(4096);
    let rest = [
        ("debug", "0 arguments 0 variables file: true"),
        ("debug", "a line in pieces"),
        ("debug", "and another"),
        ("warning", "not "),
        ("warning", " UTF-8"),
        ("debug", &long),
        ("debug", "without an end"),
    ];
    assert_eq!((&first[2..], &second[2..]), (&rest[..], &rest[..]));
}
