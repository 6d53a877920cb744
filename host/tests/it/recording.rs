//! What was recorded comes back, and what is no recording is refused.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use weir::error::{Error, Kind};
use weir::event::Event;
use weir::recording::{Recorder, Recording};
use weir::sink::Sink;
use weir::snapshot::{Interval, Snapshot};
use weir::table::TableSpec;

use crate::samples::*;

fn record(path: &Path, tables: &[TableSpec], intervals: &[Vec<Snapshot>]) {
    put_run(&mut Recorder::new(path).unwrap(), tables, intervals);
}

type Intervals = Vec<(Interval, Vec<Snapshot>)>;

/// All of it, and whether it ended early.
fn read(path: &Path) -> Result<(Intervals, bool), Error> {
    let mut recording = Recording::open(path)?;
    let intervals = recording.by_ref().collect::<Result<_, _>>()?;
    Ok((intervals, recording.ended_early().is_some()))
}

/// Three intervals of two tables, the dictionary another one each time.
fn sample() -> (Vec<TableSpec>, Vec<Vec<Snapshot>>) {
    let tables = vec![opens(), reads()];
    let intervals = (0..3).map(|number| {
        let interval = interval(number, number == 2);
        let comm = format!("job-{number}");
        let opens_rows = [
            (Some(vec![text(&comm)]), vec![Value::Number(i128::from(number))]),
            (Some(vec![Key::Text(b"\xff\x1b".to_vec())]), vec![Value::Number(2)]),
        ];
        let hist = Value::Hist(1, 5, vec![(4, Some(8), 1)]);
        let values = vec![Value::Number(1), Value::Number(2), Value::Number(-3), Value::Avg(4, 5), hist];
        let reads_rows = [(None, values)];
        vec![
            snapshot(&tables[0], interval, coverage(2), &opens_rows),
            snapshot(&tables[1], interval, coverage(1), &reads_rows),
        ]
    });
    let intervals = intervals.collect();
    (tables, intervals)
}

fn assert_same(read: &[(Interval, Vec<Snapshot>)], recorded: &[Vec<Snapshot>]) {
    assert_eq!(read.len(), recorded.len());
    for ((interval, read), recorded) in read.iter().zip(recorded) {
        assert_eq!(read.len(), recorded.len());
        for (read, recorded) in read.iter().zip(recorded) {
            assert_eq!(*interval, recorded.interval);
            assert_eq!(read.interval, recorded.interval);
            assert_eq!(read.table, recorded.table);
            assert_eq!(read.coverage, recorded.coverage);
            assert_eq!(read.rows, recorded.rows);
            assert_eq!(read.rows.schema(), recorded.rows.schema(), "with its metadata");
        }
    }
}

#[test]
fn tables_come_back_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.weir");
    let (tables, intervals) = sample();
    record(&path, &tables, &intervals);
    let recording = Recording::open(&path).unwrap();
    assert_eq!(recording.tables, schemas(&tables));
    assert_eq!(recording.started, std::time::SystemTime::UNIX_EPOCH + BEGAN);
    let (read, ended_early) = read(&path).unwrap();
    assert!(!ended_early);
    assert_same(&read, &intervals);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_run_comes_back((table, run) in any_run()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.weir");
        let last = run.len() - 1;
        let intervals: Vec<_> = run
            .iter()
            .enumerate()
            .map(|(at, (coverage, rows))| vec![snapshot(&table, interval(at as u64, at == last), *coverage, rows)])
            .collect();
        record(&path, std::slice::from_ref(&table), &intervals);
        let (read, ended_early) = read(&path).unwrap();
        prop_assert!(!ended_early);
        assert_same(&read, &intervals);
    }
}

