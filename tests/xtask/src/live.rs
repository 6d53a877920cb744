//! The tests and benchmarks that need the kernel: built as the user, run with privilege.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cargo::{artifacts, cargo};
use crate::not_run::{self, NotRun};
use crate::step::{has_program, is_root, run, say, status};

/// Tells tests where the `weir` is that they run.
pub(crate) const WEIR: &str = "WEIR_BIN";

/// The package of these tests.
const PACKAGE: &str = "weir-tests";

/// The one that is of a machine whose services are systemd's, and changes them.
const UNITS: &str = "systemd";

/// `weir`, and the programs of the live tests.
#[derive(Debug)]
pub(crate) struct Build {
    pub(crate) weir: PathBuf,
    pub(crate) tests: Vec<Program>,
    /// Those for which there is a virtual machine of its own.
    pub(crate) units: Vec<Program>,
}

/// A test harness.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) file: PathBuf,
    /// Its package's folder, in which cargo would run it.
    pub(crate) folder: PathBuf,
}

impl Build {
    /// Builds the whole workspace at once, for which its dependencies are compiled once: another selection of
    /// packages may have other features and compile them again.
    pub(crate) fn debug() -> Result<Self> {
        let mut build = cargo();
        build.args(["build", "--workspace", "--lib", "--bins", "--tests"]);
        let (mut weir, mut tests) = (None, Vec::new());
        for artifact in artifacts(build)? {
            let Some(file) = artifact.executable else { continue };
            if artifact.is_test && artifact.package.ends_with("tests") {
                tests.push(Program { name: artifact.name, file, folder: artifact.package });
            } else if !artifact.is_test && artifact.name == "weir" {
                weir = Some(file);
            }
        }
        if tests.is_empty() {
            bail!("the package {PACKAGE} has no tests");
        }
        let (units, tests) = tests.into_iter().partition(|test| test.name == UNITS);
        Ok(Self { weir: weir.context("cargo built no weir")?, tests, units })
    }

    /// Leaves only the tests of these names, if any are named.
    pub(crate) fn keep(&mut self, names: &[String]) -> Result<()> {
        let all: Vec<_> = self.tests.iter().chain(&self.units).map(|test| test.name.as_str()).collect();
        if let Some(name) = names.iter().find(|name| !all.contains(&name.as_str())) {
            bail!("there is no test {name}; there are {}", all.join(", "));
        }
        for tests in [&mut self.tests, &mut self.units] {
            tests.retain(|test| names.is_empty() || names.contains(&test.name));
        }
        Ok(())
    }

    /// Runs the tests on this machine's kernel.
    pub(crate) fn test(&self, not_run: &mut NotRun) -> Result<()> {
        let Some(privilege) = Privilege::here() else {
            not_run.add("the live tests", "they need root, and there is no sudo");
            return Ok(());
        };
        if let Err(error) = privilege.mount_tracefs() {
            not_run.add("the live tests", format_args!("{error:#}"));
            return Ok(());
        }
        let notes = NotRun::file()?;
        let mut failed = Vec::new();
        for program in &self.tests {
            let mut command =
                privilege.command(&program.file, &[(WEIR, &self.weir), (not_run::VARIABLE, &notes)]);
            // One at a time: they count events of the whole machine.
            let status = status(command.arg("--test-threads=1").current_dir(&program.folder))?;
            if !status.success() {
                failed.push(program.name.as_str());
            }
        }
        not_run.take(&std::fs::read_to_string(&notes)?, "on this kernel");
        if !failed.is_empty() {
            bail!("live tests failed: {}", failed.join(", "));
        }
        Ok(())
    }
}

/// The way to do something as root.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Privilege {
    Root,
    Sudo,
}

impl Privilege {
    pub(crate) fn here() -> Option<Self> {
        if is_root() { Some(Self::Root) } else { has_program("sudo").then_some(Self::Sudo) }
    }

    /// A command that runs as root with these variables, which sudo would not let through.
    pub(crate) fn command(self, program: &Path, variables: &[(&str, &Path)]) -> Command {
        match self {
            Self::Root => {
                let mut command = Command::new(program);
                command.envs(variables.iter().copied());
                command
            }
            Self::Sudo => {
                let mut command = Command::new("sudo");
                command.arg("env");
                command.args(variables.iter().map(|(name, value)| format!("{name}={}", value.display())));
                command.arg(program);
                command
            }
        }
    }

    /// Probes are found in tracefs, which a container or a small system may not have mounted.
    pub(crate) fn mount_tracefs(self) -> Result<()> {
        let tracefs = Path::new("/sys/kernel/tracing");
        if tracefs.join("events").is_dir() {
            return Ok(());
        }
        say("tracefs is not mounted: mounting it");
        run(self.command(Path::new("mount"), &[]).args(["-t", "tracefs", "nodev"]).arg(tracefs))
    }
}
