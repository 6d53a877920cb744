//! One tenant: what it may have, what it has, and its sandbox.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::job::{Job, Restored, Wanted, WantedPlugin, size};
use super::status::{JobStatus, TenantStatus};
use super::stream::Stream;
use crate::error::Result;
use crate::event::{Label, MetricValue, Output};
use crate::policy::{Peer, PluginRequest, Refusal, Request, Scope, Tenant, Usage};
use crate::sandbox::{Compiler, Room, Sandbox};
use crate::table::TableSpec;
use crate::trust;

/// Compiled code of all of a tenant's plugins. An interpreter has 60 MiB of it.
const CODE: u64 = 512 << 20;
/// Linear memory of a plugin can be no more than what 32 bits address.
const GUEST: u64 = 4 << 30;
/// Time that a tenant's plugins may have saved up, in intervals.
const SAVED: u32 = 10;
/// Series of the operator's own plugins, who has no policy.
const OPERATOR_SERIES: usize = 1_000_000;

#[derive(Debug)]
pub(super) struct TenantState {
    /// What it may have; everything, if it is the operator.
    pub(super) grant: Option<Arc<Tenant>>,
    pub(super) sandbox: Option<Sandbox>,
    /// Linear memory for which the sandbox has room.
    guest: u64,
    pub(super) jobs: BTreeMap<String, Job>,
    /// Jobs that could not be begun again, and are still on disk.
    pub(super) lost: BTreeMap<String, Lost>,
    /// New versions of jobs that ask for more than is granted, by the names of the jobs that go on meanwhile.
    pub(super) waiting: BTreeMap<String, Waiting>,
    /// Who follows what plugins put out, of one job or of all.
    pub(super) followers: Vec<(Option<String>, Stream)>,
    pub(super) refused: u64,
    pub(super) replaced: u64,
    /// When probes were attached in the last minute, and how many.
    churn: VecDeque<(Instant, u32)>,
    /// Processor time that its plugins may use before they have to wait. Below zero if they used more.
    credit: i64,
    /// The counters that its plugins keep.
    series: HashSet<(usize, String, Vec<Label>)>,
    /// Bytes that its plugins put out in this interval.
    output: u64,
}

/// A job that could not be begun again.
#[derive(Debug)]
pub(super) struct Lost {
    /// On disk.
    pub(super) bytes: u64,
    pub(super) why: String,
}

/// A new version of a job, who began it, and what of it is too much. It is begun when the policy grants that.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) peer: Peer,
    pub(super) wanted: Arc<Wanted>,
    pub(super) refused: Vec<(String, String)>,
}

impl Lost {
    fn status(&self, name: &str) -> JobStatus {
        JobStatus {
            job: name.to_owned(),
            kept: true,
            not_covered: None,
            not_restored: Some(self.why.clone()),
            waits: Vec::new(),
            tables: Vec::new(),
            plugins: Vec::new(),
        }
    }
}

impl TenantState {
    pub(super) fn new(grant: Option<Arc<Tenant>>) -> Self {
        Self {
            grant,
            sandbox: None,
            guest: 0,
            jobs: BTreeMap::new(),
            lost: BTreeMap::new(),
            waiting: BTreeMap::new(),
            followers: Vec::new(),
            refused: 0,
            replaced: 0,
            churn: VecDeque::new(),
            credit: 0,
            series: HashSet::new(),
            output: 0,
        }
    }

    /// What is too much of a job, in the place of another one if there is one of its name.
    pub(super) fn refusals(&mut self, wanted: &Wanted, now: Instant) -> Vec<Refusal> {
        let Some(tenant) = self.grant.clone() else { return Vec::new() };
        let name = wanted.name.as_deref();
        let request = Request {
            tables: &wanted.tables,
            interval: wanted.interval,
            scope: None,
            plugins: wanted.plugins.iter().map(request).collect(),
            cpu: 0,
            disk: if name.is_some() { disk(&wanted.plugins) } else { 0 },
        };
        let mut used = self.usage(name, now);
        if wanted.restored != Restored::No {
            // All of them at once, because the daemon ended and not because they were asked for.
            used.churn = 0;
        }
        tenant.grant.check(&request, &used)
    }

    /// What it has beside the job of a name.
    fn usage(&mut self, beside: Option<&str>, now: Instant) -> Usage {
        while self.churn.front().is_some_and(|(at, _)| now.duration_since(*at) > Duration::from_secs(60)) {
            self.churn.pop_front();
        }
        let others =
            || self.jobs.iter().filter(|(name, _)| Some(name.as_str()) != beside).map(|(_, job)| job);
        let tables = || others().flat_map(|job| &job.tables);
        let plugins = || others().flat_map(|job| &job.plugins).map(|plugin| &plugin.wanted);
        let lost = self.lost.iter().filter(|(name, _)| Some(name.as_str()) != beside);
        let waiting = self.waiting.iter().filter(|(name, _)| Some(name.as_str()) != beside);
        let waiting = waiting.map(|(_, waiting)| disk(&waiting.wanted.plugins)).sum::<u64>();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Usage {
            tables: count(tables().count()),
            rows: tables().map(|table| u64::from(table.spec.rows)).sum(),
            plugins: count(plugins().count()),
            memory: plugins().map(|plugin| plugin.limits.memory).sum(),
            kernel: tables().filter_map(|table| table.scoped.budget).fold(0, u32::saturating_add),
            churn: self.churn.iter().map(|(_, probes)| probes).sum(),
            disk: disk(
                others().filter(|job| job.kept).flat_map(|job| &job.plugins).map(|plugin| &plugin.wanted),
            )
            .saturating_add(lost.map(|(_, lost)| lost.bytes).sum())
            .saturating_add(waiting),
            ..Usage::default()
        }
    }