#[test]
fn a_killed_recorder_leaves_what_was_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.weir");
    let (tables, intervals) = sample();
    let mut recorder = Recorder::new(&path).unwrap();
    let at = std::time::SystemTime::UNIX_EPOCH + BEGAN;
    recorder.put(&Event::Start { at, tables: &schemas(&tables) }).unwrap();
    assert!(read(&path).unwrap().0.is_empty());
    for snapshot in intervals[..2].iter().flatten().chain(&intervals[2][..1]) {
        recorder.put(&Event::Snapshot(snapshot)).unwrap();
    }
    // Read while it is still being written, which is all that a kill would leave: nothing waits in a buffer.
    let (read, ended_early) = read(&path).unwrap();
    assert!(ended_early);
    assert_same(&read, &intervals[..2]);
}

#[test]
fn wherever_a_file_is_cut_off_what_is_before_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.weir");
    let (tables, intervals) = sample();
    record(&path, &tables, &intervals);
    for file in ["coverage.arrows", "tables/opens.arrows", "tables/reads.arrows"] {
        let whole = fs::read(path.join(file)).unwrap();
        let mut lengths = Vec::new();
        // An odd step comes by every alignment, and by every part of a message.
        // The last eight bytes say no more than that it ends.
        for length in (0..whole.len()).step_by(13).chain([whole.len() - 8]) {
            fs::write(path.join(file), &whole[..length]).unwrap();
            match read(&path) {
                Ok((read, ended_early)) => {
                    assert_eq!(ended_early, read.len() < intervals.len(), "{file} at {length}");
                    assert_same(&read, &intervals[..read.len()]);
                    lengths.push(read.len());
                }
                // Without its schema a stream is none.
                Err(error) => {
                    assert_eq!(error.kind, Kind::Data, "{file} at {length}: {error}");
                    assert!(lengths.is_empty(), "{file} at {length}: {error}");
                }
            }
        }
        fs::write(path.join(file), &whole).unwrap();
        assert!(
            lengths.is_sorted() && (0..=3).all(|length| lengths.contains(&length)),
            "{file}: {lengths:?}"
        );
    }
}

#[test]
fn nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.weir");
    fs::write(&path, "mine").unwrap();
    let error = Recorder::new(&path).unwrap_err();
    assert_eq!(error.kind, Kind::Usage);
    assert!(error.message.ends_with("x.weir exists"), "{error}");
    // Nor is what appears later.
    let late = folder.path().join("late.weir");
    let mut recorder = Recorder::new(&late).unwrap();
    fs::create_dir(&late).unwrap();
    let at = std::time::SystemTime::UNIX_EPOCH;
    assert_eq!(
        recorder.put(&Event::Start { at, tables: &schemas(&[opens()]) }).unwrap_err().kind,
        Kind::Usage
    );
    assert_eq!(fs::read_dir(&late).unwrap().count(), 0);
}

#[test]
fn no_name_leaves_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["../up", "/etc/x", "a/b", "", ".", "a\0b"] {
        let path = folder.path().join("x.weir");
        let tables = schemas(&[TableSpec { name: name.to_owned(), ..opens() }]);
        let at = std::time::SystemTime::UNIX_EPOCH;
        let error = Recorder::new(&path).unwrap().put(&Event::Start { at, tables: &tables }).unwrap_err();
        assert_eq!(error.kind, Kind::Config, "{name:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{name:?}");
    }
}

