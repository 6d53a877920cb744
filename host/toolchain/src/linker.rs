//! The linkers, and whether they go with a compiler.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use crate::missing::Reason;
use crate::rustc::{Rustc, last_line, said, search};

/// The least that can be linked.
const TRIAL: &str = "#![no_std]\n#[unsafe(no_mangle)]\npub extern \"C\" fn trial() -> u64 { 1 }\n";

/// The `bpf-linker` that reads what `rustc` writes, or why there is none. It does not say which LLVM it is
/// built against, so a trial tells: bitcode names its writer. What is tried is compiled for the compiler's
/// own machine, for which there is always a core; the linker turns it into eBPF all the same.
pub(crate) fn bpf_linker(rustc: &Rustc, scratch: &Path) -> Result<PathBuf, Reason> {
    let llvm = rustc.about.llvm;
    let linker = search("bpf-linker").next().ok_or(Reason::NoLinker { llvm })?;

    fs::create_dir_all(scratch).map_err(|error| no_scratch(scratch, &error))?;
    let source = scratch.join("trial.rs");
    let compiled = scratch.join("trial.bc");
    let linked = scratch.join("trial.linked.bc");
    fs::write(&source, TRIAL).map_err(|error| no_scratch(&source, &error))?;
    let mut compile = Command::new(&rustc.path);
    compile.args(["--edition=2024", "--crate-type=lib", "--emit=llvm-bc", "-Copt-level=2"]);
    said(compile.arg("-o").arg(&compiled).arg(&source))?;

    let mut link = Command::new(&linker);
    link.args(["--target=bpf", "--emit=llvm-bc", "--export=trial", "-o"]).arg(&linked).arg(&compiled);
    let bad = |said: String| Reason::BadLinker { linker: linker.clone(), llvm, said };
    let output = link.output().map_err(|error| bad(error.to_string()))?;
    if !output.status.success() {
        return Err(bad(last_line(&output.stderr).unwrap_or_else(|| output.status.to_string())));
    }
    let linked = fs::read(&linked).map_err(|error| bad(error.to_string()))?;
    match writer(&linked) {
        Some(has) if has < llvm => Err(Reason::OldLinker { linker, has, llvm }),
        // A linker that hides its LLVM has linked the trial at least; a build will tell.
        _ => Ok(linker),
    }
}

/// Wasm is linked by LLVM's lld, which a distribution may pack apart from the compiler.
pub(crate) fn check_wasm_linker(rustc: &Rustc) -> Result<(), Reason> {
    said(Command::new(rustc.lld()).args(["-flavor", "wasm", "--version"]))
        .map(drop)
        .map_err(|_| Reason::NoWasmLinker)
}

fn no_scratch(path: &Path, error: &io::Error) -> Reason {
    Reason::Unusable(format!("cannot try it: {}: {error}", path.display()))
}

/// The major version of the LLVM that wrote some bitcode. Its first block identifies the writer, as "LLVM22.1.8",
/// in characters of six bits if they allow it, else of seven or eight, at no byte's boundary
/// (<https://llvm.org/docs/BitCodeFormat.html>, IDENTIFICATION_BLOCK).
fn writer(bitcode: &[u8]) -> Option<u32> {
    let head = bitcode.get(..bitcode.len().min(64))?;
    [6, 7, 8].into_iter().find_map(|width| {
        (0..head.len() * 8).find_map(|start| {
            let version = characters(head, start, width).strip_prefix("LLVM")?.to_owned();
            version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        })
    })
}

/// The text of characters `width` bits wide from bit `start` on, up to what is no character of a version.
fn characters(bytes: &[u8], start: usize, width: usize) -> String {
    let bit = |at: usize| bytes.get(at / 8).map(|byte| byte >> (at % 8) & 1);
    let code = |at: usize| (0..width).try_fold(0u8, |code, i| Some(code | bit(at + i)? << i));
    (start..)
        .step_by(width)
        .map_while(code)
        .map(|code| if width == 6 { char6(code) } else { char::from(code) })
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '.')
        .collect()
}

/// LLVM's alphabet of six bits.
fn char6(code: u8) -> char {
    char::from(match code {
        0..26 => b'a' + code,
        26..52 => b'A' + code - 26,
        52..62 => b'0' + code - 52,
        62 => b'.',
        _ => b'_',
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What bpf-linker 0.13.0 with Debian's LLVM 22.1.8 wrote.
    const LLVM_22: [u8; 40] = [
        0x42, 0x43, 0xc0, 0xde, 0x35, 0x14, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00, 0x62, 0x0c, 0x30, 0x24, 0x4a,
        0x59, 0xbe, 0xa6, 0x6d, 0xfb, 0xb5, 0xcf, 0x0b, 0x51, 0x80, 0x4c, 0x01, 0x00, 0x00, 0x00, 0x21, 0x0c,
        0x00, 0x00, 0xef, 0x01, 0x00, 0x00,
    ];

    #[test]
    fn bitcode_names_its_writer() {
        assert_eq!(writer(&LLVM_22), Some(22));
    }

    #[test]
    fn wider_characters_are_read_too() {
        let mut bits = vec![true, false, true];
        for byte in b"LLVM23.0.0-rc" {
            bits.extend((0..7).map(|i| byte >> i & 1 == 1));
        }
        let mut bytes = vec![0u8; bits.len() / 8 + 1];
        for (i, _) in bits.iter().enumerate().filter(|(_, bit)| **bit) {
            bytes[i / 8] |= 1 << (i % 8);
        }
        assert_eq!(writer(&bytes), Some(23));
    }

    #[test]
    fn what_names_no_writer_is_nobodys() {
        assert_eq!(writer(&[]), None);
        assert_eq!(writer(&[0x42, 0x43, 0xc0, 0xde, 0, 0, 0, 0]), None);
        assert_eq!(writer(&[0xff; 80]), None);
    }
}
