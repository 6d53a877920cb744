//! Tables and snapshots to show, to record and to read again.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use arrow::array::{
    ArrayRef, BooleanArray, Int64Array, ListArray, RecordBatch, StringDictionaryBuilder, StructArray,
    UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, SchemaRef, UInt32Type};
use proptest::prelude::*;
use weir::escape::escape;
use weir::event::{Event, Totals};
use weir::snapshot::{self, Coverage, Interval, Snapshot, Spans, bucket_type};
use weir::table::{KeyColumn, KeyKind, MeasureColumn, MeasureKind, TableSpec};

/// 2026-11-22T10:00:00Z.
pub(crate) const BEGAN: Duration = Duration::from_secs(1_795_341_600);

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Key {
    Null,
    Number(i128),
    Text(Vec<u8>),
}

pub(crate) fn text(text: &str) -> Key {
    Key::Text(text.as_bytes().to_vec())
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Number(i128),
    /// The least or the greatest of no values.
    Null,
    Avg(u64, i128),
    /// With the least and the greatest, if there is a value.
    Stats(u64, i128, Option<[i128; 2]>),
    Hist(u64, i128, Vec<(i128, Option<i128>, u64)>),
}

/// A row; without keys it is the one of overflow.
pub(crate) type Row = (Option<Vec<Key>>, Vec<Value>);

pub(crate) fn table(
    name: &str,
    keys: &[(&str, KeyKind)],
    measures: &[(&str, MeasureKind, bool, &str)],
) -> TableSpec {
    TableSpec {
        name: name.to_owned(),
        probes: Vec::new(),
        starts: Vec::new(),
        keys: keys
            .iter()
            .map(|(name, kind)| KeyColumn {
                name: (*name).to_owned(),
                kind: kind.clone(),
                unit: String::new(),
            })
            .collect(),
        measures: measures
            .iter()
            .map(|(name, kind, signed, unit)| MeasureColumn {
                name: (*name).to_owned(),
                kind: *kind,
                signed: *signed,
                conditional: false,
                unit: (*unit).to_owned(),
            })
            .collect(),
        saved: 0,
        names: std::collections::BTreeSet::new(),
        rows: 1000,
        include_self: false,
        budget: None,
        scoped: false,
    }
}

/// How often who opened files.
pub(crate) fn opens() -> TableSpec {
    table("opens", &[("comm", KeyKind::Text(16))], &[("calls", MeasureKind::Count, false, "")])
}

/// One of each kind.
pub(crate) fn reads() -> TableSpec {
    table(
        "reads",
        &[("comm", KeyKind::Text(16)), ("pid", KeyKind::Unsigned), ("ret", KeyKind::Signed)],
        &[
            ("calls", MeasureKind::Count, false, ""),
            ("bytes", MeasureKind::Sum, false, ""),
            ("least", MeasureKind::Min, true, ""),
            ("mean", MeasureKind::Avg, true, ""),
            ("latency", MeasureKind::Hist(0), false, "ns"),
        ],
    )
}

pub(crate) fn interval(number: u64, last: bool) -> Interval {
    Interval {
        number,
        began: SystemTime::UNIX_EPOCH + BEGAN + Duration::from_secs(number),
        length: Duration::from_nanos(1_000_123_456),
        last,
    }
}

pub(crate) fn coverage(events: u64) -> Coverage {
    Coverage { events, missed_reliable: true, cpus: 8, ..Coverage::default() }
}

pub(crate) fn snapshot(table: &TableSpec, interval: Interval, coverage: Coverage, rows: &[Row]) -> Snapshot {
    Snapshot {
        table: table.name.as_str().into(),
        interval,
        coverage,
        rows: batch(table, interval.number, rows),
    }
}

pub(crate) fn schemas(tables: &[TableSpec]) -> Vec<(Arc<str>, SchemaRef)> {
    tables.iter().map(|table| (table.name.as_str().into(), snapshot::schema(table))).collect()
}

fn numbers(signed: bool, numbers: impl Iterator<Item = Option<i128>>) -> ArrayRef {
    if signed {
        Arc::new(Int64Array::from_iter(numbers.map(|n| n.map(|n| i64::try_from(n).unwrap()))))
    } else {
        Arc::new(UInt64Array::from_iter(numbers.map(|n| n.map(|n| u64::try_from(n).unwrap()))))
    }
}

