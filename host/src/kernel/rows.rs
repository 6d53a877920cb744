//! From merged cells to the rows of a snapshot.
//!
//! A key is decoded when its row first holds something, and kept by its id for as long as its dictionary
//! lives; so is what a bucket counts.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, Int64Array, ListArray, PrimitiveArray, RecordBatch, StringArray,
    StructArray, UInt32Array, UInt64Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, SchemaRef, UInt32Type};
use weir_abi::{BUCKETS, DIRECT_ROWS, NEGATIVE_BUCKET, ordered, unpack_bucket_key};

use super::plan::Layout;
use crate::error::{Error, Kind, Result};
use crate::escape::escape;
use crate::snapshot::schema;
use crate::table::{KeyKind, MeasureColumn, MeasureKind, TableSpec};

/// What is known about the ids of the current dictionary.
#[derive(Debug, Default)]
struct Known {
    /// By row id: whether its key was decoded.
    rows: Vec<bool>,
    /// For each key column the values by row id; for text, the code of each.
    keys: Vec<Vec<u64>>,
    texts: Vec<Texts>,
    /// By bucket id: whether it was decoded.
    buckets: Vec<bool>,
    /// The buckets in the order of their row, their histogram and their values.
    order: Vec<Bucket>,
}

/// The distinct texts of one column.
#[derive(Debug, Default)]
struct Texts {
    codes: HashMap<[u64; 2], u32>,
    values: Vec<String>,
    /// `values` as Arrow has them, as long as none was added.
    array: Option<Arc<StringArray>>,
}

/// A bucket of a row, ordered as it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Bucket {
    histogram: u32,
    row: u32,
    /// 0 for the bucket of negative numbers, which comes first.
    rank: u32,
    id: u32,
}

impl Bucket {
    fn new(row: u32, histogram: u32, bucket: u32, id: u32) -> Self {
        Self { histogram, row, rank: if bucket == NEGATIVE_BUCKET { 0 } else { bucket + 1 }, id }
    }

    /// The values that it counts, `low <= v < high`; no `high` where there is no greater number.
    fn bounds(self, signed: bool) -> (u64, Option<u64>) {
        match self.rank {
            0 => (i64::MIN as u64, Some(0)),
            1 => (0, Some(1)),
            rank => {
                let low = 1u64 << (rank - 2);
                let high = low.checked_mul(2).filter(|high| !(signed && *high > i64::MAX as u64));
                (low, high)
            }
        }
    }
}

/// Makes the rows of one table's snapshots.
#[derive(Debug)]
pub(super) struct Rows {
    table: Arc<TableSpec>,
    schema: SchemaRef,
    known: Known,
}

/// What a bank held, and where the keys of its ids stand.
pub(super) struct Drained<'a> {
    pub(super) cells: Vec<u64>,
    pub(super) buckets: Vec<u64>,
    /// Key words by row id.
    pub(super) keys: &'a [AtomicU64],
    pub(super) bucket_keys: &'a [AtomicU64],
}

impl Rows {
    pub(super) fn new(table: Arc<TableSpec>, layout: &Layout) -> Self {
        let schema = schema(&table);
        let mut rows = Self { table, schema, known: Known::default() };
        rows.forget(layout);
        rows
    }

    /// Forgets a dictionary that is used no more.
    pub(super) fn forget(&mut self, layout: &Layout) {
        let direct = (0..DIRECT_ROWS).flat_map(|row| {
            (0..layout.histograms).flat_map(move |histogram| {
                (0..BUCKETS).map(move |bucket| {
                    let id = (row * layout.histograms + histogram) * BUCKETS + bucket;
                    Bucket::new(row, histogram, bucket, id)
                })
            })
        });
        let mut order: Vec<Bucket> = direct.collect();
        order.sort_unstable();
        self.known = Known {
            keys: vec![Vec::new(); self.table.keys.len()],
            texts: self.table.keys.iter().map(|_| Texts::default()).collect(),
            buckets: vec![true; layout.direct_buckets() as usize],
            order,
            ..Known::default()
        };
    }

