//! Zig: its own compiler, for its translation of the C bindings. Not by `zig build`, whose interface changes with every
//! version, and which would have to be compiled first.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use super::super::project::Project;
use super::tool::{self, Tool};
use super::{Made, module};
use crate::error::{Error, Kind, Result};

const ZIG: Tool = Tool {
    names: &["zig", "python-zig"],
    variable: Some("ZIG"),
    probe: &["version"],
    help: "install Zig 0.17: `pip install 'ziglang==0.17.*'`, or https://ziglang.org/download/",
};
/// Another one's language is another.
const VERSION: &str = "0.17.";
const TARGET: [&str; 2] = ["-target", "wasm32-freestanding"];

pub(super) fn build(project: &Project) -> Result<Made> {
    let build = project.build();
    let (sdk, bindings, core) = (build.join("sdk"), build.join("bindings"), build.join("core.wasm"));
    let zig = ZIG.find()?;
    let version = tool::output(Command::new(&zig).arg("version"))?;
    if !version.starts_with(VERSION) {
        let message = format!("`{}` is version {}", zig.display(), version.trim());
        return Err(Error::new(Kind::Unavailable, message).help(ZIG.help));
    }
    let translated = bindings.join("plugin.zig");
    let mut translate = Command::new(&zig);
    // Its translator is compiled when it is first used, in a fraction of the time if that need not be optimised.
    translate.current_dir(&project.folder).env("ZIG_DEBUG_CMD", "1").arg("translate-c").args(TARGET);
    tool::run_into(project, translate.arg(bindings.join("plugin.h")), File::create(&translated)?)?;

    let mut compile = Command::new(&zig);
    compile.current_dir(&project.folder).arg("build-exe").args(TARGET);
    compile.args(["-O", "safe", "-fno-entry", "--stack", "262144", "-fno-sanitize-c", "--name", "core"]);
    compile.arg("--cache-dir").arg(build.join("cache")).arg("-isystem").arg(sdk.join("include"));
    compile.arg(joined("-femit-bin=", &core));
    compile.args([bindings.join("plugin.c"), bindings.join("plugin_component_type.o")]);
    compile.args(["--dep", "weir", "--dep", "plugin"]).arg(joined("-Mroot=", &sdk.join("root.zig")));
    compile.args(["--dep", "weir", "-Mplugin=src/plugin.zig"]);
    compile.args(["--dep", "bindings"]).arg(joined("-Mweir=", &sdk.join("weir.zig")));
    tool::run(project, compile.arg(joined("-Mbindings=", &translated)))?;
    // Ten times what is left without it. The names of functions stay.
    let bytes = module::without_debug_info(&std::fs::read(&core)?)
        .map_err(|error| Error::new(Kind::Data, format!("{}: {error:#}", core.display())))?;
    Ok(Made::Module { bytes, adapter: None })
}

fn joined(option: &str, path: &Path) -> std::ffi::OsString {
    let mut joined = std::ffi::OsString::from(option);
    joined.push(path);
    joined
}
