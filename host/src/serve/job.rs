//! What a tenant has running: tables, and the plugins that see them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use semver::Version;

use super::programs::KeptProgram;
use super::protocol::{Answer, Asked};
use super::status::{JobStatus, PluginAccount, PluginStatus, TableAccount, TableStatus};
use super::store::Kept;
use super::stream::Stream;
use super::supervise::Supervisor;
use crate::event::Output;
use crate::kernel::arrow_error;
use crate::manifest::Given;
use crate::policy::Tenant;
use crate::sandbox::{Limits, OptionValue};
use crate::snapshot::{Coverage, Snapshot, schema};
use crate::table::TableSpec;
use crate::trust::{self, Demands, Digest};

/// Outputs that are kept for `weir logs`, and their bytes: a plugin that puts out much pushes out its own.
const KEPT: usize = 1_000;
const KEPT_BYTES: usize = 1 << 20;

/// A job as it was asked for, resolved.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// It goes on by this name without a client.
    pub(super) name: Option<String>,
    pub(super) interval: Duration,
    pub(super) tables: Vec<Arc<TableSpec>>,
    pub(super) plugins: Vec<WantedPlugin>,
    /// Those in which its tables have probes, by whom they were opened.
    pub(super) programs: Vec<KeptProgram>,
    /// As it was written, for another daemon after this one; nothing for the daemon's own configuration, which that reads
    /// again.
    pub(super) asked: Option<Asked>,
    pub(super) origin: Origin,
    /// For whom its plugins were looked into: the policy may have been read again since.
    pub(super) admitted: Option<Arc<Tenant>>,
}

/// Where what is wanted comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Somebody who asks for it now.
    Asked,
    /// Somebody who asked before the policy granted it. It has this number among those that wait.
    Waited(u64),
    /// A daemon before this one. These are its tables, which count while its plugins are compiled.
    RestoredTables,
    /// The same, and this is all of it.
    Restored,
    /// A daemon before this one, where it waited for the policy.
    RestoredWaiting,
}

impl Origin {
    /// It is a job as a daemon before this one had it.
    pub(super) fn is_restored(self) -> bool {
        matches!(self, Self::Restored | Self::RestoredTables)
    }
}

