//! The host's end of a sandbox: hands snapshots down, takes answers up, and keeps watch.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use rustix::io::Errno;

use super::answers::{Totals, believe, fault};
use super::channel::{Channel, Silence, Until};
use super::compile::{Code, Job};
use super::engine::Bound;
use super::groups::Group;
use super::limits::{
    BEHIND, GRACE, LEAST_PAUSE, LOAD_WALL, LOOK, OPTION_BYTES, PAUSES, PLUGINS, SANDBOX_MEMORY, SLOTS,
    START_WALL, STARTS,
};
use super::lockdown::Left;
use super::pace::Pace;
use super::process;
use super::ring::{self, Ring};
use super::spawn::{Identity, Role, spawn};
use super::wire::{
    CallOrder, Claim, End, GrantedTable, IntervalOrder, OptionOrder, Order, PluginOrder, Put, Reason,
    TableOrder, Used,
};
use super::{Answer, Limits, OptionValue, Plugin};
use crate::error::{Error, Kind, Result};
use crate::escape::escape;
use crate::snapshot::{Interval, Snapshot};
use crate::trust::Digest;

/// The sandbox process of one tenant, with its plugins.
#[derive(Debug)]
pub struct Sandbox {
    /// By their numbers, which are not given twice.
    plugins: BTreeMap<usize, Hosted>,
    next_plugin: usize,
    /// The tables that plugins were granted, by their numbers, which are not given twice either.
    tables: BTreeMap<u32, (Arc<str>, SchemaRef)>,
    next_table: u32,
    room: Room,
    ring: Ring,
    process: Process,
    /// What it has been ordered to load and has not said how that went, in that order.
    loads: VecDeque<usize>,
    /// Dropped after the process, for its control group goes with it.
    compiler: Compiler,
    /// Processes in a row that did not come up.
    failed_starts: u32,
    /// What has not been collected yet.
    ready: Vec<Answer>,
    skipped: u64,
    /// When the process last did something that it had been asked for, or was asked while it had nothing to do.
    progress: Instant,
    /// It is a tenant's, which goes on with its tables when there is no process for its plugins.
    persists: bool,
    down: Option<Down>,
}

/// There is no process.
#[derive(Debug)]
struct Down {
    /// When it is tried again.
    until: Instant,
    why: String,
}

/// What all plugins of a sandbox together may need, on top of what the sandbox itself does.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Linear memory of the largest plugin; they run one after the other.
    pub guest: u64,
    /// Compiled code of all.
    pub code: u64,
}

/// A plugin's compiled code, ready to be added to the sandbox for which it was compiled.
#[derive(Clone, Debug)]
pub struct Compiled {
    plugin: Plugin,
    code: Arc<Code>,
}

impl Compiled {
    #[must_use]
    pub fn name(&self) -> &str {
        &self.plugin.name
    }

    /// With these tables granted to it.
    #[must_use]
    pub fn with_tables(mut self, tables: Vec<(Arc<str>, SchemaRef)>) -> Self {
        self.plugin.tables = tables;
        self
    }
}

/// Compiles plugins as the user of a sandbox. Takes seconds, and needs nothing of the sandbox itself.
#[derive(Clone, Debug)]
pub struct Compiler {
    identity: Arc<Identity>,
    /// The code of plugins that are there. Many plugins of a tenant may be one component with other options; what one
    /// tenant's compiler wrote is run by no other's sandbox.
    known: Arc<Mutex<HashMap<Digest, Weak<Code>>>>,
    /// Held while one compiles: a tenant has one compiler at a time.
    turn: Arc<Mutex<()>>,
    /// What ends the calls of what it compiles.
    bound: Bound,
    /// How fast it may go on, if it has no more than a share of a processor, in millionths.
    pace: Arc<Pace>,
    share: Option<u32>,
}

impl Compiler {
    fn new(identity: Arc<Identity>, bound: Bound) -> Self {
        let pace = Arc::new(Pace::new(Instant::now()));
        Self { identity, known: Arc::default(), turn: Arc::default(), bound, pace, share: None }
    }

    /// Of no sandbox, for whoever wants to know whether a plugin can be compiled.
    pub fn alone() -> Result<Self> {
        Ok(Self::new(choose_user()?, Bound::Time))
    }

