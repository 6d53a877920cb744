//! The daemon's one thread that owns everything: tables, tenants, and the intervals. Connections ask it things and wait;
//! it waits for nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant, SystemTime};

use super::audit::Audit;
use super::job::{Change, Job, JobPlugin, JobTable, Origin, Starting, Wanted};
use super::protocol::{self, Answer};
use super::status::{ControlGroups, Status};
use super::store::{Kept, Note, Store};
use super::stream::{ROOM, Stream};
use super::tenant::{Lost, TenantState, Waiting, asked};
use crate::error::{Error, Kind, Result};
use crate::kernel::Tables;
use crate::policy::{self, OPERATOR, Peer, Policy, Tenant};
use crate::sandbox::{self, Compiled, Compiler, Sandbox};
use crate::table::TableSpec;

/// What connections ask of the engine.
#[derive(Debug)]
pub(super) enum Command {
    Status {
        peer: Peer,
        stream: Stream,
    },
    Logs {
        peer: Peer,
        job: Option<String>,
        follow: bool,
        stream: Stream,
    },
    Stop {
        peer: Peer,
        job: String,
        stream: Stream,
    },
    /// What somebody may have, if anything at all; everything, if nothing is said.
    Admit {
        peer: Peer,
        reply: Sender<std::result::Result<Option<Arc<Tenant>>, Denied>>,
    },
    /// Whether a job may begin, and what compiles its plugins.
    Prepare {
        peer: Peer,
        wanted: Arc<Wanted>,
        reply: Sender<std::result::Result<Option<Compiler>, Denied>>,
    },
    Begin {
        peer: Peer,
        wanted: Arc<Wanted>,
        compiled: Vec<Compiled>,
        stream: Stream,
    },
    /// A job of a daemon before this one cannot be begun again. It stays on disk until somebody stops it.
    Lost {
        tenant: String,
        job: String,
        bytes: u64,
        why: String,
        /// Its tables were begun.
        begun: bool,
    },
    /// A job is refused before it could be resolved: it has probes in programs, and none are granted.
    Refuse {
        peer: Peer,
        job: Option<String>,
        code: policy::Code,
        what: String,
        stream: Stream,
    },
    /// The policy was read again.
    Policy(Policy),
    /// What waits for a policy that grants it.
    Waiting {
        reply: Sender<Vec<(Peer, Wanted)>>,
    },
    /// The client of a connection is gone, or wants no more.
    Closed {
        stream: u64,
    },
}

#[derive(Debug)]
pub(super) struct Engine {
    pub(super) tables: Tables,
    pub(super) interval: Duration,
    pub(super) policy: Policy,
    pub(super) audit: Audit,
    pub(super) store: Store,
    pub(super) tenants: BTreeMap<Arc<str>, TenantState>,
    pub(super) intervals: u64,
    /// Jobs and tables that there have been, for names that are not given twice.
    serial: u64,
    pub(super) control_groups: ControlGroups,
    /// Of a daemon before this one: when it was last there.
    pub(super) last_seen: Option<SystemTime>,
}

impl Engine {
    pub(super) fn new(interval: Duration, policy: Policy, audit: Audit) -> Result<Self> {
        Ok(Self {
            tables: Tables::empty()?,
            interval,
            policy,
            audit,
            store: Store::default(),
            tenants: BTreeMap::new(),
            intervals: 0,
            serial: 0,
            control_groups: ControlGroups::default(),
            last_seen: None,
        })
    }

    pub(super) fn obey(&mut self, command: Command) {
        match command {
            Command::Status { peer, mut stream } => {
                let status = self.status(&peer);
                stream.put(status);
            }
            Command::Logs { peer, job, follow, stream } => self.logs(&peer, job, follow, stream),
            Command::Stop { peer, job, stream } => self.stop(&peer, &job, stream),
            Command::Admit { peer, reply } => {
                // Whoever asked may be gone.
                drop(reply.send(self.state(&peer).map(|(_, state)| state.grant.clone())));
            }
            Command::Prepare { peer, wanted, reply } => {
                drop(reply.send(self.prepare(&peer, &wanted)));
            }
            Command::Begin { peer, wanted, compiled, mut stream } => {
                // It may be too much by now.
                match self.prepare(&peer, &wanted) {
                    Err(denied) => stream.put(*denied),
                    Ok(_) => self.begin(&peer, &wanted, compiled, stream),
                }
            }
            Command::Lost { tenant, job, bytes, why, begun } => {
                self.lost(tenant.into(), job, Lost { bytes, why }, begun);
            }
            Command::Refuse { peer, job, code, what, mut stream } => {
                stream.put(self.refuse(&peer, job.as_deref(), code, what));
            }
            Command::Policy(policy) => self.take_policy(policy),
            Command::Waiting { reply } => drop(reply.send(self.waiting())),
            Command::Closed { stream } => self.closed(stream),
        }
    }