fn batch(table: &TableSpec, number: u64, rows: &[Row]) -> RecordBatch {
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(UInt64Array::from(vec![number; rows.len()])),
        Arc::new(BooleanArray::from(rows.iter().map(|(keys, _)| keys.is_none()).collect::<Vec<_>>())),
    ];
    for (at, key) in table.keys.iter().enumerate() {
        let cells = rows.iter().map(|(keys, _)| keys.as_ref().map_or(&Key::Null, |keys| &keys[at]));
        if key.kind.is_text() {
            let mut builder = StringDictionaryBuilder::<UInt32Type>::new();
            cells.for_each(|cell| match cell {
                // A stack is what the host has made of it.
                Key::Text(bytes) if matches!(key.kind, KeyKind::KernelStack | KeyKind::UserStack) => {
                    builder.append_value(str::from_utf8(bytes).unwrap());
                }
                Key::Text(bytes) => builder.append_value(escape(bytes)),
                _ => builder.append_null(),
            });
            columns.push(Arc::new(builder.finish()));
        } else {
            let cells = cells.map(|cell| if let Key::Number(number) = cell { Some(*number) } else { None });
            columns.push(numbers(key.kind == KeyKind::Signed, cells));
        }
    }
    for (at, measure) in table.measures.iter().enumerate() {
        columns.push(measures(measure, rows.iter().map(|(_, values)| &values[at])));
    }
    RecordBatch::try_new(snapshot::schema(table), columns).unwrap()
}

fn measures<'a>(measure: &MeasureColumn, cells: impl Iterator<Item = &'a Value> + Clone) -> ArrayRef {
    let signed = measure.signed && measure.kind != MeasureKind::Count;
    let count = cells.clone().map(|cell| match cell {
        Value::Number(_) | Value::Null => None,
        Value::Avg(count, _) | Value::Stats(count, ..) | Value::Hist(count, ..) => Some(i128::from(*count)),
    });
    let sum = cells.clone().map(|cell| match cell {
        Value::Null => None,
        Value::Number(sum) | Value::Avg(_, sum) | Value::Stats(_, sum, _) | Value::Hist(_, sum, _) => {
            Some(*sum)
        }
    });
    let (count, sum) = (numbers(false, count), numbers(signed, sum));
    let DataType::Struct(fields) = field_type(measure) else { return sum };
    let mut children = vec![count, sum];
    if measure.kind == MeasureKind::Stats {
        let bound = |which: usize| {
            cells.clone().map(move |cell| match cell {
                Value::Stats(_, _, bounds) => bounds.map(|bounds| bounds[which]),
                _ => None,
            })
        };
        children.extend([numbers(signed, bound(0)), numbers(signed, bound(1))]);
    }
    if measure.kind.is_histogram() {
        let lists = cells.map(|cell| if let Value::Hist(.., buckets) = cell { &buckets[..] } else { &[] });
        let offsets = OffsetBuffer::from_lengths(lists.clone().map(<[_]>::len));
        let buckets: Vec<_> = lists.flatten().copied().collect();
        let DataType::Struct(bucket) = bucket_type(signed) else { unreachable!() };
        let entries = StructArray::new(
            bucket.clone(),
            vec![
                numbers(signed, buckets.iter().map(|(low, ..)| Some(*low))),
                numbers(signed, buckets.iter().map(|(_, high, _)| *high)),
                numbers(false, buckets.iter().map(|(.., count)| Some(i128::from(*count)))),
            ],
            None,
        );
        let item = Arc::new(Field::new("item", bucket_type(signed), false));
        children.push(Arc::new(ListArray::new(item, offsets, Arc::new(entries), None)));
    }
    Arc::new(StructArray::new(fields, children, None))
}

fn field_type(measure: &MeasureColumn) -> DataType {
    let table = TableSpec { measures: vec![measure.clone()], ..opens() };
    snapshot::schema(&table).field_with_name(&measure.name).unwrap().data_type().clone()
}

/// A writer whose bytes can be looked at while a sink has it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shared(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Shared {
    pub(crate) fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

/// A whole run, as a sink gets it.
pub(crate) fn put_run(sink: &mut dyn weir::sink::Sink, tables: &[TableSpec], intervals: &[Vec<Snapshot>]) {
    let at = SystemTime::UNIX_EPOCH + BEGAN;
    sink.put(&Event::Start { at, tables: &schemas(tables) }).unwrap();
    for snapshot in intervals.iter().flatten() {
        sink.put(&Event::Snapshot(snapshot)).unwrap();
    }
    sink.put(&Event::End { at, totals: &Totals::default() }).unwrap();
}

