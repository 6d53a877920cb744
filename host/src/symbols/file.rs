//! Functions by place in a program's or library's file.
//!
//! Whoever runs a program can have written its file, and can write it while it is read. So a file is
//!
//! - opened with the care that [`super::open`] takes;
//! - read into memory once, because a mapped file that somebody else truncates ends the process that reads it;
//! - not followed to other files: where debug information lies is written in sections of fixed names, and these
//!   names are wiped in the copy. Files under /usr/lib/debug are found here, by build ID or by debug link, and are
//!   believed, being the administrator's;
//! - not decompressed: blazesym is built without zlib, because it allocates what a section says of itself.
//!   Compressed debug information is not used, and what is inlined is then not seen;
//! - given up once the parser panicked or used up its time. One look-up that does not end is not interrupted.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use blazesym::symbolize::source::{Elf, Source};
use blazesym::symbolize::{Input, Symbolized, Symbolizer};
use object::{BinaryFormat, Object, ObjectSegment};

use super::demangle::demangle;
use super::open::{Key, open};
use super::process::{Mapping, Which};
use crate::memfd::sealed;

/// A file that is larger is not looked into.
pub(super) const FILE_BYTES: u64 = 256 << 20;
/// Bytes of all that are kept; the one that was not needed for longest goes first.
const FILES_BYTES: u64 = 512 << 20;
/// Their number, those that are no programs included.
const FILES: usize = 256;
/// Time in which a file's functions may be looked up, all look-ups together. Debug information is read as it is
/// needed, and a file can be made to take for ever.
const FILE_TIME: Duration = Duration::from_secs(5);
/// A debug file whose checksum takes too long to be worth it.
const DEBUG_BYTES: u64 = 1 << 30;
const DEBUG_DIRECTORY: &str = "/usr/lib/debug";

#[derive(Debug, Default)]
pub(super) struct Files {
    known: HashMap<Key, Entry>,
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    /// None if it is no program, or is not to be looked into again.
    code: Option<Code>,
    bytes: u64,
    spent: Duration,
    used: u64,
}

impl Files {
    /// The functions at an address in a mapping, what was inlined before what it was inlined into. Empty if there
    /// is no name for it.
    pub(super) fn look_up(
        &mut self,
        pid: u32,
        mapping: &mut Mapping,
        address: u64,
    ) -> io::Result<Vec<String>> {
        let key = match &mapping.file {
            Which::Refused => return Ok(Vec::new()),
            Which::Known(key) if self.known.contains_key(key) => key.clone(),
            Which::Known(_) | Which::Unasked => {
                mapping.file = Which::Refused;
                let (file, key) = open(pid, &mapping.addresses)?;
                if !self.known.contains_key(&key) {
                    self.load(&key, file, &mapping.path);
                }
                mapping.file = Which::Known(key.clone());
                key
            }
        };
        self.clock += 1;
        let Some(entry) = self.known.get_mut(&key) else { return Ok(Vec::new()) };
        entry.used = self.clock;
        let offset = (address - mapping.addresses.start).saturating_add(mapping.offset);
        Ok(entry.guarded(|code| code.look_up(offset)).unwrap_or_default())
    }

    fn load(&mut self, key: &Key, file: File, path: &[u8]) {
        let bytes = key.size;
        if bytes <= FILE_BYTES {
            let kept = |known: &HashMap<Key, Entry>| known.values().map(|entry| entry.bytes).sum::<u64>();
            while self.known.len() >= FILES || kept(&self.known) + bytes > FILES_BYTES {
                let oldest = self.known.iter().min_by_key(|(_, entry)| entry.used);
                let Some(oldest) = oldest.map(|(key, _)| key.clone()) else { break };
                self.known.remove(&oldest);
            }
        }
        let begun = Instant::now();
        let code = catch_unwind(AssertUnwindSafe(|| Code::load(file, path, Path::new(DEBUG_DIRECTORY))))
            .ok()
            .and_then(Result::ok);
        let bytes = if code.is_some() { bytes } else { 0 };
        self.known.insert(key.clone(), Entry { code, bytes, spent: begun.elapsed(), used: self.clock });
    }
}

