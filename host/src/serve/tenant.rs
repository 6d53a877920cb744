//! One tenant: what it may have, what it has, and its sandbox.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::job::{Job, Origin, Wanted, WantedPlugin, size};
use super::protocol::Asked;
use super::status::{JobStatus, PluginAccount, TenantStatus};
use super::stream::Stream;
use crate::error::Result;
use crate::event::{Label, MetricValue, Output};
use crate::policy::{Peer, PluginRequest, Request, Scope, Tenant, Usage};
use crate::sandbox::{Compiler, Pace, Room, Sandbox};
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
    /// Of all plugins that it has had.
    pub(super) account: PluginAccount,
    /// When probes were attached in the last minute, and how many.
    churn: VecDeque<(Instant, u32)>,
    /// Processor time that its plugins may use before they have to wait. Below zero if they used more.
    credit: i64,
    compiling: Arc<Pace>,
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
    /// Which of all.
    pub(super) number: u64,
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
            account: PluginAccount::default(),
            churn: VecDeque::new(),
            credit: 0,
            compiling: Arc::new(Pace::new(Instant::now())),
            series: HashSet::new(),
            output: 0,
        }
    }

    /// Whether a job is still to be begun: it took time to compile its plugins, in which somebody may have stopped what it is
    /// to take the place of, or started another one.
    pub(super) fn is_due(&self, name: &str, origin: Origin) -> bool {
        let job = self.jobs.get(name);
        match origin {
            Origin::Asked => true,
            Origin::Waited(number) => self.waiting.get(name).is_some_and(|waits| waits.number == number),
            Origin::RestoredWaiting => job.is_some_and(|job| job.restored),
            Origin::RestoredTables => job.is_none(),
            Origin::Restored => job.is_some_and(|job| job.unfinished),
        }
    }

    /// What is too much of a job, in the place of another one if there is one of its name: the code and what was asked for.
    pub(super) fn refusals(&mut self, wanted: &Wanted, now: Instant) -> Vec<(String, String)> {
        let Some(tenant) = self.grant.clone() else { return Vec::new() };
        let name = wanted.name.as_deref();
        let request = Request {
            tables: &wanted.tables,
            interval: wanted.interval,
            scope: None,
            plugins: wanted.plugins.iter().map(request).collect(),
            // Whatever it takes is bound while it runs; of a tenant that has none it would not be called.
            cpu: u32::from(!wanted.plugins.is_empty()),
            disk: if name.is_some() { disk(&wanted.plugins) + asked(wanted) } else { 0 },
        };
        let mut used = self.usage(name, now);
        if wanted.origin.is_restored() {
            // All of them at once, because the daemon ended and not because they were asked for.
            used.churn = 0;
        }
        let refusals = tenant.grant.check(&request, &used).into_iter();
        refusals.map(|refusal| (refusal.code.name().to_owned(), refusal.what)).collect()
    }

    /// Which of a job's plugins are not what the policy demands, in the place of those of the job's name, likewise.
    pub(super) fn distrusted(&self, wanted: &Wanted) -> Vec<(String, String)> {
        let job = wanted.name.as_ref().and_then(|name| self.jobs.get(name));
        let refused = |plugin: &WantedPlugin| {
            let mut had = job.into_iter().flat_map(Job::lasting_plugins).map(|had| &had.wanted);
            let refusal = self.trusts(plugin, had.find(|had| had.name == plugin.name)).err()?;
            let what = format!("plugin `{}`: {}", plugin.name, refusal.message);
            Some((refusal.code.name().to_owned(), what))
        };
        wanted.plugins.iter().filter_map(refused).collect()
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
        let waiting =
            waiting.map(|(_, waiting)| disk(&waiting.wanted.plugins) + asked(&waiting.wanted)).sum::<u64>();
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
            .saturating_add(waiting)
            .saturating_add(others().filter(|job| job.kept).map(|job| job.text).sum()),
            ..Usage::default()
        }
    }

    /// Whether a plugin is what the policy demands, in the place of another one if there is one.
    fn trusts(
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

    /// The sandbox's compiler for what comes from there; the sandbox is started if it has to be.
    pub(super) fn compiler(&mut self, name: &str, origin: Origin) -> Result<Compiler> {
        let guest = self.grant.as_ref().map_or(GUEST, |tenant| tenant.grant.limits.memory.min(GUEST));
        // The room of one is that of the policy when it was needed.
        if self.guest != guest && self.jobs.values().all(|job| job.plugins.is_empty()) {
            self.sandbox = None;
        }
        let room = Room { guest, code: CODE };
        if let Some(sandbox) = self.sandbox.as_mut().filter(|_| guest > self.guest) {
            sandbox.enlarge(room)?;
            self.guest = guest;
        }
        let sandbox = match &mut self.sandbox {
            Some(sandbox) => sandbox,
            none => {
                self.guest = guest;
                none.insert(Sandbox::of_tenant(name, room)?)
            }
        };
        Ok(sandbox.compiler().at_pace(&self.compiling, self.compiler_share(origin)))
    }

    /// What compiling may take of a processor, in millionths, if it is bounded: what a daemon before this one had, and what has
    /// waited for the policy, is compiled at once, and nobody asks for it now.
    fn compiler_share(&self, origin: Origin) -> Option<u32> {
        let grant = self.grant.as_ref().filter(|_| origin == Origin::Asked);
        grant.map(|tenant| tenant.grant.limits.cpu)
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
            account: self.account.clone(),
            compile_ns: self.compiling.used(),
            sandbox: self.sandbox.as_ref().filter(|sandbox| sandbox.down().is_none()).map(Sandbox::pid),
            no_sandbox: self.sandbox.as_ref().and_then(Sandbox::down).map(str::to_owned),
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
        // The tenant's limits bound these while it runs.
        series: 0,
        output: 1,
    }
}

