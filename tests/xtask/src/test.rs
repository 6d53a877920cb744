//! Every test that this machine allows.

use anyhow::Result;

use crate::cargo::cargo;
use crate::languages::Languages;
use crate::live::Build;
use crate::not_run::NotRun;
use crate::step::{self, output, root, say};
use crate::{plugins, vm};

pub(crate) fn run(yes: bool) -> Result<()> {
    let mut not_run = NotRun::default();
    if has_component("fmt", &mut not_run) {
        step::run(cargo().args(["fmt", "--all", "--check"]))?;
        step::run(cargo().args(["fmt", "--check", "--manifest-path"]).arg(root().join("ebpf/Cargo.toml")))?;
    }
    if has_component("clippy", &mut not_run) {
        step::run(cargo().args(["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]))?;
    }
    let build = Build::debug()?;
    let languages = Languages::ensure(yes)?;
    plugins::build(&build.weir)?;
    plugins::build_others(&build.weir, &languages)?;
    let mut tests = cargo();
    tests.env("WEIR_PYTHON", languages.python());
    step::run(tests.args(["test", "--workspace", "--exclude", "weir-tests"]))?;
    plugins::test(&build.weir)?;
    languages.test(&build.weir)?;
    build.test(&mut not_run)?;
    vm::run(&build, &[], &[], yes, &mut not_run)?;
    not_run.end()
}

/// Whether cargo has a subcommand that not every installation of Rust comes with.
fn has_component(name: &str, not_run: &mut NotRun) -> bool {
    let has = output(cargo().args([name, "--version"])).is_ok();
    if !has {
        say(format_args!(
            "there is no cargo {name}: `rustup component add`, or the distribution's package, has it"
        ));
        not_run.add(&format!("cargo {name}"), "it is not installed");
    }
    has
}
