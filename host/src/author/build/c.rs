//! C: clang, without a library but the SDK's own.

use std::process::Command;

use super::super::project::{Project, files};
use super::Made;
use super::tool::{self, Tool};
use crate::error::Result;

/// Debian's packages have a version in their names; 16 is the oldest that is tried.
const CLANG: Tool = Tool {
    names: &[
        "clang", "clang-23", "clang-22", "clang-21", "clang-20", "clang-19", "clang-18", "clang-17",
        "clang-16",
    ],
    variable: Some("CC"),
    // Whether it can link for WebAssembly: Apple's cannot, and where lld is missing none can.
    probe: &[
        "--target=wasm32-unknown-unknown",
        "-nostdlib",
        "-Wl,--no-entry",
        "-x",
        "c",
        "/dev/null",
        "-o",
        "/dev/null",
    ],
    help: "install clang from version 16 on with its lld, such as `apt install clang lld`, or name one with CC",
};

/// How the target is compiled for. Copies have to be instructions, which the SDK's own memcpy is made of; a stack that comes
/// first in memory is not overrun unnoticed.
const TARGET: [&str; 4] =
    ["--target=wasm32-unknown-unknown", "-mbulk-memory", "-msign-ext", "-mnontrapping-fptoint"];
/// Lines are what a fault is told by where a plugin is tested.
const COMPILE: [&str; 9] = [
    "-std=gnu2x",
    "-O2",
    "-gline-tables-only",
    "-ffreestanding",
    "-fno-math-errno",
    "-nostdlib",
    "-nostdlibinc",
    "-Wall",
    "-Wextra",
];
const LINK: [&str; 3] = ["-Wl,--no-entry", "-Wl,--stack-first", "-Wl,-z,stack-size=131072"];

pub(super) fn build(project: &Project) -> Result<Made> {
    let build = project.build();
    let (sdk, bindings, module) = (build.join("sdk"), build.join("bindings"), build.join("core.wasm"));
    let mut clang = Command::new(CLANG.find()?);
    clang.current_dir(&project.folder).args(TARGET).args(COMPILE);
    for folder in [&sdk, &sdk.join("include"), &bindings] {
        clang.arg("-I").arg(folder);
    }
    clang.args(LINK).arg("-o").arg(&module);
    clang.args(files(&project.folder.join("src"), "c")?).args(files(&sdk, "c")?);
    clang.arg(bindings.join("plugin.c")).arg(bindings.join("plugin_component_type.o"));
    tool::run(project, &mut clang)?;
    Ok(Made::Module { bytes: std::fs::read(module)?, adapter: None })
}