/// Bytes of a configuration that is kept.
pub(super) fn asked(wanted: &Wanted) -> u64 {
    match &wanted.asked {
        Some(Asked::Text { text, path }) => (text.len() + path.len()) as u64,
        Some(arguments) => postcard::to_stdvec(arguments).map_or(0, |bytes| bytes.len() as u64),
        None => 0,
    }
}

fn disk<'a>(plugins: impl IntoIterator<Item = &'a WantedPlugin>) -> u64 {
    plugins.into_iter().map(|plugin| plugin.component.len() as u64).sum()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::policy::Policy;

    fn tenant(limits: &str) -> TenantState {
        let policy = format!("[tenants.a]\nusers = [\"1\"]\nscope = \"all\"\nlimits = {{ {limits} }}\n");
        let policy = Policy::parse(&policy, Path::new("policy.toml")).unwrap();
        TenantState::new(policy.tenants().next().cloned())
    }

    fn counter(name: &str) -> Output {
        let value = MetricValue::Counter { delta: 1.0, total: 1.0 };
        Output::Metric { name: name.to_owned(), labels: Vec::new(), value }
    }

    #[test]
    fn so_many_bytes_are_put_out_in_an_interval() {
        let mut tenant = tenant("output = \"100B\", series = 100, cpu = \"1% cpu\"");
        let log =
            |bytes: usize| Output::Log { level: crate::event::Severity::Info, message: "x".repeat(bytes) };
        assert!(tenant.admits(0, &log(60)) && tenant.admits(1, &log(40)));
        assert!(!tenant.admits(0, &log(1)), "all its plugins have put out as much as they may");
        tenant.next_interval(Duration::from_secs(1));
        assert!(!tenant.admits(0, &log(101)));
        assert!(tenant.admits(0, &log(100)));
    }

    #[test]
    fn so_many_counters_are_kept() {
        let mut tenant = tenant("output = \"1MiB\", series = 3, cpu = \"1% cpu\"");
        assert!(["a", "b"].iter().all(|name| tenant.admits(0, &counter(name))));
        assert!(tenant.admits(1, &counter("a")), "another plugin's is another one");
        assert!(!tenant.admits(0, &counter("c")) && !tenant.admits(1, &counter("b")));
        assert!(tenant.admits(0, &counter("a")), "what there is goes on");
        let gauge =
            Output::Metric { name: "g".to_owned(), labels: Vec::new(), value: MetricValue::Gauge(1.0) };
        assert!(tenant.admits(0, &gauge), "what is not kept takes no place");
        tenant.forget(1);
        assert!(tenant.admits(0, &counter("c")));
    }

    #[test]
    fn who_used_more_than_its_share_waits_until_that_is_made_up_for() {
        let second = Duration::from_secs(1);
        let mut tenant = tenant("cpu = \"10% cpu\"");
        tenant.save_up(second);
        // What ten intervals may save up, and the share of three more.
        tenant.used(1_300_000_000);
        assert!(tenant.has_to_wait());
        assert!(!tenant.next_interval(second) && !tenant.next_interval(second));
        assert!(tenant.next_interval(second), "at zero it may go on");
        for _ in 0..100 {
            tenant.next_interval(second);
        }
        tenant.used(1_000_000_000);
        assert!(!tenant.has_to_wait(), "ten intervals' share, and no more");
        tenant.used(1);
        assert!(tenant.has_to_wait());
    }

    #[test]
    fn what_is_asked_for_now_is_compiled_at_a_pace() {
        let tenant = tenant("cpu = \"10% cpu\"");
        assert_eq!(tenant.compiler_share(Origin::Asked), Some(100_000));
        for origin in [Origin::Waited(1), Origin::RestoredTables, Origin::Restored, Origin::RestoredWaiting] {
            assert_eq!(tenant.compiler_share(origin), None);
        }
    }

    #[test]
    fn the_operator_has_all_that_there_is() {
        let mut operator = TenantState::new(None);
        assert_eq!(operator.compiler_share(Origin::Asked), None);
        operator.used(u64::MAX);
        assert!(!operator.has_to_wait() && operator.next_interval(Duration::from_secs(1)));
        assert!((0..1000).all(|number| operator.admits(0, &counter(&number.to_string()))));
    }
}
