//! The command line.

mod check;
mod client;
mod doctor;
mod flow;
mod group;
mod plugins;
mod policy;
mod probes;
mod replay;
mod run;
mod serve;
pub(crate) mod signals;
mod watch;
mod workload;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use flow::{Flow, wait};
use plugins::Added;
pub(crate) use plugins::{read as read_component, stem};
pub(crate) use replay::play;
pub(crate) use run::next;

use crate::author;
use crate::error::{Error, Kind, Result};
use crate::escape::guard;
use crate::sink::{Artefacts, Detail, Json, Sink, Text};

const EXIT_CODES: &str = "\
Exit codes:
  0   the run ended as it was told to, or nobody was left to read its output
  64  the command line is wrong
  65  a plugin or a recording is not what it should be
  66  a file that was named is not there
  69  this kernel does not offer what was asked for
  70  a fault of Weir's own
  74  reading or writing failed
  77  a privilege is missing, or a policy refuses what was asked for
  78  the configuration, or a probe or an expression on the command line, is wrong";

/// Traces the kernel, and has plugins in a sandbox make something of it.
#[derive(Debug, Parser)]
#[command(name = "weir", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Say more, where there is more: a probe's fields with their types, the whole log of a program that the kernel
    /// refuses, the commands that build a plugin
    #[arg(short, long, global = true)]
    verbose: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Count what happens at a probe, by what is asked for, and look at it
    Watch(watch::Watch),
    /// Fill the tables of a configuration, and show each interval's rows, or what plugins make of them
    Run(Run),
    /// Say whether a configuration is right
    Check(Check),
    /// Fill the tables of a configuration, and keep each interval's rows
    Record(Record),
    /// Write, test, look at and ship plugins
    #[command(subcommand)]
    Plugin(author::Command),
    /// Show a recording, or what plugins make of it; needs no privileges
    Replay(Replay),
    /// Hold the probes for others, and run their plugins, as far as a policy lets them
    Serve(serve::Serve),
    /// Have the daemon run plugins on tables, and go on with them
    Start(client::StartJob),
    /// Have the daemon end a job
    Stop(client::Stop),
    /// Show what plugins of the daemon have put out
    Logs(client::Logs),
    /// Say what the daemon does
    Status(client::Show),
    /// List the daemon's tables, and what they have counted
    Tables(client::Show),
    /// List the daemon's plugins, and what they have used
    Plugins(client::Show),
    /// List what can be attached to, with its fields
    Probes(probes::Probes),
    /// Say what this kernel and this user's privileges allow, and what would help
    Doctor(doctor::Doctor),
    /// Say what a policy gives to whom
    #[command(subcommand)]
    Policy(policy::Policy),
}

#[derive(Debug, Args)]
struct Run {
    #[command(flatten)]
    tracing: Tracing,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct Check {
    /// The configuration
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
}

#[derive(Debug, Args)]
struct Record {
    /// The folder to make
    #[arg(short, long, value_name = "x.weir")]
    output: PathBuf,
    /// Record the tables that this plugin asks for, too; can be given more than once
    #[arg(long = "plugin", value_name = "FILE")]
    plugins: Vec<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    tracing: Tracing,
}

#[derive(Debug, Args)]
struct Replay {
    /// The recording
    #[arg(value_name = "x.weir")]
    recording: PathBuf,
    /// Run the plugins of this configuration, on the recording's tables
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct Tracing {
    /// The configuration; without it, the tables that plugins ask for
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// End after so long, such as 10s or 1m; without it at Ctrl-C, or when COMMAND ends
    #[arg(long, value_name = "TIME", value_parser = duration)]
    duration: Option<Duration>,
    /// Start this once every probe is attached, and end when it ends. What it writes goes to standard error
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<std::ffi::OsString>,
}

#[derive(Debug, Args)]
struct Output {
    /// Run this plugin too, on the tables that it asks for, or if it asks for none on every table; can be given more than
    /// once
    #[arg(long = "plugin", value_name = "FILE")]
    plugins: Vec<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    /// What to write to standard output
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Also write the artefacts of plugins into this folder, as PLUGIN/INTERVAL-NAME, or where that is there already as
    /// PLUGIN/INTERVAL.N-NAME with a number
    #[arg(long, value_name = "FOLDER")]
    artefacts: Option<PathBuf>,
}

/// What is set of plugins that no configuration has.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// Set an option of a plugin that is named here; can be given more than once
    #[arg(long = "option", value_name = "NAME=VALUE", value_parser = setting)]
    pub(crate) options: Vec<Setting>,
}

/// The name of an option and its value, whose type only the plugin's manifest has.
pub(crate) type Setting = (String, String);

pub(crate) fn setting(text: &str) -> Result<Setting, String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("it must be the option's name, `=`, and its value".to_owned()),
    }
}

