//! Go: its own compiler, for WASI's first preview, whose functions an adapter provides from Weir's interface.

use std::process::Command;

use super::super::project::Project;
use super::tool::{self, Tool};
use super::{Made, bindings, module};
use crate::error::{Error, Kind, Result};

const GO: Tool = Tool {
    names: &["go"],
    variable: None,
    probe: &["version"],
    help: "install Go from version 1.24 on: https://go.dev/dl/",
};

pub(super) fn build(project: &Project) -> Result<Made> {
    let built = project.build().join("core.wasm");
    let mut go = Command::new(GO.find()?);
    go.current_dir(&project.folder);
    // All that the module needs is in the project: nothing is to be downloaded.
    for (name, value) in [
        ("GOOS", "wasip1"),
        ("GOARCH", "wasm"),
        ("CGO_ENABLED", "0"),
        ("GOFLAGS", ""),
        ("GOPROXY", "off"),
        ("GOTOOLCHAIN", "local"),
        ("GOWORK", "off"),
    ] {
        go.env(name, value);
    }
    // The same folder elsewhere gives the same bytes.
    go.args(["build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o"]);
    tool::run(project, go.arg(&built).arg("."))?;
    let bytes = module::join(&std::fs::read(&built)?)
        .and_then(|bytes| bindings::embed(bytes, bindings::WORLD))
        .map_err(|error| Error::new(Kind::Data, format!("{}: {error:#}", built.display())))?;
    Ok(Made::Module { bytes, adapter: Some(bindings::preview1()?) })
}
