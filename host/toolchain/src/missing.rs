//! Why a compiler was not taken.

use std::fmt;
use std::path::PathBuf;

use crate::rustc::Version;
use crate::{MINIMUM, Target};

/// No compiler that is installed does for a target.
#[derive(Debug)]
pub struct NotFound {
    pub target: Target,
    /// All that were looked at.
    pub rejected: Vec<Rejected>,
}

impl NotFound {
    /// The LLVMs of the compilers that lack nothing but a `bpf-linker` to go with them.
    #[must_use]
    pub fn linkers_wanted(&self) -> Vec<u32> {
        let wanted = self.rejected.iter().filter_map(|rejected| match &rejected.reason {
            Reason::NoLinker { llvm } | Reason::OldLinker { llvm, .. } | Reason::BadLinker { llvm, .. } => {
                Some(*llvm)
            }
            _ => None,
        });
        wanted.collect()
    }
}

/// A compiler that was looked at and not taken.
#[derive(Debug)]
pub struct Rejected {
    pub candidate: String,
    pub reason: Reason,
}

/// What a compiler lacks.
#[derive(Debug)]
#[non_exhaustive]
pub enum Reason {
    /// It did not run, or did not say what it is.
    Unusable(String),
    TooOld(Version),
    /// Neither the target's library nor the source to build it from.
    NoLibrary(Target),
    /// No `rust-lld`, which links Wasm.
    NoWasmLinker,
    /// There is no `bpf-linker`; `llvm` is the compiler's.
    NoLinker {
        llvm: u32,
    },
    /// The `bpf-linker` cannot be relied on to read what the compiler writes.
    OldLinker {
        linker: PathBuf,
        has: u32,
        llvm: u32,
    },
    /// The `bpf-linker` could not link a program of one line.
    BadLinker {
        linker: PathBuf,
        llvm: u32,
        said: String,
    },
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let triple = self.target.triple();
        match self.target {
            Target::Kernel => write!(
                f,
                "no compiler for the kernel side ({triple}): that takes a rustc from {MINIMUM} with its rust-src, \
                 and a bpf-linker built against the same LLVM"
            )?,
            Target::Wasm => write!(
                f,
                "no compiler for plugins ({triple}): that takes a rustc from {MINIMUM} with that target, or with \
                 its rust-src"
            )?,
        }
        for Rejected { candidate, reason } in &self.rejected {
            write!(f, "\n  {candidate}: {reason}")?;
        }
        if self.rejected.is_empty() {
            write!(f, "\n  neither rustup nor a rustc was found")?;
        }
        Ok(())
    }
}

impl std::error::Error for NotFound {}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unusable(why) => write!(f, "{why}"),
            Self::TooOld(release) => write!(f, "is {release}, older than {MINIMUM}"),
            Self::NoLibrary(target) => {
                write!(f, "has neither a {} for {} nor rust-src", target.library(), target.triple())
            }
            Self::NoWasmLinker => write!(f, "has no rust-lld that runs"),
            Self::NoLinker { llvm } => {
                write!(
                    f,
                    "would do, but there is no bpf-linker for its LLVM {llvm} on PATH or in cargo's bin"
                )
            }
            Self::OldLinker { linker, has, llvm } => write!(
                f,
                "would do, but {} is built against LLVM {has} and cannot read what LLVM {llvm} writes",
                linker.display()
            ),
            Self::BadLinker { linker, llvm, said } => {
                write!(
                    f,
                    "would do, but {} does not link what its LLVM {llvm} writes: {said}",
                    linker.display()
                )
            }
        }
    }
}
