//! The compilers that are installed.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

use crate::Target;
use crate::missing::Reason;

/// A version, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    pub major: u32,
    pub minor: u32,
}

impl Version {
    /// Reads what begins like `1.95.0-nightly`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(|c: char| !c.is_ascii_digit());
        let major = parts.next()?.parse().ok()?;
        let minor = parts.next()?.parse().ok()?;
        Some(Self { major, minor })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Whose a compiler is, the preferred one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    Rustup,
    Distribution,
}

/// What `rustc --version --verbose` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) release: Version,
    pub(crate) nightly: bool,
    pub(crate) host: String,
    pub(crate) llvm: u32,
}

impl About {
    fn parse(text: &str) -> Option<Self> {
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let release = field("release:")?;
        Some(Self {
            release: Version::parse(release)?,
            nightly: release.contains("-nightly") || release.contains("-dev"),
            host: field("host:")?.to_owned(),
            llvm: Version::parse(field("LLVM version:")?)?.major,
        })
    }
}

/// A compiler that runs.
#[derive(Debug)]
pub(crate) struct Rustc {
    pub(crate) origin: Origin,
    /// As a person would name it.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) about: About,
    sysroot: PathBuf,
}

impl Rustc {
    fn at(path: PathBuf, name: String, origin: Origin) -> Result<Self, Reason> {
        let about = said(Command::new(&path).arg("-vV"))?;
        let about = About::parse(&about)
            .ok_or_else(|| Reason::Unusable(format!("{} -vV says what is not understood", path.display())))?;
        let sysroot = PathBuf::from(said(Command::new(&path).args(["--print", "sysroot"]))?.trim());
        Ok(Self { origin, name, path, about, sysroot })
    }

    /// Whether the target's library is installed ready.
    pub(crate) fn has_library(&self, target: Target) -> bool {
        let folder = self.sysroot.join("lib/rustlib").join(target.triple()).join("lib");
        let library = format!("lib{}-", target.library());
        fs::read_dir(folder)
            .is_ok_and(|files| files.flatten().any(|f| f.file_name().to_string_lossy().starts_with(&library)))
    }

    /// Whether the libraries' source is installed. cargo looks for the lock file too.
    pub(crate) fn has_source(&self) -> bool {
        self.sysroot.join("lib/rustlib/src/rust/library/Cargo.lock").is_file()
    }

    /// The `rust-lld` that comes with the compiler, or, where a distribution has it elsewhere, on PATH.
    pub(crate) fn lld(&self) -> PathBuf {
        let own = self.sysroot.join("lib/rustlib").join(&self.about.host).join("bin/rust-lld");
        if own.is_file() { own } else { PathBuf::from("rust-lld") }
    }

    /// The cargo that goes with the compiler, because the two must agree on how a library is built from its
    /// source; else the one that is running.
    pub(crate) fn cargo(&self) -> PathBuf {
        let beside = self.path.with_file_name("cargo");
        let release = said(Command::new(&beside).arg("--version")).ok();
        let release = release.and_then(|text| Version::parse(text.strip_prefix("cargo ")?));
        if release == Some(self.about.release) && !is_rustup(&beside) {
            return beside;
        }
        env::var_os("CARGO").unwrap_or_else(|| "cargo".into()).into()
    }
}

/// Every compiler that is installed, under the name that a person would know it by.
pub(crate) fn installed() -> Vec<(String, Result<Rustc, Reason>)> {
    let rustup = rustups().into_iter().map(|toolchain| {
        let name = format!("rustup's {toolchain}");
        let path = said(rustup().args(["which", "rustc", "--toolchain", &toolchain]));
        (name, Origin::Rustup, path.map(|path| PathBuf::from(path.trim())))
    });
    let distribution = search("rustc")
        .filter(|path| !is_rustup(path))
        .map(|path| (path.display().to_string(), Origin::Distribution, Ok(path)));

    // One compiler may be reached under several names.
    let mut seen = HashSet::new();
    rustup
        .chain(distribution)
        .filter(|(_, _, path)| {
            path.as_ref()
                .map_or(true, |path| seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone())))
        })
        .map(|(name, origin, path)| (name.clone(), path.and_then(|path| Rustc::at(path, name, origin))))
        .collect()
}