    /// The rows of an interval, in the order of their ids, the overflow row last.
    pub(super) fn batch(
        &mut self,
        interval: u64,
        layout: &Layout,
        drained: &Drained<'_>,
    ) -> Result<RecordBatch> {
        let words = layout.cell_words();
        let mut ids: Vec<u32> = (1u32..)
            .zip(drained.cells.chunks_exact(words).skip(1))
            .filter(|(_, cell)| cell[0] != 0)
            .map(|(id, _)| id)
            .collect();
        let overflows = drained.cells.first().is_some_and(|events| *events != 0);
        if !self.table.keys.is_empty() {
            self.learn_rows(&ids, layout.key_words, drained.keys);
        }
        self.learn_buckets(&drained.buckets, drained.bucket_keys);
        if overflows {
            ids.push(0);
        }

        let rows = ids.len();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        columns.push(Arc::new(UInt64Array::from_value(interval, rows)));
        columns.push(Arc::new(BooleanArray::from_iter(ids.iter().map(|id| Some(*id == 0)))));
        let nulls = overflows.then(|| NullBuffer::from_iter(ids.iter().map(|id| *id != 0)));
        for (index, key) in self.table.keys.iter().enumerate() {
            columns.push(self.known.column(index, key.kind, &ids, nulls.clone())?);
        }
        let mut word = 1;
        let mut histogram = 0;
        for measure in &self.table.measures {
            let gather = |word: usize| ids.iter().map(move |id| drained.cells[*id as usize * words + word]);
            let value = |value: u64| match measure.kind {
                MeasureKind::Min => ordered(!value, measure.signed),
                MeasureKind::Max => ordered(value, measure.signed),
                _ => value,
            };
            columns.push(match measure.kind {
                MeasureKind::Count => Arc::new(UInt64Array::from_iter_values(gather(0))),
                MeasureKind::Sum | MeasureKind::Min | MeasureKind::Max => {
                    numbers(measure.signed, gather(word).map(value), None)
                }
                MeasureKind::Avg => self.structure(
                    measure,
                    vec![
                        Arc::new(UInt64Array::from_iter_values(gather(0))),
                        numbers(measure.signed, gather(word), None),
                    ],
                )?,
                MeasureKind::Hist => {
                    let buckets = self.known.histogram(histogram, measure.signed, &ids, &drained.buckets)?;
                    self.structure(
                        measure,
                        vec![
                            Arc::new(UInt64Array::from_iter_values(gather(0))),
                            numbers(measure.signed, gather(word), None),
                            buckets,
                        ],
                    )?
                }
            });
            match measure.kind {
                MeasureKind::Count => {}
                MeasureKind::Hist => {
                    word += 2;
                    histogram += 1;
                }
                _ => word += 1,
            }
        }
        RecordBatch::try_new(self.schema.clone(), columns).map_err(arrow)
    }

    fn structure(&self, measure: &MeasureColumn, children: Vec<ArrayRef>) -> Result<ArrayRef> {
        let field = self.schema.field_with_name(&measure.name).map_err(arrow)?;
        let DataType::Struct(fields) = field.data_type() else {
            return Err(Error::new(Kind::Software, format!("{} is no structure", measure.name)));
        };
        Ok(Arc::new(StructArray::try_new(fields.clone(), children, None).map_err(arrow)?))
    }

    /// Decodes the keys of rows that are seen for the first time.
    fn learn_rows(&mut self, ids: &[u32], key_words: usize, keys: &[AtomicU64]) {
        let known = &mut self.known;
        let Some(last) = ids.last() else { return };
        if known.rows.len() <= *last as usize {
            known.rows.resize(*last as usize + 1, false);
            for column in &mut known.keys {
                column.resize(*last as usize + 1, 0);
            }
        }
        for id in ids.iter().map(|id| *id as usize) {
            if std::mem::replace(&mut known.rows[id], true) {
                continue;
            }
            let mut words = keys[id * key_words..][..key_words].iter().map(|word| word.load(Relaxed));
            let mut next = || words.next().unwrap_or_default();
            for ((key, column), texts) in self.table.keys.iter().zip(&mut known.keys).zip(&mut known.texts) {
                column[id] = match key.kind {
                    KeyKind::Unsigned | KeyKind::Signed => next(),
                    KeyKind::Text => texts.code([next(), next()]).into(),
                };
            }
        }
    }

    fn learn_buckets(&mut self, counts: &[u64], bucket_keys: &[AtomicU64]) {
        let known = &mut self.known;
        known.buckets.resize(known.buckets.len().max(counts.len()), false);
        let before = known.order.len();
        for (id, _) in counts.iter().enumerate().filter(|(_, count)| **count != 0) {
            if !std::mem::replace(&mut known.buckets[id], true) {
                let (row, histogram, bucket) = unpack_bucket_key(bucket_keys[id].load(Relaxed));
                known.order.push(Bucket::new(row, histogram, bucket, id as u32));
            }
        }
        if known.order.len() > before {
            // The stable sort merges runs: what was sorted before costs one pass.
            known.order.sort();
        }
    }
}

