//! One JSON object a line: the contract of docs/json.md.

use std::io::Write;

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use super::rows::{Key, KeyValue, Measure, Rows};
use super::{Out, Sink, time};
use crate::error::{Error, Kind, Result};
use crate::escape::{escape, guard};
use crate::event::{Event, Label, MetricValue, Output, Totals, Why, nanoseconds};
use crate::snapshot::{Coverage, Snapshot};

/// Raised when a line changes in a way that a reader of the last one would notice.
const SCHEMA: u32 = 1;

/// The sink that writes JSON lines.
#[derive(Debug)]
pub struct Json<W> {
    out: Out<W>,
    buffer: Vec<u8>,
}

impl<W: Write> Json<W> {
    pub fn new(writer: W) -> Self {
        Self { out: Out::new(writer), buffer: Vec::new() }
    }
}

impl<W: Write> Sink for Json<W> {
    fn put(&mut self, event: &Event<'_>) -> Result<()> {
        self.buffer.clear();
        serde_json::to_writer(&mut self.buffer, &Versioned { schema: SCHEMA, line: line(event)? })
            .map_err(|error| Error::new(Kind::Software, format!("cannot be written as JSON: {error}")))?;
        self.buffer.push(b'\n');
        self.out.write(&self.buffer)
    }

    fn closed(&self) -> bool {
        self.out.closed
    }
}

#[derive(Serialize)]
struct Versioned<'a> {
    schema: u32,
    #[serde(flatten)]
    line: Line<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Line<'a> {
    Start {
        at: String,
        tables: Vec<TableLine>,
    },
    Snapshot {
        table: Shown<'a>,
        interval: u64,
        began: String,
        length_ns: u64,
        coverage: CoverageLine,
        rows: RowsLine<'a>,
    },
    Metric {
        #[serde(skip_serializing_if = "Option::is_none")]
        plugin: Option<Shown<'a>>,
        interval: u64,
        name: Shown<'a>,
        labels: Labels<'a>,
        #[serde(flatten)]
        value: ValueLine<'a>,
    },
    Report {
        #[serde(skip_serializing_if = "Option::is_none")]
        plugin: Option<Shown<'a>>,
        interval: u64,
        level: &'static str,
        code: Shown<'a>,
        title: Shown<'a>,
        fields: Labels<'a>,
    },
    Artefact {
        #[serde(skip_serializing_if = "Option::is_none")]
        plugin: Option<Shown<'a>>,
        interval: u64,
        name: Shown<'a>,
        media_type: Shown<'a>,
        content: Shown<'a>,
    },
    Log {
        #[serde(skip_serializing_if = "Option::is_none")]
        plugin: Option<Shown<'a>>,
        interval: u64,
        level: &'static str,
        message: Shown<'a>,
    },
    Fault {
        #[serde(skip_serializing_if = "Option::is_none")]
        plugin: Option<Shown<'a>>,
        interval: u64,
        reason: Shown<'a>,
        message: Shown<'a>,
    },
    Detached {
        table: Shown<'a>,
        interval: u64,
        reason: Why,
        message: Shown<'a>,
    },
    End {
        at: String,
        #[serde(flatten)]
        totals: &'a Totals,
    },
}

fn line<'a>(event: &Event<'a>) -> Result<Line<'a>> {
    Ok(match *event {
        Event::Start { at, tables } => {
            let tables = tables.iter().map(|(name, schema)| {
                let empty = arrow::array::RecordBatch::new_empty(schema.clone());
                Rows::new(&empty).map(|rows| TableLine::new(name, &rows))
            });
            Line::Start { at: time(at), tables: tables.collect::<Result<_>>()? }
        }
        Event::Snapshot(snapshot) => snapshot_line(snapshot)?,
        Event::Detached { table, interval, why, message } => Line::Detached {
            table: Shown(table.as_bytes()),
            interval,
            reason: why,
            message: Shown(message.as_bytes()),
        },
        Event::Plugin { plugin, interval, output } => {
            plugin_line(Some(Shown(plugin.as_bytes())), interval, output)
        }
        Event::End { at, totals } => Line::End { at: time(at), totals },
    })
}

/// What a plugin put out, as a line without what the plugin is called.
pub(crate) fn output_line(interval: u64, output: &Output) -> Result<String> {
    serde_json::to_string(&plugin_line(None, interval, output))
        .map_err(|error| Error::new(Kind::Software, format!("cannot be written as JSON: {error}")))
}

fn snapshot_line(snapshot: &Snapshot) -> Result<Line<'_>> {
    Ok(Line::Snapshot {
        table: Shown(snapshot.table.as_bytes()),
        interval: snapshot.interval.number,
        began: time(snapshot.interval.began),
        length_ns: nanoseconds(snapshot.interval.length),
        coverage: CoverageLine::new(&snapshot.coverage),
        rows: RowsLine(Rows::new(&snapshot.rows)?),
    })
}