    /// Quotas are the new ones' from now on; jobs that run are not ended by it.
    fn take_policy(&mut self, policy: Policy) {
        for tenant in policy.tenants() {
            if let Some(state) = self.tenants.get_mut(&tenant.name).filter(|state| state.grant.is_some()) {
                state.grant = Some(tenant.clone());
            }
        }
        self.policy = policy;
    }

    /// Who somebody is here, by the kernel's account of them.
    fn tenant_of(&self, peer: &Peer) -> Option<(Arc<str>, Option<Arc<Tenant>>)> {
        if peer.uid == 0 || peer.uid == rustix::process::geteuid().as_raw() {
            return Some((OPERATOR.into(), None));
        }
        self.policy.tenant(peer).map(|tenant| (tenant.name.clone(), Some(tenant.clone())))
    }

    fn state(&mut self, peer: &Peer) -> std::result::Result<(Arc<str>, &mut TenantState), Denied> {
        let Some((name, grant)) = self.tenant_of(peer) else {
            let what = format!("user {} is of no tenant, and may have nothing", peer.uid);
            self.audit.stranger(peer);
            return Err(Box::new(Answer::Refused(vec![("tenant".to_owned(), what)])));
        };
        let interval = self.interval;
        let state = self.tenants.entry(name.clone()).or_insert_with(|| {
            let mut state = TenantState::new(grant.clone());
            state.save_up(interval);
            state
        });
        state.grant = grant;
        Ok((name, state))
    }

    fn status(&mut self, peer: &Peer) -> Answer {
        let (own, all) = match self.state(peer) {
            Ok((name, state)) => (name, state.grant.is_none()),
            Err(denied) => return *denied,
        };
        let tenants = self.tenants.iter().filter(|(name, _)| all || **name == own);
        Answer::Status(Status {
            schema: 1,
            intervals: self.intervals,
            interval_ns: crate::event::nanoseconds(self.interval),
            control_groups: self.control_groups.clone(),
            tenants: tenants.map(|(name, state)| state.status(name, all)).collect(),
        })
    }

    fn logs(&mut self, peer: &Peer, job: Option<String>, follow: bool, mut stream: Stream) {
        let (name, state) = match self.state(peer) {
            Ok(found) => found,
            Err(denied) => return stream.put(*denied),
        };
        let own = |job: &String| job.strip_prefix(&*name)?.strip_prefix('/').map(str::to_owned);
        let job = job.map(|job| own(&job).unwrap_or(job));
        if let Some(job) = job.as_deref().filter(|job| !state.jobs.contains_key(*job)) {
            return stream.put(self.of_another(peer, "logs", job).unwrap_or_else(|| no_job(job)));
        }
        let wanted = state.jobs.iter().filter(|(name, _)| job.as_ref().is_none_or(|job| job == *name));
        let mut past: Vec<&Answer> = wanted.flat_map(|(_, job)| job.outputs()).collect();
        past.sort_by_key(|answer| match answer {
            Answer::Plugin { at, .. } => Some(*at),
            _ => None,
        });
        // The newest, as many as a client is sent at once.
        let skipped = past.len().saturating_sub(ROOM / 2);
        if skipped > 0 {
            stream.put(Answer::Lost(skipped as u64));
        }
        past.into_iter().skip(skipped).for_each(|answer| stream.put(answer.clone()));
        if follow {
            state.followers.push((job, stream));
        }
    }

    fn refuse(&mut self, peer: &Peer, job: Option<&str>, code: policy::Code, what: String) -> Answer {
        let name = match self.state(peer) {
            Ok((name, state)) => {
                state.refused += 1;
                name
            }
            Err(denied) => return *denied,
        };
        let code = code.name();
        self.audit.note(peer, Some(&name), ("start", job), &[code], std::slice::from_ref(&what));
        Answer::Refused(vec![(code.to_owned(), what)])
    }

