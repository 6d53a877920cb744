//! A snapshot's rows, read by what its schema says of them. Sinks and recordings need nothing else.

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListArray, RecordBatch, StringArray, UInt32Array,
    UInt64Array,
};
use arrow::datatypes::{Field, Int64Type, SchemaRef, UInt32Type, UInt64Type};

use serde::Serialize;

use crate::error::{Error, Kind, Result};
use crate::escape::escape;
use crate::snapshot::LEADING_COLUMNS;
use crate::table::MeasureKind;

/// A snapshot's columns, each as what it is. Making it checks the whole schema.
#[derive(Debug)]
pub struct Rows<'a> {
    pub keys: Vec<Key<'a>>,
    pub measures: Vec<Measure<'a>>,
    pub count: usize,
    overflow: &'a BooleanArray,
}

#[derive(Debug)]
pub struct Key<'a> {
    pub name: &'a str,
    pub kind: &'a str,
    pub unit: &'a str,
    column: KeyColumn<'a>,
}

#[derive(Debug)]
enum KeyColumn<'a> {
    Number(Numbers<'a>),
    Text { codes: &'a UInt32Array, texts: &'a StringArray },
}

/// One value of a key. Text is escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyValue<'a> {
    Null,
    Number(i128),
    Text(&'a str),
}

#[derive(Debug)]
pub struct Measure<'a> {
    pub name: &'a str,
    pub kind: MeasureKind,
    pub unit: &'a str,
    column: MeasureColumn<'a>,
}

#[derive(Debug)]
enum MeasureColumn<'a> {
    Number(Numbers<'a>),
    Avg { count: &'a UInt64Array, sum: Numbers<'a> },
    Stats { count: &'a UInt64Array, sum: Numbers<'a>, min: Numbers<'a>, max: Numbers<'a> },
    Hist { count: &'a UInt64Array, sum: Numbers<'a>, buckets: &'a ListArray, bucket: BucketColumns<'a> },
}

#[derive(Clone, Copy, Debug)]
struct BucketColumns<'a> {
    low: Numbers<'a>,
    high: Numbers<'a>,
    count: &'a UInt64Array,
}

/// One value of a measure.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum MeasureValue {
    /// The least or the greatest of no values.
    Null,
    Number(i128),
    Avg {
        count: u64,
        sum: i128,
        avg: Option<f64>,
    },
    Stats {
        count: u64,
        sum: i128,
        avg: Option<f64>,
        min: Option<i128>,
        max: Option<i128>,
    },
    Hist(Histogram),
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Histogram {
    pub count: u64,
    pub sum: i128,
    pub buckets: Vec<Bucket>,
}

/// The values `low <= v < high`, and how many of them; no `high` in the last bucket there can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "(i128, Option<i128>, u64)")]
pub struct Bucket {
    pub low: i128,
    pub high: Option<i128>,
    pub count: u64,
}

impl From<Bucket> for (i128, Option<i128>, u64) {
    fn from(bucket: Bucket) -> Self {
        (bucket.low, bucket.high, bucket.count)
    }
}

/// Integers of either sign. Both fit into an `i128`, so nothing downstream has to tell them apart.
#[derive(Clone, Copy, Debug)]
enum Numbers<'a> {
    Unsigned(&'a UInt64Array),
    Signed(&'a Int64Array),
}

impl Numbers<'_> {
    fn of(column: &ArrayRef) -> Option<Numbers<'_>> {
        None.or_else(|| column.as_primitive_opt::<UInt64Type>().map(Numbers::Unsigned))
            .or_else(|| column.as_primitive_opt::<Int64Type>().map(Numbers::Signed))
    }

    fn get(self, row: usize) -> Option<i128> {
        match self {
            Self::Unsigned(numbers) => numbers.is_valid(row).then(|| numbers.value(row).into()),
            Self::Signed(numbers) => numbers.is_valid(row).then(|| numbers.value(row).into()),
        }
    }

    /// A number that the schema does not let be null.
    fn value(self, row: usize) -> i128 {
        self.get(row).unwrap_or_default()
    }
}

