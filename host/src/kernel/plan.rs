//! From a table to the plan and the sizes of its maps.

use weir_abi::{
    DIRECT_ROWS, KEY_WORDS, MEASURES, Measure, Plan, SAVED, STACK_WORDS, linear_buckets, log_buckets, measure,
};

use crate::error::{Error, Kind, Result};
use crate::table::{
    Builtin, Condition, KeyKind, KeyValue, MeasureColumn, MeasureKind, Probe, TableSpec, Value,
};

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

impl Law {
    pub(super) fn merge(self, a: u64, b: u64) -> u64 {
        match self {
            Self::Add => a.wrapping_add(b),
            Self::Max => a.max(b),
        }
    }
}

/// Where a measure's words are in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Words {
    /// The first of its own.
    pub(super) word: usize,
    /// The one that counts its events.
    pub(super) counted: usize,
    /// Which of the table's histograms it is.
    pub(super) histogram: u32,
    pub(super) first_bucket: u32,
    pub(super) buckets: u32,
}

/// The sizes of a table's maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// How many keys an interval can have without overflow.
    pub(super) keys: u32,
    pub(super) key_words: usize,
    /// The key word of nulls.
    pub(super) null_word: Option<usize>,
    pub(super) capacity_shift: u32,
    pub(super) shards_shift: u32,
    pub(super) bucket_shift: u32,
    pub(super) histograms: u32,
    /// Buckets of one row whose buckets have places from the start.
    pub(super) direct_buckets: u32,
    /// Stacks of one row.
    pub(super) stacks: usize,
    /// The law of each word of a cell; word 0 counts its events.
    pub(super) laws: Vec<Law>,
    /// Of each measure.
    pub(super) measures: Vec<Words>,
}

impl Layout {
    pub(super) fn capacity(&self) -> usize {
        1 << self.capacity_shift
    }

    /// Buckets that have a map of their own: those of tables with keys.
    pub(super) fn bucket_capacity(&self) -> usize {
        if self.buckets_in_cells() || self.histograms == 0 { 1 } else { 1 << self.bucket_shift }
    }

    /// A table without a key has one row, whose buckets are words of its cell.
    pub(super) fn buckets_in_cells(&self) -> bool {
        self.key_words == 0
    }

    pub(super) fn shards(&self) -> usize {
        1 << self.shards_shift
    }

    pub(super) fn cell_words(&self) -> usize {
        self.laws.len()
    }

    /// The first bucket id that is not of a direct row.
    pub(super) fn first_bucket(&self) -> u32 {
        DIRECT_ROWS * self.direct_buckets
    }