    /// A tenant that names a job of another one's is refused, whether there is such a job or not.
    fn of_another(&mut self, peer: &Peer, action: &str, asked: &str) -> Option<Answer> {
        let (own, state) = self.state(peer).ok()?;
        let (tenant, job) = asked.split_once('/')?;
        if state.grant.is_none() || tenant == &*own {
            return None;
        }
        state.refused += 1;
        self.audit.note(peer, Some(&own), (action, Some(job)), &["tenant"], &[asked.to_owned()]);
        let what = format!("`{asked}` is another tenant's, if it is there");
        Some(Answer::Refused(vec![("tenant".to_owned(), what)]))
    }

    fn stop(&mut self, peer: &Peer, asked: &str, mut stream: Stream) {
        let own = match self.state(peer) {
            Ok((name, _)) => name,
            Err(denied) => return stream.put(*denied),
        };
        if let Some(refused) = self.of_another(peer, "stop", asked) {
            return stream.put(refused);
        }
        // Of a tenant that the policy has no more, nobody else can stop what is left.
        let (tenant, job) = match asked.split_once('/') {
            Some((tenant, job)) if *own == *OPERATOR || *own == *tenant => (tenant.into(), job),
            _ => (own, asked),
        };
        let Some(state) = self.tenants.get_mut(&tenant) else { return stream.put(no_job(asked)) };
        if state.lost.remove(job).is_none() && !state.jobs.contains_key(job) {
            return stream.put(no_job(asked));
        }
        state.waiting.remove(job);
        self.end(&tenant, job);
        self.audit.note(peer, Some(&tenant), ("stop", Some(job)), &["done"], &[]);
        let answer = Answer::Done(format!("{asked} is stopped"));
        let asked = Some(Box::new((stream, answer)));
        self.store.note(Note::Forget { tenant, job: job.to_owned(), asked });
    }

    fn waiting(&self) -> Vec<(Peer, Wanted)> {
        let waiting = self.tenants.values().flat_map(|state| state.waiting.values());
        let again = |waiting: &Waiting| {
            let wanted = Wanted { origin: Origin::Waited(waiting.number), ..(*waiting.wanted).clone() };
            (waiting.peer.clone(), wanted)
        };
        waiting.map(again).collect()
    }

    fn lost(&mut self, tenant: Arc<str>, job: String, lost: Lost, begun: bool) {
        let grant = self.policy.tenants().find(|granted| granted.name == tenant).cloned();
        let state = self.tenants.entry(tenant.clone()).or_insert_with(|| TenantState::new(grant));
        // Somebody may have begun another one of the name meanwhile, or stopped this one.
        if state.jobs.get(&job).map_or(!begun, |job| job.unfinished && job.starting.is_none()) {
            state.lost.insert(job.clone(), lost);
            self.end(&tenant, &job);
        }
    }

