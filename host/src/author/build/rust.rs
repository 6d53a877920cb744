//! Rust: cargo, for wasm32-unknown-unknown.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use weir_toolchain::{Target, Toolchain};

use super::super::project::Project;
use super::{Made, tool};
use crate::error::{Error, Kind, Result};

pub(super) fn build(project: &Project) -> Result<Made> {
    let build = project.build();
    let toolchain = Toolchain::find(Target::Wasm, &build.join("trial"))
        .map_err(|missing| Error::new(Kind::Unavailable, missing.to_string()))?;
    let target = target(std::env::var_os("CARGO_TARGET_DIR"), &build)?;
    tool::run(project, toolchain.cargo_build(&target).current_dir(&project.folder).arg("--lib"))?;
    let name = project.manifest.name.replace('-', "_");
    let module = target.join("wasm32-unknown-unknown/release").join(name).with_extension("wasm");
    if module.exists() {
        return Ok(Made::Module { bytes: std::fs::read(module)?, adapter: None });
    }
    Err(Error::new(Kind::Data, format!("cargo built no {}", module.display()))
        .help("the package needs the plugin's name, and [lib] crate-type = [\"cdylib\"]"))
}

/// Where cargo would put it, if somebody has said that: from where they said it, and not from the project's folder, in which
/// cargo is started.
fn target(said: Option<OsString>, build: &Path) -> io::Result<PathBuf> {
    said.map_or_else(|| Ok(build.join("target")), std::path::absolute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_cargo_puts_it_is_said_from_here() {
        let build = Path::new("/project/build");
        let here = std::env::current_dir().unwrap();
        assert_eq!(target(None, build).unwrap(), Path::new("/project/build/target"));
        assert_eq!(target(Some("mine".into()), build).unwrap(), here.join("mine"));
        assert_eq!(target(Some("/mine".into()), build).unwrap(), Path::new("/mine"));
    }
}
