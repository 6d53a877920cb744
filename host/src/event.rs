//! What a run puts out, in the order in which it happens. Sinks print events; nothing else writes to
//! standard output.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow::datatypes::SchemaRef;
use serde::{Deserialize, Serialize, Serializer};

use crate::snapshot::{Coverage, Snapshot};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Severity {
    Debug,
    Info,
    Warning,
    Critical,
}

impl Severity {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// A name and a value, as metrics and reports carry them. Both are a plugin's and are escaped when printed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Label {
    pub name: String,
    pub value: String,
}

/// A metric's value. The host keeps a counter's total.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum MetricValue {
    Counter {
        delta: f64,
        total: f64,
    },
    Gauge(f64),
    /// Buckets as `[low, high)` with their counts; no `high` in the last there can be.
    Histogram {
        count: u64,
        sum: f64,
        buckets: Vec<(f64, Option<f64>, u64)>,
    },
}

/// What one call of a plugin put out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Output {
    Metric {
        name: String,
        labels: Vec<Label>,
        value: MetricValue,
    },
    Report {
        level: Severity,
        code: String,
        title: String,
        fields: Vec<Label>,
    },
    /// A finished artefact of this interval.
    Artefact {
        name: String,
        media_type: String,
        bytes: Vec<u8>,
    },
    Log {
        level: Severity,
        message: String,
    },
    /// The plugin lost this turn: a documented reason code (`deadline`, `memory`, `trap`, …) and what is known.
    Fault {
        reason: String,
        message: String,
    },
}

/// The totals with which a run ends: of the coverage of all its snapshots, and of its plugins' calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Totals {
    pub intervals: u64,
    /// From the first interval's beginning to the last one's end.
    #[serde(rename = "elapsed_ns", serialize_with = "as_nanoseconds")]
    pub elapsed: Duration,
    pub events: u64,
    pub overflow: u64,
    pub missed: u64,
    /// It was reliable in every snapshot.
    pub missed_reliable: bool,
    pub inexact: u64,
    /// Starts of spans that found no room, so that their ends were not counted.
    pub starts_dropped: u64,
    /// Calls of plugins that ended in a fault.
    pub plugin_faults: u64,
    /// Intervals for which a plugin was not called.
    pub plugin_skipped: u64,
}

impl Default for Totals {
    fn default() -> Self {
        Self {
            intervals: 0,
            elapsed: Duration::ZERO,
            events: 0,
            overflow: 0,
            missed: 0,
            missed_reliable: true,
            inexact: 0,
            starts_dropped: 0,
            plugin_faults: 0,
            plugin_skipped: 0,
        }
    }
}

impl Totals {
    /// Adds one snapshot's coverage. Saturating, because a recording can claim anything.
    pub fn add(&mut self, coverage: &Coverage) {
        let add = |total: &mut u64, part: u64| *total = total.saturating_add(part);
        add(&mut self.events, coverage.events);
        add(&mut self.overflow, coverage.overflow);
        add(&mut self.missed, coverage.missed);
        add(&mut self.inexact, coverage.inexact);
        add(&mut self.starts_dropped, coverage.spans.map_or(0, |spans| spans.starts_dropped));
        self.missed_reliable &= coverage.missed_reliable;
    }
}

/// A duration as all formats but the terminal's have it.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn as_nanoseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(nanoseconds(*duration))
}

/// Why a table counts nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    /// It cost more than its budget.
    Budget,
    /// It could not go on: the kernel had no memory, or no descriptor was left.
    Failed,
}

#[derive(Debug)]
pub enum Event<'a> {
    /// Every probe is attached.
    Start {
        at: SystemTime,
        /// Name and schema of each, in their order.
        tables: &'a [(Arc<str>, SchemaRef)],
    },
    Snapshot(&'a Snapshot),
    /// A table counts nothing after this interval.
    Detached {
        table: &'a str,
        interval: u64,
        why: Why,
        message: &'a str,
    },
    Plugin {
        plugin: &'a str,
        interval: u64,
        output: &'a Output,
    },
    End {
        at: SystemTime,
        totals: &'a Totals,
    },
}