impl Output {
    /// The plugins of the command line.
    fn added(&self) -> Added<'_> {
        Added { paths: &self.plugins, settings: &self.settings.options }
    }

    /// Where all goes that is put out.
    fn sink(&self, plugins: bool) -> Result<Box<dyn Sink>> {
        let sink = self.format.sink(plugins);
        match &self.artefacts {
            Some(folder) => Ok(Box::new(Artefacts::new(folder, sink)?)),
            None => Ok(sink),
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Format {
    /// For an engineer at a terminal
    Text,
    /// For programs: one JSON object a line
    Json,
}

impl Format {
    pub(crate) fn sink(self, plugins: bool) -> Box<dyn Sink> {
        let output = io::stdout().lock();
        match self {
            Self::Text if plugins => Box::new(Text::new(output, Detail::Coverage)),
            Self::Text => Box::new(Text::new(output, Detail::Rows)),
            Self::Json => Box::new(Json::new(output)),
        }
    }
}

/// Does what the command line says.
#[must_use]
pub fn main() -> ExitCode {
    if let Some(code) = workload::become_if_held() {
        return code;
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and the version are answers, everything else is a mistake.
            let code = if error.use_stderr() { Kind::Usage as u8 } else { 0 };
            drop(error.print());
            return code.into();
        }
    };
    let done = match cli.command {
        Command::Watch(watch) => watch::watch(&watch),
        Command::Run(run) => run::run(&run.tracing, &run.output),
        Command::Check(check) => check::check(&check.config),
        Command::Record(record) => {
            let added = Added { paths: &record.plugins, settings: &record.settings.options };
            run::record(&record.tracing, added, &record.output)
        }
        Command::Plugin(command) => author::run(&command, cli.verbose),
        Command::Replay(replay) => {
            replay::replay(&replay.recording, replay.config.as_deref(), &replay.output)
        }
        Command::Serve(options) => serve::serve(options),
        Command::Start(start) => client::start(&start),
        Command::Stop(stop) => client::stop(&stop),
        Command::Logs(logs) => client::logs(&logs),
        Command::Status(show) => client::status(&show),
        Command::Tables(show) => client::tables(&show),
        Command::Plugins(show) => client::plugins(&show),
        Command::Probes(probes) => probes::probes(&probes, cli.verbose),
        Command::Doctor(doctor) => doctor::doctor(&doctor),
        Command::Policy(policy) => policy::policy(&policy),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(log) = error.log.as_ref().filter(|_| cli.verbose) {
                say("log", log);
            }
            say("error", &error);
            error.exit_code().into()
        }
    }
}

/// Tells the user something beside the data. Its lines are ours; what they quote may not be.
pub(crate) fn say(what: &str, message: &dyn std::fmt::Display) {
    let message = message.to_string();
    let lines: Vec<_> = message.split('\n').map(guard).collect();
    // Without a standard error there is nobody to tell.
    drop(writeln!(io::stderr(), "{what}: {}", lines.join("\n")));
}

/// Writes an answer. Its lines are ours; what they name may not be.
pub(crate) fn answer(text: &str) -> Result<()> {
    let lines: Vec<_> = text.split('\n').map(guard).collect();
    match io::stdout().write_all(lines.join("\n").as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("it must be longer than nothing".to_owned()),
        other => other.map_err(|error| error.to_string()),
    }
}

/// A named file could not be read.
pub(crate) fn unreadable(path: &std::path::Path, error: &io::Error) -> Error {
    let kind = if error.kind() == io::ErrorKind::NotFound { Kind::NoInput } else { Kind::Io };
    Error::new(kind, format!("cannot read {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_option_has_a_name_and_whatever_value() {
        let split = |name: &str, value: &str| Ok((name.to_owned(), value.to_owned()));
        assert_eq!(setting("threshold=10ms"), split("threshold", "10ms"));
        assert_eq!(setting("who=a=b"), split("who", "a=b"));
        assert_eq!(setting("who="), split("who", ""));
        for wrong in ["", "who", "=b"] {
            assert!(setting(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for wrong in ["", "0s", "10", "-1s", "ten"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
