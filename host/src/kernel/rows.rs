//! From merged cells to the rows of a snapshot.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use arrow::array::{
    ArrayRef, BooleanArray, Int64Array, PrimitiveArray, RecordBatch, StructArray, UInt64Array,
};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, SchemaRef};
use weir_abi::{DIRECT_ROWS, ordered};

use super::histogram::Buckets;
use super::keys::{Keys, Left, Names};
use super::plan::{Law, Layout, Words};
use crate::error::{Error, Kind, Result};
use crate::snapshot::schema;
use crate::table::{MeasureColumn, MeasureKind, TableSpec};

/// Makes the rows of one table's snapshots.
#[derive(Debug)]
pub(super) struct Rows {
    table: Arc<TableSpec>,
    schema: SchemaRef,
    keys: Keys,
    buckets: Buckets,
    names: Names,
}

/// What a bank held, and where the keys of its ids stand.
pub(super) struct Drained<'a> {
    pub(super) cells: Vec<u64>,
    pub(super) buckets: Vec<u64>,
    /// Key words by row id.
    pub(super) keys: &'a [AtomicU64],
    /// Stacks by row id.
    pub(super) stacks: &'a [AtomicU64],
    pub(super) bucket_keys: &'a [AtomicU64],
}

impl Rows {
    pub(super) fn new(table: Arc<TableSpec>, layout: &Layout) -> Self {
        Self {
            schema: schema(&table),
            keys: Keys::new(&table.keys),
            buckets: Buckets::new(layout, &table.measures),
            names: Names::default(),
            table,
        }
    }

    /// Forgets a dictionary that is used no more.
    pub(super) fn forget(&mut self, layout: &Layout) {
        self.keys = Keys::new(&self.table.keys);
        self.buckets = Buckets::new(layout, &self.table.measures);
    }

    /// Why names are missing, if something could be done about it.
    pub(super) fn problem(&self) -> Option<&str> {
        self.names.problem()
    }

    /// The rows of an interval, in the order of their ids, the overflow row last. Names that cannot be found out until
    /// then are missing.
    pub(super) fn batch(
        &mut self,
        interval: u64,
        layout: &Layout,
        mut drained: Drained<'_>,
        until: Instant,
    ) -> Result<RecordBatch> {
        let words = layout.cell_words();
        let mut ids = used(&drained.cells, words);
        if !self.table.keys.is_empty() {
            let left = Left { keys: drained.keys, stacks: drained.stacks };
            if self.keys.learn(&ids, layout, &left, &mut self.names, until) {
                self.buckets = Buckets::new(layout, &self.table.measures);
            }
        }
        if layout.buckets_in_cells() {
            drained.buckets = in_cells(layout, &drained.cells);
        }
        self.buckets.learn(&drained.buckets, drained.bucket_keys, &self.keys);
        if self.keys.are_ambiguous() {
            self.join(&ids, &mut drained.cells, &layout.laws);
            ids = used(&drained.cells, words);
        }
        if drained.cells.first().is_some_and(|events| *events != 0) {
            ids.push(0);
        }

        let rows = ids.len();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        columns.push(Arc::new(UInt64Array::from_value(interval, rows)));
        columns.push(Arc::new(BooleanArray::from_iter(ids.iter().map(|id| Some(*id == 0)))));
        for index in 0..self.table.keys.len() {
            columns.push(self.keys.column(index, &ids)?);
        }
        for (measure, words) in self.table.measures.iter().zip(&layout.measures) {
            let cells = Cells { cells: &drained.cells, words: layout.cell_words(), ids: &ids };
            columns.push(self.measure(measure, *words, &cells, &drained.buckets)?);
        }
        RecordBatch::try_new(self.schema.clone(), columns).map_err(arrow)
    }

    /// Adds rows to those before them whose keys look the same.
    fn join(&self, ids: &[u32], cells: &mut [u64], laws: &[Law]) {
        for id in ids {
            let first = self.keys.first(*id);
            if first == *id {
                continue;
            }
            for (word, law) in laws.iter().enumerate() {
                let value = std::mem::take(&mut cells[*id as usize * laws.len() + word]);
                let into = &mut cells[first as usize * laws.len() + word];
                *into = law.merge(*into, value);
            }
        }
    }

