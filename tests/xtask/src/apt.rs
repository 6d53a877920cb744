//! Debian's packages.

use std::process::Command;

use anyhow::Result;
use weir_toolchain::Version;

use crate::step::{Shell, carry_out, has_program, output, say};

/// A machine whose packages come by apt.
#[derive(Debug)]
pub(crate) struct Apt(());

impl Apt {
    pub(crate) fn here() -> Option<Self> {
        (has_program("apt-get") && has_program("apt-cache")).then_some(Self(()))
    }

    /// Updates the lists of packages, which are empty on a fresh machine, if that is allowed. A list that cannot
    /// be had, such as another vendor's, does not keep the others from being used.
    pub(crate) fn update(&self, yes: bool) {
        let update = Shell::root("apt-get update --quiet=2");
        if let Err(error) = carry_out("new lists of packages", &[update], yes) {
            say(format_args!("{error:#}: going on with the lists that are there"));
        }
    }

    /// The version that would be installed.
    pub(crate) fn candidate(&self, package: &str) -> Option<String> {
        candidate(&output(Command::new("apt-cache").args(["policy", package])).ok()?)
    }

    /// The LLVM that the distribution's Rust is built with.
    pub(crate) fn llvm_of_rust(&self) -> Option<u32> {
        llvm(&output(Command::new("apt-cache").args(["depends", "rust-web-llvm"])).ok()?)
    }

    /// The newest package whose name begins and ends like that.
    pub(crate) fn newest(&self, start: &str, end: &str) -> Result<Option<String>> {
        let pattern = format!("^{}.*{}$", start.replace('.', r"\."), end.replace('.', r"\."));
        let found = output(Command::new("apt-cache").args(["search", "--names-only", &pattern]))?;
        Ok(newest(&found))
    }
}

/// Installs packages.
pub(crate) fn install(packages: impl IntoIterator<Item = String>) -> Shell {
    let packages: Vec<_> = packages.into_iter().collect();
    // Another apt may be at work, as on a machine that has just been started; and it need not draw progress.
    let options = "-o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 --yes --quiet=2 --no-install-recommends";
    let packages = packages.join(" ");
    Shell::root(format!("env DEBIAN_FRONTEND=noninteractive apt-get install {options} {packages}"))
}

/// The candidate in what `apt-cache policy` says of a package.
fn candidate(policy: &str) -> Option<String> {
    let version = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate:"))?.trim();
    (version != "(none)").then(|| version.to_owned())
}

/// The `llvm-22` in what `apt-cache depends` says.
fn llvm(depends: &str) -> Option<u32> {
    let names = depends.lines().filter_map(|line| line.trim().strip_prefix("Depends:"));
    names.filter_map(|name| name.trim().strip_prefix("llvm-")).find_map(|major| major.parse().ok())
}

/// The name with the greatest numbers in what `apt-cache search` finds.
fn newest(found: &str) -> Option<String> {
    let names = found.lines().filter_map(|line| line.split_once(" - ")).map(|(name, _)| name);
    names.max_by_key(|name| numbers(name)).map(str::to_owned)
}

fn numbers(name: &str) -> Vec<u64> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

/// A Debian version without its epoch and revision, as far as it matters.
pub(crate) fn version(candidate: &str) -> Option<Version> {
    Version::parse(candidate.split_once(':').map_or(candidate, |(_, version)| version))
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = "rustc-web:\n  Installed: (none)\n  Candidate: 1.96.0+dfsg1-1~deb12u2\n  Version table:\n     \
                          1.96.0+dfsg1-1~deb12u2 500\n     1.85.0+dfsg3-1~deb12u3 500\n";

    #[test]
    fn the_candidate_is_what_would_be_installed() {
        assert_eq!(candidate(POLICY).as_deref(), Some("1.96.0+dfsg1-1~deb12u2"));
        assert_eq!(candidate("rustc-web:\n  Installed: (none)\n  Candidate: (none)\n"), None);
        assert_eq!(candidate(""), None);
    }

    #[test]
    fn versions_are_read_past_their_epoch() {
        assert_eq!(version("1.96.0+dfsg1-1~deb12u2"), Some(Version { major: 1, minor: 96 }));
        assert_eq!(version("1:22.1.8-1~deb12u1"), Some(Version { major: 22, minor: 1 }));
    }

    #[test]
    fn rusts_llvm_is_what_it_depends_on() {
        let depends =
            "rust-web-llvm\n  Depends: libc6\n  Depends: libgcc-s1\n  Depends: llvm-22\n  Conflicts: x\n";
        assert_eq!(llvm(depends), Some(22));
        assert_eq!(llvm("rust-web-llvm\n  Suggests: llvm-22\n"), None);
    }

    #[test]
    fn the_newest_kernel_has_the_greatest_numbers() {
        let found = "linux-image-6.12.9+deb12-cloud-amd64 - Linux\nlinux-image-6.12.117+deb12-cloud-amd64 - Linux\n\
                     linux-image-6.12.22+deb12-cloud-amd64 - Linux\n";
        assert_eq!(newest(found).as_deref(), Some("linux-image-6.12.117+deb12-cloud-amd64"));
        let found = "linux-image-6.1.0-56-cloud-amd64 - Linux\nlinux-image-6.1.0-9-cloud-amd64 - Linux\n";
        assert_eq!(newest(found).as_deref(), Some("linux-image-6.1.0-56-cloud-amd64"));
        assert_eq!(newest(""), None);
    }
}