impl<'a> Rows<'a> {
    pub fn new(batch: &'a RecordBatch) -> Result<Self> {
        let (mut keys, mut measures) = (Vec::new(), Vec::new());
        let schema = batch.schema_ref();
        let leading =
            |at: usize, name: &str| batch.columns().get(at).filter(|_| schema.field(at).name() == name);
        leading(0, "interval")
            .and_then(|column| column.as_primitive_opt::<UInt64Type>())
            .ok_or_else(|| mismatch("interval"))?;
        let overflow = leading(1, "overflow")
            .and_then(|column| column.as_boolean_opt())
            .ok_or_else(|| mismatch("overflow"))?;
        for (field, column) in schema.fields().iter().zip(batch.columns()).skip(LEADING_COLUMNS) {
            let name = field.name().as_str();
            match meta(field, "weir.role") {
                "key" if measures.is_empty() => keys.push(Key::new(field, column)?),
                "measure" => measures.push(Measure::new(field, column)?),
                _ => return Err(mismatch(name)),
            }
            if schema.index_of(name).is_ok_and(|first| !std::ptr::eq(schema.field(first), field.as_ref())) {
                return Err(mismatch(name));
            }
        }
        Ok(Self { keys, measures, count: batch.num_rows(), overflow })
    }

    /// Whether the row is that of the events that found no row of their own.
    #[must_use]
    pub fn is_overflow(&self, row: usize) -> bool {
        self.overflow.value(row)
    }
}

/// Fails if a table of this schema could not be read.
pub(crate) fn check(schema: &SchemaRef) -> Result<()> {
    Rows::new(&RecordBatch::new_empty(schema.clone())).map(drop)
}

impl<'a> Key<'a> {
    fn new(field: &'a Field, column: &'a ArrayRef) -> Result<Self> {
        let kind = meta(field, "weir.kind");
        let numbers = Numbers::of(column);
        let column = match (kind, numbers) {
            ("unsigned", Some(numbers @ Numbers::Unsigned(_))) => KeyColumn::Number(numbers),
            ("signed", Some(numbers @ Numbers::Signed(_))) => KeyColumn::Number(numbers),
            ("text" | "stack", None) => {
                let text = column.as_dictionary_opt::<UInt32Type>().and_then(|dictionary| {
                    let texts = dictionary.values().as_string_opt::<i32>()?;
                    Some(KeyColumn::Text { codes: dictionary.keys(), texts })
                });
                text.ok_or_else(|| mismatch(field.name()))?
            }
            _ => return Err(mismatch(field.name())),
        };
        Ok(Self { name: field.name(), kind, unit: meta(field, "weir.unit"), column })
    }

    #[must_use]
    pub fn value(&self, row: usize) -> KeyValue<'a> {
        match &self.column {
            KeyColumn::Number(numbers) => numbers.get(row).map_or(KeyValue::Null, KeyValue::Number),
            KeyColumn::Text { codes, texts } => {
                let code = codes.is_valid(row).then(|| codes.value(row) as usize);
                code.filter(|code| *code < texts.len() && texts.is_valid(*code))
                    .map_or(KeyValue::Null, |code| KeyValue::Text(texts.value(code)))
            }
        }
    }
}

impl<'a> Measure<'a> {
    fn new(field: &'a Field, column: &'a ArrayRef) -> Result<Self> {
        let mismatch = || mismatch(field.name());
        let kind = meta(field, "weir.kind");
        let kind = MeasureKind::named(kind).ok_or_else(mismatch)?;
        let read = match kind {
            MeasureKind::Count | MeasureKind::Sum | MeasureKind::Min | MeasureKind::Max => {
                Numbers::of(column).map(MeasureColumn::Number)
            }
            MeasureKind::Avg => average(column),
            MeasureKind::Stats => stats(column),
            MeasureKind::Hist(_) | MeasureKind::Lhist { .. } => histogram(column),
        };
        let column = read.ok_or_else(mismatch)?;
        if kind == MeasureKind::Count && !matches!(column, MeasureColumn::Number(Numbers::Unsigned(_))) {
            return Err(mismatch());
        }
        Ok(Self { name: field.name(), kind, unit: meta(field, "weir.unit"), column })
    }

