//! Snapshots, plugins, and waiting for answers.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, ListArray, RecordBatch, StringArray, StructArray, UInt32Array,
    UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, SchemaRef};
use weir::event::{MetricValue, Output};
use weir::sandbox::{Answer, Limits, Plugin, Sandbox};
use weir::snapshot::{Coverage, Interval, Snapshot, bucket_type, schema};
use weir::table::{KeyColumn, KeyKind, MeasureColumn, MeasureKind, TableSpec};

/// Longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

fn plugins() -> PathBuf {
    let built = std::env::var_os("WEIR_PLUGINS").map(PathBuf::from);
    built.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/plugins"))
}

/// The bytes of a plugin that was built.
pub(crate) fn built(name: &str) -> Vec<u8> {
    let path = plugins().join(name).with_extension("wasm");
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!(
            "{}: {error}\n  help: run `cargo xtask plugins`, or say where they are with WEIR_PLUGINS",
            path.display()
        )
    })
}

/// A plugin that is granted the table of [`snapshot`].
pub(crate) fn plugin(name: &str) -> Plugin {
    Plugin {
        name: name.to_owned(),
        component: built(name),
        tables: vec![("reads".into(), table_schema())],
        options: BTreeMap::new(),
        limits: Limits { memory: 64 << 20, deadline: Duration::from_millis(300) },
    }
}

pub(crate) fn well_behaved() -> Plugin {
    plugin("hostile/well_behaved")
}

pub(crate) fn table_schema() -> SchemaRef {
    let key = |name: &str, kind| KeyColumn { name: name.to_owned(), kind, unit: String::new() };
    let measure = |name: &str, kind, unit: &str| MeasureColumn {
        name: name.to_owned(),
        kind,
        signed: false,
        conditional: false,
        unit: unit.to_owned(),
    };
    schema(&TableSpec {
        name: "reads".to_owned(),
        probes: Vec::new(),
        starts: Vec::new(),
        keys: vec![key("pid", KeyKind::Unsigned), key("comm", KeyKind::Text(16))],
        measures: vec![
            measure("calls", MeasureKind::Count, ""),
            measure("bytes", MeasureKind::Sum, "B"),
            measure("size", MeasureKind::Avg, "B"),
            measure("latency", MeasureKind::Hist(0), "ns"),
        ],
        saved: 0,
        names: std::collections::BTreeSet::new(),
        rows: 1_000_000,
        include_self: false,
        budget: None,
        scoped: false,
    })
}

/// Rows with known values, the last of them the overflow row. Row i is process 1000 + i, one of 200 commands,
/// with i calls of 10 bytes each, one bucket of latencies.
pub(crate) fn snapshot(rows: usize) -> Snapshot {
    let schema = table_schema();
    let n = rows as u64;
    let last = n - 1;
    let numbers =
        |number: fn(u64) -> u64| -> ArrayRef { Arc::new(UInt64Array::from_iter_values((0..n).map(number))) };
    let codes = UInt32Array::from_iter((0..n).map(|i| (i != last).then_some((i % 200) as u32)));
    let words = StringArray::from_iter_values((0..200).map(|word| format!("command-{word}")));
    let list = Field::new("item", bucket_type(false), false);
    let DataType::Struct(bucket_fields) = bucket_type(false) else { unreachable!() };
    let buckets = StructArray::new(
        bucket_fields,
        vec![numbers(|i| 1 << (i % 20)), numbers(|i| 2 << (i % 20)), numbers(|i| i)],
        None,
    );
    let lists =
        ListArray::new(Arc::new(list), OffsetBuffer::from_lengths(vec![1; rows]), Arc::new(buckets), None);
    let fields = |name: &str| match schema.field_with_name(name).unwrap().data_type() {
        DataType::Struct(fields) => fields.clone(),
        other => panic!("{other}"),
    };
    let columns: Vec<ArrayRef> = vec![
        numbers(|_| 7),
        Arc::new(BooleanArray::from_iter((0..n).map(|i| Some(i == last)))),
        Arc::new(UInt64Array::from_iter((0..n).map(|i| (i != last).then_some(1000 + i)))),
        Arc::new(DictionaryArray::new(codes, Arc::new(words))),
        numbers(|i| i),
        numbers(|i| 10 * i),
        Arc::new(StructArray::new(fields("size"), vec![numbers(|i| i), numbers(|i| 10 * i)], None)),
        Arc::new(StructArray::new(
            fields("latency"),
            vec![numbers(|i| i), numbers(|i| i << 10), Arc::new(lists)],
            None,
        )),
    ];
    let coverage =
        Coverage { events: 12_345, overflow: 67, missed_reliable: true, cpus: 2, ..Coverage::default() };
    Snapshot {
        table: "reads".into(),
        interval: interval(7),
        coverage,
        rows: RecordBatch::try_new(schema, columns).unwrap(),
    }
}

