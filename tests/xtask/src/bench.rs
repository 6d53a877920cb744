//! How fast it is, beside C and bpftrace.

use anyhow::{Context, Result};

use crate::cargo::{artifacts, cargo};
use crate::live::{Privilege, WEIR};
use crate::step;
use crate::{plugins, tools};

pub(crate) fn run(yes: bool) -> Result<()> {
    let privilege = Privilege::here().context("the benchmark traces: it needs root, and there is no sudo")?;
    tools::ensure(tools::BENCH, yes)?;
    plugins::build()?;
    let mut build = cargo();
    build.args(["build", "--release", "--package", "weir", "--bin", "weir"]);
    let built = artifacts(build)?;
    let weir =
        built.iter().find_map(|artifact| artifact.executable.as_ref()).context("cargo built no weir")?;

    privilege.mount_tracefs()?;
    let mut build = cargo();
    build.args(["bench", "--no-run", "--package", "weir-tests", "--benches"]);
    for bench in artifacts(build)? {
        let Some(file) = bench.executable.filter(|_| bench.name != "weir_tests") else { continue };
        step::run(privilege.command(&file, &[(WEIR, weir)]).arg("--bench").current_dir(&bench.package))?;
    }
    Ok(())
}
