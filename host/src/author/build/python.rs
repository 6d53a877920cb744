//! Python: componentize-py, which puts an interpreter into the component.

use std::process::Command;

use super::super::project::Project;
use super::Made;
use super::tool::{self, Tool};
use crate::error::Result;

const COMPONENTIZE: Tool = Tool {
    names: &["componentize-py"],
    variable: None,
    probe: &["--version"],
    help: "install it with pip: `pip install componentize-py`",
};

pub(super) fn build(project: &Project) -> Result<Made> {
    let build = project.build();
    let program = COMPONENTIZE.find()?;
    let command = |what: &str| {
        let mut command = Command::new(&program);
        // A mistake in the plugin is told by its traceback, and not by the tool's own.
        command.current_dir(&project.folder).env("RUST_BACKTRACE", "0");
        command.arg("-q").arg("-d").arg(build.join("wit")).args(["-w", "plugin", what]);
        command
    };
    // For editors and type checkers; the component has no need of them. What is there already is not written over.
    let bindings = build.join("bindings");
    match std::fs::remove_dir_all(&bindings) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => tool::run(project, command("bindings").arg(&bindings))?,
    }
    let component = build.join("raw.wasm");
    let mut componentize = command("componentize");
    componentize.args(["--stub-wasi", "weir.component", "-p", "src", "-p"]).arg(build.join("sdk"));
    tool::run(project, componentize.arg("-o").arg(&component))?;
    Ok(Made::Component(component))
}
