//! What of a request is too much.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::grant::{Grant, Quota, Scope};
use super::memory::{is_of_task, reads_kernel};
use crate::config::Config;
use crate::probe::unit::{show_duration, show_size};
use crate::probe::used;
use crate::sandbox::Limits;
use crate::table::{Attach, Period, TableSpec};

/// Refusals that are told at once, of a request that is made of nothing else.
const REFUSALS: usize = 100;

/// What somebody asks for.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    pub tables: &'a [Arc<TableSpec>],
    pub interval: Duration,
    /// Whatever the tenant has, if nothing is said.
    pub scope: Option<Scope>,
    pub plugins: Vec<PluginRequest<'a>>,
    /// What plugins are to take of one CPU, in millionths.
    pub cpu: u32,
    /// Bytes to keep on disk.
    pub disk: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PluginRequest<'a> {
    pub name: &'a str,
    pub memory: u64,
    pub deadline: Duration,
    pub series: u64,
    /// Bytes that it puts out in an interval.
    pub output: u64,
}

/// What a tenant has already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub tables: u32,
    pub rows: u64,
    pub plugins: u32,
    pub series: u64,
    pub memory: u64,
    pub cpu: u32,
    pub output: u64,
    /// Of the budgets of its tables, in millionths of one CPU.
    pub kernel: u32,
    /// Probes attached in the last minute.
    pub churn: u32,
    pub disk: u64,
}

/// Something that was asked for and is too much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: Code,
    pub what: String,
}

/// Why something is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// `probe`: an attach point that is not granted.
    Probe,
    /// `context`: an attach point at which the running task need not be the one that the event is of.
    Context,
    /// `field`: a name that expressions may not use, or memory that they may not read.
    Field,
    /// `scope`: events of others than the tenant may see.
    Scope,
    /// `interval`: shorter than the shortest one.
    Interval,
    /// `rate`: samples that are too frequent.
    Rate,
    /// `tables`: too many.
    Tables,
    /// `rows`: too many, of all tables.
    Rows,
    /// `kernel`: too much time of programs in the kernel.
    Kernel,
    /// `churn`: too many probes attached in a minute.
    Churn,
    /// `plugins`: too many.
    Plugins,
    /// `memory`: too much of it for plugins.
    Memory,
    /// `deadline`: too long a call of a plugin.
    Deadline,
    /// `series`: too many counters.
    Series,
    /// `output`: too many bytes put out.
    Output,
    /// `cpu`: too much of a CPU for plugins.
    Cpu,
    /// `disk`: too many bytes kept.
    Disk,
}

impl Code {
    /// As it is told to whoever asked.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Context => "context",
            Self::Field => "field",
            Self::Scope => "scope",
            Self::Interval => "interval",
            Self::Rate => "rate",
            Self::Tables => "tables",
            Self::Rows => "rows",
            Self::Kernel => "kernel",
            Self::Churn => "churn",
            Self::Plugins => "plugins",
            Self::Memory => "memory",
            Self::Deadline => "deadline",
            Self::Series => "series",
            Self::Output => "output",
            Self::Cpu => "cpu",
            Self::Disk => "disk",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.what)
    }
}

impl<'a> Request<'a> {
    /// What a configuration asks for.
    #[must_use]
    pub fn of(config: &'a Config) -> Self {
        let plugin = |plugin: &'a crate::config::PluginConfig| {
            let limits = plugin.limits.or(&Limits::default());
            PluginRequest {
                name: &plugin.name,
                memory: limits.memory,
                deadline: limits.deadline,
                // A configuration has no say in these: the tenant's limits bound them.
                series: 0,
                output: 0,
            }
        };
        Self {
            tables: &config.tables,
            interval: config.interval,
            scope: None,
            plugins: config.plugins.iter().map(plugin).collect(),
            cpu: 0,
            disk: 0,
        }
    }
}

/// Names that tell of the running task and of nothing else; a scope leaves no other. A function's arguments and what
/// it returns are the task's own in programs, and the only functions within a scope are those of programs.
fn is_of_task_alone(name: &str) -> bool {
    const NAMES: [&str; 14] = [
        "pid", "tid", "uid", "gid", "comm", "cgroup", "cpu", "numa", "elapsed", "nsecs", "probe", "retval",
        "str", "args",
    ];
    let is_argument = |rest: &str| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit());
    NAMES.contains(&name)
        || name.starts_with("args.")
        || name.starts_with("start.")
        || name.starts_with("struct ")
        || name.strip_prefix("arg").is_some_and(is_argument)
}

