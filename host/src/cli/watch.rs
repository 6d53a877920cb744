//! `weir watch`: one question, asked on the command line.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use rustix::termios::isatty;

use super::group::Group;
use super::run::{Trace, schemas};
use super::workload::{Output, Start, Workload};
use super::{Format, client, duration, plugins, say};
use crate::config::{Arguments, Config, Whose};
use crate::error::{Error, Kind, Result};
use crate::probe::Kernel;
use crate::serve::protocol::Asked;
use crate::sink::{Live, Sink, restore};

const EXAMPLES: &str = "\
A column is an expression, or NAME=EXPR; one without a name is called as what it is or measures. Quote what the
shell would take for its own: 'count()'.

Examples:
  weir watch t:syscalls:sys_enter_openat --by comm,'file=str(args.filename)'
  weir watch t:syscalls:sys_enter_read --to t:syscalls:sys_exit_read --by comm --show 'hist(elapsed)'
  weir watch profile:hz:99 --by kstack -p 1234
  weir watch 't:syscalls:sys_enter_*' --by probe -c 'ls -l /tmp'";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Watch {
    /// What to count; where spans start, if there is a --to. Names can have * and ?
    #[arg(value_name = "PROBE", required = true)]
    probes: Vec<String>,
    /// Measure from PROBE to this one; can be given more than once
    #[arg(long, value_name = "PROBE")]
    to: Vec<String>,
    /// A row for each value of these, separated by commas
    #[arg(long, value_name = "EXPR,...")]
    by: Vec<String>,
    /// What to measure, separated by commas [default: count()]
    #[arg(long, value_name = "MEASURE,...")]
    show: Vec<String>,
    /// Count only events for which this holds
    #[arg(long = "where", value_name = "EXPR")]
    filter: Option<String>,
    /// Pair the start and the end of a span by this, not by thread
    #[arg(long, value_name = "EXPR")]
    pair: Option<String>,
    /// Count only what this process does. Probes in programs are attached to it alone
    #[arg(short, long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "command")]
    pid: Option<u32>,
    /// Run this, count only what it and its children do, and end when it ends
    ///
    /// It is split into words as a shell would, but not run by one: no variables, no pipes. It starts once every
    /// probe is attached, with Weir's privileges, in a control group of its own, by which its events and those of its
    /// children are known; not those of children that are moved to another group. Where no control groups of version
    /// 2 are mounted, a note says so, and only the process itself is counted. What it writes goes to standard
    /// error; nowhere, if the screen is live, and then it cannot read from the terminal either.
    #[arg(short, long, value_name = "COMMAND")]
    command: Option<String>,
    /// How long an interval is, from 100ms to 24h [default: 1s]
    #[arg(long, value_name = "TIME")]
    interval: Option<String>,
    /// End after so long, such as 10s or 1m; without it at Ctrl-C, or when COMMAND ends
    #[arg(long, value_name = "TIME", value_parser = duration)]
    duration: Option<Duration>,
    /// Rows that an interval can have; what finds no row is in the overflow row
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    keys: Option<u32>,
    /// What to write to standard output
    #[arg(long, value_name = "FORMAT", default_value = "auto")]
    format: Shown,
    /// Run this plugin too; can be given more than once
    #[arg(long = "plugin", value_name = "FILE")]
    plugins: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shown {
    /// On a terminal a screen that is drawn anew each interval, for anything else JSON lines
    Auto,
    /// For people: intervals one after the other
    Text,
    /// For programs: one JSON object a line
    Json,
}

pub(super) fn watch(watch: &Watch) -> Result<()> {
    let live = watch.format == Shown::Auto && is_screen();
    if let Some(socket) = client::instead() {
        return watch_through(&socket, watch, live);
    }
    let kernel = Kernel::running();
    let mut asked = watch.arguments();
    // What is wrong is said before a command is started.
    let mut config = Config::from_arguments(&asked, &kernel)?;
    let (mut start, mut group) = (Start::Command(&[]), None);
    if let Some(command) = &watch.command {
        let words: Vec<OsString> = words(command)?;
        let output = if live { Output::Nowhere } else { Output::ToErrors };
        let held = Workload::hold(&words, output)?;
        asked.only = Some(match Group::of(held.pid()) {
            Ok(made) => Whose::Cgroup(group.insert(made).id()),
            Err(error) => {
                say("note", &format_args!("only the command itself is counted, not its children: {error}"));
                Whose::Process(held.pid())
            }
        });
        config = Config::from_arguments(&asked, &kernel)?;
        start = Start::Held(held);
    }
    let plugins = plugins::load_for(&watch.plugins, &schemas(&config.tables))?;
    let at_once: Option<fn()> = live.then_some(restore);
    let mut sink = watch.sink(live, !plugins.is_empty());
    let trace = Trace { config: &config, duration: watch.duration, start, at_once };
    let traced = trace.run(plugins, &mut *sink);
    // Whoever is left in it is told to end by now.
    drop(group);
    traced.map(drop)
}

/// Has a daemon trace. A command runs as the user, and is all that is counted of it and its children: only the daemon
/// could give it a control group.
fn watch_through(socket: &Path, watch: &Watch, live: bool) -> Result<()> {
    let mut asked = watch.arguments();
    let mut start = Start::Command(&[]);
    if let Some(command) = &watch.command {
        let output = if live { Output::Nowhere } else { Output::ToErrors };
        let held = Workload::hold(&words(command)?, output)?;
        say("note", &"only the command itself is counted, not its children");
        asked.only = Some(Whose::Process(held.pid()));
        start = Start::Held(held);
    }
    let (plugins, components) = client::of_plugins(&watch.plugins)?;
    let mut sink = watch.sink(live, !plugins.is_empty());
    let asked = (Asked::Arguments(asked), plugins, components);
    client::trace(socket, asked, watch.duration, start, &mut *sink, live.then_some(restore))
}

impl Watch {
    fn sink(&self, live: bool, plugins: bool) -> Box<dyn Sink> {
        match self.format {
            Shown::Auto if live => Box::new(Live::new()),
            Shown::Text => Format::Text.sink(plugins),
            Shown::Auto | Shown::Json => Format::Json.sink(plugins),
        }
    }

    fn arguments(&self) -> Arguments {
        Arguments {
            probes: self.probes.clone(),
            to: self.to.clone(),
            by: self.by.clone(),
            show: self.show.clone(),
            filter: self.filter.clone(),
            pair: self.pair.clone(),
            keys: self.keys,
            interval: self.interval.clone(),
            only: self.pid.map(Whose::Process),
        }
    }
}

/// Whether standard output is a terminal that can be drawn on.
fn is_screen() -> bool {
    isatty(io::stdout()) && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

fn words(command: &str) -> Result<Vec<OsString>> {
    let words = shell_words::split(command).map_err(|error| {
        Error::new(Kind::Usage, format!("`--command` cannot be split into words: {error}"))
    })?;
    if words.is_empty() {
        return Err(Error::new(Kind::Usage, "`--command` is empty"));
    }
    Ok(words.into_iter().map(OsString::from).collect())
}