impl Entry {
    /// Runs a parser, for the last time if it panics or was slow.
    fn guarded<T>(&mut self, run: impl FnOnce(&mut Code) -> T) -> Option<T> {
        let code = self.code.as_mut()?;
        let begun = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| run(code))).ok();
        self.spent += begun.elapsed();
        if result.is_none() || self.spent > FILE_TIME {
            self.code = None;
            self.bytes = 0;
        }
        result
    }
}

/// A program or library.
#[derive(Debug)]
struct Code {
    /// Where parts of the file belong in memory.
    segments: Vec<(Range<u64>, u64)>,
    /// What the administrator has installed for it.
    debug: Option<Functions>,
    own: Functions,
    /// The copy, which `own` opens by its number.
    _copy: OwnedFd,
}

impl Code {
    fn load(file: File, path: &[u8], installed: &Path) -> io::Result<Self> {
        let mut bytes = Vec::new();
        file.take(FILE_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > FILE_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let parsed = object::File::parse(bytes.as_slice()).map_err(io::Error::other)?;
        if parsed.format() != BinaryFormat::Elf {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let segments = parsed.segments().filter_map(|segment| {
            let (begin, size) = segment.file_range();
            Some((begin..begin.checked_add(size)?, segment.address()))
        });
        let segments = segments.collect();
        let debug = debug_file(
            installed,
            parsed.build_id().ok().flatten(),
            parsed.gnu_debuglink().ok().flatten(),
            Path::new(OsStr::from_bytes(path)),
        );
        let debug = debug.map(|path| Functions::new(path, &[installed]));
        forget_links(&mut bytes);
        let copy = sealed("weir-symbols", &bytes)?;
        let own = Functions::new(format!("/proc/self/fd/{}", copy.as_raw_fd()).into(), &[]);
        Ok(Self { segments, debug, own, _copy: copy })
    }

    fn look_up(&mut self, offset: u64) -> Vec<String> {
        let address = self.segments.iter().find_map(|(file, address)| {
            file.contains(&offset).then(|| address.checked_add(offset - file.start)).flatten()
        });
        let Some(address) = address else { return Vec::new() };
        let installed = self.debug.as_mut().map(|debug| debug.look_up(address)).unwrap_or_default();
        if installed.is_empty() { self.own.look_up(address) } else { installed }
    }
}

/// Where a file's functions stand.
#[derive(Debug)]
struct Functions {
    symbolizer: Symbolizer,
    path: PathBuf,
    /// Whether debug information is worth a try.
    debug: bool,
}

impl Functions {
    fn new(path: PathBuf, directories: &[&Path]) -> Self {
        let symbolizer = Symbolizer::builder()
            .enable_auto_reload(false)
            .enable_demangling(false)
            .set_debug_dirs(Some(directories))
            .build();
        Self { symbolizer, path, debug: true }
    }

    fn look_up(&mut self, address: u64) -> Vec<String> {
        if self.debug {
            match self.ask(address) {
                Ok(names) => return names,
                Err(_) => self.debug = false,
            }
        }
        self.ask(address).unwrap_or_default()
    }

    fn ask(&self, address: u64) -> Result<Vec<String>, blazesym::Error> {
        let mut elf = Elf::new(&self.path);
        elf.debug_syms = self.debug;
        let symbols = |elf| self.symbolizer.symbolize_single(&Source::Elf(elf), Input::VirtOffset(address));
        let Symbolized::Sym(symbol) = symbols(elf.clone())? else { return Ok(Vec::new()) };
        // Debug information may have no more of a name than its last part, where the symbol has all of it.
        elf.debug_syms = false;
        let whole = match symbols(elf) {
            Ok(Symbolized::Sym(whole)) if whole.addr == symbol.addr => whole.name,
            _ => symbol.name,
        };
        let inlined = symbol.inlined.iter().rev().map(|function| function.name.as_ref());
        let names = inlined.chain([whole.as_ref()]).filter(|name| !name.is_empty());
        Ok(names.map(|name| demangle(name).into_owned()).collect())
    }
}

/// Where packages of debug information put what belongs to a file.
fn debug_file(
    installed: &Path,
    build_id: Option<&[u8]>,
    link: Option<(&[u8], u32)>,
    path: &Path,
) -> Option<PathBuf> {
    let by_id = build_id.filter(|id| (2..=64).contains(&id.len())).map(|id| {
        let hexadecimal: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        let (directory, file) = hexadecimal.split_at(2);
        installed.join(".build-id").join(directory).join(format!("{file}.debug"))
    });
    if let Some(path) = by_id.filter(|path| path.is_file()) {
        return Some(path);
    }
    // Both are a stranger's, and neither is to lead out of the directory.
    let inside = |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_)));
    let (name, checksum) = link?;
    let name = Path::new(OsStr::from_bytes(name));
    let directory = path.parent()?.strip_prefix("/").ok()?;
    if name.components().count() != 1 || !inside(name) || !inside(directory) {
        return None;
    }
    let path = installed.join(directory).join(name);
    let stat = path.metadata().ok()?;
    (stat.is_file() && stat.size() <= DEBUG_BYTES && sum(&path).ok()? == checksum).then_some(path)
}

