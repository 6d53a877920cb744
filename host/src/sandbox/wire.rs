//! What the host and its sandboxes say to each other. Down: orders, which are trusted. Up: what a process that
//! ran foreign code claims, which is checked by whoever reads it.

use serde::{Deserialize, Serialize};

/// The host to a sandbox.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// There is a plugin more, whose compiled code comes along as a descriptor. `configure` is called once in its life,
    /// and not again in a process that replaces another.
    Load { plugin: u32, tables: Vec<GrantedTable>, order: PluginOrder, configure: bool },
    /// It is gone.
    Unload { plugin: u32 },
    /// Call these plugins, in this order, with the snapshots in this slot.
    Analyze { interval: IntervalOrder, slot: u32, tables: Vec<TableOrder>, plugins: Vec<CallOrder> },
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct GrantedTable {
    /// By what orders name it.
    pub(super) table: u32,
    pub(super) name: String,
    /// An Arrow stream without rows, for the table's columns.
    pub(super) empty: Vec<u8>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PluginOrder {
    pub(super) options: Vec<(String, OptionOrder)>,
    pub(super) memory: u64,
    pub(super) deadline_ns: u64,
    /// How much of the plugin's descriptor is compiled code.
    pub(super) code_bytes: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum OptionOrder {
    Text(String),
    Integer(i64),
    Number(f64),
    Flag(bool),
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct IntervalOrder {
    pub(super) number: u64,
    pub(super) began_seconds: u64,
    pub(super) began_nanoseconds: u32,
    pub(super) length_ns: u64,
    pub(super) last: bool,
}

/// Where in the slot a table's Arrow stream is, and how complete it is.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct TableOrder {
    pub(super) table: u32,
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) events: u64,
    pub(super) overflow: u64,
    /// None: not known.
    pub(super) missed: Option<u64>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct CallOrder {
    pub(super) plugin: u32,
    /// Intervals that the plugin was not called for since its last call.
    pub(super) skipped: u32,
}

/// A sandbox to the host.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Claim {
    /// The process could not give up its privileges.
    Unfit(String),
    /// It has, and takes orders.
    Up,
    /// The plugin is loaded, and configured if that was asked for; or is not, and will not be called.
    Loaded { plugin: u32, end: End, outputs: Vec<Put>, used: Used },
    /// The plugin's call for this interval has ended; it uses the slot no more.
    Answered { plugin: u32, interval: u64, end: End, outputs: Vec<Put>, used: Used },
}

/// What a call of a plugin used, as far as its process tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// Processor time of its thread.
    pub processor_ns: u64,
    /// Bytes of linear memory at most.
    pub memory: u64,
    /// Outputs that were refused, and log lines that were dropped.
    pub suppressed: u64,
}

/// How a call ended.
pub(super) type End = Result<(), Fault>;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Fault {
    pub(super) reason: Reason,
    pub(super) message: String,
}

/// Why a plugin lost its turn. The names are documented, and only ever added to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Reason {
    /// It used its processor time.
    Deadline,
    /// It was not done after a multiple of its deadline by the clock.
    Stalled,
    Memory,
    Stack,
    Trap,
    /// It put out, or handed over, more than is kept.
    Output,
    HostCalls,
    /// It said itself that it failed.
    Failed,
    /// Its process had to be ended. Said by the host only.
    Killed,
    /// It was not called. Said by the host only.
    Skipped,
}

impl Reason {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::Stalled => "stalled",
            Self::Memory => "memory",
            Self::Stack => "stack",
            Self::Trap => "trap",
            Self::Output => "output",
            Self::HostCalls => "host-calls",
            Self::Failed => "failed",
            Self::Killed => "killed",
            Self::Skipped => "skipped",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Level {
    Debug,
    Info,
    Warning,
    Critical,
}

/// One thing that a plugin put out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Put {
    Add {
        metric: String,
        labels: Vec<(String, String)>,
        delta: f64,
    },
    Gauge {
        metric: String,
        labels: Vec<(String, String)>,
        value: f64,
    },
    Histogram {
        metric: String,
        labels: Vec<(String, String)>,
        count: u64,
        sum: f64,
        buckets: Vec<(f64, Option<f64>, u64)>,
    },
    Report {
        level: Level,
        code: String,
        title: String,
        fields: Vec<(String, String)>,
    },
    Artefact {
        name: String,
        media_type: String,
        bytes: Vec<u8>,
    },
    Log {
        level: Level,
        message: String,
    },
}

/// A compiler to the host.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Compiled {
    Unfit(String),
    /// The compiled code is in the first bytes of the output.
    Code {
        bytes: u64,
    },
    Refused {
        message: String,
        help: String,
    },
}