    /// Whether a plugin is what the policy demands, in the place of another one if there is one.
    pub(super) fn trusts(
        &self,
        plugin: &WantedPlugin,
        installed: Option<&WantedPlugin>,
    ) -> std::result::Result<(), trust::Refusal> {
        let version = plugin.examined.as_ref().map_err(Clone::clone)?;
        match &self.grant {
            Some(tenant) if tenant.grant.trust.no_older => {
                let installed = installed.and_then(|installed| installed.examined.as_ref().ok()?.as_ref());
                trust::not_older(version.as_ref(), installed)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn attached(&mut self, tables: &[Arc<TableSpec>], now: Instant) {
        if self.grant.is_none() {
            return;
        }
        let probes: usize = tables.iter().map(|table| table.probes.len() + table.starts.len()).sum();
        self.churn.push_back((now, u32::try_from(probes).unwrap_or(u32::MAX)));
    }

    /// The sandbox's compiler; the sandbox is started if it has to be.
    pub(super) fn compiler(&mut self, name: &str) -> Result<Compiler> {
        let guest = self.grant.as_ref().map_or(GUEST, |tenant| tenant.grant.limits.memory.min(GUEST));
        // The room of one is that of the policy at its start.
        if self.guest != guest && self.jobs.values().all(|job| job.plugins.is_empty()) {
            self.sandbox = None;
        }
        let sandbox = match &mut self.sandbox {
            Some(sandbox) => sandbox,
            none => {
                self.guest = guest;
                none.insert(Sandbox::of_tenant(name, Room { guest, code: CODE })?)
            }
        };
        Ok(sandbox.compiler())
    }

    /// An interval has ended: its plugins may use more of the processor, and put out more. False if they have yet to wait
    /// for what they used before.
    pub(super) fn next_interval(&mut self, interval: Duration) -> bool {
        self.output = 0;
        let Some((share, most)) = self.shares(interval) else { return true };
        self.credit = self.credit.saturating_add(share).min(most);
        !self.has_to_wait()
    }

    /// Whoever is new may use at once what others have saved up.
    pub(super) fn save_up(&mut self, interval: Duration) {
        self.credit = self.shares(interval).map_or(0, |(_, most)| most);
    }

    /// Processor time in nanoseconds: of an interval, and the most that can be saved up.
    fn shares(&self, interval: Duration) -> Option<(i64, i64)> {
        let limits = &self.grant.as_ref()?.grant.limits;
        let nanoseconds = i64::try_from(interval.as_nanos()).unwrap_or(i64::MAX);
        let share = nanoseconds / 1_000_000 * i64::from(limits.cpu);
        Some((share, share.saturating_mul(SAVED.into())))
    }

    /// Its plugins have used more than they may.
    pub(super) fn has_to_wait(&self) -> bool {
        self.grant.is_some() && self.credit < 0
    }

    pub(super) fn used(&mut self, processor_ns: u64) {
        self.credit = self.credit.saturating_sub(i64::try_from(processor_ns).unwrap_or(i64::MAX));
    }

    /// Whether an output is within the tenant's quotas; it is counted if it is.
    pub(super) fn admits(&mut self, plugin: usize, output: &Output) -> bool {
        let limits = self.grant.as_ref().map(|tenant| &tenant.grant.limits);
        let most = limits.map_or(u64::MAX, |limits| limits.output);
        let series =
            limits.map_or(OPERATOR_SERIES, |limits| usize::try_from(limits.series).unwrap_or(usize::MAX));
        let bytes = self.output.saturating_add(size(output) as u64);
        if bytes > most {
            return false;
        }
        if let Output::Metric { name, labels, value: MetricValue::Counter { .. } } = output {
            let counter = (plugin, name.clone(), labels.clone());
            if !self.series.contains(&counter) {
                if self.series.len() >= series {
                    return false;
                }
                self.series.insert(counter);
            }
        }
        self.output = bytes;
        true
    }

    /// A plugin is gone, and with it what it kept.
    pub(super) fn forget(&mut self, plugin: usize) {
        self.series.retain(|(owner, ..)| *owner != plugin);
        if let Some(sandbox) = &mut self.sandbox {
            sandbox.remove(plugin);
        }
    }

    /// Whether whoever asks may know what its tables cost and miss: not if that tells of others.
    pub(super) fn knows_costs(&self) -> bool {
        self.grant.as_ref().is_none_or(|tenant| tenant.grant.scope == Scope::All)
    }

    pub(super) fn status(&self, name: &str, to_operator: bool) -> TenantStatus {
        let whole = to_operator || self.knows_costs();
        let jobs = self.jobs.iter().map(|(name, job)| JobStatus {
            waits: self.waiting.get(name).map(|waiting| waiting.refused.clone()).unwrap_or_default(),
            ..job.status(name, whole)
        });
        let lost = self.lost.iter().map(|(name, lost)| lost.status(name));
        let group = self.sandbox.as_ref().and_then(Sandbox::group);
        TenantStatus {
            tenant: name.to_owned(),
            refused: self.refused,
            replaced: self.replaced,
            sandbox: self.sandbox.as_ref().map(Sandbox::pid),
            control_group: group.map(|group| group.display().to_string()),
            jobs: jobs.chain(lost).collect(),
        }
    }
}

fn request(plugin: &WantedPlugin) -> PluginRequest<'_> {
    PluginRequest {
        name: &plugin.name,
        memory: plugin.limits.memory,
        deadline: plugin.limits.deadline,
        // Whatever it asks for: the tenant's limits bound these.
        series: 0,
        output: 0,
    }
}

fn disk<'a>(plugins: impl IntoIterator<Item = &'a WantedPlugin>) -> u64 {
    plugins.into_iter().map(|plugin| plugin.component.len() as u64).sum()
}