    /// Of replays, one after the other.
    pub fn of_replays() -> Result<Self> {
        Ok(Self::new(choose_user()?, Bound::Fuel))
    }

    /// The same, which has no more than a share of a processor, if there is one.
    pub(crate) fn at_pace(mut self, pace: &Arc<Pace>, share: Option<u32>) -> Self {
        (self.pace, self.share) = (pace.clone(), share);
        self
    }

    pub fn compile(&self, plugin: Plugin) -> Result<Compiled> {
        let compiled = self.compile_next(plugin, false)?;
        compiled.map_err(|_| Error::new(Kind::Unavailable, "compiling has used what is granted"))
    }

    /// Compiles the first plugin of a job, or another one; or tells how long it is until there is time for it.
    pub(crate) fn compile_next(
        &self,
        mut plugin: Plugin,
        first: bool,
    ) -> Result<std::result::Result<Compiled, Duration>> {
        let component = std::mem::take(&mut plugin.component);
        let digest = Digest::of(&component);
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let there = || known().get(&digest).and_then(Weak::upgrade);
        if let Some(code) = there() {
            return Ok(Ok(Compiled { plugin, code }));
        }
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        // Another one may have had it compiled meanwhile.
        if let Some(code) = there() {
            return Ok(Ok(Compiled { plugin, code }));
        }
        if let Some(wait) = self.share.and_then(|share| self.pace.wait(share, first, Instant::now())) {
            return Ok(Err(wait));
        }
        let job = Job::start(&plugin.name, &component, &self.identity, self.bound)?;
        let (code, used) = job.finish();
        self.pace.charge(used, self.share, Instant::now());
        let code = Arc::new(code?);
        let mut known = known();
        known.retain(|_, code| code.strong_count() > 0);
        known.insert(digest, Arc::downgrade(&code));
        Ok(Ok(Compiled { plugin, code }))
    }
}

/// What the host keeps of a plugin.
#[derive(Debug)]
struct Hosted {
    name: String,
    tables: Vec<u32>,
    options: Vec<(String, OptionOrder)>,
    limits: Limits,
    code: Arc<Code>,
    totals: Totals,
    phase: Phase,
    /// It was loaded before, into a process that this one replaces, and can be called as soon as the order to load it
    /// is given.
    again: bool,
    under_way: Option<UnderWay>,
    /// It is not to be called for now.
    held: bool,
    /// Intervals missed since its last call.
    missed: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The process has yet to say whether it has loaded and configured it.
    Loading,
    Loaded,
    /// It could not be loaded or configured, or was taken away while it was being called. It is not called again.
    Over,
}

#[derive(Clone, Copy, Debug)]
struct UnderWay {
    interval: u64,
    slot: usize,
}

/// The process. Ends with whoever holds it.
#[derive(Debug)]
struct Process {
    child: process::Process,
    channel: Channel,
    /// It has given up its privileges and takes orders.
    up: bool,
    /// Processes of its control group that had been killed for their memory before.
    out_of_memory: u64,
}

impl Sandbox {
    /// Compiles each plugin in a process of its own, starts the sandbox, and configures the plugins, whose numbers are
    /// their places.
    pub fn start(plugins: Vec<Plugin>) -> Result<Self> {
        Self::start_bound(plugins, Bound::Time)
    }

    /// The same for a replay: calls are bounded by instructions in place of time.
    pub fn replay(plugins: Vec<Plugin>) -> Result<Self> {
        Self::start_bound(plugins, Bound::Fuel)
    }

    fn start_bound(plugins: Vec<Plugin>, bound: Bound) -> Result<Self> {
        if plugins.len() > PLUGINS {
            return Err(too_many(plugins.len()));
        }
        let identity = choose_user()?;
        let compiled = compile(plugins, &identity, bound)?;
        Self::start_compiled(compiled, identity, bound)
    }

    /// A replay of a plugin that was compiled by [`Compiler::of_replays`].
    pub fn replay_compiled(compiler: &Compiler, compiled: Compiled) -> Result<Self> {
        Self::start_compiled(vec![compiled], compiler.identity.clone(), compiler.bound)
    }

