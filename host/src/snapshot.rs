//! A table's rows for one interval, merged over all CPUs, with how complete they are.
//!
//! Arrow is the one format of a snapshot: in memory, into the sandbox, in recordings. The schema is
//!
//! | column | type | metadata |
//! |---|---|---|
//! | `interval` | UInt64 | |
//! | `overflow` | Boolean: true in the one row, the last, of events that found no row of their own | |
//! | each key | UInt64, Int64, or Dictionary(UInt32, Utf8) for text; null in the overflow row | role=key, kind, unit |
//! | each measure | see below | role=measure, kind, unit |
//!
//! Text is what the kernel wrote, escaped as [`crate::escape`] says, so that it is valid UTF-8 and can be
//! turned back into the same bytes. Measures: `count` UInt64; `sum`, `min`, `max` UInt64 or Int64;
//! `avg` Struct{count: UInt64, sum: UInt64 or Int64}; `stats` the same with `min` and `max` after them; `hist` and
//! `lhist` Struct{count: UInt64, sum: UInt64 or Int64, buckets: List<Struct{low, high, count: UInt64}>}, `low` and
//! `high` of the sum's type, a bucket holding the values `low <= v < high`, `high` null in the last bucket there can
//! be. A histogram's count is that of its buckets plus that of the values which found no room for a bucket. Sums are
//! modulo 2^64. A `min` or a `max` is null where no event of the row had a value.
//!
//! Rows are in the order in which their keys were first seen since the table's dictionary was last renewed;
//! the overflow row comes last.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use crate::table::{KeyKind, MeasureColumn, MeasureKind, TableSpec};

/// The time between two snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    /// Counted from 0, which begins once every probe is attached.
    pub number: u64,
    /// The wall clock's time when it began.
    pub began: SystemTime,
    /// By the monotonic clock.
    pub length: Duration,
    /// The last one of its run.
    pub last: bool,
}

/// What became of the starts and ends of a table's spans in one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spans {
    /// Starts that found no room.
    pub starts_dropped: u64,
    /// Starts that another start of the same thread, or of the same pair, took the place of.
    pub starts_replaced: u64,
    /// Starts whose thread exited before the end.
    pub starts_abandoned: u64,
    /// Ends without a start.
    pub ends_unmatched: u64,
}

/// What programs cost the kernel, by its own statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    pub runs: u64,
    pub nanoseconds: u64,
}

/// How complete a snapshot is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Events counted, those in the overflow row included.
    pub events: u64,
    /// Of them, those in the overflow row.
    pub overflow: u64,
    /// Events for which the kernel skipped the program.
    pub missed: u64,
    /// Whether this kernel counts all that it skips for this kind of attach point.
    pub missed_reliable: bool,
    /// The values that a `min` or `max` may lack: their update was given up after too many others interfered.
    pub inexact: u64,
    /// What the table's programs cost the kernel; nothing where it does not time programs.
    pub kernel: Option<Cost>,
    /// The table cost more than its budget in an earlier interval, and counts nothing any more.
    pub detached: bool,
    /// Possible CPUs, all of which were merged.
    pub cpus: u32,
    /// For a table of spans.
    pub spans: Option<Spans>,
}

/// A table's rows for one interval. What its columns mean is in the schema's metadata, so that a recorded
/// snapshot needs nothing else to be read.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub table: Arc<str>,
    pub interval: Interval,
    pub coverage: Coverage,
    pub rows: RecordBatch,
}

/// Columns before the first key.
pub const LEADING_COLUMNS: usize = 2;

/// The Arrow schema of a table's snapshots.
#[must_use]
pub fn schema(table: &TableSpec) -> SchemaRef {
    let metadata = |role: &str, kind: &str, unit: &str| {
        HashMap::from([
            ("weir.role".to_owned(), role.to_owned()),
            ("weir.kind".to_owned(), kind.to_owned()),
            ("weir.unit".to_owned(), unit.to_owned()),
        ])
    };
    let mut fields = vec![
        Field::new("interval", DataType::UInt64, false),
        Field::new("overflow", DataType::Boolean, false),
    ];
    fields.extend(table.keys.iter().map(|key| {
        let (data_type, kind) = match key.kind {
            KeyKind::Unsigned => (DataType::UInt64, "unsigned"),
            KeyKind::Signed => (DataType::Int64, "signed"),
            KeyKind::KernelStack | KeyKind::UserStack => (text_type(), "stack"),
            _ => (text_type(), "text"),
        };
        Field::new(&key.name, data_type, true).with_metadata(metadata("key", kind, &key.unit))
    }));
    fields.extend(table.measures.iter().map(|measure| {
        let nullable = measure.conditional && matches!(measure.kind, MeasureKind::Min | MeasureKind::Max);
        Field::new(&measure.name, measure_type(measure), nullable).with_metadata(metadata(
            "measure",
            measure.kind.name(),
            &measure.unit,
        ))
    }));
    let table_metadata = HashMap::from([("weir.table".to_owned(), table.name.clone())]);
    Arc::new(Schema::new(fields).with_metadata(table_metadata))
}

/// The type of a text column.
#[must_use]
pub fn text_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::UInt32), Box::new(DataType::Utf8))
}

fn number_type(signed: bool) -> DataType {
    if signed { DataType::Int64 } else { DataType::UInt64 }
}

fn measure_type(measure: &MeasureColumn) -> DataType {
    let number = || number_type(measure.signed);
    let count = || Field::new("count", DataType::UInt64, false);
    let sum = || Field::new("sum", number(), false);
    match measure.kind {
        MeasureKind::Count => DataType::UInt64,
        MeasureKind::Sum | MeasureKind::Min | MeasureKind::Max => number(),
        MeasureKind::Avg => DataType::Struct(Fields::from(vec![count(), sum()])),
        MeasureKind::Stats => DataType::Struct(Fields::from(vec![
            count(),
            sum(),
            Field::new("min", number(), measure.conditional),
            Field::new("max", number(), measure.conditional),
        ])),
        MeasureKind::Hist(_) | MeasureKind::Lhist { .. } => {
            let buckets = DataType::List(Arc::new(Field::new("item", bucket_type(measure.signed), false)));
            DataType::Struct(Fields::from(vec![count(), sum(), Field::new("buckets", buckets, false)]))
        }
    }
}

/// The type of one bucket of a histogram.
#[must_use]
pub fn bucket_type(signed: bool) -> DataType {
    DataType::Struct(Fields::from(vec![
        Field::new("low", number_type(signed), false),
        Field::new("high", number_type(signed), true),
        Field::new("count", DataType::UInt64, false),
    ]))
}
