//! What was not run, and why: a test that silently did not run proves nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::step::{say, target};

/// Names the file to which a test that finds that it cannot run here adds a line, `name: why`.
pub(crate) const VARIABLE: &str = "WEIR_NOT_RUN";

/// What was not run, each with its reason.
#[derive(Debug, Default)]
pub(crate) struct NotRun {
    /// Nowhere.
    added: Vec<String>,
    /// On one kernel, by the kernel: what tests said of themselves.
    places: BTreeMap<String, Vec<String>>,
}

impl NotRun {
    pub(crate) fn add(&mut self, what: &str, why: impl std::fmt::Display) {
        say(format_args!("not run: {what}: {why}"));
        self.added.push(format!("{what}: {why}"));
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
        let lines = lines.lines().filter(|line| !line.is_empty()).map(str::to_owned);
        self.places.entry(place.to_owned()).or_default().extend(lines);
    }

    /// What tests noted in each of the places in which they ran. No kernel has everything; what one has and another
    /// lacks was run.
    fn nowhere(&self) -> Vec<&str> {
        let mut places = self.places.values().map(|lines| lines.iter().map(|line| name(line)).collect());
        let first: BTreeSet<&str> = places.next().unwrap_or_default();
        places.fold(first, |left, place| left.intersection(&place).copied().collect()).into_iter().collect()
    }

    /// The end of a run. On a continuous-integration machine everything has to be run somewhere.
    pub(crate) fn end(self) -> Result<()> {
        if self.added.is_empty() && self.places.values().all(Vec::is_empty) {
            say("everything was run");
            return Ok(());
        }
        say("not run:");
        for what in &self.added {
            say(format_args!("  {what}"));
        }
        for (place, lines) in &self.places {
            lines.iter().for_each(|what| say(format_args!("  {place}: {what}")));
        }
        let nowhere = self.nowhere();
        if !nowhere.is_empty() {
            say(format_args!("of these, run on no kernel: {}", nowhere.join(", ")));
        }
        let missing = self.added.len() + nowhere.len();
        if missing > 0 && std::env::var_os("CI").is_some() {
            bail!("CI is set, and {missing} of the tests or sets of tests named above did not run");
        }
        Ok(())
    }
}

/// Of `name: why`.
fn name(line: &str) -> &str {
    line.split_once(": ").map_or(line, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_kernel_lacks_may_run_on_another() {
        let mut not_run = NotRun::default();
        not_run.take("recipe a: no kprobes\nrecipe b: no such tracepoint\n", "on this kernel");
        assert_eq!(not_run.nowhere(), ["recipe a", "recipe b"]);
        not_run.take("recipe b: no such tracepoint: x\n", "in the virtual machine 6.1");
        assert_eq!(not_run.nowhere(), ["recipe b"]);
        not_run.take("", "in the virtual machine 6.12");
        assert!(not_run.nowhere().is_empty());
    }
}
