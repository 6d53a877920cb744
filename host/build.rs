//! Builds the kernel side, to be embedded in the binary: `OUT_DIR/weir.bpf.o`.
//!
//! It is compiled for another target by a compiler that may be another one too (crate `weir-toolchain`).
//! `WEIR_EBPF_OBJECT` names an object that is built already, for those who package Weir.
#![forbid(unsafe_code)]
// Cargo reads what a build script prints.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use weir_toolchain::{Target, Toolchain};

/// Names an object to be embedded as it is.
const BUILT: &str = "WEIR_EBPF_OBJECT";

/// The kernel side's package, seen from the host's, and the program in it.
const PACKAGE: &str = "../ebpf";
const PROGRAM: &str = "weir";

/// What the object is made from; never the package's folder itself, in which a target directory may lie.
const SOURCES: [&str; 5] = ["Cargo.toml", "Cargo.lock", "src", "abi/Cargo.toml", "abi/src"];

/// What new projects of plugins are made from.
const EMBEDDED: [&str; 2] = ["../plugin-sdk", "../plugins/demo.weir"];

fn main() -> ExitCode {
    match embed() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            for line in error.to_string().lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn embed() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set: this is for cargo to run")?);
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={BUILT}");
    // What is embedded as it is, of which the compiler does not know.
    EMBEDDED.iter().for_each(|path| println!("cargo::rerun-if-changed={path}"));
    let object = match env::var_os(BUILT).map(PathBuf::from) {
        Some(object) => {
            println!("cargo::rerun-if-changed={}", object.display());
            object
        }
        None => build(&out)?,
    };
    fs::copy(&object, out.join("weir.bpf.o"))
        .map_err(|error| format!("the kernel side's object {}: {error}", object.display()))?;
    Ok(())
}

/// Builds the kernel side in a target directory of its own, because the one in use is locked. Cargo has another
/// OUT_DIR for each profile and for clippy: `<target>/<profile>/build/<package>/out`. The kernel side is the
/// same for all, so they share `<target>/ebpf`.
fn build(out: &Path) -> Result<PathBuf, Box<dyn Error>> {
    for source in SOURCES {
        println!("cargo::rerun-if-changed={PACKAGE}/{source}");
    }
    let target = out.ancestors().nth(4).unwrap_or(out).join("ebpf");
    let toolchain = Toolchain::find(Target::Kernel, &target)
        .map_err(|missing| format!("{missing}\n`cargo xtask setup` says what to install, and can do it"))?;
    for file in toolchain.files() {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    let mut cargo = toolchain.cargo_build(&target);
    cargo.args(["--locked", "--bin", PROGRAM, "--manifest-path"]).arg(format!("{PACKAGE}/Cargo.toml"));
    let status = cargo.status().map_err(|error| format!("{}: {error}", cargo.get_program().display()))?;
    if !status.success() {
        return Err(format!(
            "the kernel side does not compile with {toolchain}: its cargo's messages are below"
        )
        .into());
    }
    Ok(target.join(Target::Kernel.triple()).join("release").join(PROGRAM))
}