impl Grant {
    /// Everything that is too much, all of it, not the first; empty if it is granted. `used` is what the tenant has
    /// already. What plugins have to be is [`crate::trust::examine`]'s.
    #[must_use]
    pub fn check(&self, request: &Request<'_>, used: &Usage) -> Vec<Refusal> {
        let mut refusals = Refusals(Vec::new());
        let limits = &self.limits;
        if let Some(scope) = request.scope.filter(|scope| !self.scope.covers(*scope)) {
            let what = format!("`{}`, and granted: `{}`", scope.name(), self.scope.name());
            refusals.add(Code::Scope, what);
        }
        for table in request.tables {
            self.table(table, &mut refusals);
        }
        self.tables(request, used, &mut refusals);
        for plugin in &request.plugins {
            if plugin.deadline > limits.deadline {
                let (asked, most) = (shown(plugin.deadline), shown(limits.deadline));
                let what = format!("plugin `{}`: {asked} for a call, and granted: {most}", plugin.name);
                refusals.add(Code::Deadline, what);
            }
        }
        let sum =
            |of: fn(&PluginRequest<'_>) -> u64| request.plugins.iter().map(of).fold(0, u64::saturating_add);
        let plugins = request.plugins.len() as u64;
        let count = |number: u64| number.to_string();
        refusals.amount(Code::Plugins, plugins, (used.plugins.into(), limits.plugins.into()), count);
        refusals.amount(Code::Memory, sum(|plugin| plugin.memory), (used.memory, limits.memory), show_size);
        refusals.amount(Code::Series, sum(|plugin| plugin.series), (used.series, limits.series), count);
        refusals.amount(Code::Output, sum(|plugin| plugin.output), (used.output, limits.output), show_size);
        refusals.amount(Code::Cpu, request.cpu.into(), (used.cpu.into(), limits.cpu.into()), show_share);
        refusals.amount(Code::Disk, request.disk, (used.disk, limits.disk), show_size);
        refusals.0.truncate(REFUSALS);
        refusals.0
    }

    /// What a table may take of one CPU, in millionths: if it does not say so, the part that each table has of all that
    /// the tenant may take.
    pub(super) fn budget(&self, table: &TableSpec) -> u32 {
        table.budget.unwrap_or_else(|| (self.limits.kernel / self.limits.tables.max(1)).max(1))
    }

    /// What is too much in a table by itself.
    fn table(&self, table: &TableSpec, refusals: &mut Refusals) {
        let scoped = self.scope != Scope::All;
        let name = &table.name;
        let mut reads = false;
        for probe in table.probes.iter().chain(&table.starts) {
            let point = probe.attach.to_string();
            if !self.probes.fit(&point) {
                refusals.add(Code::Probe, format!("table `{name}`: {point}"));
            }
            if scoped && !is_of_task(&probe.attach) {
                let what = format!("table `{name}`: {point} can be in the context of another task");
                refusals.add(Code::Context, what);
            }
            if let Some(what) = too_often(&probe.attach, &self.limits) {
                refusals.add(Code::Rate, format!("table `{name}`: {point}, {what}"));
            }
            reads |= scoped && reads_kernel(probe);
        }
        for used in &table.names {
            if !self.fields.fit(used) {
                refusals.add(Code::Field, format!("table `{name}`: {used}"));
            } else if scoped && (!is_of_task_alone(used) || used == used::ADDRESS) {
                let scope = self.scope.name();
                let what = format!("table `{name}`: {used} is not in the scope `{scope}`");
                refusals.add(Code::Field, what);
            }
        }
        if reads {
            refusals.add(Code::Field, format!("table `{name}`: it can read the kernel's memory"));
        }
    }

    /// What is too much in all tables together.
    fn tables(&self, request: &Request<'_>, used: &Usage, refusals: &mut Refusals) {
        let limits = &self.limits;
        let tables = request.tables;
        if !tables.is_empty() && limits.interval.is_none_or(|shortest| request.interval < shortest) {
            let granted =
                limits.interval.map_or("none".to_owned(), |least| format!("{} and more", shown(least)));
            refusals.add(Code::Interval, format!("{}, and granted: {granted}", shown(request.interval)));
        }
        let sum =
            |of: fn(&TableSpec) -> u64| tables.iter().map(|table| of(table)).fold(0, u64::saturating_add);
        let rows = sum(|table| table.rows.into());
        let probes = sum(|table| (table.probes.len() + table.starts.len()) as u64);
        let number = tables.len() as u64;
        let kernel = tables.iter().map(|table| u64::from(self.budget(table))).fold(0, u64::saturating_add);
        let count = |number: u64| number.to_string();
        refusals.amount(Code::Tables, number, (used.tables.into(), limits.tables.into()), count);
        refusals.amount(Code::Rows, rows, (used.rows, limits.rows), count);
        refusals.amount(Code::Kernel, kernel, (used.kernel.into(), limits.kernel.into()), show_share);
        let churn = (used.churn.into(), limits.churn.into());
        refusals.amount(Code::Churn, probes, churn, count);
    }
}

/// Why a point fires too often, if it does.
fn too_often(attach: &Attach, limits: &Quota) -> Option<String> {
    match attach {
        Attach::Profile(period) | Attach::Interval(period) => {
            let is_within = match period {
                Period::Hertz(hertz) => *hertz <= limits.rate,
                Period::Nanoseconds(length) => u128::from(*length) * u128::from(limits.rate) >= 1_000_000_000,
            };
            (!is_within).then(|| format!("and granted: {} samples a second", limits.rate))
        }
        Attach::Perf { count, .. } => match limits.events {
            Some(fewest) if *count >= fewest => None,
            Some(fewest) => Some(format!("and granted: a sample for {fewest} events")),
            None => Some("and granted: no samples".to_owned()),
        },
        _ => None,
    }
}

pub(crate) fn shown(duration: Duration) -> String {
    show_duration(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

/// A share of one CPU, as it is written.
pub(crate) fn show_share(millionths: u64) -> String {
    format!("{}% cpu", millionths as f64 / 10_000.0)
}

struct Refusals(Vec<Refusal>);

impl Refusals {
    fn add(&mut self, code: Code, what: String) {
        self.0.push(Refusal { code, what });
    }

    /// Whoever asks for nothing gets it, whatever there is already.
    fn amount(&mut self, code: Code, asked: u64, (used, most): (u64, u64), show: fn(u64) -> String) {
        if asked == 0 || asked.saturating_add(used) <= most {
            return;
        }
        let beside = if used > 0 { format!(" beside {}", show(used)) } else { String::new() };
        self.add(code, format!("{}{beside}, and granted: {}", show(asked), show(most)));
    }
}
