//! The same plugins in every language see the same and say the same.
//!
//! `first` is what `weir plugin new` makes; `tally` (tests/conformance) reads everything that there is to read. Both run
//! on a recording that has every type of column, empty tables, overflow, intervals that are missing, hostile texts, and
//! 100,000 rows.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value as Json;
use weir::recording::Recorder;
use weir::snapshot::{Coverage, Interval, Snapshot};
use weir::table::{KeyKind, MeasureKind, TableSpec};

use crate::command::{plugins, repository};
use crate::samples::*;

const LANGUAGES: [&str; 7] = ["rust", "c", "go", "javascript", "typescript", "python", "zig"];
/// What tally can be asked for that has the same answer everywhere.
const MODES: [&str; 5] = ["all", "columns", "questions", "state", "unknown"];

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

/// Without a number to rank by.
fn nothing() -> TableSpec {
    table("nothing", &[("comm", KeyKind::Text(16))], &[("least", MeasureKind::Min, true, "")])
}

/// Texts that are not text: control characters, escapes, what is no UTF-8, and what is only nearly.
const HOSTILE: [&[u8]; 12] = [
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
];

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
    let tables = [all(), big(), one(), nothing()];
    let snapshots = |interval: Interval, coverages: [Coverage; 4], rows: [Vec<Row>; 4]| -> Vec<Snapshot> {
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
            [lossy, coverage(100_000), coverage(7), coverage(1)],
            [all_rows(), big_rows(100_000), vec![events(7)], vec![least]],
        ),
        snapshots(interval(1, false), [coverage(0); 4], Default::default()),
        // The second is missing.
        snapshots(
            interval(3, true),
            [unsure, coverage(10), coverage(1), coverage(0)],
            [all_rows()[..2].to_vec(), big_rows(10), vec![events(1)], Vec::new()],
        ),
    ];
    put_run(&mut Recorder::new(path).unwrap(), &tables, &intervals);
}

/// A configuration that runs each plugin in each mode, whose names are `PLUGIN-LANGUAGE-MODE`.
fn configuration(languages: &[&str]) -> String {
    let mut text = String::new();
    for language in languages {
        for (plugin, modes) in [("first", &["default"][..]), ("tally", &MODES[..])] {
            for mode in modes {
                let component = plugins().join(format!("conformance/{plugin}-{language}.wasm"));
                let options = if plugin == "tally" { format!("mode = \"{mode}\"") } else { String::new() };
                writeln!(
                    text,
                    "[plugins.{plugin}-{language}-{mode}]\ncomponent = {:?}\noptions = {{ {options} }}\n\
                     limits = {{ memory = \"512MiB\", deadline = \"30s\" }}",
                    component.display().to_string()
                )
                .unwrap();
            }
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

#[test]
fn all_languages_say_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (recording, config) = (folder.path().join("x.weir"), folder.path().join("weir.toml"));
    record(&recording);
    std::fs::write(&config, configuration(&LANGUAGES)).unwrap();
    let outputs = replayed(&recording, &config);
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
    assert_eq!(rust("tally", "all").len(), 4 * 3);
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
    assert_eq!(titles[0], r"all 1: x 0 0".replace("x 0 0", &titles[0]["all 1: ".len()..]));
    assert!(titles.iter().any(|title| title.starts_with("big 1: worker/")), "{titles:?}");
    assert!(titles.iter().any(|title| title == "one 1: all"), "{titles:?}");
    let interval = |at: usize| {
        let line: Json = serde_json::from_str(&rust("tally", "all")[at]).unwrap();
        line["fields"]["interval"].as_str().unwrap().to_owned()
    };
    assert_eq!(interval(0), "0 1795341600.000000000 false 0");
    assert_eq!(interval(8), "3 1795341603.000000000 true 1", "one interval is missing");
}

/// What was built against an older version of the interface runs on this one, and says what it said.
#[test]
fn what_was_built_before_runs_as_it_did() {
    let repository = repository("").canonicalize().unwrap();
    let expected = std::fs::read_to_string(repository.join("plugin-sdk/first.jsonl")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("weir.toml");
    let (mut text, mut names) = (String::new(), Vec::new());
    for entry in std::fs::read_dir(repository.join("tests/compatibility")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "wasm") {
            let name = path.file_stem().unwrap().to_str().unwrap().replace('.', "_");
            writeln!(text, "[plugins.{name}]\ncomponent = {:?}", path.display().to_string()).unwrap();
            names.push(name);
        }
    }
    std::fs::write(&config, text).unwrap();
    let outputs = replayed(&repository.join("plugins/demo.weir"), &config);
    let said = |name: &String| -> Vec<String> {
        // Without what a whole run has beside it.
        let lines = outputs.get(name).map_or(&[][..], Vec::as_slice).iter();
        lines.map(|line| line.replacen("\"schema\":1,", "", 1)).collect()
    };
    assert!(names.len() >= 4, "{names:?}");
    for name in names {
        let said = said(&name);
        if name.starts_with("first-") {
            assert_eq!(said, expected.lines().collect::<Vec<_>>(), "{name}");
        } else {
            assert!(
                said.len() >= 16 && said.iter().all(|line| line.contains("\"code\":\"tally\"")),
                "{said:?}"
            );
        }
    }
}