    fn start_compiled(compiled: Vec<Compiled>, identity: Arc<Identity>, bound: Bound) -> Result<Self> {
        let room = Room {
            guest: compiled.iter().map(|compiled| compiled.plugin.limits.memory).max().unwrap_or(0),
            code: compiled.iter().map(|compiled| compiled.code.bytes).sum(),
        };
        let mut sandbox = Self::of(identity, room, bound)?;
        for compiled in compiled {
            sandbox.add(compiled)?;
        }
        sandbox.configure()?;
        // That they are configured is known now.
        sandbox.ready.retain(|answer| !answer.outputs.is_empty());
        Ok(sandbox)
    }

    /// A sandbox without plugins.
    pub fn empty(room: Room) -> Result<Self> {
        Self::of(choose_user()?, room, Bound::Time)
    }

    /// The same, in a control group of the tenant's, where there are groups.
    pub fn of_tenant(name: &str, room: Room) -> Result<Self> {
        let failed = |error| Error::from(error).context("cannot make a control group for the sandbox");
        let identity = Identity::choose().map_err(no_user)?.within(name, memory_of(room)).map_err(failed)?;
        Ok(Self { persists: true, ..Self::of(Arc::new(identity), room, Bound::Time)? })
    }

    /// The folder of its control group.
    #[must_use]
    pub fn group(&self) -> Option<&std::path::Path> {
        self.compiler.identity.group().map(Group::path)
    }

    fn of(identity: Arc<Identity>, room: Room, bound: Bound) -> Result<Self> {
        let ring =
            Ring::new().map_err(|error| Error::from(error).context("cannot make the sandbox's ring"))?;
        let process = Process::start(&ring, &identity, room, bound)?;
        Ok(Self {
            plugins: BTreeMap::new(),
            next_plugin: 0,
            tables: BTreeMap::new(),
            next_table: 0,
            room,
            ring,
            process,
            loads: VecDeque::new(),
            compiler: Compiler::new(identity, bound),
            failed_starts: 0,
            ready: Vec::new(),
            skipped: 0,
            progress: Instant::now(),
            persists: false,
            down: None,
        })
    }

    /// Compiles for this sandbox.
    #[must_use]
    pub fn compiler(&self) -> Compiler {
        self.compiler.clone()
    }

    /// Adds a plugin, and says by which number answers name it. Its first answer says how `configure` went; it is
    /// called once that went well.
    pub fn add(&mut self, compiled: Compiled) -> Result<usize> {
        let Compiled { plugin, code } = compiled;
        if self.plugins.len() >= PLUGINS {
            return Err(too_many(self.plugins.len() + 1));
        }
        // Each is a descriptor. A process that is in a call reads none of them.
        if self.process.channel.behind() > BEHIND {
            let message = format!("plugin {}: the sandbox is busy", plugin.name);
            return Err(Error::new(Kind::Unavailable, message).help("try again"));
        }
        let options = plugin.options.iter().map(|(name, value)| name.len() + value.bytes()).sum::<usize>();
        if options > OPTION_BYTES {
            let message = format!("plugin {}: its options have more than {OPTION_BYTES} bytes", plugin.name);
            return Err(Error::new(Kind::Config, message));
        }
        // What is the same code is there once.
        let codes = self.plugins.values().map(|plugin| &plugin.code).chain([&code]);
        let codes: BTreeMap<_, _> = codes.map(|code| (Arc::as_ptr(code), code.bytes)).collect();
        let taken = codes.into_values().fold(0, u64::saturating_add);
        if plugin.limits.memory > self.room.guest || taken > self.room.code {
            let message = format!("plugin {}: the sandbox has no room for it", plugin.name);
            return Err(
                Error::new(Kind::Unavailable, message).help("stop another plugin, or make it smaller")
            );
        }
        let tables = plugin.tables.iter().map(|table| self.number(table)).collect();
        let number = self.next_plugin;
        self.next_plugin += 1;
        if !self.is_busy() {
            self.progress = Instant::now();
        }
        self.plugins.insert(number, Hosted::new(plugin, code, tables));
        self.load(number)?;
        Ok(number)
    }

    /// Takes a plugin away. A call that is under way goes on, and its answer is dropped.
    pub fn remove(&mut self, number: usize) {
        let Some(plugin) = self.plugins.get_mut(&number) else { return };
        plugin.phase = Phase::Over;
        if plugin.under_way.is_none() {
            self.plugins.remove(&number);
        }
        self.ready.retain(|answer| answer.plugin != number);
        let used: Vec<u32> = self.plugins.values().flat_map(|plugin| plugin.tables.clone()).collect();
        self.tables.retain(|number, _| used.contains(number));
        if self.down.is_some() {
            return;
        }
        // A process that does not take it is found out by what is asked of it next.
        drop(self.process.channel.post(&Order::Unload { plugin: small(number) }, None));
    }

