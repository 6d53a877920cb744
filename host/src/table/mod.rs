//! A table as it was asked for, with every name resolved: what to attach to, what to key on, filter by and
//! measure. The kernel side and the snapshot's schema are both made from it.

mod attach;
mod program;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use attach::{Attach, PerfEvent, Period};
pub use program::Program;
pub use value::{
    Access, Arithmetic, Builtin, Comparison, Condition, Load, Memory, Text, TextComparison, Value,
};

/// What a key column holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyKind {
    Unsigned,
    Signed,
    /// Text of at most so many bytes, up to the first NUL. Takes a key word for each eight of them.
    Text(u32),
    /// A number that is shown by its name, where it has one.
    Named(Arc<BTreeMap<u64, String>>),
    /// The kernel's stack, as text: function names from the outermost to the innermost, joined by semicolons.
    KernelStack,
    /// The stack of the process, likewise.
    UserStack,
    /// A control group's id, shown as its path.
    CgroupPath,
    /// A control group's id, shown as the id of the container that its path names; empty if it names none.
    Container,
}

impl KeyKind {
    /// Key words that it takes.
    #[must_use]
    pub fn words(&self) -> usize {
        match self {
            Self::Text(bytes) => bytes.div_ceil(8) as usize,
            _ => 1,
        }
    }

    /// What a snapshot holds is text.
    #[must_use]
    pub fn is_text(&self) -> bool {
        !matches!(self, Self::Unsigned | Self::Signed)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyColumn {
    pub name: String,
    pub kind: KeyKind,
    /// "" where there is none.
    pub unit: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeasureKind {
    Count,
    Sum,
    Min,
    Max,
    Avg,
    Stats,
    /// By powers of two, each divided into two to this number.
    Hist(u32),
    /// By steps of equal length from `low` to `high`.
    Lhist {
        low: i64,
        high: i64,
        step: u64,
    },
}

impl MeasureKind {
    /// The measure's name, as it is written in a configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Min => "min",
            Self::Max => "max",
            Self::Avg => "avg",
            Self::Stats => "stats",
            Self::Hist(_) => "hist",
            Self::Lhist { .. } => "lhist",
        }
    }

    /// The kind of this name, with whatever numbers.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let linear = Self::Lhist { low: 0, high: 1, step: 1 };
        let kinds =
            [Self::Count, Self::Sum, Self::Min, Self::Max, Self::Avg, Self::Stats, Self::Hist(0), linear];
        kinds.into_iter().find(|kind| kind.name() == name)
    }

    #[must_use]
    pub fn is_histogram(self) -> bool {
        matches!(self, Self::Hist(_) | Self::Lhist { .. })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeasureColumn {
    pub name: String,
    pub kind: MeasureKind,
    /// What is measured is a signed number.
    pub signed: bool,
    /// Not every event has a value: there is a condition, or reading it can fail.
    pub conditional: bool,
    /// The unit of what is measured, such as "ns"; "" where it is not known.
    pub unit: String,
}

/// What a program puts into a key column.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeyValue {
    Number(Value),
    /// Cut to the column's size.
    Text(Text),
    /// Taken by the kernel side itself.
    Stack,
}

/// What a program measures.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MeasureValue {
    pub condition: Option<Condition>,
    /// Nothing for `count`.
    pub value: Option<Value>,
}

/// One probe of a table, with the table's expressions as they are there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Probe {
    pub attach: Attach,
    pub filter: Option<Condition>,
    /// For each key column; none where a span starts.
    pub keys: Vec<KeyValue>,
    /// For each measure column; none where a span starts.
    pub measures: Vec<MeasureValue>,
    /// What the start of a span saves.
    pub saved: Vec<Value>,
    /// By what the starts and ends of spans are paired; by thread if by nothing.
    pub pair: Option<Value>,
}

/// A table with every name resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSpec {
    pub name: String,
    /// What is counted: `on`, or the ends of spans.
    pub probes: Vec<Probe>,
    /// The starts of spans.
    pub starts: Vec<Probe>,
    pub keys: Vec<KeyColumn>,
    pub measures: Vec<MeasureColumn>,
    /// How many values the start of a span saves.
    pub saved: u32,
    /// What its expressions name, as it is written: `comm`, `args.ret`. What more there is `probe::used` says.
    pub names: BTreeSet<String>,
    /// How many rows an interval can have before keys overflow.
    pub rows: u32,
    /// Count Weir's own processes too.
    pub include_self: bool,
    /// What its programs may take of one CPU, in millionths.
    pub budget: Option<u32>,
    /// Its filters begin with a tenant's scope: what its programs take for others' events is not charged to it.
    pub scoped: bool,
}

impl TableSpec {
    /// It measures from one probe to another.
    #[must_use]
    pub fn is_span(&self) -> bool {
        !self.starts.is_empty()
    }

    /// Key words of which columns are made, without the word of nulls.
    #[must_use]
    pub fn column_words(&self) -> usize {
        self.keys.iter().map(|key| key.kind.words()).sum()
    }

    /// Whether a key can be null: what it is read from may not be there.
    #[must_use]
    pub fn has_nulls(&self) -> bool {
        self.probes.iter().flat_map(|probe| &probe.keys).any(|key| match key {
            KeyValue::Number(value) => value.can_fail(),
            KeyValue::Text(text) => text.can_fail(),
            KeyValue::Stack => true,
        })
    }
}
