//! Ten seconds of this machine, through a plugin.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cargo::{artifacts, cargo};
use crate::plugins;
use crate::step::{self, has_program, is_root, root, say, status};

/// What is traced, and through which plugin.
const CONFIG: &str = "plugins/demo.toml";
/// What is shown where tracing is not allowed, and the plugin that it goes through.
const RECORDING: &str = "plugins/demo.weir";
const PLUGIN: &str = "target/plugins/top.wasm";

/// The exit status for a lack of privilege (sysexits).
const NO_PRIVILEGE: i32 = 77;

pub(crate) fn run() -> Result<()> {
    let mut build = cargo();
    build.args(["build", "--release", "--workspace", "--bins"]);
    let built = artifacts(build)?;
    // The library has the same name, and no executable.
    let mut weir = built.iter().filter(|artifact| artifact.name == "weir");
    let weir = weir.find_map(|artifact| artifact.executable.as_ref()).context("cargo built no weir")?;
    plugins::build(weir)?;

    let live = ["run", "-c", CONFIG, "--duration", "10s"];
    if try_run(Command::new(weir).args(live))? {
        return Ok(());
    }
    // What was built belongs to the user; only the finished program runs with privilege.
    if !is_root() && has_program("sudo") {
        say("tracing takes privileges: asking sudo for them, once");
        if try_run(Command::new("sudo").arg("--").arg(weir).args(live))? {
            return Ok(());
        }
    }
    say(
        "without the privilege for BPF this replays a recording through the same plugin; live, it needs root, or \
         CAP_BPF and CAP_PERFMON, and CAP_DAC_READ_SEARCH to read tracefs",
    );
    step::run(Command::new(weir).args(["replay", RECORDING, "--plugin", PLUGIN]).current_dir(root()))
}

/// Runs what may lack the privilege for it: whether it had it.
fn try_run(command: &mut Command) -> Result<bool> {
    let status = status(command.current_dir(root()))?;
    match status.code() {
        Some(0) => Ok(true),
        Some(NO_PRIVILEGE) => Ok(false),
        // What sudo itself says when it does not let someone through.
        Some(1) if command.get_program() == "sudo" => Ok(false),
        _ => bail!("the demo failed: {status}"),
    }
}