fn sum(path: &Path) -> io::Result<u32> {
    let (mut file, mut hasher) = (File::open(path)?, crc32fast::Hasher::new());
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finalize()),
            length => hasher.update(&buffer[..length]),
        }
    }
}

/// Wipes the names of the sections `.gnu_debuglink`, `.gnu_debugaltlink` and `.debug_sup` wherever they stand, so
/// that no parser finds them, however it reads the file.
fn forget_links(bytes: &mut [u8]) {
    for name in [b".gnu_debug".as_slice(), b".debug_sup"] {
        let found: Vec<usize> = memchr::memmem::find_iter(bytes, name).collect();
        for at in found {
            bytes[at] = b'_';
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};
    use std::process::Command;

    use super::*;

    fn load(bytes: &[u8], path: &str, installed: &Path) -> io::Result<Code> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        Code::load(file, path.as_bytes(), installed)
    }

    fn nowhere() -> &'static Path {
        Path::new("/nonexistent")
    }

    fn run(command: &mut Command) {
        assert!(command.status().unwrap().success(), "{command:?}");
    }

    /// A program of one function, `code`, with `inlined` in it, and a section of this name and content beside it.
    fn program(section: &str, content: &[u8]) -> Vec<u8> {
        let directory = tempfile::tempdir().unwrap();
        let [source, extra, made] =
            ["source.c", "content", "program"].map(|name| directory.path().join(name));
        let code = "static inline __attribute__((always_inline)) void inlined(void) { for (;;) __asm__(\"\"); }\n\
                    void code(void) { inlined(); }\n";
        std::fs::write(&source, code).unwrap();
        std::fs::write(&extra, content).unwrap();
        run(Command::new("cc")
            .args(["-g", "-O1", "-gz=none", "-nostdlib", "-static", "-Wl,-e,code,--build-id=0x0123456789"])
            .arg("-o")
            .args([&made, &source]));
        run(Command::new("objcopy")
            .arg("--add-section")
            .arg(format!("{section}={}", extra.display()))
            .arg(&made));
        std::fs::read(made).unwrap()
    }

    /// Where the function is in the file.
    fn entry(bytes: &[u8]) -> u64 {
        let parsed = object::File::parse(bytes).unwrap();
        let entry = parsed.entry();
        parsed
            .segments()
            .find(|segment| (segment.address()..segment.address() + segment.size()).contains(&entry))
            .map(|segment| segment.file_range().0 + entry - segment.address())
            .unwrap()
    }

    #[test]
    fn links_to_other_files_are_not_followed() {
        // Opening a pipe that nobody writes to waits for ever.
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        run(Command::new("mkfifo").arg(&pipe));
        for section in [".gnu_debuglink", ".gnu_debugaltlink", ".debug_sup"] {
            let mut content = match section {
                // The version, and that this is not the supplementary file itself.
                ".debug_sup" => vec![5, 0, 0],
                _ => Vec::new(),
            };
            content.extend(pipe.as_os_str().as_bytes());
            content.push(0);
            content.resize(content.len().next_multiple_of(4) + 20, 1);
            let bytes = program(section, &content);
            let mut code = load(&bytes, "/usr/bin/program", nowhere()).unwrap();
            assert!(code.debug.is_none());
            assert_eq!(code.look_up(entry(&bytes)), ["inlined", "code"], "{section}");
        }
    }

    #[test]
    fn a_debug_file_is_of_the_administrator() {
        let path = Path::new("/usr/bin/program");
        let debug_file = |id, link, path| debug_file(Path::new("/usr/lib/debug"), id, link, path);
        for name in ["../../../etc/passwd", "/etc/passwd", "..", ".", ""] {
            assert_eq!(debug_file(None, Some((name.as_bytes(), 0)), path), None, "{name}");
        }
        assert_eq!(debug_file(None, Some((b"passwd", 0)), Path::new("/../../../etc/x")), None);
        assert_eq!(debug_file(Some(&[0]), None, path), None);
        assert_eq!(debug_file(Some(&[0; 20]), None, path), None);
        assert_eq!(debug_file(Some(&[0; 2000]), None, path), None);
    }

    #[test]
    fn a_debug_file_that_is_installed_is_used() {
        let directory = tempfile::tempdir().unwrap();
        let installed = directory.path().join("debug");
        let [whole, stripped] = ["whole", "stripped"].map(|name| directory.path().join(name));
        std::fs::write(&whole, program(".other", b"content")).unwrap();
        run(Command::new("objcopy").arg("--strip-all").args([&whole, &stripped]));
        let entry = entry(&std::fs::read(&stripped).unwrap());
        let look_up = |path: &Path| {
            let bytes = std::fs::read(path).unwrap();
            load(&bytes, "/usr/bin/program", &installed).unwrap().look_up(entry)
        };
        assert!(look_up(&stripped).is_empty());

        let by_id = installed.join(".build-id/01");
        std::fs::create_dir_all(&by_id).unwrap();
        run(Command::new("objcopy").arg("--only-keep-debug").arg(&whole).arg(by_id.join("23456789.debug")));
        assert_eq!(look_up(&stripped), ["inlined", "code"]);

        let by_link = installed.join("usr/bin/program.debug");
        std::fs::create_dir_all(by_link.parent().unwrap()).unwrap();
        std::fs::rename(by_id.join("23456789.debug"), &by_link).unwrap();
        assert!(look_up(&stripped).is_empty());
        let mut link = std::ffi::OsString::from("--add-gnu-debuglink=");
        link.push(&by_link);
        run(Command::new("objcopy").arg(link).arg(&stripped));
        assert_eq!(look_up(&stripped), ["inlined", "code"]);
        // Another build's.
        File::options().append(true).open(&by_link).unwrap().write_all(b"x").unwrap();
        assert!(look_up(&stripped).is_empty());
    }

    #[test]
    fn compressed_debug_information_is_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("program");
        std::fs::write(&path, program(".other", b"content")).unwrap();
        run(Command::new("objcopy").arg("--compress-debug-sections=zlib").arg(&path));
        let bytes = std::fs::read(path).unwrap();
        assert_eq!(load(&bytes, "/x", nowhere()).unwrap().look_up(entry(&bytes)), ["code"]);
    }

    #[test]
    fn a_damaged_file_costs_its_names_only() {
        let itself = program(".other", b"content");
        let entry = entry(&itself);
        assert_eq!(load(&itself, "/x", nowhere()).unwrap().look_up(entry), ["inlined", "code"]);
        for bytes in [b"".as_slice(), b"#!/bin/sh\n", b"\x7fELF", &itself[..100]] {
            drop(load(bytes, "/x", nowhere()).map(|mut code| code.look_up(entry)));
        }
        // Deterministic damage: a byte of every eleventh changed, in turn.
        for at in (0..itself.len()).step_by(11) {
            let mut bytes = itself.clone();
            bytes[at] ^= 0xff;
            let entry_of = |code: Code| Entry { code: Some(code), bytes: 0, spent: Duration::ZERO, used: 0 };
            let found = catch_unwind(AssertUnwindSafe(|| load(&bytes, "/x", nowhere()).map(entry_of)));
            if let Ok(Ok(mut found)) = found {
                drop(found.guarded(|code| code.look_up(entry)));
            }
        }
    }

    #[test]
    fn what_panics_or_is_slow_is_given_up() {
        let bytes = program(".other", b"content");
        let entry =
            || Entry { code: load(&bytes, "/x", nowhere()).ok(), bytes: 1, spent: Duration::ZERO, used: 0 };
        let mut panics = entry();
        assert!(panics.guarded(|_| panic!("as a parser might")).is_none());
        assert!(panics.code.is_none());
        let mut slow = Entry { spent: FILE_TIME, ..entry() };
        assert_eq!(slow.guarded(|_| 1), Some(1));
        assert_eq!(slow.guarded(|_| 1), None);
    }
}
