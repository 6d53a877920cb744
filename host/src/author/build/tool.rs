//! Other people's programs: finding them, and running them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::super::project::Project;
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
        if let Some(variable) = self.variable
            && let Some(named) = std::env::var_os(variable)
        {
            let named = PathBuf::from(named);
            return match self.runs(&named) {
                true => Ok(named),
                false => {
                    let message = format!(
                        "`{}`, which {variable} names, is not there, or cannot do it",
                        named.display()
                    );
                    Err(Error::new(Kind::Unavailable, message).help(self.help))
                }
            };
        }
        let found = self.names.iter().find(|name| self.runs(Path::new(name)));
        found.map(PathBuf::from).ok_or_else(|| {
            Error::new(Kind::Unavailable, format!("`{}` is not there", self.names[0])).help(self.help)
        })
    }

    fn runs(&self, name: &Path) -> bool {
        let mut command = Command::new(name);
        command.args(self.probe).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }
}

/// Runs a command that says what it does on standard error, for standard output is the answer's.
pub(super) fn run(project: &Project, command: &mut Command) -> Result<()> {
    run_into(project, command, std::io::stderr())
}

/// The same, its output going elsewhere.
pub(super) fn run_into(project: &Project, command: &mut Command, output: impl Into<Stdio>) -> Result<()> {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    // Some of them are as long as a page.
    say("run", &if project.verbose { line(command) } else { name.clone() });
    let failed = |kind, why: String| Error::new(kind, format!("`{name}` {why}"));
    let status = command.stdin(Stdio::null()).stdout(output).status();
    let status = status.map_err(|error| failed(Kind::Unavailable, format!("cannot be run: {error}")))?;
    if status.success() {
        return Ok(());
    }
    let how = status.code().map_or_else(|| status.to_string(), |code| format!("exit {code}"));
    Err(failed(Kind::Data, format!("failed ({how})")).help("what it says is above; -v shows the command"))
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