    /// Whether what is measured is a signed number.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        let (MeasureColumn::Number(sum)
        | MeasureColumn::Avg { sum, .. }
        | MeasureColumn::Stats { sum, .. }
        | MeasureColumn::Hist { sum, .. }) = self.column;
        matches!(sum, Numbers::Signed(_))
    }

    #[must_use]
    pub fn value(&self, row: usize) -> MeasureValue {
        match &self.column {
            MeasureColumn::Number(numbers) => {
                numbers.get(row).map_or(MeasureValue::Null, MeasureValue::Number)
            }
            MeasureColumn::Avg { count, sum } => {
                let (count, sum) = (count.value(row), sum.value(row));
                MeasureValue::Avg { count, sum, avg: mean(sum, count) }
            }
            MeasureColumn::Stats { count, sum, min, max } => {
                let (count, sum) = (count.value(row), sum.value(row));
                let (min, max) = (min.get(row), max.get(row));
                MeasureValue::Stats { count, sum, avg: mean(sum, count), min, max }
            }
            MeasureColumn::Hist { count, sum, buckets, bucket } => {
                let offsets = buckets.value_offsets();
                let entries = offsets[row] as usize..offsets[row + 1] as usize;
                let buckets = entries
                    .map(|entry| Bucket {
                        low: bucket.low.value(entry),
                        high: bucket.high.get(entry),
                        count: bucket.count.value(entry),
                    })
                    .collect();
                MeasureValue::Hist(Histogram { count: count.value(row), sum: sum.value(row), buckets })
            }
        }
    }
}

fn mean(sum: i128, count: u64) -> Option<f64> {
    (count > 0).then(|| sum as f64 / count as f64)
}

fn stats(column: &ArrayRef) -> Option<MeasureColumn<'_>> {
    let parts = column.as_struct_opt()?;
    let count = parts.column_by_name("count")?.as_primitive_opt()?;
    let number = |name: &str| Numbers::of(parts.column_by_name(name)?);
    Some(MeasureColumn::Stats { count, sum: number("sum")?, min: number("min")?, max: number("max")? })
}

fn average(column: &ArrayRef) -> Option<MeasureColumn<'_>> {
    let parts = column.as_struct_opt()?;
    let count = parts.column_by_name("count")?.as_primitive_opt()?;
    let sum = Numbers::of(parts.column_by_name("sum")?)?;
    Some(MeasureColumn::Avg { count, sum })
}

fn histogram(column: &ArrayRef) -> Option<MeasureColumn<'_>> {
    let parts = column.as_struct_opt()?;
    let count = parts.column_by_name("count")?.as_primitive_opt()?;
    let sum = Numbers::of(parts.column_by_name("sum")?)?;
    let buckets = parts.column_by_name("buckets")?.as_list_opt::<i32>()?;
    let bucket = buckets.values().as_struct_opt()?;
    let bucket = BucketColumns {
        low: Numbers::of(bucket.column_by_name("low")?)?,
        high: Numbers::of(bucket.column_by_name("high")?)?,
        count: bucket.column_by_name("count")?.as_primitive_opt()?,
    };
    Some(MeasureColumn::Hist { count, sum, buckets, bucket })
}

fn meta<'a>(field: &'a Field, name: &str) -> &'a str {
    field.metadata().get(name).map_or("", String::as_str)
}

fn mismatch(column: &str) -> Error {
    Error::new(Kind::Data, format!("the column `{}` is not as a table has it", escape(column.as_bytes())))
}