    /// What is too much of a job, or else what compiles its plugins, if it has any.
    fn prepare(
        &mut self,
        peer: &Peer,
        wanted: &Arc<Wanted>,
    ) -> std::result::Result<Option<Compiler>, Denied> {
        let tenant = self.tenant_of(peer);
        if !wanted.plugins.is_empty() && !are_alike(&wanted.admitted, &tenant) {
            let error = Error::new(Kind::Unavailable, POLICY_CHANGED);
            return Err(failed(error.help("try again")));
        }
        let (own, interval) = (self.interval, humantime::format_duration(self.interval).to_string());
        if wanted.interval != own && tenant.as_ref().is_none_or(|(_, grant)| grant.is_none()) {
            let error = Error::new(Kind::Config, format!("the interval of this daemon is {interval}"))
                .help(format!("leave it out, or write interval = \"{interval}\""));
            return Err(failed(error));
        }
        if wanted.name.is_some()
            && wanted.origin == Origin::Asked
            && tenant.is_some_and(|(tenant, _)| self.store.is_behind(&tenant))
        {
            let error = Error::new(Kind::Unavailable, "the disk on which jobs are kept is too slow");
            return Err(failed(error.help("try again")));
        }
        self.serial += 1;
        let number = self.serial;
        let (name, state) = self.state(peer)?;
        if let Some(name) = wanted.name.as_ref().filter(|name| !state.is_due(name, wanted.origin)) {
            return Err(failed(meanwhile(name)));
        }
        let mut refused = state.refusals(wanted, Instant::now());
        let too_much = !refused.is_empty();
        if wanted.interval != own {
            let asked = humantime::format_duration(wanted.interval);
            refused.push(("interval".to_owned(), format!("{asked}, and that of this daemon is {interval}")));
        }
        let distrusted = state.distrusted(wanted);
        let job = wanted.name.as_ref().and_then(|name| state.jobs.get(name));
        // More than is granted can wait until it is; who is not trusted, or has no room, cannot.
        let can_wait = job.is_some_and(|job| job.kept)
            && !wanted.origin.is_restored()
            && wanted.asked.is_some()
            && too_much
            && wanted.interval == own
            && distrusted.is_empty()
            && !refused.iter().any(|(code, _)| code == policy::Code::Disk.name());
        refused.extend(distrusted);
        if !refused.is_empty() {
            state.refused += 1;
            let (codes, details): (Vec<&str>, Vec<String>) =
                refused.iter().map(|(code, what)| (code.as_str(), what.clone())).unzip();
            let action = ("start", wanted.name.as_deref());
            if let (Some(job_name), true) = (&wanted.name, can_wait) {
                let waiting =
                    Waiting { number, peer: peer.clone(), wanted: wanted.clone(), refused: refused.clone() };
                state.waiting.insert(job_name.clone(), waiting);
                // What has waited is kept already.
                let job = kept(peer, job_name, wanted).filter(|_| wanted.origin == Origin::Asked);
                if let Some(job) = job.map(Box::new) {
                    self.store.note(Note::KeepWaiting { tenant: name.clone(), job });
                }
            }
            self.audit.note(peer, Some(&name), action, &codes, &details);
            return Err(Box::new(if can_wait { Answer::Waits(refused) } else { Answer::Refused(refused) }));
        }
        if wanted.plugins.is_empty() {
            return Ok(None);
        }
        if !sandbox::separates_users() && self.is_another_there(&name) {
            let message = "another tenant has plugins, and this daemon has no users to keep them apart";
            let error = Error::new(Kind::Unavailable, message)
                .help("start it with CAP_SETUID and CAP_SETGID, as its unit does");
            return Err(failed(error));
        }
        let Some(state) = self.tenants.get_mut(&name) else { return Ok(None) };
        let before = state.sandbox.as_ref().map(Sandbox::pid);
        let compiler = state.compiler(&name, wanted.origin).map_err(failed)?;
        if state.sandbox.as_ref().map(Sandbox::pid) != before {
            self.leave_out_sandbox(&name);
        }
        Ok(Some(compiler))
    }

    /// Whether another tenant has plugins.
    fn is_another_there(&self, name: &str) -> bool {
        let has = |state: &TenantState| state.jobs.values().any(|job| !job.plugins.is_empty());
        self.tenants.iter().any(|(other, state)| **other != *name && has(state))
    }

    /// What a tenant's sandbox does is not for its tables, now that it has one, or another one.
    pub(super) fn leave_out_sandbox(&self, tenant: &str) {
        let Some(state) = self.tenants.get(tenant) else { return };
        let selves = selves(state);
        for table in state.jobs.values().flat_map(|job| &job.tables) {
            self.tables.leave_out_of(&table.full, &selves);
        }
    }