    /// Intervals that no plugin can be called for, because they are not there.
    pub fn missing(&mut self, intervals: u32) {
        for plugin in self.plugins.values_mut() {
            plugin.missed = plugin.missed.saturating_add(intervals);
        }
    }

    /// Has a plugin miss intervals until it is held no more. It is told how many.
    pub fn hold(&mut self, number: usize, held: bool) {
        if let Some(plugin) = self.plugins.get_mut(&number) {
            plugin.held = held;
        }
    }

    fn number(&mut self, (name, schema): &(Arc<str>, SchemaRef)) -> u32 {
        let known = self.tables.iter().find(|(_, known)| known.0 == *name && known.1 == *schema);
        if let Some((number, _)) = known {
            return *number;
        }
        self.next_table += 1;
        self.tables.insert(self.next_table, (name.clone(), schema.clone()));
        self.next_table
    }

    /// Orders the process to load a plugin. If the process is gone already, it has said why, or its silence is what is
    /// found next.
    fn load(&mut self, number: usize) -> Result<()> {
        if self.down.is_some() {
            // The next process is told of all plugins.
            return Ok(());
        }
        let Some(plugin) = self.plugins.get_mut(&number) else { return Ok(()) };
        let failed = |error: std::io::Error| {
            Error::new(Kind::Software, format!("cannot hand a plugin to the sandbox: {error}"))
        };
        let table = |table: &u32| {
            let (name, schema) = &self.tables[table];
            let mut empty = Vec::new();
            ring::encode(&mut empty, &RecordBatch::new_empty(schema.clone()))
                .map_err(std::io::Error::other)?;
            // A daemon's names of tables say whose they are, too, before a slash.
            let name = name.rsplit('/').next().unwrap_or_default().to_owned();
            Ok(GrantedTable { table: *table, name, empty })
        };
        let order = Order::Load {
            plugin: small(number),
            tables: plugin.tables.iter().map(table).collect::<std::io::Result<_>>().map_err(failed)?,
            order: plugin.order(),
            configure: !plugin.again,
        };
        // Nobody waits for the process to read it: it may be in a call that takes long. One that never does is found out
        // by that it does not load.
        let code = plugin.code.file.try_clone().map_err(failed)?;
        drop(self.process.channel.post(&order, Some(code)));
        self.loads.push_back(number);
        Ok(())
    }

