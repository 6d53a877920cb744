//! The live tests, under other kernels and other numbers of CPUs than this machine's, and as a service of systemd's.
//!
//! QEMU emulates a machine in software, so that it is the same everywhere; Debian's cloud kernels boot in it
//! within seconds. It runs from memory: an archive with the tests, `weir` and the plugins at the paths that they
//! have here, so that each finds the others as it does here. 8 CPUs are possible and 2 are online.
//!
//! What begins in such a machine is a script, which runs the tests one after the other. In one more machine it is
//! systemd, of this machine's version: `weir` is installed there, with its units, and their test is a unit, too.

mod archive;
mod boot;
mod kernel;
mod systemd;

use std::fmt;
use std::path::PathBuf;
use std::thread::{self, ScopedJoinHandle};

use anyhow::{Result, bail};

pub(crate) use kernel::Kernel;

use crate::live::{Build, Program};
use crate::not_run::NotRun;
use crate::step::say;
use crate::{plugins, tools};

/// The first process of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    Script,
    Systemd,
}

/// A machine that is to run.
struct Machine<'a> {
    kernel: Kernel,
    first: First,
    image: PathBuf,
    archive: PathBuf,
    tests: &'a [Program],
}

impl fmt::Display for Machine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first {
            First::Script => self.kernel.fmt(f),
            First::Systemd => write!(f, "{} with systemd", self.kernel),
        }
    }
}

/// Builds what the tests need, and runs those that are named, or all.
pub(crate) fn run_alone(kernels: &[Kernel], tests: &[String], arguments: &[String], yes: bool) -> Result<()> {
    let mut build = Build::debug()?;
    build.keep(tests)?;
    plugins::build(&build.weir)?;
    let mut not_run = NotRun::default();
    run(&build, kernels, arguments, yes, &mut not_run)?;
    not_run.end()
}

/// Runs the live tests in a machine for each kernel, or for each of those there are if none is named, and those of the
/// units in one with the last of these.
pub(crate) fn run(
    build: &Build,
    kernels: &[Kernel],
    arguments: &[String],
    yes: bool,
    not_run: &mut NotRun,
) -> Result<()> {
    let kernels = if kernels.is_empty() { &Kernel::ALL } else { kernels };
    if let Err(error) = tools::ensure(tools::MACHINES, yes) {
        not_run.add("virtual machines", format_args!("{error:#}"));
        return Ok(());
    }
    let last = kernels.len().saturating_sub(1);
    let mut machines = Vec::new();
    for (first, tests, kernels) in
        [(First::Script, &build.tests, kernels), (First::Systemd, &build.units, &kernels[last..])]
    {
        if tests.is_empty() {
            continue;
        }
        if first == First::Systemd
            && let Err(error) = tools::ensure(tools::SYSTEMD, yes)
        {
            not_run.add("virtual machine with systemd", format_args!("{error:#}"));
            continue;
        }
        let archive = archive::pack(first, &build.weir, tests, arguments)?;
        for kernel in kernels {
            match kernel.image(yes) {
                Ok(image) => {
                    machines.push(Machine { kernel: *kernel, first, image, archive: archive.clone(), tests });
                }
                Err(error) => not_run.add(&format!("virtual machine {kernel}"), format_args!("{error:#}")),
            }
        }
    }
    let mut failed = Vec::new();
    // As many side by side as there are CPUs here, for each takes one.
    let together = thread::available_parallelism().map_or(1, usize::from);
    for (machine, ended) in machines.chunks(together).flat_map(run_together) {
        match ended {
            // What is noted there was run nowhere, for its tests are in no other machine.
            Ok(notes) if machine.first == First::Systemd => {
                for (what, why) in notes.lines().filter_map(|line| line.split_once(": ")) {
                    not_run.add(what, why);
                }
            }
            Ok(notes) => not_run.take(&notes, &format!("in the virtual machine {machine}")),
            Err(error) => {
                say(format_args!("virtual machine {machine}: {error:#}"));
                failed.push(machine.to_string());
            }
        }
    }
    if !failed.is_empty() {
        bail!("live tests failed in the virtual machines {}", failed.join(", "));
    }
    Ok(())
}

/// How each of them ended.
fn run_together<'a>(machines: &'a [Machine<'a>]) -> Vec<(&'a Machine<'a>, Result<String>)> {
    thread::scope(|scope| {
        let start = |machine: &'a Machine<'a>| {
            let run = || boot::run(&machine.to_string(), &machine.image, &machine.archive, machine.tests);
            (machine, scope.spawn(run))
        };
        let running: Vec<_> = machines.iter().map(start).collect();
        let join = |(machine, running): (_, ScopedJoinHandle<'_, Result<String>>)| {
            (machine, running.join().unwrap_or_else(|_| bail!("its thread panicked")))
        };
        running.into_iter().map(join).collect()
    })
}