#[test]
fn what_is_no_recording_is_refused_with_its_reason() {
    let about = |text: &'static str| move |path: &Path| fs::write(path.join("weir.json"), text).unwrap();
    let copy = |from: &'static str, to: &'static str| {
        move |path: &Path| assert!(fs::copy(path.join(from), path.join(to)).is_ok())
    };
    type Damage = Box<dyn Fn(&Path)>;
    let cases: Vec<(Damage, Kind, &str)> = vec![
        (Box::new(|path| fs::remove_dir_all(path).unwrap()), Kind::NoInput, "cannot read "),
        (
            Box::new(|path| fs::remove_file(path.join("weir.json")).unwrap()),
            Kind::Data,
            "is not a recording: it has no weir.json",
        ),
        (Box::new(about("{")), Kind::Data, "weir.json: this is not a recording's: EOF"),
        (Box::new(about(r#"{"format":2}"#)), Kind::Data, "format 2, and this Weir reads format 1"),
        (
            Box::new(about(r#"{"format":1,"weir":"9","started":"2026-11-22T10:00:00Z","tables":[]}"#)),
            Kind::Data,
            "there are no tables",
        ),
        (
            Box::new(about(
                r#"{"format":1,"weir":"9","started":"2026-11-22T10:00:00Z","tables":["../opens"]}"#,
            )),
            Kind::Data,
            "the name of table 0",
        ),
        (
            Box::new(about(
                r#"{"format":1,"weir":"9","started":"2026-11-22T10:00:00Z","tables":["opens","opens"]}"#,
            )),
            Kind::Data,
            "two tables `opens`",
        ),
        (
            Box::new(about(r#"{"format":1,"weir":"9","started":"1969-11-22T10:00:00Z","tables":["opens"]}"#)),
            Kind::Data,
            "`started`",
        ),
        (
            Box::new(about(r#"{"format":1,"weir":"9","started":"2026-11-22T10:00:00Z","tables":["opens"]}"#)),
            Kind::Data,
            "does not have every table once",
        ),
        (
            Box::new(about(r#"{"format":1,"weir":"9","started":"2026-11-22T10:00:00Z","tables":["no"]}"#)),
            Kind::NoInput,
            "no.arrows",
        ),
        (
            Box::new(copy("tables/opens.arrows", "coverage.arrows")),
            Kind::Data,
            "coverage.arrows: the columns are not",
        ),
        (
            Box::new(copy("coverage.arrows", "tables/opens.arrows")),
            Kind::Data,
            "opens.arrows: the column `interval` is not as",
        ),
        (
            Box::new(|path| {
                fs::remove_file(path.join("coverage.arrows")).unwrap();
                fs::create_dir(path.join("coverage.arrows")).unwrap();
            }),
            Kind::Data,
            "coverage.arrows: this is not a plain file",
        ),
        (
            Box::new(|path| fs::write(path.join("tables/reads.arrows"), vec![0xff; 4096]).unwrap()),
            Kind::Data,
            "reads.arrows: a message's head has more than",
        ),
    ];
    for (damage, kind, message) in cases {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.weir");
        let (tables, intervals) = sample();
        record(&path, &tables, &intervals);
        damage(&path);
        let error = read(&path).unwrap_err();
        assert!(error.message.contains(message), "{error} is not about {message}");
        assert_eq!(error.kind, kind, "{error}");
    }
}

#[test]
fn a_text_that_is_not_escaped_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.weir");
    let (tables, mut intervals) = sample();
    let rows = &intervals[0][0].rows;
    let mut columns = rows.columns().to_vec();
    columns[2] = std::sync::Arc::new(
        ["good", "bad\\q"]
            .into_iter()
            .collect::<arrow::array::DictionaryArray<arrow::datatypes::UInt32Type>>(),
    );
    intervals[0][0].rows = arrow::array::RecordBatch::try_new(rows.schema(), columns).unwrap();
    record(&path, &tables, &intervals);
    let error = read(&path).unwrap_err();
    assert!(error.message.ends_with("opens.arrows: a text is not escaped as texts are"), "{error}");
}

/// Shows all of it, as `weir replay` would: a panic can wait in a value that nobody looked at.
fn show(path: &Path) {
    let Ok((intervals, _)) = read(path) else { return };
    for snapshot in intervals.iter().flat_map(|(_, snapshots)| snapshots) {
        weir::sink::Json::new(std::io::sink()).put(&Event::Snapshot(snapshot)).unwrap();
        weir::sink::Text::new(std::io::sink(), weir::sink::Detail::Rows)
            .put(&Event::Snapshot(snapshot))
            .unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn damage_never_panics(
        damage in prop::collection::vec((0..3usize, any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.weir");
        let (tables, intervals) = sample();
        record(&path, &tables, &intervals);
        for (file, at, byte) in damage {
            let file = path.join(["coverage.arrows", "tables/opens.arrows", "tables/reads.arrows"][file]);
            let mut bytes = fs::read(&file).unwrap();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            fs::write(&file, bytes).unwrap();
        }
        show(&path);
    }
}