pub(crate) fn interval(number: u64) -> Interval {
    Interval { number, began: SystemTime::UNIX_EPOCH, length: Duration::from_secs(1), last: false }
}

/// Everything that is answered until no call is under way.
pub(crate) fn drain(sandbox: &mut Sandbox) -> Vec<Answer> {
    let end = Instant::now() + PATIENCE;
    let mut answers = sandbox.answers().unwrap();
    while !sandbox.idle() {
        assert!(Instant::now() < end, "no answer");
        let wake = sandbox.wake().unwrap().saturating_duration_since(Instant::now());
        let timeout = rustix::event::Timespec::try_from(wake.min(Duration::from_secs(1))).unwrap();
        let mut fds =
            [rustix::event::PollFd::from_borrowed_fd(sandbox.as_fd(), rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut fds, Some(&timeout)).unwrap();
        answers.extend(sandbox.answers().unwrap());
    }
    answers
}

/// One interval, from handing over to the last answer.
pub(crate) fn turn(sandbox: &mut Sandbox, number: u64, snapshot: &Snapshot) -> Vec<Answer> {
    sandbox.analyze(&interval(number), std::slice::from_ref(snapshot)).unwrap();
    drain(sandbox)
}

/// The answer of one plugin.
pub(crate) fn of(answers: &[Answer], plugin: usize) -> &Answer {
    let mut found = answers.iter().filter(|answer| answer.plugin == plugin);
    let answer = found.next().unwrap_or_else(|| panic!("plugin {plugin} did not answer: {answers:?}"));
    assert!(found.next().is_none(), "plugin {plugin} answered twice: {answers:?}");
    answer
}

/// The reason for which a turn was lost. On a busy machine a call can be late by the clock before it is by the processor's
/// time.
pub(crate) fn reason(answer: &Answer) -> Option<&str> {
    answer.outputs.iter().find_map(|output| match output {
        Output::Fault { reason, .. } if reason == "stalled" => Some("deadline"),
        Output::Fault { reason, .. } => Some(reason.as_str()),
        _ => None,
    })
}

/// What an interval may take by the clock of a plugin with this deadline and of one that behaves: ten times their deadlines, and
/// the time in which the process has to answer.
pub(crate) fn longest(deadline: Duration) -> Duration {
    (deadline + well_behaved().limits.deadline) * 10 + Duration::from_secs(1)
}

/// Asserts that `well_behaved` said what it should of a snapshot with so many rows, for the nth time.
pub(crate) fn assert_behaved(answer: &Answer, rows: usize, times: u32) {
    assert_eq!(reason(answer), None, "{answer:?}");
    let metric = |name: &str| {
        answer.outputs.iter().find_map(|output| match output {
            Output::Metric { name: n, value, .. } if n == name => Some(value.clone()),
            _ => None,
        })
    };
    assert_eq!(metric("events"), Some(MetricValue::Gauge(12_345.0)));
    assert_eq!(metric("overflow"), Some(MetricValue::Gauge(67.0)));
    let delta = rows as f64;
    let total = delta * f64::from(times);
    assert_eq!(metric("rows"), Some(MetricValue::Counter { delta, total }));
    assert_eq!(answer.outputs.len(), 3, "{answer:?}");
}