impl Known {
    fn column(
        &mut self,
        index: usize,
        kind: KeyKind,
        ids: &[u32],
        nulls: Option<NullBuffer>,
    ) -> Result<ArrayRef> {
        let column = &self.keys[index];
        let values = ids.iter().map(|id| if *id == 0 { 0 } else { column[*id as usize] });
        Ok(match kind {
            KeyKind::Unsigned => numbers(false, values, nulls),
            KeyKind::Signed => numbers(true, values, nulls),
            KeyKind::Text => {
                let codes = ScalarBuffer::from_iter(values.map(|code| code as u32));
                let texts = self.texts[index].array();
                let codes = UInt32Array::try_new(codes, nulls).map_err(arrow)?;
                Arc::new(DictionaryArray::<UInt32Type>::try_new(codes, texts).map_err(arrow)?)
            }
        })
    }

    /// The buckets of one histogram column, a list for each of `ids`.
    fn histogram(&self, histogram: u32, signed: bool, ids: &[u32], counts: &[u64]) -> Result<ArrayRef> {
        let start = self.order.partition_point(|bucket| bucket.histogram < histogram);
        let end = self.order.partition_point(|bucket| bucket.histogram <= histogram);
        let ordered = &self.order[start..end];
        let (mut lows, mut highs, mut filled) = (Vec::new(), Vec::new(), Vec::new());
        let mut offsets = vec![0];
        let mut rest = ordered;
        for id in ids {
            // Ids ascend, but for the overflow row, which is the last here and the first there.
            if *id == 0 {
                rest = ordered;
            }
            let skip = rest.iter().take_while(|bucket| bucket.row < *id).count();
            let take = rest[skip..].iter().take_while(|bucket| bucket.row == *id).count();
            for bucket in &rest[skip..skip + take] {
                let count = counts.get(bucket.id as usize).copied().unwrap_or_default();
                if count != 0 {
                    let (low, high) = bucket.bounds(signed);
                    lows.push(low);
                    highs.push(high);
                    filled.push(count);
                }
            }
            rest = &rest[skip + take..];
            offsets.push(filled.len() as i32);
        }
        let DataType::Struct(fields) = crate::snapshot::bucket_type(signed) else {
            return Err(Error::new(Kind::Software, "a bucket is no structure"));
        };
        let nulls = NullBuffer::from_iter(highs.iter().map(Option::is_some));
        let entries = StructArray::try_new(
            fields,
            vec![
                numbers(signed, lows.into_iter(), None),
                numbers(signed, highs.into_iter().map(Option::unwrap_or_default), Some(nulls)),
                Arc::new(UInt64Array::from(filled)),
            ],
            None,
        )
        .map_err(arrow)?;
        let field = Arc::new(arrow::datatypes::Field::new("item", entries_type(&entries), false));
        let offsets = OffsetBuffer::new(offsets.into());
        Ok(Arc::new(ListArray::try_new(field, offsets, Arc::new(entries), None).map_err(arrow)?))
    }
}

fn entries_type(entries: &StructArray) -> DataType {
    DataType::Struct(entries.fields().clone())
}

impl Texts {
    /// The code of the text in sixteen bytes up to the first NUL.
    fn code(&mut self, words: [u64; 2]) -> u32 {
        if let Some(code) = self.codes.get(&words) {
            return *code;
        }
        let [first, second] = words.map(u64::to_le_bytes);
        let bytes = [first, second].concat();
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        let code = self.values.len() as u32;
        self.values.push(escape(&bytes[..end]).into_owned());
        self.codes.insert(words, code);
        self.array = None;
        code
    }

    fn array(&mut self) -> Arc<StringArray> {
        // A null's code is 0 and must stand for something.
        if self.values.is_empty() {
            return Arc::new(StringArray::from(vec![""]));
        }
        let values = &self.values;
        self.array.get_or_insert_with(|| Arc::new(StringArray::from_iter_values(values))).clone()
    }
}

/// A column of numbers, whose bits are those of a u64.
fn numbers(signed: bool, values: impl Iterator<Item = u64>, nulls: Option<NullBuffer>) -> ArrayRef {
    if signed {
        let values = ScalarBuffer::from_iter(values.map(u64::cast_signed));
        Arc::new(Int64Array::new(values, nulls))
    } else {
        Arc::new(PrimitiveArray::<arrow::datatypes::UInt64Type>::new(ScalarBuffer::from_iter(values), nulls))
    }
}

fn arrow(error: arrow::error::ArrowError) -> Error {
    Error::new(Kind::Software, format!("a snapshot could not be built: {error}"))
}