/// Any table, with the rows of some intervals of it.
pub(crate) fn any_run() -> impl Strategy<Value = (TableSpec, Vec<(Coverage, Vec<Row>)>)> {
    let key = prop::sample::select(vec![KeyKind::Unsigned, KeyKind::Signed, KeyKind::Text(16)]);
    let kinds = vec![
        MeasureKind::Count,
        MeasureKind::Sum,
        MeasureKind::Min,
        MeasureKind::Max,
        MeasureKind::Avg,
        MeasureKind::Stats,
        MeasureKind::Hist(3),
        MeasureKind::Lhist { low: 0, high: 10, step: 1 },
    ];
    let measure = (prop::sample::select(kinds), any::<bool>());
    (prop::collection::vec(key, 0..4), prop::collection::vec(measure, 1..4)).prop_flat_map(
        |(keys, measures)| {
            let keys: Vec<_> =
                keys.into_iter().enumerate().map(|(at, kind)| (format!("k{at}"), kind)).collect();
            let keys: Vec<_> = keys.iter().map(|(name, kind)| (name.as_str(), kind.clone())).collect();
            let names: Vec<_> = (0..measures.len()).map(|at| format!("m{at}")).collect();
            let measures: Vec<_> = names
                .iter()
                .zip(&measures)
                .map(|(name, (kind, signed))| (name.as_str(), *kind, *signed, "ns"))
                .collect();
            let mut table = table("any", &keys, &measures);
            table.measures.iter_mut().for_each(|measure| measure.conditional = true);
            let intervals = prop::collection::vec((any_coverage(), any_rows(&table)), 1..4);
            (Just(table), intervals)
        },
    )
}

fn any_coverage() -> impl Strategy<Value = Coverage> {
    let spans = prop::option::of(any::<[u64; 4]>());
    (any::<[u64; 4]>(), any::<[bool; 2]>(), any::<u32>(), spans).prop_map(
        |(numbers, [missed_reliable, detached], cpus, spans)| {
            let [events, overflow, missed, inexact] = numbers;
            let spans = spans.map(|[starts_dropped, starts_replaced, starts_abandoned, ends_unmatched]| {
                Spans { starts_dropped, starts_replaced, starts_abandoned, ends_unmatched }
            });
            // What programs cost is not recorded.
            Coverage {
                events,
                overflow,
                missed,
                missed_reliable,
                inexact,
                kernel: None,
                detached,
                cpus,
                spans,
            }
        },
    )
}

fn any_rows(table: &TableSpec) -> impl Strategy<Value = Vec<Row>> + use<> {
    let number = |signed: bool| match signed {
        true => any::<i64>().prop_map(i128::from).boxed(),
        false => any::<u64>().prop_map(i128::from).boxed(),
    };
    let keys: Vec<_> = table
        .keys
        .iter()
        .map(|key| {
            let value = match key.kind.is_text() {
                true => prop::collection::vec(any::<u8>(), 0..16).prop_map(Key::Text).boxed(),
                false => number(key.kind == KeyKind::Signed).prop_map(Key::Number).boxed(),
            };
            prop_oneof![9 => value, 1 => Just(Key::Null)]
        })
        .collect();
    let values: Vec<_> = table
        .measures
        .iter()
        .map(|measure| {
            let number = number(measure.signed && measure.kind != MeasureKind::Count);
            match measure.kind {
                MeasureKind::Avg => {
                    (any::<u64>(), number).prop_map(|(count, sum)| Value::Avg(count, sum)).boxed()
                }
                MeasureKind::Min | MeasureKind::Max => {
                    prop_oneof![4 => number.prop_map(Value::Number), 1 => Just(Value::Null)].boxed()
                }
                MeasureKind::Stats => {
                    let bounds = prop::option::of([number.clone(), number.clone()]);
                    (any::<u64>(), number, bounds)
                        .prop_map(|(count, sum, bounds)| Value::Stats(count, sum, bounds))
                        .boxed()
                }
                MeasureKind::Hist(_) | MeasureKind::Lhist { .. } => {
                    let bucket = (number.clone(), prop::option::of(number.clone()), any::<u64>());
                    (any::<u64>(), number, prop::collection::vec(bucket, 0..5))
                        .prop_map(|(count, sum, buckets)| Value::Hist(count, sum, buckets))
                        .boxed()
                }
                _ => number.prop_map(Value::Number).boxed(),
            }
        })
        .collect();
    (prop::collection::vec((keys, values.clone()), 0..6), prop::option::of(values)).prop_map(
        |(rows, overflow)| {
            let rows = rows.into_iter().map(|(keys, values)| (Some(keys), values));
            rows.chain(overflow.map(|values| (None, values))).collect()
        },
    )
}
