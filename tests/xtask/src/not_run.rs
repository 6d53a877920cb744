//! What was not run, and why: a test that silently did not run proves nothing.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::step::{say, target};

/// Names the file to which a test that finds that it cannot run here adds a line, `name: why`.
pub(crate) const VARIABLE: &str = "WEIR_NOT_RUN";

/// What was not run, each with its reason.
#[derive(Debug, Default)]
pub(crate) struct NotRun(Vec<String>);

impl NotRun {
    pub(crate) fn add(&mut self, what: &str, why: impl std::fmt::Display) {
        say(format_args!("not run: {what}: {why}"));
        self.0.push(format!("{what}: {why}"));
    }

    /// A fresh file for tests to add to.
    pub(crate) fn file() -> Result<PathBuf> {
        let file = target().join("xtask/not-run.txt");
        let folder = file.parent().context("it has a folder")?;
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        fs::write(&file, "").with_context(|| file.display().to_string())?;
        Ok(file)
    }

    /// Takes in what tests said of themselves.
    pub(crate) fn take(&mut self, lines: &str, place: &str) {
        self.0.extend(lines.lines().filter(|line| !line.is_empty()).map(|line| format!("{place}: {line}")));
    }

    /// The end of a run. On a continuous-integration machine everything has to be run.
    pub(crate) fn end(self) -> Result<()> {
        if self.0.is_empty() {
            say("everything was run");
            return Ok(());
        }
        say("not run:");
        for what in &self.0 {
            say(format_args!("  {what}"));
        }
        if std::env::var_os("CI").is_some() {
            bail!("CI is set, and {} of the tests or sets of tests named above did not run", self.0.len());
        }
        Ok(())
    }
}
