//! The host's end of a sandbox: hands snapshots down, takes answers up, and keeps watch.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Child;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::answers::{Totals, believe, fault};
use super::channel::{Channel, Silence, Until};
use super::compile::{Code, Job};
use super::limits::{GRACE, PLUGINS, SANDBOX_MEMORY, SLOTS, STALL_FACTOR, START_WALL};
use super::lockdown::Left;
use super::ring::{self, Ring};
use super::spawn::{Identity, Role, spawn};
use super::wire::{
    CallOrder, Claim, End, GrantedTable, IntervalOrder, OptionOrder, Order, PluginOrder, Put, Reason,
    TableOrder,
};
use super::{Answer, Limits, OptionValue, Plugin};
use crate::error::{Error, Kind, Result};
use crate::escape::escape;
use crate::snapshot::{Interval, Snapshot};

/// The sandbox process of one tenant, with its plugins.
#[derive(Debug)]
pub struct Sandbox {
    plugins: Vec<Hosted>,
    /// All tables that any plugin was granted.
    tables: Vec<(Arc<str>, SchemaRef)>,
    identity: Identity,
    ring: Ring,
    process: Process,
    /// What has not been collected yet.
    ready: Vec<Answer>,
    skipped: u64,
    /// When the process last did something that it had been asked for, or was asked while it had nothing to do.
    progress: Instant,
}

/// What the host keeps of a plugin.
#[derive(Debug)]
struct Hosted {
    name: String,
    tables: Vec<u32>,
    options: Vec<(String, OptionOrder)>,
    limits: Limits,
    code: Code,
    totals: Totals,
    /// The process has yet to say how `configure` went.
    configuring: bool,
    under_way: Option<UnderWay>,
    /// Intervals missed since its last call.
    missed: u32,
}

#[derive(Clone, Copy, Debug)]
struct UnderWay {
    interval: u64,
    slot: usize,
}

/// The process. Ends with whoever holds it.
#[derive(Debug)]
struct Process {
    child: Child,
    channel: Channel,
    /// It has loaded everything.
    up: bool,
}

impl Sandbox {
    /// Compiles each plugin in a process of its own, starts the sandbox, and configures the plugins.
    pub fn start(plugins: Vec<Plugin>) -> Result<Self> {
        if plugins.len() > PLUGINS {
            let message = format!("{} plugins, and a sandbox has no more than {PLUGINS}", plugins.len());
            return Err(Error::new(Kind::Config, message));
        }
        let identity = Identity::choose()
            .map_err(|error| Error::from(error).context("cannot find a user for the sandbox"))?;
        let codes = compile(&plugins, &identity)?;
        let mut tables: Vec<(Arc<str>, SchemaRef)> = Vec::new();
        let plugins: Vec<_> = plugins
            .into_iter()
            .zip(codes)
            .map(|(plugin, code)| Hosted::new(plugin, code, &mut tables))
            .collect();
        let ring =
            Ring::new().map_err(|error| Error::from(error).context("cannot make the sandbox's ring"))?;
        let process = Process::start(&plugins, &tables, &ring, &identity, true)?;
        let progress = Instant::now();
        let mut sandbox =
            Self { plugins, tables, identity, ring, process, ready: Vec::new(), skipped: 0, progress };
        sandbox.configure()?;
        Ok(sandbox)
    }

    /// Waits until every plugin has been configured.
    fn configure(&mut self) -> Result<()> {
        while let Some(next) = self.plugins.iter().position(|plugin| plugin.configuring) {
            let name = self.plugins[next].name.clone();
            let refuse = |what: String| Error::new(Kind::Data, format!("plugin {name}: {what}"));
            let claim = match self.process.channel.receive_until(Until::Then(self.until())) {
                Ok(Claim::Unfit(reason)) => return Err(unfit(&reason)),
                Ok(claim) => claim,
                Err(_) if !self.process.up => return Err(self.process.did_not_come_up()),
                Err(Silence::Waiting) => return Err(refuse("configure did not return".to_owned())),
                Err(Silence::Closed) => return Err(refuse("its process ended in configure".to_owned())),
                Err(Silence::Garbage) => {
                    return Err(refuse("its process said what is no message".to_owned()));
                }
            };
            if let Claim::Configured { end: Err(fault), .. } = &claim {
                let message = escape(fault.message.as_bytes()).into_owned();
                return Err(match fault.reason {
                    Reason::Failed => refuse(format!("configure failed: {message}")),
                    reason => refuse(format!("configure failed: {}: {message}", reason.name())),
                });
            }
            if !self.take(claim) {
                return Err(refuse("its process claimed what cannot be".to_owned()));
            }
        }
        Ok(())
    }

