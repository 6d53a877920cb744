//! The live tests, under other kernels and other numbers of CPUs than this machine's.
//!
//! QEMU emulates a machine in software, so that it is the same everywhere; Debian's cloud kernels boot in it
//! within seconds. It runs from memory: an archive with the tests, `weir` and the plugins at the paths that they
//! have here, so that each finds the others as it does here. 8 CPUs are possible and 2 are online.

mod archive;
mod boot;
mod kernel;

use anyhow::{Result, bail};

pub(crate) use kernel::Kernel;

use crate::live::Build;
use crate::not_run::NotRun;
use crate::step::say;
use crate::{plugins, tools};

/// Builds what the tests need, and runs them.
pub(crate) fn run_alone(kernels: &[Kernel], yes: bool) -> Result<()> {
    let build = Build::debug()?;
    plugins::build()?;
    let mut not_run = NotRun::default();
    run(&build, kernels, yes, &mut not_run)?;
    not_run.end()
}

/// Runs the live tests in a machine for each kernel, or for each of those there are if none is named.
pub(crate) fn run(build: &Build, kernels: &[Kernel], yes: bool, not_run: &mut NotRun) -> Result<()> {
    let kernels = if kernels.is_empty() { &Kernel::ALL } else { kernels };
    if let Err(error) = tools::ensure(tools::MACHINES, yes) {
        not_run.add("virtual machines", format_args!("{error:#}"));
        return Ok(());
    }
    let archive = archive::pack(build)?;
    let mut failed = Vec::new();
    for kernel in kernels {
        let image = match kernel.image(yes) {
            Ok(image) => image,
            Err(error) => {
                not_run.add(&format!("virtual machine {kernel}"), format_args!("{error:#}"));
                continue;
            }
        };
        match boot::run(*kernel, &image, &archive, &build.tests) {
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