    /// Attaches what is new of a job and adds its new plugins. What it had stays until they are configured.
    fn begin(&mut self, peer: &Peer, wanted: &Wanted, compiled: Vec<Compiled>, mut stream: Stream) {
        let tenant = match self.state(peer) {
            Ok((name, _)) => name,
            Err(denied) => return stream.put(*denied),
        };
        if !compiled.is_empty() && self.tenants.get(&tenant).is_some_and(TenantState::has_to_wait) {
            let what =
                "the tenant's plugins have used more than they may, and wait until that is made up for";
            let action = ("start", wanted.name.as_deref());
            self.audit.note(peer, Some(&tenant), action, &["cpu"], &[what.to_owned()]);
            return stream.put(Answer::Refused(vec![("cpu".to_owned(), what.to_owned())]));
        }
        self.serial += 1;
        // No name that anybody can give has a dot.
        let name = wanted.name.clone().unwrap_or_else(|| format!("client.{}", self.serial));
        let action = ("start", Some(name.as_str()));
        match self.change(peer, &tenant, &name, wanted, compiled) {
            Err(error) => {
                self.audit.note(
                    peer,
                    Some(&tenant),
                    action,
                    &["failed"],
                    std::slice::from_ref(&error.message),
                );
                stream.put(Answer::Failed(error));
            }
            Ok(change) => {
                self.audit.note(peer, Some(&tenant), action, &["done"], &[]);
                let state = self.tenants.get_mut(&tenant);
                let job = state.and_then(|state| state.jobs.get_mut(&name));
                let waiting = change.new_plugins.clone();
                if let Some(job) = job {
                    // What was restored is as it was kept.
                    let name = wanted.name.as_ref().filter(|_| !wanted.origin.is_restored());
                    let keep = name.and_then(|name| kept(peer, name, wanted)).map(Box::new);
                    job.text = asked(wanted);
                    job.starting = Some(Starting { stream, waiting, change, keep });
                }
                self.settle(&tenant, &name);
            }
        }
    }

    fn change(
        &mut self,
        peer: &Peer,
        tenant: &Arc<str>,
        name: &str,
        wanted: &Wanted,
        compiled: Vec<Compiled>,
    ) -> Result<Change> {
        let Some(state) = self.tenants.get_mut(tenant) else {
            return Err(Error::new(Kind::Software, "a job of no tenant"));
        };
        let fresh = !state.jobs.contains_key(name);
        if !state.is_due(name, wanted.origin) {
            return Err(meanwhile(name));
        }
        let restored = wanted.origin.is_restored();
        if state.jobs.get(name).is_some_and(|job| job.starting.is_some()) {
            return Err(Error::new(Kind::Unavailable, format!("{name} is being started already"))
                .help("wait until it is"));
        }
        let (had_tables, had_plugins): (Vec<_>, Vec<_>) = match state.jobs.get(name) {
            None => (Vec::new(), Vec::new()),
            Some(job) => (
                job.tables
                    .iter()
                    .map(|table| (table.scoped.clone(), table.full.clone(), table.account.detached))
                    .collect(),
                job.plugins.iter().map(JobPlugin::had).collect(),
            ),
        };

        // Tables: those that are as they were stay attached, and lose nothing.
        let unfinished = wanted.origin == Origin::RestoredTables;
        let mut change = Change { fresh, unfinished, restored, ..Change::default() };
        let (mut added, mut specs) = (Vec::new(), Vec::new());
        let mut of_job: BTreeMap<&str, Arc<str>> = BTreeMap::new();
        for spec in &wanted.tables {
            // As it may be attached for whoever asks now: another user's, or another policy's, is another table.
            let scoped = match &state.grant {
                Some(tenant) => tenant.grant.scoped(spec, peer)?,
                None => TableSpec::clone(spec),
            };
            // One that was detached has another chance.
            let stays = had_tables.iter().find(|(had, _, detached)| *had == scoped && !detached);
            if let Some((_, full, _)) = stays {
                of_job.insert(&spec.name, full.clone());
                continue;
            }
            let full: Arc<str> = format!("{tenant}/{name}/{}/{}", self.serial, spec.name).into();
            of_job.insert(&spec.name, full.clone());
            specs.push(Arc::new(TableSpec { name: full.to_string(), ..scoped.clone() }));
            added.push(JobTable::new(spec.clone(), full, scoped));
        }
        let selves: Vec<u32> = selves(state);
        // Whether it goes well or not, it has been attached to.
        state.attached(&specs, Instant::now());
        self.tables.change(&[], &specs, &selves)?;
        change.new_tables = added.iter().map(|table| table.full.clone()).collect();
        change.old_tables = had_tables
            .iter()
            .map(|(_, full, _)| full.clone())
            .filter(|full| !of_job.values().any(|kept| kept == full))
            .collect();
        // A job that was there before the daemon ended is begun by the daemon itself.
        let gap = self.last_seen.filter(|_| restored).map(|last_seen| (last_seen, SystemTime::now()));
        let job = state.jobs.entry(name.to_owned()).or_insert_with(|| Job::new(wanted.name.is_some()));
        job.not_covered = job.not_covered.or(gap);
        job.tables.extend(added);

        // Plugins: those that are as they were, and whose tables are, stay.
        change.old_plugins = had_plugins.iter().map(|had| had.number).collect();
        for (plugin, compiled) in wanted.plugins.iter().zip(compiled) {
            let tables: Vec<_> = job
                .tables
                .iter()
                .filter(|table| of_job.values().any(|full| *full == table.full))
                .filter(|table| {
                    plugin.tables.as_ref().is_none_or(|tables| tables.iter().any(|t| t == table.name()))
                })
                .map(|table| (table.full.clone(), table.schema.clone()))
                .collect();
            let granted: Vec<Arc<str>> = tables.iter().map(|(full, _)| full.clone()).collect();
            // One that is quarantined has another chance.
            let mut stays = had_plugins
                .iter()
                .filter(|had| !had.quarantined && had.granted == granted && had.wanted.is_like(plugin));
            if let Some(had) = stays.next() {
                change.old_plugins.remove(&had.number);
                continue;
            }
            let Some(sandbox) = &mut state.sandbox else { continue };
            match sandbox.add(compiled.with_tables(tables)) {
                Ok(number) => {
                    change.new_plugins.insert(number);
                    let mut wanted_plugin = plugin.clone();
                    if wanted.name.is_none() {
                        // They are large, and nobody needs them any more.
                        wanted_plugin.component = Arc::default();
                    }
                    job.plugins.push(JobPlugin {
                        wanted: wanted_plugin,
                        granted,
                        number,
                        configured: false,
                        supervisor: Default::default(),
                        fault: None,
                        account: Default::default(),
                    });
                }
                Err(error) => {
                    self.take_back(tenant, name, &change);
                    return Err(error);
                }
            }
        }
        Ok(change)
    }