impl Wanted {
    /// Its tables, for which nobody has to wait.
    pub(super) fn tables(&self) -> Self {
        let tables = self.tables.clone();
        Self {
            name: self.name.clone(),
            interval: self.interval,
            tables,
            plugins: Vec::new(),
            programs: Vec::new(),
            asked: None,
            origin: Origin::RestoredTables,
            admitted: None,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct WantedPlugin {
    pub(super) name: String,
    pub(super) digest: Digest,
    /// Nothing once it runs, if it is not kept.
    pub(super) component: Arc<[u8]>,
    /// Which version it says that it is, or why it is refused whatever its place, once that was looked into.
    pub(super) examined: Result<Option<Version>, trust::Refusal>,
    /// All, if none are named.
    pub(super) tables: Option<Vec<String>>,
    pub(super) options: BTreeMap<String, OptionValue>,
    pub(super) limits: Limits,
}

impl WantedPlugin {
    /// A plugin's bytes, with what it is given.
    pub(super) fn new(name: String, component: Vec<u8>, given: Given) -> Self {
        let Given { tables, options, limits } = given;
        Self {
            name,
            digest: Digest::of(&component),
            component: component.into(),
            examined: Ok(None),
            tables,
            options,
            limits,
        }
    }

    /// Looks into its bytes, for a tenant's demands. Takes as long as reading all of them several times.
    pub(super) fn examine(&mut self, demands: &Demands) {
        // What it may take the place of, its job says.
        let demands = Demands { no_older: false, ..demands.clone() };
        self.examined = trust::examine(&self.component, &demands, None).map(|trusted| trusted.version);
    }

    /// Another one of the same name does the same.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let Self { name, digest, component: _, examined, tables, options, limits } = self;
        (name, digest, examined) == (&other.name, &other.digest, &other.examined)
            && (tables, options, limits) == (&other.tables, &other.options, &other.limits)
    }
}

#[derive(Debug)]
pub(super) struct Job {
    pub(super) kept: bool,
    /// Its client, which is told of every interval, if it is not kept.
    pub(super) client: Option<Stream>,
    pub(super) tables: Vec<JobTable>,
    pub(super) plugins: Vec<JobPlugin>,
    pub(super) starting: Option<Starting>,
    /// It has its tables only, see [`Origin`].
    pub(super) unfinished: bool,
    /// It is as a daemon before this one had it.
    pub(super) restored: bool,
    /// Bytes of its configuration, if it is kept.
    pub(super) text: u64,
    /// Its client is gone, or wants no more: it ends with this interval.
    pub(super) ending: bool,
    /// It has had its last interval, and waits for what its plugins make of it.
    pub(super) last: bool,
    pub(super) not_covered: Option<(SystemTime, SystemTime)>,
    outputs: VecDeque<(usize, Answer)>,
    bytes: usize,
}

/// A job that waits for its plugins to be configured, in the place of what it had.
#[derive(Debug)]
pub(super) struct Starting {
    pub(super) stream: Stream,
    /// The plugins that have yet to say how that went.
    pub(super) waiting: BTreeSet<usize>,
    pub(super) change: Change,
    /// What is written down once it went well.
    pub(super) keep: Option<Box<Kept>>,
}

/// What of a job is new, and goes if it does not go well; and what is old, and goes if it does.
#[derive(Debug, Default)]
pub(super) struct Change {
    pub(super) new_tables: BTreeSet<Arc<str>>,
    pub(super) new_plugins: BTreeSet<usize>,
    pub(super) old_tables: BTreeSet<Arc<str>>,
    pub(super) old_plugins: BTreeSet<usize>,
    /// There was no such job before.
    pub(super) fresh: bool,
    /// There is more to come.
    pub(super) unfinished: bool,
    /// It is a daemon's before this one.
    pub(super) restored: bool,
}

#[derive(Debug)]
pub(super) struct JobTable {
    /// As it was asked for.
    pub(super) spec: Arc<TableSpec>,
    /// Its name among all tables of the daemon.
    pub(super) full: Arc<str>,
    pub(super) schema: SchemaRef,
    /// As it is attached for whoever asked.
    pub(super) scoped: TableSpec,
    pub(super) account: TableAccount,
}

#[derive(Debug)]
pub(super) struct JobPlugin {
    pub(super) wanted: WantedPlugin,
    /// The tables that it sees, by their names among all of the daemon.
    pub(super) granted: Vec<Arc<str>>,
    /// In the tenant's sandbox.
    pub(super) number: usize,
    pub(super) configured: bool,
    pub(super) supervisor: Supervisor,
    pub(super) fault: Option<(String, String)>,
    pub(super) account: PluginAccount,
}

impl JobTable {
    pub(super) fn new(spec: Arc<TableSpec>, full: Arc<str>, scoped: TableSpec) -> Self {
        Self { schema: schema(&spec), spec, full, scoped, account: TableAccount::default() }
    }

    pub(super) fn name(&self) -> &str {
        &self.spec.name
    }

    /// The snapshot under the table's own name, as complete as its tenant is told.
    pub(super) fn own(&self, snapshot: &Snapshot, coverage: Coverage) -> crate::error::Result<Snapshot> {
        let columns = snapshot.rows.columns().to_vec();
        let rows = RecordBatch::try_new(self.schema.clone(), columns).map_err(arrow_error)?;
        Ok(Snapshot { table: self.name().into(), interval: snapshot.interval, coverage, rows })
    }

    fn status(&self, whole: bool) -> TableStatus {
        let account = if whole { self.account.clone() } else { self.account.blurred() };
        TableStatus { table: self.name().to_owned(), account }
    }
}

/// A plugin that a job has when it is changed.
#[derive(Debug)]
pub(super) struct Had {
    pub(super) wanted: WantedPlugin,
    pub(super) granted: Vec<Arc<str>>,
    pub(super) number: usize,
    pub(super) quarantined: bool,
}

impl JobPlugin {
    pub(super) fn had(&self) -> Had {
        Had {
            wanted: self.wanted.clone(),
            granted: self.granted.clone(),
            number: self.number,
            quarantined: self.supervisor.is_quarantined(),
        }
    }

    fn status(&self) -> PluginStatus {
        PluginStatus {
            plugin: self.wanted.name.clone(),
            digest: self.wanted.digest.to_string(),
            state: if self.configured { self.supervisor.state() } else { "starting" }.to_owned(),
            fault: self.fault.clone(),
            account: self.account.clone(),
        }
    }
}

impl Job {
    pub(super) fn new(kept: bool) -> Self {
        Self {
            kept,
            client: None,
            tables: Vec::new(),
            plugins: Vec::new(),
            starting: None,
            unfinished: false,
            restored: false,
            text: 0,
            ending: false,
            last: false,
            not_covered: None,
            outputs: VecDeque::new(),
            bytes: 0,
        }
    }

    /// What it has, leaving out what it is about to lose.
    pub(super) fn lasting_tables(&self) -> impl Iterator<Item = &JobTable> {
        let old = self.starting.as_ref().map(|starting| &starting.change.old_tables);
        self.tables.iter().filter(move |table| old.is_none_or(|old| !old.contains(&table.full)))
    }

    pub(super) fn lasting_plugins(&self) -> impl Iterator<Item = &JobPlugin> {
        let old = self.starting.as_ref().map(|starting| &starting.change.old_plugins);
        self.plugins.iter().filter(move |plugin| old.is_none_or(|old| !old.contains(&plugin.number)))
    }

    /// Keeps an output for whoever asks later.
    pub(super) fn keep(&mut self, bytes: usize, answer: Answer) {
        self.bytes += bytes;
        self.outputs.push_back((bytes, answer));
        while self.outputs.len() > KEPT || self.bytes > KEPT_BYTES {
            let Some((bytes, _)) = self.outputs.pop_front() else { break };
            self.bytes -= bytes;
        }
    }

    pub(super) fn outputs(&self) -> impl Iterator<Item = &Answer> {
        self.outputs.iter().map(|(_, answer)| answer)
    }

    pub(super) fn status(&self, name: &str, whole: bool) -> JobStatus {
        let time = |at| crate::sink::time(at);
        JobStatus {
            job: name.to_owned(),
            kept: self.kept,
            not_covered: self.not_covered.map(|(from, to)| (time(from), time(to))),
            not_restored: None,
            waits: Vec::new(),
            tables: self.lasting_tables().map(|table| table.status(whole)).collect(),
            plugins: self.lasting_plugins().map(JobPlugin::status).collect(),
        }
    }
}

/// How much an output is, as it was put out.
pub(super) fn size(output: &Output) -> usize {
    let labels = |labels: &[crate::event::Label]| -> usize {
        labels.iter().map(|label| label.name.len() + label.value.len()).sum()
    };
    match output {
        Output::Metric { name, labels: pairs, .. } => name.len() + labels(pairs) + 16,
        Output::Report { code, title, fields, .. } => code.len() + title.len() + labels(fields),
        Output::Artefact { name, media_type, bytes } => name.len() + media_type.len() + bytes.len(),
        Output::Log { message, .. } => message.len(),
        Output::Fault { reason, message } => reason.len() + message.len(),
    }
}