    /// Words in which the stacks of a row are kept.
    pub(super) fn stack_words(&self) -> usize {
        self.stacks * STACK_WORDS
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
    let mut layout = Layout {
        keys: spec.rows,
        key_words: spec.column_words(),
        null_word: None,
        capacity_shift: capacity_shift(spec.rows, cpus)?,
        shards_shift: ceil_shift(cpus),
        bucket_shift: 0,
        histograms: 0,
        direct_buckets: 0,
        stacks: 0,
        laws: vec![Law::Add],
        measures: Vec::new(),
    };
    if spec.keys.is_empty() {
        layout.capacity_shift = ceil_shift(DIRECT_ROWS);
    }
    if spec.has_nulls() {
        layout.null_word = Some(layout.key_words);
        layout.key_words += 1;
    }
    if layout.key_words > KEY_WORDS {
        return Err(too_many("keys"));
    }
    stacks(&mut plan, &mut layout, spec);
    measures(&mut plan, &mut layout, &spec.measures).ok_or_else(|| too_many("measures"))?;
    if layout.histograms > 0 && !layout.buckets_in_cells() {
        let wanted = (BUCKETS_PER_ROW << layout.capacity_shift) * layout.histograms;
        layout.bucket_shift = ceil_shift(layout.first_bucket() + wanted);
    }
    while layout.shards_shift > 0
        && (2 * layout.bank_bytes() > CELL_BUDGET || 2 * layout.bucket_bank_bytes() > CELL_BUDGET)
    {
        layout.shards_shift -= 1;
    }
    if spec.saved as usize > SAVED {
        return Err(too_many("saved values"));
    }

    let paired = spec.starts.iter().any(|start| start.pair.is_some());
    plan.key_words = layout.key_words as u32;
    plan.capacity_shift = layout.capacity_shift;
    plan.shards_shift = layout.shards_shift;
    plan.shard_mask = (1 << layout.shards_shift) - 1;
    plan.bucket_shift = layout.bucket_shift;
    plan.direct_buckets = layout.direct_buckets;
    plan.span = spec.is_span().into();
    plan.paired = paired.into();
    plan.saved = spec.saved;
    plan.skip_selves = (!spec.include_self).into();
    let threads = spec.probes.iter().chain(&spec.starts).any(names_thread);
    plan.thread = (!spec.include_self || threads || (spec.is_span() && !paired)).into();
    plan.hold = hold;
    plan.null_word = layout.null_word.map_or(0, |word| word as u32 + 1);
    Ok((plan, layout))
}

fn stacks(plan: &mut Plan, layout: &mut Layout, spec: &TableSpec) {
    let mut word = 0;
    for (number, key) in spec.keys.iter().enumerate() {
        let (place, bit) = match key.kind {
            KeyKind::KernelStack => (&mut plan.kernel_stack, &mut plan.null_bits[0]),
            KeyKind::UserStack => (&mut plan.user_stack, &mut plan.null_bits[1]),
            _ => {
                word += key.kind.words() as u32;
                continue;
            }
        };
        word += 1;
        *place = word;
        *bit = 1 << number;
        layout.stacks += 1;
    }
}

/// Gives each measure its words. Nothing if there are too many.
fn measures(plan: &mut Plan, layout: &mut Layout, columns: &[MeasureColumn]) -> Option<()> {
    let mut slots = plan.measures.iter_mut();
    for column in columns {
        let laws = &mut layout.laws;
        let mut words = Words {
            word: 0,
            counted: 0,
            histogram: layout.histograms,
            first_bucket: layout.direct_buckets,
            buckets: 0,
        };
        if column.kind == MeasureKind::Count && !column.conditional {
            layout.measures.push(words);
            continue;
        }
        if column.conditional {
            words.counted = laws.len();
            laws.push(Law::Add);
        }
        words.word = laws.len();
        let mut measure = Measure { signed: column.signed.into(), ..Measure::NONE };
        measure.kind = match column.kind {
            MeasureKind::Count => measure::COUNT,
            MeasureKind::Sum | MeasureKind::Avg => {
                laws.push(Law::Add);
                measure::SUM
            }
            MeasureKind::Min => {
                laws.push(Law::Max);
                measure::MIN
            }
            MeasureKind::Max => {
                laws.push(Law::Max);
                measure::MAX
            }
            MeasureKind::Stats => {
                laws.extend([Law::Add, Law::Max, Law::Max]);
                measure::STATS
            }
            MeasureKind::Hist(resolution) => {
                measure.resolution = resolution;
                words.buckets = log_buckets(resolution);
                measure::HIST
            }
            MeasureKind::Lhist { low, high, step } => {
                (measure.low, measure.high, measure.step) = (low, high, step);
                words.buckets = linear_buckets(low, high, step);
                measure::HIST
            }
        };
        if words.buckets > 0 {
            laws.extend([Law::Add, Law::Add]);
            if layout.key_words == 0 {
                laws.extend(std::iter::repeat_n(Law::Add, words.buckets as usize));
            }
            layout.histograms += 1;
            layout.direct_buckets += words.buckets;
        }
        measure.word = words.word as u32;
        measure.counted = words.counted as u32;
        measure.histogram = words.histogram;
        measure.first_bucket = words.first_bucket;
        measure.buckets = words.buckets;
        *slots.next()? = measure;
        plan.measure_count += 1;
        layout.measures.push(words);
    }
    Some(())
}

/// Whether an expression names the thread.
fn names_thread(probe: &Probe) -> bool {
    let is = &mut |value: &Value| matches!(value, Value::Builtin(Builtin::Pid | Builtin::Tid));
    let mut conditions =
        probe.filter.iter().chain(probe.measures.iter().filter_map(|m| m.condition.as_ref()));
    let mut values =
        probe.measures.iter().filter_map(|m| m.value.as_ref()).chain(&probe.saved).chain(&probe.pair);
    conditions.any(|condition: &Condition| condition.any(is))
        || values.any(|value| value.any(is))
        || probe.keys.iter().any(|key| match key {
            KeyValue::Number(value) => value.any(is),
            KeyValue::Text(text) => text.any(is),
            KeyValue::Stack => false,
        })
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

// The plan is as wide as the program that reads it.
const _: () = assert!(KEY_WORDS == 16 && MEASURES == 8 && SAVED == 4);
