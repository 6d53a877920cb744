//! Compilers for the kernel side and for plugins: what is there, what is missing, and how to get it.

use std::fmt;

use anyhow::{Result, bail};
use weir_toolchain::{MINIMUM, NotFound, Target, Toolchain};

use crate::apt::{self, Apt};
use crate::step::{Shell, carry_out, has_program, say, target};

/// What links the kernel side.
const BPF_LINKER: &str = "0.13";

/// Debian's Rust, with what it needs to compile for the kernel and for Wasm. `rustc-web` is the one that
/// Debian keeps new, for its browsers.
const DEBIAN_RUST: [&str; 4] = ["rustc-web", "rust-web-src", "libstd-rust-web-dev-bpf", "rust-web-llvm"];

/// Finds the compilers, and installs those that are missing, if that is allowed.
pub(crate) fn compilers(yes: bool) -> Result<()> {
    let mut missing = Missing::look();
    // Which LLVM the linker must be built against may be known only once the compiler is there.
    for _ in 0..2 {
        if missing.nothing() {
            return Ok(());
        }
        say(&missing);
        if let Some(apt) = Apt::here() {
            apt.update(yes);
        }
        carry_out("the compilers", &missing.remedy(Apt::here())?, yes)?;
        missing = Missing::look();
    }
    if !missing.nothing() {
        bail!("what was missing is installed, and still there is {missing}");
    }
    Ok(())
}

/// What was looked for and not found.
#[derive(Debug)]
struct Missing {
    kernel: Option<NotFound>,
    wasm: Option<NotFound>,
}

impl Missing {
    fn look() -> Self {
        Self { kernel: find(Target::Kernel, "the kernel side"), wasm: find(Target::Wasm, "plugins") }
    }

    fn nothing(&self) -> bool {
        self.kernel.is_none() && self.wasm.is_none()
    }

    /// What installs it: the distribution's packages where they are new enough, else rustup.
    fn remedy(&self, apt: Option<Apt>) -> Result<Vec<Shell>> {
        let linkers = self.kernel.as_ref().map(NotFound::linkers_wanted).unwrap_or_default();
        let only_linker = self.wasm.is_none() && !linkers.is_empty();

        if let Some(apt) = apt {
            if only_linker
                && let Some(llvm) = linkers.iter().find(|llvm| apt.candidate(&dev(**llvm)).is_some())
            {
                return Ok(vec![apt::install([dev(*llvm)]), bpf_linker(*llvm, true)]);
            }
            let release = apt.candidate("rustc-web").and_then(|candidate| apt::version(&candidate));
            if release.is_some_and(|release| release >= MINIMUM)
                && let Some(llvm) = apt.llvm_of_rust()
            {
                let rust = DEBIAN_RUST.map(str::to_owned).into_iter().chain([format!("lld-{llvm}")]);
                if self.kernel.is_none() {
                    return Ok(vec![apt::install(rust)]);
                }
                return Ok(vec![apt::install(rust.chain([dev(llvm)])), bpf_linker(llvm, true)]);
            }
        }
        if !has_program("rustup") {
            bail!(
                "{self}neither this machine's packages nor rustup can provide it: install rustup \
                 (https://rustup.rs), then run this again"
            );
        }
        if only_linker && let Some(llvm) = linkers.first() {
            return Ok(vec![bpf_linker(*llvm, false)]);
        }
        Ok(vec![
            Shell::user("rustup toolchain install nightly --profile minimal --component rust-src"),
            Shell::user("rustup target add wasm32-unknown-unknown --toolchain nightly"),
        ])
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for missing in [&self.kernel, &self.wasm].into_iter().flatten() {
            writeln!(f, "{missing}")?;
        }
        Ok(())
    }
}

fn find(what_for: Target, name: &str) -> Option<NotFound> {
    match Toolchain::find(what_for, &target().join("xtask/trial")) {
        Ok(toolchain) => {
            say(format_args!("compiler for {name}: {toolchain}"));
            None
        }
        Err(missing) => Some(missing),
    }
}

/// The package against which a `bpf-linker` is built.
fn dev(llvm: u32) -> String {
    format!("llvm-{llvm}-dev")
}

/// Builds `bpf-linker` against an LLVM: Debian's, or else that of the `llvm-config` on PATH. One that is there
/// already was found not to do.
fn bpf_linker(llvm: u32, debian: bool) -> Shell {
    let prefix = if debian { format!("LLVM_PREFIX=/usr/lib/llvm-{llvm} ") } else { String::new() };
    Shell::user(format!(
        "{prefix}cargo install bpf-linker --version ^{BPF_LINKER} --locked --force --no-default-features \
         --features llvm-{llvm}"
    ))
}