    /// Undoes a change.
    pub(super) fn take_back(&mut self, tenant: &str, name: &str, change: &Change) {
        self.remove(tenant, name, &change.new_tables, &change.new_plugins);
        if let Some(state) = self.tenants.get_mut(tenant).filter(|_| change.fresh) {
            state.jobs.remove(name);
        }
    }

    fn remove(&mut self, tenant: &str, name: &str, tables: &BTreeSet<Arc<str>>, plugins: &BTreeSet<usize>) {
        let Some(state) = self.tenants.get_mut(tenant) else { return };
        plugins.iter().for_each(|number| state.forget(*number));
        if let Some(job) = state.jobs.get_mut(name) {
            job.tables.retain(|table| !tables.contains(&table.full));
            job.plugins.retain(|plugin| !plugins.contains(&plugin.number));
        }
        let tables: Vec<Arc<str>> = tables.iter().cloned().collect();
        // Nothing is attached, so nothing can fail.
        drop(self.tables.change(&tables, &[], &[]));
    }

    /// Finishes a start whose plugins are all configured.
    pub(super) fn settle(&mut self, tenant: &Arc<str>, name: &str) {
        let Some(state) = self.tenants.get_mut(tenant) else { return };
        let Some(job) = state.jobs.get_mut(name) else { return };
        if job.starting.as_ref().is_none_or(|starting| !starting.waiting.is_empty()) {
            return;
        }
        let Some(Starting { mut stream, change, keep, .. }) = job.starting.take() else { return };
        let tables = job.tables.iter().filter(|table| !change.old_tables.contains(&table.full));
        let tables: Result<Vec<_>> =
            tables.map(|table| Ok((table.name().to_owned(), protocol::empty(&table.schema)?))).collect();
        stream.put(match tables {
            Ok(tables) => Answer::Started { at: SystemTime::now(), tables },
            Err(error) => Answer::Failed(error),
        });
        if !job.kept {
            job.client = Some(stream);
        }
        (job.unfinished, job.restored) = (change.unfinished, change.restored);
        if let Some(job) = keep {
            // In its place on disk, too.
            state.lost.remove(name);
            state.waiting.remove(name);
            self.store.note(Note::Keep { tenant: tenant.clone(), job });
        }
        self.remove(tenant, name, &change.old_tables, &change.old_plugins);
    }

