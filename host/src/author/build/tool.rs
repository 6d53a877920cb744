//! Other people's programs: finding them, and running them.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::cli::say;
use crate::error::{Error, Kind, Result};

/// A program, and how it is had.
pub(super) struct Tool {
    /// Its names, the preferred one first.
    pub(super) names: &'static [&'static str],
    /// An environment variable that names another one.
    pub(super) variable: Option<&'static str>,
    /// What it has to be able to do.
    pub(super) probe: &'static [&'static str],
    /// How it is installed.
    pub(super) help: &'static str,
}

impl Tool {
    /// The program that is there.
    pub(super) fn find(&self) -> Result<PathBuf> {
        if let Some(named) = self.variable.and_then(std::env::var_os) {
            return Ok(named.into());
        }
        let found = self.names.iter().find(|name| self.runs(name));
        found.map(PathBuf::from).ok_or_else(|| {
            Error::new(Kind::Unavailable, format!("`{}` is not there", self.names[0])).help(self.help)
        })
    }

    fn runs(&self, name: &str) -> bool {
        let mut command = Command::new(name);
        command.args(self.probe).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }
}

/// Runs a command that says what it does on standard error, for standard output is the answer's.
pub(super) fn run(command: &mut Command) -> Result<()> {
    run_into(command, std::io::stderr())
}

/// The same, its output going elsewhere.
pub(super) fn run_into(command: &mut Command, output: impl Into<Stdio>) -> Result<()> {
    let line = line(command);
    say("run", &line);
    let cannot = |why: String| Error::new(Kind::Unavailable, format!("cannot run `{line}`: {why}"));
    let status =
        command.stdin(Stdio::null()).stdout(output).status().map_err(|error| cannot(error.to_string()))?;
    if status.success() {
        return Ok(());
    }
    Err(Error::new(Kind::Data, format!("`{line}` failed ({status})")).help("what it says is above"))
}

/// What a command says, which is short.
pub(super) fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A command as a person would write it.
fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    shell_words::join(words.map(|word| word.to_string_lossy()))
}
