//! The live tests, under other kernels and other numbers of CPUs than this machine's.
//!
//! QEMU emulates a machine in software, so that it is the same everywhere; Debian's cloud kernels boot in it
//! within seconds. It runs from memory: an archive with the tests, `weir` and the plugins at the paths that they
//! have here, so that each finds the others as it does here. 8 CPUs are possible and 2 are online.

mod archive;
mod boot;
mod kernel;

use std::path::PathBuf;

use anyhow::{Result, bail};

pub(crate) use kernel::Kernel;

use crate::live::Build;
use crate::not_run::NotRun;
use crate::step::say;
use crate::{plugins, tools};

/// Builds what the tests need, and runs those that are named, or all.
pub(crate) fn run_alone(kernels: &[Kernel], tests: &[String], arguments: &[String], yes: bool) -> Result<()> {
    let mut build = Build::debug()?;
    build.keep(tests)?;
    plugins::build(&build.weir)?;
    let mut not_run = NotRun::default();
    run(&build, kernels, arguments, yes, &mut not_run)?;
    not_run.end()
}

/// Runs the live tests in a machine for each kernel, or for each of those there are if none is named.
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
    let archive = archive::pack(build, arguments)?;
    let mut images = Vec::new();
    for kernel in kernels {
        match kernel.image(yes) {
            Ok(image) => images.push((*kernel, image)),
            Err(error) => not_run.add(&format!("virtual machine {kernel}"), format_args!("{error:#}")),
        }
    }
    // Side by side, for each takes one CPU of this machine.
    let ended: Vec<_> = std::thread::scope(|scope| {
        let start = |(kernel, image): &(Kernel, _)| {
            let (kernel, image, archive) = (*kernel, PathBuf::clone(image), &archive);
            (kernel, scope.spawn(move || boot::run(kernel, &image, archive, &build.tests)))
        };
        let running: Vec<_> = images.iter().map(start).collect();
        let join = |(kernel, running): (_, std::thread::ScopedJoinHandle<'_, Result<String>>)| {
            (kernel, running.join().unwrap_or_else(|_| bail!("its thread panicked")))
        };
        running.into_iter().map(join).collect()
    });
    let mut failed = Vec::new();
    for (kernel, ended) in ended {
        match ended {
            Ok(notes) => not_run.take(&notes, &format!("in the virtual machine {kernel}")),
            Err(error) => {
                say(format_args!("virtual machine {kernel}: {error:#}"));
                failed.push(kernel.to_string());
            }
        }
    }
    if !failed.is_empty() {
        bail!("live tests failed in the virtual machines {}", failed.join(", "));
    }
    Ok(())
}