    fn measure(
        &self,
        measure: &MeasureColumn,
        words: Words,
        cells: &Cells<'_>,
        buckets: &[u64],
    ) -> Result<ArrayRef> {
        let signed = measure.signed;
        let count = || -> ArrayRef { Arc::new(UInt64Array::from_iter_values(cells.word(words.counted))) };
        let sum = || numbers(signed, cells.word(words.word), None);
        // Without an event that has a value there is no least and no greatest one.
        let nulls =
            || measure.conditional.then(|| NullBuffer::from_iter(cells.word(words.counted).map(|n| n != 0)));
        let min = |word| numbers(signed, cells.word(word).map(|value| ordered(!value, signed)), nulls());
        let max = |word| numbers(signed, cells.word(word).map(|value| ordered(value, signed)), nulls());
        Ok(match measure.kind {
            MeasureKind::Count => count(),
            MeasureKind::Sum => sum(),
            MeasureKind::Min => min(words.word),
            MeasureKind::Max => max(words.word),
            MeasureKind::Avg => self.structure(measure, vec![count(), sum()])?,
            MeasureKind::Stats => {
                self.structure(measure, vec![count(), sum(), min(words.word + 1), max(words.word + 2)])?
            }
            MeasureKind::Hist(_) | MeasureKind::Lhist { .. } => {
                let buckets = self.buckets.column(words.histogram, signed, cells.ids, buckets)?;
                self.structure(measure, vec![count(), sum(), buckets])?
            }
        })
    }

    fn structure(&self, measure: &MeasureColumn, children: Vec<ArrayRef>) -> Result<ArrayRef> {
        let field = self.schema.field_with_name(&measure.name).map_err(arrow)?;
        let DataType::Struct(fields) = field.data_type() else {
            return Err(Error::new(Kind::Software, format!("{} is no structure", measure.name)));
        };
        Ok(Arc::new(StructArray::try_new(fields.clone(), children, None).map_err(arrow)?))
    }
}

/// The cells of some rows.
struct Cells<'a> {
    cells: &'a [u64],
    words: usize,
    ids: &'a [u32],
}

impl Cells<'_> {
    /// One word of each.
    fn word(&self, word: usize) -> impl Iterator<Item = u64> {
        self.ids.iter().map(move |id| self.cells[*id as usize * self.words + word])
    }
}

/// The rows that hold something, but for the overflow row.
fn used(cells: &[u64], words: usize) -> Vec<u32> {
    let rows = (1u32..).zip(cells.chunks_exact(words).skip(1));
    rows.filter(|(_, cell)| cell[0] != 0).map(|(id, _)| id).collect()
}

/// The buckets that are words of cells, by the ids that they would have.
fn in_cells(layout: &Layout, cells: &[u64]) -> Vec<u64> {
    let mut buckets = vec![0; layout.first_bucket() as usize];
    for (row, cell) in cells.chunks_exact(layout.cell_words()).take(DIRECT_ROWS as usize).enumerate() {
        for words in layout.measures.iter().filter(|words| words.buckets > 0) {
            let count = words.buckets as usize;
            let first = row * layout.direct_buckets as usize + words.first_bucket as usize;
            buckets[first..][..count].copy_from_slice(&cell[words.word + 2..][..count]);
        }
    }
    buckets
}

/// A column of numbers, whose bits are those of a u64.
pub(super) fn numbers(
    signed: bool,
    values: impl Iterator<Item = u64>,
    nulls: Option<NullBuffer>,
) -> ArrayRef {
    if signed {
        let values = ScalarBuffer::from_iter(values.map(u64::cast_signed));
        Arc::new(Int64Array::new(values, nulls))
    } else {
        Arc::new(PrimitiveArray::<arrow::datatypes::UInt64Type>::new(ScalarBuffer::from_iter(values), nulls))
    }
}

pub(crate) fn arrow(error: arrow::error::ArrowError) -> Error {
    Error::new(Kind::Software, format!("a snapshot could not be built: {error}"))
}
