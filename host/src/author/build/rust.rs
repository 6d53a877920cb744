//! Rust: cargo, for wasm32-unknown-unknown.

use std::path::PathBuf;

use weir_toolchain::{Target, Toolchain};

use super::super::project::Project;
use super::{Made, tool};
use crate::error::{Error, Kind, Result};

pub(super) fn build(project: &Project) -> Result<Made> {
    let build = project.build();
    let toolchain = Toolchain::find(Target::Wasm, &build.join("trial"))
        .map_err(|missing| Error::new(Kind::Unavailable, missing.to_string()))?;
    // Where cargo would put it, if somebody has said that.
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| build.join("target"), PathBuf::from);
    tool::run(toolchain.cargo_build(&target).current_dir(&project.folder).arg("--lib"))?;
    let name = project.manifest.name.replace('-', "_");
    let module = target.join("wasm32-unknown-unknown/release").join(name).with_extension("wasm");
    if module.exists() {
        return Ok(Made::Module { bytes: std::fs::read(module)?, adapter: None });
    }
    Err(Error::new(Kind::Data, format!("cargo built no {}", module.display()))
        .help("the package needs the plugin's name, and [lib] crate-type = [\"cdylib\"]"))
}
