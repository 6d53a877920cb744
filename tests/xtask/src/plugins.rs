//! Plugins and hostile guests: those in Rust all at once, by cargo, and those in other languages each by `weir plugin`, as
//! anybody builds them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use weir_toolchain::{Target, Toolchain};
use wit_component::ComponentEncoder;

use crate::cargo::{Artifact, artifacts};
use crate::languages::Languages;
use crate::step::{self, output, root, say, target};

/// The packages: each plugin is a library; each attack is an example of one package.
const PLUGINS: &str = "weir-plugin-*";
const HOSTILE: &str = "weir-hostile";
const HOSTILE_FOLDER: &str = "tests/hostile";

/// Plugins that ship, and are in other languages.
const OTHERS: [&str; 5] = ["errno-watch", "noisy-neighbour", "digest", "anomaly", "heatmap"];
/// In each, there is a new project and the conformance plugin.
const LANGUAGES: [&str; 7] = ["rust", "c", "go", "javascript", "typescript", "python", "zig"];

/// Builds them all.
pub(crate) fn run(yes: bool) -> Result<()> {
    let weir = crate::cargo::weir()?;
    build(&weir)?;
    build_others(&weir, &Languages::ensure(yes)?)
}

/// Builds those in Rust that are not up to date, into `target/plugins/<name>.wasm` and
/// `target/plugins/hostile/<name>.wasm`, and returns that folder.
pub(crate) fn build(weir: &Path) -> Result<PathBuf> {
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
        let manifest = artifact.package.join("plugin.toml");
        if manifest.exists() {
            let pack = ["plugin", "pack", "--manifest"];
            output(Command::new(weir).args(pack).arg(&manifest).arg(&component).arg("-o").arg(&component))?;
            // Where its own tests look for it.
            let own = artifact.package.join("build");
            fs::create_dir_all(&own).with_context(|| own.display().to_string())?;
            fs::copy(&component, own.join(component.file_name().context("a file has a name")?))?;
        }
        built += 1;
    }
    if built == 0 {
        bail!("no plugin was built: the packages {PLUGINS} and {HOSTILE} have no cdylib");
    }
    say(format_args!("{built} plugins and hostile guests are in {}", plugins.display()));
    Ok(plugins)
}

/// Builds those in other languages, and in all languages what a new project is and what reads everything that there is, into
/// `target/plugins` and `target/plugins/conformance`.
pub(crate) fn build_others(weir: &Path, languages: &Languages) -> Result<()> {
    let (plugins, new) = (target().join("plugins"), target().join("new"));
    for name in OTHERS {
        languages.build(
            weir,
            &root().join("plugins").join(name),
            &plugins.join(name).with_extension("wasm"),
        )?;
    }
    for language in LANGUAGES {
        let conformance = plugins.join("conformance");
        languages.first(weir, &new, language, &conformance.join(format!("first-{language}.wasm")))?;
        let tally = root().join("tests/conformance").join(language);
        languages.build(weir, &tally, &conformance.join(format!("tally-{language}.wasm")))?;
    }
    Ok(())
}

/// Runs every plugin's own tests, those of new projects too.
pub(crate) fn test(weir: &Path) -> Result<()> {
    let plugins = fs::read_dir(root().join("plugins"))?.filter_map(|entry| Some(entry.ok()?.path()));
    let new = LANGUAGES.map(|language| target().join("new").join(format!("first-{language}")));
    for project in plugins.filter(|project| project.join("tests").is_dir()).chain(new) {
        step::run(Command::new(weir).args(["plugin", "test", "--no-build"]).arg(project))?;
    }
    Ok(())
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
