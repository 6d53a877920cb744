//! JavaScript and TypeScript: esbuild makes one file of the sources, and componentize-js, by jco, puts it into a component
//! with an engine. TypeScript is also checked.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::lines::BUNDLE;
use super::super::project::Project;
use super::{Made, tool};
use crate::error::{Error, Kind, Result};
use crate::manifest::Language;

pub(super) fn build(project: &Project) -> Result<Made> {
    let build = project.build();
    let wit = build.join("wit");
    let command = |name: &str| -> Result<Command> {
        let mut command = Command::new(program(&project.folder, name)?);
        command.current_dir(&project.folder);
        Ok(command)
    };
    let typed = project.language == Language::TypeScript;
    if typed {
        let bindings = build.join("bindings");
        tool::run(
            project,
            command("jco")?.arg("guest-types").arg(&wit).args(["-n", "plugin", "-q", "-o"]).arg(bindings),
        )?;
        tool::run(project, command("tsc")?.args(["-p", "."]))?;
    }
    let bundle = build.join(BUNDLE);
    let mut esbuild = command("esbuild")?;
    esbuild.arg(if typed { "src/plugin.ts" } else { "src/plugin.js" });
    esbuild.args(["--bundle", "--format=esm", "--target=es2023", "--external:weir:*", "--log-level=warning"]);
    // For `weir plugin test` and `dev`, see `lines`; the component has nothing of it.
    esbuild.arg("--sourcemap=external");
    esbuild.arg("--alias:weir-plugin=./build/sdk/index.ts");
    tool::run(project, esbuild.arg(format!("--outfile={}", bundle.display())))?;
    let component = build.join("raw.wasm");
    let mut componentize = command("jco")?;
    componentize.arg("componentize").arg(&bundle).arg("-w").arg(&wit);
    // Nothing of what a browser has that plugins do not.
    tool::run(project, componentize.args(["-n", "plugin", "-d", "all", "-o"]).arg(&component))?;
    Ok(Made::Component(component))
}

/// A program of the project's packages, which may be those of a folder around it.
fn program(folder: &Path, name: &str) -> Result<PathBuf> {
    let places = folder.ancestors().map(|folder| folder.join("node_modules/.bin").join(name));
    places.into_iter().find(|program| program.exists()).ok_or_else(|| {
        Error::new(Kind::Unavailable, format!("`{name}` is not there"))
            .help("run `npm install` in the project; npm comes with Node.js, https://nodejs.org, from version 20 on")
    })
}