fn rustup() -> Command {
    let mut command = Command::new(search("rustup").next().unwrap_or_else(|| "rustup".into()));
    // Looking must not install.
    command.env("RUSTUP_AUTO_INSTALL", "0");
    command
}

fn rustups() -> Vec<String> {
    said(rustup().args(["toolchain", "list"])).map(|list| toolchains(&list)).unwrap_or_default()
}

/// The names in what `rustup toolchain list` says: `stable-x86_64-unknown-linux-gnu (active, default)`.
fn toolchains(list: &str) -> Vec<String> {
    let names = list.lines().filter(|line| !line.starts_with("no installed"));
    names.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

fn is_rustup(path: &Path) -> bool {
    path.canonicalize().is_ok_and(|path| path.file_name().is_some_and(|name| name == "rustup"))
}

/// Every file of that name on PATH, in cargo's own bin and where distributions put programs: a PATH that was
/// set up for something else need not have them all.
pub(crate) fn search(program: &str) -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let cargo = env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo = cargo.or_else(|| Some(env::home_dir()?.join(".cargo"))).map(|home| home.join("bin"));
    let folders: Vec<_> =
        env::split_paths(&path).chain(cargo).chain(["/usr/local/bin".into(), "/usr/bin".into()]).collect();
    folders.into_iter().map(move |folder| folder.join(program)).filter(|file| file.is_file())
}

/// What a command prints, if it ends well.
pub(crate) fn said(command: &mut Command) -> Result<String, Reason> {
    let program = command.get_program().to_owned();
    let failed = |why: String| Reason::Unusable(format!("{}: {why}", program.display()));
    let output = command.output().map_err(|error| failed(cannot_run(&error)))?;
    if !output.status.success() {
        return Err(failed(last_line(&output.stderr).unwrap_or_else(|| output.status.to_string())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn cannot_run(error: &io::Error) -> String {
    format!("does not run: {error}")
}

/// The last line that says anything.
pub(crate) fn last_line(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nightly_says_what_it_is() {
        let text = "rustc 1.97.0-nightly (e50aa6fba 2026-05-19)\nbinary: rustc\n\
                    commit-hash: e50aa6fba4e63ab34c72bf9acfd2c307c1155d1a\ncommit-date: 2026-05-19\n\
                    host: x86_64-unknown-linux-gnu\nrelease: 1.97.0-nightly\nLLVM version: 22.1.4\n";
        let about = About::parse(text).unwrap();
        assert_eq!(about.release, Version { major: 1, minor: 97 });
        assert!(about.nightly);
        assert_eq!(about.host, "x86_64-unknown-linux-gnu");
        assert_eq!(about.llvm, 22);
    }

    #[test]
    fn a_distributions_says_what_it_is() {
        let text = "rustc 1.63.0\nbinary: rustc\ncommit-hash: unknown\ncommit-date: unknown\n\
                    host: aarch64-unknown-linux-gnu\nrelease: 1.63.0\nLLVM version: 14.0.6\n";
        let about = About::parse(text).unwrap();
        assert!(about.release < crate::MINIMUM);
        assert!(!about.nightly);
        assert_eq!(about.llvm, 14);
    }

    #[test]
    fn what_is_no_rustc_is_not_understood() {
        assert_eq!(About::parse("rustc 1.95.0\n"), None);
        assert_eq!(About::parse("release: new\nhost: x\nLLVM version: 22.1\n"), None);
    }

    #[test]
    fn versions_compare_as_numbers() {
        assert!(Version::parse("1.100.0") > Version::parse("1.95.0-beta.3"));
        assert_eq!(Version::parse("22.1.8"), Some(Version { major: 22, minor: 1 }));
        assert_eq!(Version::parse("twelve"), None);
        assert_eq!(Version::parse(""), None);
    }

    #[test]
    fn toolchains_are_listed_by_name() {
        let list = "stable-x86_64-unknown-linux-gnu (active, default)\nnightly-x86_64-unknown-linux-gnu\n";
        assert_eq!(toolchains(list), ["stable-x86_64-unknown-linux-gnu", "nightly-x86_64-unknown-linux-gnu"]);
        assert!(toolchains("no installed toolchains\n").is_empty());
    }
}