    /// The sandbox's process now; another one after it had to be killed.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.child.id()
    }

    /// Hands an interval's snapshots to every plugin. Never blocks: a plugin that has not yet answered the
    /// last interval misses this one.
    pub fn analyze(&mut self, interval: &Interval, snapshots: &[Snapshot]) -> Result<()> {
        let snapshots = self.granted(snapshots)?;
        let (late, free): (Vec<_>, Vec<_>) =
            (0..self.plugins.len()).partition(|plugin| self.plugins[*plugin].under_way.is_some());
        self.skip(&late, interval.number, "it has not answered an earlier interval yet");
        if free.is_empty() {
            return Ok(());
        }
        let Some(slot) = self.ring.free() else {
            self.skip(&free, interval.number, &format!("{SLOTS} earlier snapshots are still being read"));
            return Ok(());
        };
        let mut tables = Vec::with_capacity(snapshots.len());
        let mut end = 0;
        for snapshot in snapshots {
            let written = self.ring.write(slot, end, &snapshot.rows).map_err(|error| {
                Error::new(
                    Kind::Software,
                    format!("table {}: cannot hand it to plugins: {error}", snapshot.table),
                )
            })?;
            let Some(place) = written else {
                self.skip(
                    &free,
                    interval.number,
                    "the interval's snapshots are larger than a slot of the ring",
                );
                return Ok(());
            };
            end = place.end;
            tables.push(table_order(snapshot, place));
        }
        let calls = free.iter().map(|plugin| CallOrder {
            plugin: u32::try_from(*plugin).unwrap_or(u32::MAX),
            skipped: self.plugins[*plugin].missed,
        });
        let order = Order::Analyze {
            interval: interval_order(interval),
            slot: u32::try_from(slot).unwrap_or(u32::MAX),
            tables,
            plugins: calls.collect(),
        };
        if self.idle() {
            self.progress = Instant::now();
        }
        if let Err(error) = self.process.channel.send(&order, Until::Now) {
            // Either it does not read, and the watchdog sees to it, or it is gone, and `answers` will.
            self.skip(&free, interval.number, &format!("the sandbox takes no order: {error}"));
            return Ok(());
        }
        self.ring.lend(slot, free.len());
        for plugin in free {
            let plugin = &mut self.plugins[plugin];
            plugin.under_way = Some(UnderWay { interval: interval.number, slot });
            plugin.missed = 0;
        }
        Ok(())
    }

    /// The snapshots of the sandbox's tables, in their order.
    fn granted<'a>(&self, snapshots: &'a [Snapshot]) -> Result<Vec<&'a Snapshot>> {
        let find = |(name, schema): &(Arc<str>, SchemaRef)| {
            let wrong = |what: &str| Error::new(Kind::Software, format!("table {name}: {what}"));
            let snapshot = snapshots
                .iter()
                .find(|snapshot| snapshot.table == *name)
                .ok_or_else(|| wrong("plugins were granted it, and it has no snapshot"))?;
            if snapshot.rows.schema().fields() != schema.fields() {
                return Err(wrong("its snapshot has other columns than plugins were granted"));
            }
            Ok(snapshot)
        };
        self.tables.iter().map(find).collect()
    }

    fn skip(&mut self, plugins: &[usize], interval: u64, why: &str) {
        for plugin in plugins {
            self.plugins[*plugin].missed = self.plugins[*plugin].missed.saturating_add(1);
            self.skipped += 1;
            let outputs = vec![fault(Reason::Skipped, why)];
            self.ready.push(Answer { plugin: *plugin, interval, outputs });
        }
    }

    /// What has been answered by now. Also keeps watch: a sandbox that outlived deadline and grace is killed
    /// and replaced here. An error means that there is no sandbox any more.
    pub fn answers(&mut self) -> Result<Vec<Answer>> {
        loop {
            match self.process.channel.receive() {
                Ok(Claim::Unfit(reason)) => return Err(unfit(&reason)),
                Ok(claim) => {
                    if !self.take(claim) {
                        self.replace("its process claimed what cannot be")?;
                    }
                }
                Err(Silence::Waiting) => break,
                Err(Silence::Closed) => self.replace("its process ended")?,
                Err(Silence::Garbage) => self.replace("its process said what is no message")?,
            }
        }
        if !self.idle() && Instant::now() >= self.until() {
            self.replace("its process did not answer in time and was ended")?;
        }
        Ok(std::mem::take(&mut self.ready))
    }

    /// Checks a claim against what was asked for; false if it cannot be.
    fn take(&mut self, claim: Claim) -> bool {
        let believed = match claim {
            Claim::Unfit(_) => false,
            Claim::Loaded => !std::mem::replace(&mut self.process.up, true),
            Claim::Configured { plugin, end, outputs } => self.configured(plugin as usize, end, outputs),
            Claim::Answered { plugin, interval, end, outputs } => {
                self.answered(plugin as usize, interval, end, outputs)
            }
        };
        self.progress = Instant::now();
        believed
    }

    fn configured(&mut self, number: usize, end: End, outputs: Vec<Put>) -> bool {
        let Some(plugin) = self.plugins.get_mut(number).filter(|plugin| plugin.configuring) else {
            return false;
        };
        let Some(outputs) = believe(&mut plugin.totals, end, outputs) else { return false };
        plugin.configuring = false;
        if !outputs.is_empty() {
            self.ready.push(Answer { plugin: number, interval: 0, outputs });
        }
        true
    }

    fn answered(&mut self, number: usize, interval: u64, end: End, outputs: Vec<Put>) -> bool {
        let Some(plugin) = self.plugins.get_mut(number) else { return false };
        let Some(call) = plugin.under_way.filter(|call| call.interval == interval) else { return false };
        let Some(outputs) = believe(&mut plugin.totals, end, outputs) else { return false };
        plugin.under_way = None;
        self.ring.give_back(call.slot);
        self.ready.push(Answer { plugin: number, interval, outputs });
        true
    }

    /// Ends the process and starts another, with the same code.
    fn replace(&mut self, why: &str) -> Result<()> {
        if !self.process.up {
            return Err(self.process.did_not_come_up());
        }
        self.process.end();
        for (number, plugin) in self.plugins.iter_mut().enumerate() {
            if let Some(UnderWay { interval, .. }) = plugin.under_way.take() {
                let outputs = vec![fault(Reason::Killed, why)];
                self.ready.push(Answer { plugin: number, interval, outputs });
            }
        }
        self.ring.take_back();
        self.process = Process::start(&self.plugins, &self.tables, &self.ring, &self.identity, false)?;
        self.progress = Instant::now();
        Ok(())
    }

    /// When the process has to have made progress.
    fn until(&self) -> Instant {
        if !self.process.up {
            return self.progress + START_WALL;
        }
        let longest = self.plugins.iter().map(|plugin| plugin.limits.deadline).max();
        self.progress + longest.unwrap_or(Duration::ZERO) * STALL_FACTOR + GRACE
    }

    /// No call is under way.
    #[must_use]
    pub fn idle(&self) -> bool {
        self.plugins.iter().all(|plugin| plugin.under_way.is_none())
    }

    /// When [`Sandbox::answers`] has to be called next, even if the channel stays silent.
    #[must_use]
    pub fn wake(&self) -> Option<Instant> {
        if !self.ready.is_empty() {
            return Some(Instant::now());
        }
        (!self.idle()).then(|| self.until())
    }

    /// Intervals for which a plugin was not called, over all plugins.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }
}

