//! What a run puts out, in the order in which it happens. Sinks print events; nothing else writes to
//! standard output.

use std::time::{Duration, SystemTime};

use crate::snapshot::Snapshot;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    pub name: String,
    pub value: String,
}

/// A metric's value. The host keeps a counter's total.
#[derive(Clone, Debug, PartialEq)]
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
#[derive(Clone, Debug, PartialEq)]
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

/// The totals with which a run ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub intervals: u64,
    pub events: u64,
    pub overflow: u64,
    pub missed: u64,
    pub missed_reliable: bool,
    /// Calls of plugins that ended in a fault or were skipped.
    pub plugin_faults: u64,
    pub plugin_skipped: u64,
    pub elapsed: Duration,
}

#[derive(Debug)]
pub enum Event<'a> {
    /// Every probe is attached.
    Start {
        at: SystemTime,
        tables: &'a [std::sync::Arc<str>],
    },
    Snapshot(&'a Snapshot),
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
