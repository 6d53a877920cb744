//! Finds compilers for Weir's kernel side and for its Rust plugins.
//!
//! Stable Rust builds the host. The kernel side needs a rustc with a `core` for `bpfel-unknown-none` and a
//! `bpf-linker` whose LLVM is at least as new; a plugin needs a `std` for `wasm32-unknown-unknown`. Either
//! library may be installed ready or be built from `rust-src`. rustup's toolchains are asked first, then the
//! distribution's; every one that is not taken is listed with the reason, so that an error can say what
//! would help.
//!
//! Nothing is installed or changed here: `cargo xtask setup` does that.
#![forbid(unsafe_code)]

mod environment;
mod linker;
mod missing;
mod rustc;

use std::path::{Path, PathBuf};
use std::process::Command;

pub use missing::{NotFound, Reason, Rejected};
pub use rustc::Version;

use rustc::{Origin, Rustc};

/// The first Rust that has all that Weir uses.
pub const MINIMUM: Version = Version { major: 1, minor: 95 };

/// What is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Programs that run in the kernel.
    Kernel,
    /// Plugins.
    Wasm,
}

impl Target {
    #[must_use]
    pub fn triple(self) -> &'static str {
        match self {
            Self::Kernel => "bpfel-unknown-none",
            Self::Wasm => "wasm32-unknown-unknown",
        }
    }

    /// The crates that cargo builds from `rust-src` where none are installed ready.
    fn build_std(self) -> &'static str {
        match self {
            Self::Kernel => "build-std=core",
            Self::Wasm => "build-std=std,panic_abort",
        }
    }

    /// The library without which nothing compiles.
    fn library(self) -> &'static str {
        match self {
            Self::Kernel => "core",
            Self::Wasm => "std",
        }
    }
}

/// A compiler that does for a target.
#[derive(Debug)]
pub struct Toolchain {
    target: Target,
    rustc: Rustc,
    /// Build the target's library from rust-src; else it is installed ready.
    build_std: bool,
    /// Only where the target's own default would not do.
    linker: Option<PathBuf>,
}

impl Toolchain {
    /// The best compiler installed for `target`. `scratch` is a folder in which a trial may leave files.
    pub fn find(target: Target, scratch: &Path) -> Result<Self, NotFound> {
        let mut rejected = Vec::new();
        let mut fit = Vec::new();
        for (candidate, rustc) in rustc::installed() {
            match rustc.and_then(|rustc| Self::of(rustc, target, scratch)) {
                Ok(toolchain) => fit.push(toolchain),
                Err(reason) => rejected.push(Rejected { candidate, reason }),
            }
        }
        fit.sort_by_key(Self::preference);
        fit.into_iter().next().ok_or(NotFound { target, rejected })
    }

    fn of(rustc: Rustc, target: Target, scratch: &Path) -> Result<Self, Reason> {
        if rustc.about.release < MINIMUM {
            return Err(Reason::TooOld(rustc.about.release));
        }
        let build_std = !rustc.has_library(target);
        if build_std && !rustc.has_source() {
            return Err(Reason::NoLibrary(target));
        }
        let linker = match target {
            Target::Kernel => Some(linker::bpf_linker(&rustc, scratch)?),
            Target::Wasm => {
                linker::check_wasm_linker(&rustc)?;
                None
            }
        };
        Ok(Self { target, rustc, build_std, linker })
    }

    /// Least is best: rustup's, then one that need not build the library, then one that may by itself.
    fn preference(&self) -> (Origin, bool, bool) {
        (self.rustc.origin, self.build_std, self.build_std && !self.rustc.about.nightly)
    }

    /// Files whose change makes another build necessary: the compiler, and the linker if it is not the
    /// compiler's own.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(self.rustc.path.as_path()).chain(self.linker.as_deref())
    }

    /// `cargo build --release` for the target, into a target directory of its own: the one of the build that
    /// this may be a part of is locked. What to build is still to be added.
    #[must_use]
    pub fn cargo_build(&self, target_dir: &Path) -> Command {
        let mut command = Command::new(self.rustc.cargo());
        environment::clean(&mut command);
        command
            .args(["build", "--release", "--target", self.target.triple(), "--target-dir"])
            .arg(target_dir)
            .env("RUSTC", &self.rustc.path);
        if self.build_std {
            command.args(["-Z", self.target.build_std()]);
        }
        if self.build_std || self.target == Target::Kernel {
            // The target and build-std are unstable; this lets a stable compiler use them.
            command.env("RUSTC_BOOTSTRAP", "1");
        }
        if let Some(linker) = &self.linker {
            command.env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", linker);
            // The kernel wants types, for the maps and for what the verifier says; they come from debug info.
            command.env("RUSTFLAGS", "-C debuginfo=2 -C link-arg=--btf");
        }
        command
    }
}

impl std::fmt::Display for Toolchain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.rustc.name, self.rustc.about.release)?;
        if self.build_std {
            write!(f, ", with {} built from its rust-src", self.target.library())?;
        }
        Ok(())
    }
}