impl AsFd for Sandbox {
    /// Readable when there may be something to answer. Another one after the process was replaced.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.process.channel.as_fd()
    }
}

/// Compiles all plugins, as many at a time as there are processors.
fn compile(plugins: &[Plugin], identity: &Identity) -> Result<Vec<Code>> {
    let together = std::thread::available_parallelism().map_or(1, usize::from);
    let mut codes = Vec::with_capacity(plugins.len());
    for plugins in plugins.chunks(together) {
        let jobs = plugins.iter().map(|plugin| Job::start(&plugin.name, &plugin.component, identity));
        for job in jobs.collect::<Result<Vec<_>>>()? {
            codes.push(job.finish()?);
        }
    }
    Ok(codes)
}

impl Hosted {
    fn new(plugin: Plugin, code: Code, tables: &mut Vec<(Arc<str>, SchemaRef)>) -> Self {
        let granted = plugin.tables.into_iter().map(|(name, schema)| {
            let known = tables.iter().position(|(known, _)| *known == name);
            let place = known.unwrap_or_else(|| {
                tables.push((name, schema));
                tables.len() - 1
            });
            u32::try_from(place).unwrap_or(u32::MAX)
        });
        let option = |option| match option {
            OptionValue::Text(text) => OptionOrder::Text(text),
            OptionValue::Integer(integer) => OptionOrder::Integer(integer),
            OptionValue::Number(number) => OptionOrder::Number(number),
            OptionValue::Flag(flag) => OptionOrder::Flag(flag),
        };
        Self {
            name: plugin.name,
            tables: granted.collect(),
            options: plugin.options.into_iter().map(|(name, value)| (name, option(value))).collect(),
            limits: plugin.limits,
            code,
            totals: Totals::new(),
            configuring: true,
            under_way: None,
            missed: 0,
        }
    }

