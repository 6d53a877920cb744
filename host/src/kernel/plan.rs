//! From a table to the plan and the sizes of its maps.

use weir_abi::{
    BUCKETS, CLAUSES, Clause, DIRECT_ROWS, KEY_WORDS, MEASURES, Measure, Plan, SAVED, Source, measure,
};

use crate::error::{Error, Kind, Result};
use crate::table::{KeyKind, MeasureKind, TableSpec};

/// Bytes that the cells of one table may take, both banks and all shards together, and those of its buckets
/// again. Beyond it CPUs share shards, which costs speed and never exactness: all additions are atomic.
const CELL_BUDGET: usize = 64 << 20;

/// Buckets that there is room for, for each row that there is room for. A row of latencies spreads over about
/// so many powers of two; what finds no room is counted as unplaced.
const BUCKETS_PER_ROW: u32 = 8;

/// How a word of a cell is merged over shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Law {
    Add,
    Max,
}

/// The sizes of a table's maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// How many keys an interval can have without overflow.
    pub(super) keys: u32,
    pub(super) key_words: usize,
    pub(super) capacity_shift: u32,
    pub(super) shards_shift: u32,
    pub(super) bucket_shift: u32,
    pub(super) histograms: u32,
    /// The law of each word of a cell; word 0 counts its events.
    pub(super) laws: Vec<Law>,
}

impl Layout {
    pub(super) fn capacity(&self) -> usize {
        1 << self.capacity_shift
    }

    pub(super) fn bucket_capacity(&self) -> usize {
        if self.histograms == 0 { 1 } else { 1 << self.bucket_shift }
    }

    pub(super) fn shards(&self) -> usize {
        1 << self.shards_shift
    }

    pub(super) fn cell_words(&self) -> usize {
        self.laws.len()
    }

    /// The first bucket id that is not of a direct row.
    pub(super) fn direct_buckets(&self) -> u32 {
        DIRECT_ROWS * self.histograms * BUCKETS
    }

    /// The bytes of one bank's cells, over all shards.
    fn bank_bytes(&self) -> usize {
        self.shards() * self.capacity() * self.cell_words() * 8
    }

    fn bucket_bank_bytes(&self) -> usize {
        self.shards() * self.bucket_capacity() * 8
    }
}

/// Specialises the kernel side for a table on a machine with `cpus` possible CPUs.
pub(super) fn plan(spec: &TableSpec, cpus: u32, hold: u32) -> Result<(Plan, Layout)> {
    let too_many = |what: &str| Error::new(Kind::Config, format!("table {} has too many {what}", spec.name));
    let mut plan = Plan::EMPTY;
    let mut laws = vec![Law::Add];

    fill(&mut plan.keys, spec.keys.iter().map(|key| key.source)).ok_or_else(|| too_many("keys"))?;
    fill(&mut plan.clauses, spec.clauses.iter().copied()).ok_or_else(|| too_many("conditions"))?;
    fill(&mut plan.saved, spec.saved.iter().copied()).ok_or_else(|| too_many("saved fields"))?;
    let key_words = key_words(spec);
    if key_words > KEY_WORDS {
        return Err(too_many("keys"));
    }

    let mut slots = plan.measures.iter_mut();
    for column in &spec.measures {
        let (kind, law) = match column.kind {
            MeasureKind::Count => continue,
            MeasureKind::Sum | MeasureKind::Avg => (measure::SUM, Law::Add),
            MeasureKind::Min => (measure::MIN, Law::Max),
            MeasureKind::Max => (measure::MAX, Law::Max),
            MeasureKind::Hist => (measure::HIST, Law::Add),
        };
        let slot = slots.next().ok_or_else(|| too_many("measures"))?;
        *slot = Measure {
            source: column.source,
            kind,
            signed: column.signed.into(),
            word: laws.len() as u32,
            histogram: plan.histograms,
        };
        laws.push(law);
        if column.kind == MeasureKind::Hist {
            laws.push(Law::Add);
            plan.histograms += 1;
        }
    }

    let mut layout = Layout {
        keys: spec.rows,
        key_words,
        capacity_shift: capacity_shift(spec.rows, cpus)?,
        shards_shift: ceil_shift(cpus),
        bucket_shift: 0,
        histograms: plan.histograms,
        laws,
    };
    if spec.keys.is_empty() {
        layout.capacity_shift = ceil_shift(DIRECT_ROWS);
    }
    if layout.histograms > 0 {
        // A table without a key has no rows but the direct ones.
        let wanted = if spec.keys.is_empty() { 0 } else { BUCKETS_PER_ROW << layout.capacity_shift };
        layout.bucket_shift = ceil_shift(layout.direct_buckets() + wanted * layout.histograms);
    }
    while layout.shards_shift > 0
        && (2 * layout.bank_bytes() > CELL_BUDGET || 2 * layout.bucket_bank_bytes() > CELL_BUDGET)
    {
        layout.shards_shift -= 1;
    }

    plan.key_words = key_words as u32;
    plan.capacity_shift = layout.capacity_shift;
    plan.shards_shift = layout.shards_shift;
    plan.shard_mask = (1 << layout.shards_shift) - 1;
    plan.bucket_shift = layout.bucket_shift;
    plan.span = spec.from.is_some().into();
    plan.skip_selves = (!spec.include_self).into();
    plan.hold = hold;
    Ok((plan, layout))
}

/// Twice the keys, and one more for each CPU that loses a race and parks its id: an interval that begins with
/// at most `rows` ids in use has room for `rows` others.
fn capacity_shift(rows: u32, cpus: u32) -> Result<u32> {
    rows.checked_mul(2)
        .and_then(|rows| rows.checked_add(cpus + 1))
        .filter(|ids| *ids <= 1 << 24)
        .map(ceil_shift)
        .ok_or_else(|| {
            Error::new(Kind::Config, format!("a table cannot have {rows} keys; 8000000 is the most"))
        })
}

fn ceil_shift(number: u32) -> u32 {
    number.max(1).next_power_of_two().trailing_zeros()
}

fn key_words(spec: &TableSpec) -> usize {
    spec.keys.iter().map(|key| if key.kind == KeyKind::Text { 2 } else { 1 }).sum()
}

/// Copies the values to the front of the slots. `None` if there are too many.
fn fill<T>(slots: &mut [T], values: impl Iterator<Item = T>) -> Option<()> {
    let mut slots = slots.iter_mut();
    for value in values {
        *slots.next()? = value;
    }
    Some(())
}

// The plan is as wide as the program that reads it.
const _: () = assert!(KEY_WORDS == 8 && CLAUSES == 8 && MEASURES == 8 && SAVED == 4);
const _: () = assert!(size_of::<Source>() == 16 && size_of::<Clause>() == 32);