    /// Waits until every plugin has been configured.
    fn configure(&mut self) -> Result<()> {
        while let Some(plugin) = self.plugins.values().find(|plugin| plugin.phase == Phase::Loading) {
            let name = plugin.name.clone();
            let refuse = |what: String| Error::new(Kind::Data, format!("plugin {name}: {what}"));
            // It reads as long as it has nothing to say.
            drop(self.process.channel.flush(Until::Then(Instant::now() + LOAD_WALL)));
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
            if let Claim::Loaded { end: Err(fault), .. } = &claim {
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
        let (mut late, mut free) = (Vec::new(), Vec::new());
        for (number, plugin) in &mut self.plugins {
            match plugin.phase {
                Phase::Over => {}
                _ if plugin.held => plugin.missed = plugin.missed.saturating_add(1),
                Phase::Loaded if plugin.under_way.is_none() => free.push(*number),
                _ => late.push(*number),
            }
        }
        if let Some(down) = &self.down {
            let why = format!("there is no process for plugins, and it is tried again: {}", down.why);
            late.append(&mut free);
            self.skip(&late, interval.number, &why);
            return Ok(());
        }
        self.skip(&late, interval.number, "it has not answered an earlier interval yet");
        if free.is_empty() {
            return Ok(());
        }
        let Some(slot) = self.ring.free() else {
            self.skip(&free, interval.number, &format!("{SLOTS} earlier snapshots are still being read"));
            return Ok(());
        };
        let wanted = free.iter().flat_map(|number| self.plugins[number].tables.clone());
        let wanted: std::collections::BTreeSet<u32> = wanted.collect();
        let mut tables = Vec::with_capacity(wanted.len());
        let mut end = 0;
        for table in wanted {
            let snapshot = self.granted(table, snapshots)?;
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
            tables.push(table_order(table, snapshot, place));
        }
        let calls = free
            .iter()
            .map(|number| CallOrder { plugin: small(*number), skipped: self.plugins[number].missed });
        let order = Order::Analyze {
            interval: interval_order(interval),
            slot: small(slot),
            tables,
            plugins: calls.collect(),
        };
        if !self.is_busy() {
            self.progress = Instant::now();
        }
        let channel = &mut self.process.channel;
        let posted = if channel.behind() > 0 { Err(Errno::AGAIN.into()) } else { channel.post(&order, None) };
        if let Err(error) = posted {
            // Either it does not read, and the watchdog sees to it, or it is gone, and `answers` will.
            self.skip(&free, interval.number, &format!("the sandbox takes no order: {error}"));
            return Ok(());
        }
        self.ring.lend(slot, free.len());
        for number in free {
            if let Some(plugin) = self.plugins.get_mut(&number) {
                plugin.under_way = Some(UnderWay { interval: interval.number, slot });
                plugin.missed = 0;
            }
        }
        Ok(())
    }

    /// The snapshot of one of the sandbox's tables.
    fn granted<'a>(&self, table: u32, snapshots: &'a [Snapshot]) -> Result<&'a Snapshot> {
        let (name, schema) = &self.tables[&table];
        let wrong = |what: &str| Error::new(Kind::Software, format!("table {name}: {what}"));
        let snapshot = snapshots
            .iter()
            .find(|snapshot| snapshot.table == *name)
            .ok_or_else(|| wrong("plugins were granted it, and it has no snapshot"))?;
        if snapshot.rows.schema().fields() != schema.fields() {
            return Err(wrong("its snapshot has other columns than plugins were granted"));
        }
        Ok(snapshot)
    }

    fn skip(&mut self, plugins: &[usize], interval: u64, why: &str) {
        for number in plugins {
            let Some(plugin) = self.plugins.get_mut(number) else { continue };
            plugin.missed = plugin.missed.saturating_add(1);
            self.skipped += 1;
            self.ready.push(Answer::fault(*number, interval, Reason::Skipped, why));
        }
    }