    fn order(&self) -> PluginOrder {
        PluginOrder {
            tables: self.tables.clone(),
            options: self.options.clone(),
            memory: self.limits.memory,
            deadline_ns: u64::try_from(self.limits.deadline.as_nanos()).unwrap_or(u64::MAX),
            code_bytes: self.code.bytes,
        }
    }
}

impl Process {
    fn start(
        plugins: &[Hosted],
        tables: &[(Arc<str>, SchemaRef)],
        ring: &Ring,
        identity: &Identity,
        configure: bool,
    ) -> Result<Self> {
        let failed =
            |error: std::io::Error| Error::new(Kind::Software, format!("cannot start the sandbox: {error}"));
        let (channel, theirs) = Channel::pair().map_err(failed)?;
        let mut files: Vec<OwnedFd> = vec![theirs];
        files.extend(ring.files().map_err(failed)?);
        for plugin in plugins {
            files.push(plugin.code.file.try_clone().map_err(failed)?);
        }
        let guest = plugins.iter().map(|plugin| plugin.limits.memory).max().unwrap_or(0);
        let code: u64 = plugins.iter().map(|plugin| plugin.code.bytes).sum();
        let left = Left {
            uid: identity.uid(),
            descriptors: u32::try_from(files.len()).unwrap_or(u32::MAX),
            memory: SANDBOX_MEMORY.saturating_add(guest).saturating_add(code),
            cpu: None,
        };
        let child = spawn(Role::Sandbox, files, left).map_err(failed)?;
        let process = Self { child, channel, up: false };
        let table = |(name, schema): &(Arc<str>, SchemaRef)| {
            let mut empty = Vec::new();
            ring::encode(&mut empty, &RecordBatch::new_empty(schema.clone()))
                .map_err(std::io::Error::other)?;
            Ok(GrantedTable { name: name.to_string(), empty })
        };
        let order = Order::Start {
            tables: tables.iter().map(table).collect::<std::io::Result<_>>().map_err(failed)?,
            plugins: plugins.iter().map(Hosted::order).collect(),
            configure,
        };
        // Fits the socket unless the options are very long; then it waits for the process to read. If that is
        // gone already, it has said why, or its silence is what is found next.
        drop(process.channel.send(&order, Until::Then(Instant::now() + START_WALL)));
        Ok(process)
    }

    fn end(&mut self) {
        // Neither fails for a process that has ended and been waited for.
        drop(self.child.kill());
        drop(self.child.wait());
    }

    fn did_not_come_up(&mut self) -> Error {
        self.end();
        let status = self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        Error::new(Kind::Software, format!("the sandbox did not come up ({status})"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

fn unfit(reason: &str) -> Error {
    let reason = escape(reason.as_bytes()).into_owned();
    Error::new(Kind::Unavailable, format!("the sandbox refuses to run: {reason}"))
        .help("it runs plugins only after it has given up every privilege")
}

fn interval_order(interval: &Interval) -> IntervalOrder {
    let began = interval.began.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    IntervalOrder {
        number: interval.number,
        began_seconds: began.as_secs(),
        began_nanoseconds: began.subsec_nanos(),
        length_ns: u64::try_from(interval.length.as_nanos()).unwrap_or(u64::MAX),
        last: interval.last,
    }
}

fn table_order(snapshot: &Snapshot, place: std::ops::Range<usize>) -> TableOrder {
    let coverage = &snapshot.coverage;
    TableOrder {
        offset: place.start as u64,
        length: place.len() as u64,
        events: coverage.events,
        overflow: coverage.overflow,
        missed: coverage.missed_reliable.then_some(coverage.missed),
    }
}

#[cfg(test)]
mod tests;
