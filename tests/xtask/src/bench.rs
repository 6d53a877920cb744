//! How fast it is, beside C and bpftrace.

use anyhow::{Context, Result};

use crate::cargo::{artifacts, cargo};
use crate::live::Privilege;
use crate::step;
use crate::{plugins, tools};

pub(crate) fn run(yes: bool) -> Result<()> {
    let privilege = Privilege::here().context("the benchmark traces: it needs root, and there is no sudo")?;
    tools::ensure(tools::BENCH, yes)?;
    plugins::build(&crate::cargo::weir()?)?;
    privilege.mount_tracefs()?;
    let mut build = cargo();
    // All packages, so that dependencies have the features that they have in every other build. The command is for the
    // benchmark of daemons, which finds it beside its own folder.
    build.args(["build", "--release", "--workspace", "--bench", "*", "--bin", "weir"]);
    for bench in artifacts(build)?.into_iter().filter(|artifact| artifact.is_test) {
        let Some(file) = bench.executable else { continue };
        step::run(privilege.command(&file, &[]).arg("--bench").current_dir(&bench.package))?;
    }
    Ok(())
}