    /// What has been answered by now. Also keeps watch: a sandbox that outlived deadline and grace is killed
    /// and replaced here. An error means that there is no sandbox any more.
    pub fn answers(&mut self) -> Result<Vec<Answer>> {
        if let Some(down) = &self.down {
            if Instant::now() < down.until {
                return Ok(std::mem::take(&mut self.ready));
            }
            self.start_again()?;
        }
        while self.down.is_none() {
            // Whether that goes wrong, what it says next will tell.
            drop(self.process.channel.flush(Until::Now));
            match self.process.channel.receive() {
                Ok(Claim::Unfit(reason)) => {
                    drop(self.process.end());
                    self.lose_calls("its process gave up");
                    self.failed_starts = STARTS.max(self.failed_starts + 1);
                    self.went_down(unfit(&reason))?;
                }
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
        if self.down.is_none() && self.is_busy() && Instant::now() >= self.until() {
            self.replace("its process did not answer in time and was ended")?;
        }
        Ok(std::mem::take(&mut self.ready))
    }

    /// Checks a claim against what was asked for; false if it cannot be.
    fn take(&mut self, claim: Claim) -> bool {
        let believed = match claim {
            Claim::Unfit(_) => false,
            Claim::Up => {
                self.failed_starts = 0;
                !std::mem::replace(&mut self.process.up, true)
            }
            Claim::Loaded { plugin, end, outputs, used } => self.loaded(plugin as usize, end, outputs, used),
            Claim::Answered { plugin, interval, end, outputs, used } => {
                self.answered(plugin as usize, interval, end, outputs, used)
            }
        };
        self.progress = Instant::now();
        believed
    }

    fn loaded(&mut self, number: usize, end: End, outputs: Vec<Put>, used: Used) -> bool {
        if self.loads.pop_front() != Some(number) {
            return false;
        }
        // It may have been taken away meanwhile.
        let Some(plugin) = self.plugins.get_mut(&number) else { return true };
        let again = std::mem::take(&mut plugin.again);
        match plugin.phase {
            Phase::Over => return true,
            Phase::Loaded if !again => return false,
            Phase::Loaded if end.is_ok() => return outputs.is_empty(),
            Phase::Loaded | Phase::Loading => {}
        }
        plugin.phase = if end.is_ok() { Phase::Loaded } else { Phase::Over };
        let Some(outputs) = believe(&mut plugin.totals, end, outputs) else { return false };
        self.ready.push(Answer { plugin: number, interval: 0, configure: true, outputs, used, ended: false });
        true
    }

    fn answered(&mut self, number: usize, interval: u64, end: End, outputs: Vec<Put>, used: Used) -> bool {
        let Some(plugin) = self.plugins.get_mut(&number) else { return false };
        let Some(call) = plugin.under_way.filter(|call| call.interval == interval) else { return false };
        let Some(outputs) = believe(&mut plugin.totals, end, outputs) else { return false };
        plugin.under_way = None;
        self.ring.give_back(call.slot);
        if plugin.phase == Phase::Over {
            self.plugins.remove(&number);
        } else {
            self.ready.push(Answer {
                plugin: number,
                interval,
                configure: false,
                outputs,
                used,
                ended: false,
            });
        }
        true
    }

    /// Ends the process and starts another, with the same code.
    fn replace(&mut self, why: &str) -> Result<()> {
        let came_up = self.process.up;
        if !came_up {
            self.failed_starts += 1;
        }
        let ended = self.process.end();
        ended.map_err(|error| Error::from(error).context("cannot end a sandbox's process"))?;
        let starved = self.compiler.identity.out_of_memory() > self.process.out_of_memory;
        let (reason, what) = if starved { (Reason::Memory, OUT_OF_MEMORY) } else { (Reason::Killed, why) };
        // A plugin is loaded before any is called, so if one was being loaded, the process ended of that, unless it
        // never got so far.
        let up = self.process.up;
        let culprit = self.plugins.iter().find(|(_, plugin)| up && plugin.phase == Phase::Loading);
        let culprit = culprit.map(|(number, _)| *number);
        if let Some((number, plugin)) = culprit.and_then(|number| self.plugins.remove_entry(&number)) {
            let killed = Answer::killed(number, 0, reason, what, Some(&plugin.limits));
            self.ready.push(Answer { configure: true, ..killed });
        }
        // They are called in this order.
        let under_way =
            self.plugins.iter().filter_map(|(number, plugin)| Some((plugin.under_way?.interval, *number)));
        let ran = if culprit.is_none() { under_way.min() } else { None };
        for (number, plugin) in &mut self.plugins {
            let Some(UnderWay { interval, .. }) = plugin.under_way.take() else { continue };
            if ran == Some((interval, *number)) {
                // The tenant is charged for it even if the plugin has been taken away meanwhile.
                self.ready.push(Answer::killed(*number, interval, reason, what, Some(&plugin.limits)));
            } else if plugin.phase != Phase::Over {
                self.ready.push(Answer::killed(*number, interval, Reason::Killed, why, None));
            }
        }
        self.plugins.retain(|_, plugin| plugin.phase != Phase::Over);
        self.ring.take_back();
        if !came_up && self.failed_starts >= STARTS {
            let error = self.process.did_not_come_up();
            return self.went_down(error);
        }
        self.start_again()
    }

    /// There is no process, and a tenant's sandbox tries again later, each time after twice as long. Others are over.
    fn went_down(&mut self, error: Error) -> Result<()> {
        if !self.persists {
            return Err(error);
        }
        let wait = LEAST_PAUSE * 2u32.pow(self.failed_starts.saturating_sub(STARTS).min(PAUSES));
        self.down = Some(Down { until: Instant::now() + wait, why: error.to_string() });
        Ok(())
    }

    /// Has room for more from now on. Another process takes the place of the one that is there: plugins are configured anew,
    /// what they kept is lost, and calls that are under way are skipped.
    pub fn enlarge(&mut self, room: Room) -> Result<()> {
        let failed = |error: std::io::Error| Error::from(error).context("cannot enlarge a sandbox");
        self.compiler.identity.widen(memory_of(room)).map_err(failed)?;
        self.room = room;
        self.process.end().map_err(failed)?;
        self.lose_calls("the tenant's sandbox was replaced by a larger one");
        self.start_again()
    }

    /// Calls that were under way are skipped: the process is gone, and no plugin is to blame for it.
    fn lose_calls(&mut self, why: &str) {
        for (number, plugin) in &mut self.plugins {
            let Some(UnderWay { interval, .. }) = plugin.under_way.take() else { continue };
            if plugin.phase != Phase::Over {
                plugin.missed = plugin.missed.saturating_add(1);
                self.ready.push(Answer::fault(*number, interval, Reason::Skipped, why));
            }
        }
        self.plugins.retain(|_, plugin| plugin.phase != Phase::Over);
        self.ring.take_back();
    }

    /// Starts a process in the place of one that has ended, with the same code.
    fn start_again(&mut self) -> Result<()> {
        match Process::start(&self.ring, &self.compiler.identity, self.room, self.compiler.bound) {
            Ok(process) => self.process = process,
            Err(error) => {
                self.failed_starts += 1;
                return self.went_down(error);
            }
        }
        self.progress = Instant::now();
        self.down = None;
        self.loads.clear();
        self.plugins.values_mut().for_each(|plugin| plugin.again = plugin.phase == Phase::Loaded);
        let numbers: Vec<usize> = self.plugins.keys().copied().collect();
        numbers.into_iter().try_for_each(|number| self.load(number))
    }

    /// When the process has to have made progress.
    fn until(&self) -> Instant {
        if !self.process.up {
            return self.progress + START_WALL;
        }
        let longest = self.plugins.values().map(|plugin| plugin.limits.deadline).max();
        self.progress + longest.unwrap_or(Duration::ZERO) * self.compiler.bound.patience() + GRACE
    }

    /// The process has something to do, or to say.
    fn is_busy(&self) -> bool {
        !self.process.up
            || self.plugins.values().any(|p| p.under_way.is_some() || p.again || p.phase == Phase::Loading)
    }

    /// No call is under way.
    #[must_use]
    pub fn idle(&self) -> bool {
        self.plugins.values().all(|plugin| plugin.under_way.is_none())
    }

    /// When [`Sandbox::answers`] has to be called next, even if the channel stays silent.
    #[must_use]
    pub fn wake(&self) -> Option<Instant> {
        if !self.ready.is_empty() {
            return Some(Instant::now());
        }
        if let Some(down) = &self.down {
            return Some(down.until);
        }
        let behind = (self.process.channel.behind() > 0).then(|| Instant::now() + LOOK);
        behind.into_iter().chain(self.is_busy().then(|| self.until())).min()
    }

    /// Why there is no process now. It is tried again.
    #[must_use]
    pub fn down(&self) -> Option<&str> {
        self.down.as_ref().map(|down| down.why.as_str())
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

/// What all processes of a tenant with this room may have together: code is there in its files, and what Wasmtime knows of it
/// beside that.
fn memory_of(room: Room) -> u64 {
    SANDBOX_MEMORY.saturating_add(room.guest).saturating_add(room.code.saturating_mul(2))
}

fn choose_user() -> Result<Arc<Identity>> {
    Identity::choose().map(Arc::new).map_err(no_user)
}

fn no_user(error: std::io::Error) -> Error {
    Error::from(error).context("cannot find a user for the sandbox")
}

/// What is said of a process that its control group did not have enough memory for.
const OUT_OF_MEMORY: &str =
    "the tenant's processes together took more memory than their control group has, and were ended";

fn too_many(plugins: usize) -> Error {
    Error::new(Kind::Config, format!("{plugins} plugins, and a sandbox has no more than {PLUGINS}"))
}

/// A number of a plugin or a slot, which are few.
fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Compiles all plugins, as many at a time as there are processors, and what is the same component once.
fn compile(plugins: Vec<Plugin>, identity: &Arc<Identity>, bound: Bound) -> Result<Vec<Compiled>> {
    let together = std::thread::available_parallelism().map_or(1, usize::from);
    let digests: Vec<Digest> = plugins.iter().map(|plugin| Digest::of(&plugin.component)).collect();
    let mut wanted: Vec<(Digest, &Plugin)> = Vec::new();
    for (digest, plugin) in digests.iter().zip(&plugins) {
        if wanted.iter().all(|(known, _)| known != digest) {
            wanted.push((*digest, plugin));
        }
    }
    let mut codes = HashMap::new();
    for wanted in wanted.chunks(together) {
        let jobs = wanted.iter().map(|(digest, plugin)| {
            Ok((*digest, Job::start(&plugin.name, &plugin.component, identity, bound)?))
        });
        for (digest, job) in jobs.collect::<Result<Vec<_>>>()? {
            codes.insert(digest, Arc::new(job.finish().0?));
        }
    }
    let compiled = plugins.into_iter().zip(digests).filter_map(|(mut plugin, digest)| {
        plugin.component = Vec::new();
        Some(Compiled { plugin, code: codes.get(&digest)?.clone() })
    });
    Ok(compiled.collect())
}

impl Answer {
    fn fault(plugin: usize, interval: u64, reason: Reason, why: &str) -> Self {
        let outputs = vec![fault(reason, why)];
        Self { plugin, interval, configure: false, outputs, used: Used::default(), ended: false }
    }

    /// The process was ended during a call. If the call was the one that ran, it used its deadline, as far as is known.
    fn killed(plugin: usize, interval: u64, reason: Reason, why: &str, ran: Option<&Limits>) -> Self {
        let deadline = ran.map_or(0, |limits| u64::try_from(limits.deadline.as_nanos()).unwrap_or(u64::MAX));
        let used = Used { processor_ns: deadline, ..Used::default() };
        Self { used, ended: true, ..Self::fault(plugin, interval, reason, why) }
    }
}

impl Hosted {
    fn new(plugin: Plugin, code: Arc<Code>, tables: Vec<u32>) -> Self {
        let option = |option| match option {
            OptionValue::Text(text) => OptionOrder::Text(text),
            OptionValue::Integer(integer) => OptionOrder::Integer(integer),
            OptionValue::Number(number) => OptionOrder::Number(number),
            OptionValue::Flag(flag) => OptionOrder::Flag(flag),
        };
        Self {
            name: plugin.name,
            tables,
            options: plugin.options.into_iter().map(|(name, value)| (name, option(value))).collect(),
            limits: plugin.limits,
            code,
            totals: Totals::new(),
            phase: Phase::Loading,
            again: false,
            under_way: None,
            held: false,
            missed: 0,
        }
    }

    fn order(&self) -> PluginOrder {
        PluginOrder {
            options: self.options.clone(),
            memory: self.limits.memory,
            deadline_ns: u64::try_from(self.limits.deadline.as_nanos()).unwrap_or(u64::MAX),
            code_bytes: self.code.bytes,
        }
    }
}

impl Process {
    fn start(ring: &Ring, identity: &Identity, room: Room, bound: Bound) -> Result<Self> {
        let failed =
            |error: std::io::Error| Error::new(Kind::Software, format!("cannot start the sandbox: {error}"));
        let (channel, theirs) = Channel::pair().map_err(failed)?;
        let mut files: Vec<OwnedFd> = vec![theirs];
        files.extend(ring.files().map_err(failed)?);
        let left = Left {
            uid: identity.uid(),
            descriptors: small(files.len()),
            memory: SANDBOX_MEMORY.saturating_add(room.guest).saturating_add(room.code),
            cpu: None,
            grouped: identity.group().is_some(),
        };
        files.extend(identity.entrance().map_err(failed)?);
        let out_of_memory = identity.out_of_memory();
        let child = spawn(Role::Sandbox(bound), files, left).map_err(failed)?;
        Ok(Self { child, channel, up: false, out_of_memory })
    }

    fn end(&mut self) -> std::io::Result<ExitStatus> {
        self.child.kill()?;
        self.child.wait()
    }

    fn did_not_come_up(&mut self) -> Error {
        let status = self.end().map_or_else(|error| error.to_string(), |status| status.to_string());
        Error::new(Kind::Software, format!("the sandbox did not come up ({status})"))
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

fn table_order(table: u32, snapshot: &Snapshot, place: std::ops::Range<usize>) -> TableOrder {
    let coverage = &snapshot.coverage;
    TableOrder {
        table,
        offset: place.start as u64,
        length: place.len() as u64,
        events: coverage.events,
        overflow: coverage.overflow,
        missed: coverage.missed_reliable.then_some(coverage.missed),
    }
}

#[cfg(test)]
mod tests;