fn plugin_line<'a>(plugin: Option<Shown<'a>>, interval: u64, output: &'a Output) -> Line<'a> {
    match output {
        Output::Metric { name, labels, value } => Line::Metric {
            plugin,
            interval,
            name: Shown(name.as_bytes()),
            labels: Labels(labels),
            value: ValueLine::new(value),
        },
        Output::Report { level, code, title, fields } => Line::Report {
            plugin,
            interval,
            level: level.name(),
            code: Shown(code.as_bytes()),
            title: Shown(title.as_bytes()),
            fields: Labels(fields),
        },
        Output::Artefact { name, media_type, bytes } => Line::Artefact {
            plugin,
            interval,
            name: Shown(name.as_bytes()),
            media_type: Shown(media_type.as_bytes()),
            content: Shown(bytes),
        },
        Output::Log { level, message } => {
            Line::Log { plugin, interval, level: level.name(), message: Shown(message.as_bytes()) }
        }
        Output::Fault { reason, message } => Line::Fault {
            plugin,
            interval,
            reason: Shown(reason.as_bytes()),
            message: Shown(message.as_bytes()),
        },
    }
}

#[derive(Serialize)]
struct TableLine {
    name: String,
    keys: Vec<ColumnLine>,
    measures: Vec<ColumnLine>,
}

#[derive(Serialize)]
struct ColumnLine {
    name: String,
    kind: String,
    unit: String,
}

impl TableLine {
    fn new(name: &str, rows: &Rows<'_>) -> Self {
        let column = |name: &str, kind: &str, unit: &str| {
            let [name, kind, unit] = [name, kind, unit].map(|text| escape(text.as_bytes()).into_owned());
            ColumnLine { name, kind, unit }
        };
        Self {
            name: escape(name.as_bytes()).into_owned(),
            keys: rows.keys.iter().map(|key| column(key.name, key.kind, key.unit)).collect(),
            measures: rows.measures.iter().map(|m| column(m.name, m.kind.name(), m.unit)).collect(),
        }
    }
}

#[derive(Serialize)]
struct CoverageLine {
    events: u64,
    overflow: u64,
    missed: u64,
    missed_reliable: bool,
    cpus: u32,
    inexact: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    spans: Option<SpansLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel: Option<CostLine>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    detached: bool,
}

#[derive(Serialize)]
struct CostLine {
    runs: u64,
    ns: u64,
}

#[derive(Serialize)]
struct SpansLine {
    starts_dropped: u64,
    starts_replaced: u64,
    starts_abandoned: u64,
    ends_unmatched: u64,
}

impl CoverageLine {
    fn new(coverage: &Coverage) -> Self {
        let &Coverage { events, overflow, missed, missed_reliable, inexact, kernel, detached, cpus, spans } =
            coverage;
        let kernel = kernel.map(|cost| CostLine { runs: cost.runs, ns: cost.nanoseconds });
        let spans = spans.map(|spans| SpansLine {
            starts_dropped: spans.starts_dropped,
            starts_replaced: spans.starts_replaced,
            starts_abandoned: spans.starts_abandoned,
            ends_unmatched: spans.ends_unmatched,
        });
        Self { events, overflow, missed, missed_reliable, cpus, inexact, spans, kernel, detached }
    }
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum ValueLine<'a> {
    Counter { delta: f64, total: f64 },
    Gauge { value: f64 },
    Histogram { count: u64, sum: f64, buckets: &'a [(f64, Option<f64>, u64)] },
}

impl<'a> ValueLine<'a> {
    fn new(value: &'a MetricValue) -> Self {
        match value {
            MetricValue::Counter { delta, total } => Self::Counter { delta: *delta, total: *total },
            MetricValue::Gauge(value) => Self::Gauge { value: *value },
            MetricValue::Histogram { count, sum, buckets } => {
                Self::Histogram { count: *count, sum: *sum, buckets }
            }
        }
    }
}

/// Bytes that are not ours.
struct Shown<'a>(&'a [u8]);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&escape(self.0))
    }
}

/// An object; of a name that comes twice, the first.
struct Labels<'a>(&'a [Label]);

impl Serialize for Labels<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (at, label) in self.0.iter().enumerate() {
            if !self.0[..at].iter().any(|earlier| earlier.name == label.name) {
                map.serialize_entry(&Shown(label.name.as_bytes()), &Shown(label.value.as_bytes()))?;
            }
        }
        map.end()
    }
}

struct RowsLine<'a>(Rows<'a>);

impl Serialize for RowsLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.count))?;
        for row in 0..self.0.count {
            let key = (!self.0.is_overflow(row)).then_some(KeysOf { keys: &self.0.keys, row });
            list.serialize_element(&RowLine { key, values: ValuesOf { measures: &self.0.measures, row } })?;
        }
        list.end()
    }
}

#[derive(Serialize)]
struct RowLine<'a> {
    key: Option<KeysOf<'a>>,
    values: ValuesOf<'a>,
}

struct KeysOf<'a> {
    keys: &'a [Key<'a>],
    row: usize,
}

impl Serialize for KeysOf<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.keys.iter().map(|key| (Shown(key.name.as_bytes()), key.value(self.row))))
    }
}

impl Serialize for KeyValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_none(),
            Self::Number(number) => serializer.serialize_i128(*number),
            Self::Text(text) => serializer.serialize_str(&guard(text)),
        }
    }
}

struct ValuesOf<'a> {
    measures: &'a [Measure<'a>],
    row: usize,
}

impl Serialize for ValuesOf<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let values = self.measures.iter().map(|m| (Shown(m.name.as_bytes()), m.value(self.row)));
        serializer.collect_map(values)
    }
}
