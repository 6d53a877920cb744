//! What the daemon tells of itself: accounts of tenants, jobs, tables and plugins.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::times::Times;
use crate::sandbox::Used;
use crate::snapshot::Coverage;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) schema: u32,
    /// Of the daemon, since it started.
    pub(crate) intervals: u64,
    pub(crate) interval_ns: u64,
    pub(crate) control_groups: ControlGroups,
    /// Those that whoever asks may see.
    pub(crate) tenants: Vec<TenantStatus>,
}

/// What bounds a tenant's processes beside their own limits.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ControlGroups {
    /// Those that are used.
    pub(crate) controllers: Vec<String>,
    /// Why not all of them are.
    pub(crate) lacking: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TenantStatus {
    pub(crate) tenant: String,
    /// Requests that were refused.
    pub(crate) refused: u64,
    /// Sandbox processes that had to be replaced.
    pub(crate) replaced: u64,
    /// Of all plugins that it has had, those that are gone too.
    pub(crate) account: PluginAccount,
    /// Processor time that compiling its plugins took.
    pub(crate) compile_ns: u64,
    pub(crate) sandbox: Option<u32>,
    /// Why there is none although there are plugins; it is tried again.
    pub(crate) no_sandbox: Option<String>,
    /// The folder of the control group that its sandbox is in.
    pub(crate) control_group: Option<String>,
    pub(crate) jobs: Vec<JobStatus>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct JobStatus {
    pub(crate) job: String,
    /// It goes on without a client.
    pub(crate) kept: bool,
    /// The time, in RFC 3339, between a daemon's end and its successor's start, in which nothing was counted.
    pub(crate) not_covered: Option<(String, String)>,
    /// Why it is there no more since the daemon was started again. It takes room on the disk until it is stopped.
    pub(crate) not_restored: Option<String>,
    /// What of a new version is more than is granted, by reason code: that waits until the policy grants it.
    pub(crate) waits: Vec<(String, String)>,
    pub(crate) tables: Vec<TableStatus>,
    pub(crate) plugins: Vec<PluginStatus>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TableStatus {
    pub(crate) table: String,
    pub(crate) account: TableAccount,
}

/// Of all intervals so far.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct TableAccount {
    pub(crate) intervals: u64,
    pub(crate) events: u64,
    pub(crate) overflow: u64,
    pub(crate) missed: u64,
    pub(crate) missed_reliable: bool,
    pub(crate) kernel_runs: u64,
    pub(crate) kernel_ns: u64,
    pub(crate) detached: bool,
}

impl TableAccount {
    /// As a tenant with a scope is told: not what others' events made it cost or miss.
    pub(super) fn blurred(&self) -> Self {
        Self { missed: self.missed.min(1), kernel_runs: 0, kernel_ns: 0, ..self.clone() }
    }

    pub(super) fn add(&mut self, coverage: &Coverage) {
        self.missed_reliable = coverage.missed_reliable && (self.missed_reliable || self.intervals == 0);
        self.intervals += 1;
        self.events = self.events.saturating_add(coverage.events);
        self.overflow = self.overflow.saturating_add(coverage.overflow);
        self.missed = self.missed.saturating_add(coverage.missed);
        if let Some(cost) = coverage.kernel {
            self.kernel_runs = self.kernel_runs.saturating_add(cost.runs);
            self.kernel_ns = self.kernel_ns.saturating_add(cost.nanoseconds);
        }
        self.detached = coverage.detached;
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PluginStatus {
    pub(crate) plugin: String,
    /// sha-256 of its component.
    pub(crate) digest: String,
    /// `starting`, `running`, `waiting` after a fault, or `quarantined`.
    pub(crate) state: String,
    /// The last fault: its reason code, and what is known.
    pub(crate) fault: Option<(String, String)>,
    pub(crate) account: PluginAccount,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct PluginAccount {
    pub(crate) calls: u64,
    pub(crate) processor_ns: u64,
    /// Processor time of each call: percentiles, which are exact to 3 %, and the histogram that they are of.
    pub(crate) call_ns: Times,
    /// Bytes of linear memory at most.
    pub(crate) memory_peak: u64,
    /// Calls that were lost, by their reason codes.
    pub(crate) faults: BTreeMap<String, u64>,
    pub(crate) bytes_out: u64,
    /// Outputs that were dropped or refused.
    pub(crate) suppressed: u64,
}

impl PluginAccount {
    pub(super) fn call(&mut self, used: Used) {
        self.calls += 1;
        self.processor_ns = self.processor_ns.saturating_add(used.processor_ns);
        self.call_ns.add(used.processor_ns);
        self.memory_peak = self.memory_peak.max(used.memory);
        self.suppressed = self.suppressed.saturating_add(used.suppressed);
    }

    pub(super) fn fault(&mut self, reason: &str) {
        *self.faults.entry(reason.to_owned()).or_default() += 1;
    }
}
