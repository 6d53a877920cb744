//! Plugins and hostile guests, from Rust to components.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use weir_toolchain::{Target, Toolchain};
use wit_component::ComponentEncoder;

use crate::cargo::{Artifact, artifacts};
use crate::step::{root, say, target};

/// The packages: each plugin is a library; each attack is an example of one package.
const PLUGINS: &str = "weir-plugin-*";
const HOSTILE: &str = "weir-hostile";
const HOSTILE_FOLDER: &str = "tests/hostile";

/// Builds what is not up to date, into `target/plugins/<name>.wasm` and `target/plugins/hostile/<name>.wasm`,
/// and returns that folder.
pub(crate) fn build() -> Result<PathBuf> {
    let toolchain = Toolchain::find(Target::Wasm, &target().join("xtask/trial"))?;
    say(format_args!("building plugins with {toolchain}"));
    // A folder of its own: this compiler may be another one than the host's, and each would undo what the
    // other has built for the machine itself (procedural macros).
    let mut build = toolchain.cargo_build(&target().join("wasm"));
    build.current_dir(root()).args(["--package", PLUGINS, "--package", HOSTILE, "--lib", "--examples"]);

    let plugins = target().join("plugins");
    let modules = artifacts(build)?;
    let mut built = 0;
    for (artifact, module) in modules.iter().filter_map(|artifact| Some((artifact, module(artifact)?))) {
        // A library's name is an identifier; a plugin's is the one that people write.
        let (folder, name) = if artifact.package.ends_with(HOSTILE_FOLDER) {
            (plugins.join("hostile"), artifact.name.clone())
        } else {
            (plugins.clone(), artifact.name.replace('_', "-"))
        };
        let component = folder.join(name).with_extension("wasm");
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        componentize(module, &component)?;
        built += 1;
    }
    if built == 0 {
        bail!("no plugin was built: the packages {PLUGINS} and {HOSTILE} have no cdylib");
    }
    say(format_args!("{built} plugins and hostile guests are in {}", plugins.display()));
    Ok(plugins)
}

/// The core module of a library that is meant for Wasm.
fn module(artifact: &Artifact) -> Option<&Path> {
    let is_module = |file: &&PathBuf| file.extension().is_some_and(|extension| extension == "wasm");
    artifact
        .kinds
        .iter()
        .any(|kind| kind == "cdylib")
        .then(|| artifact.files.iter().find(is_module))?
        .map(|m| &**m)
}

/// Wraps a core module, which carries its interface in a section, into a component.
fn componentize(module: &Path, component: &Path) -> Result<()> {
    let changed = |file: &Path| fs::metadata(file).and_then(|metadata| metadata.modified());
    if let (Ok(from), Ok(to)) = (changed(module), changed(component))
        && from < to
    {
        return Ok(());
    }
    say(format_args!("component {}", component.display()));
    let bytes = fs::read(module).with_context(|| module.display().to_string())?;
    let mut encoder = ComponentEncoder::default();
    let encoded = encoder.validate(true).module(&bytes).and_then(ComponentEncoder::encode);
    let bytes = encoded.with_context(|| format!("{} cannot become a component", module.display()))?;
    fs::write(component, bytes).with_context(|| component.display().to_string())
}