    /// Ends a job: what it has is gone.
    pub(super) fn end(&mut self, tenant: &Arc<str>, name: &str) {
        let Some(job) = self.tenants.get_mut(tenant).and_then(|state| state.jobs.get(name)) else { return };
        let tables = job.tables.iter().map(|table| table.full.clone()).collect();
        let plugins = job.plugins.iter().map(|plugin| plugin.number).collect();
        self.remove(tenant, name, &tables, &plugins);
        if let Some(state) = self.tenants.get_mut(tenant) {
            state.jobs.remove(name);
        }
    }

    /// Those that may have something to say.
    pub(super) fn sandboxes(&self) -> impl Iterator<Item = &Sandbox> {
        let sandboxes = self.tenants.values().filter_map(|state| state.sandbox.as_ref());
        sandboxes.filter(|sandbox| sandbox.down().is_none())
    }

    fn closed(&mut self, stream: u64) {
        for state in self.tenants.values_mut() {
            state.followers.retain(|(_, follower)| follower.number != stream);
            for job in state.jobs.values_mut() {
                job.ending |= job.client.as_ref().is_some_and(|client| client.number == stream);
                job.ending |=
                    !job.kept && job.starting.as_ref().is_some_and(|start| start.stream.number == stream);
            }
        }
    }
}

/// What another daemon after this one needs of a job.
fn kept(peer: &Peer, name: &str, wanted: &Wanted) -> Option<Kept> {
    Some(Kept {
        peer: peer.clone(),
        name: name.to_owned(),
        asked: wanted.asked.clone()?,
        plugins: wanted.plugins.clone(),
        programs: wanted.programs.clone(),
    })
}

/// Why a job is not begun whose plugins were looked into for the policy before.
pub(super) const POLICY_CHANGED: &str = "the policy was read again meanwhile, and is another one";

/// Whether plugins that were looked into, and perhaps compiled, for one are in order for the other.
fn are_alike(before: &Option<Arc<Tenant>>, now: &Option<(Arc<str>, Option<Arc<Tenant>>)>) -> bool {
    match (before, now) {
        (Some(before), Some((_, Some(now)))) => {
            before.name == now.name && before.grant.trust == now.grant.trust
        }
        (None, Some((_, None))) | (_, None) => true,
        _ => false,
    }
}

/// The processes that a tenant's tables leave out: the daemon, and the tenant's own sandbox, which would feed itself.
pub(super) fn selves(state: &TenantState) -> Vec<u32> {
    let sandbox = state.sandbox.as_ref().filter(|sandbox| sandbox.down().is_none());
    std::iter::once(std::process::id()).chain(sandbox.map(Sandbox::pid)).collect()
}

/// What somebody is told who is denied something.
pub(super) type Denied = Box<Answer>;

pub(super) fn failed(error: Error) -> Denied {
    Box::new(Answer::Failed(error))
}

/// What took long to prepare is not wanted any more.
fn meanwhile(job: &str) -> Error {
    Error::new(Kind::Unavailable, format!("{job} was stopped, or started again, meanwhile"))
}

fn no_job(job: &str) -> Answer {
    Answer::Failed(
        Error::new(Kind::Usage, format!("there is no job `{job}`"))
            .help("`weir status` has the names of all"),
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn what_was_looked_into_is_in_order_for_the_same_tenant_with_the_same_demands() {
        let granted = |name: &str, more: &str| {
            let policy = format!("[tenants.{name}]\nusers = [\"1\"]\nscope = \"all\"\n{more}\n");
            let policy = Policy::parse(&policy, Path::new("policy.toml")).unwrap();
            policy.tenants().next().unwrap().clone()
        };
        let now = |tenant: Arc<Tenant>| Some((tenant.name.clone(), Some(tenant)));
        let before = Some(granted("a", "unsigned = true"));
        assert!(are_alike(&before, &now(granted("a", "unsigned = true\nlimits = { tables = 1 }"))));
        for (name, more) in [("a", ""), ("b", "unsigned = true"), ("a", "unsigned = true\nversions = true")] {
            assert!(!are_alike(&before, &now(granted(name, more))), "{name}: {more}");
        }
        let operator = Some((OPERATOR.into(), None));
        assert!(are_alike(&None, &operator) && !are_alike(&before, &operator));
        assert!(!are_alike(&None, &now(granted("a", ""))));
    }
}
