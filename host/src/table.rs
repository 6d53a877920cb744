//! A table as it was asked for, with every name resolved: what to attach to, what to key on, filter by and
//! measure. The kernel side and the snapshot's schema are both made from it.

use weir_abi::{Clause, Source};

/// A point in the kernel to which a program can be attached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Attach {
    /// `tracepoint:category:name`, through perf events.
    Tracepoint { category: String, name: String },
    /// `rawtracepoint:name`.
    RawTracepoint { name: String },
    /// `tp_btf:name`, a raw tracepoint whose arguments are typed by BTF.
    BtfTracepoint { name: String },
}

impl std::fmt::Display for Attach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tracepoint { category, name } => write!(f, "tracepoint:{category}:{name}"),
            Self::RawTracepoint { name } => write!(f, "rawtracepoint:{name}"),
            Self::BtfTracepoint { name } => write!(f, "tp_btf:{name}"),
        }
    }
}

/// What a key column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    Unsigned,
    Signed,
    /// Sixteen bytes up to the first NUL, as `comm` has them. Takes two key words.
    Text,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyColumn {
    pub name: String,
    pub kind: KeyKind,
    pub source: Source,
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
    Hist,
}

impl MeasureKind {
    pub const ALL: [Self; 6] = [Self::Count, Self::Sum, Self::Min, Self::Max, Self::Avg, Self::Hist];

    /// The measure's name, as it is written in a configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Min => "min",
            Self::Max => "max",
            Self::Avg => "avg",
            Self::Hist => "hist",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeasureColumn {
    pub name: String,
    pub kind: MeasureKind,
    /// What is measured is a signed number.
    pub signed: bool,
    /// What is measured; not used by `count`.
    pub source: Source,
    /// The unit of what is measured, such as "ns"; "" where it is not known.
    pub unit: String,
}

/// A table with every name resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSpec {
    pub name: String,
    /// `on`, or the end of a span.
    pub attach: Attach,
    /// The start of a span.
    pub from: Option<Attach>,
    pub keys: Vec<KeyColumn>,
    pub measures: Vec<MeasureColumn>,
    pub clauses: Vec<Clause>,
    /// What the span's start saves, in the order in which `Source::a` of a saved source counts them.
    pub saved: Vec<Source>,
    /// How many rows an interval can have before keys overflow.
    pub rows: u32,
    /// Count Weir's own processes too.
    pub include_self: bool,
}
