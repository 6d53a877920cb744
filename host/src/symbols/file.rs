//! What is known of programs' and libraries' files: the functions at places in them.
//!
//! Whoever runs a program can have written its file, and can write it while it is read. So a file is
//!
//! - opened with the care that [`super::open`] takes;
//! - copied once, and read by a process that has no privileges and nothing else, the symbolizer. What it says is kept
//!   here, so that it is started only when there is something new to ask, and then for all files at once;
//! - not followed to other files. Those under /usr/lib/debug are found here, by the build ID or debug link that
//!   the symbolizer reads, and are believed, being the administrator's;
//! - asked for no longer than the caller has time, and no more once it was waited for in vain for long, or ended the
//!   process again and again. Files that have answered before are asked before those that have not, so that they do not
//!   wait for one that is made to be waited for.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path};
use std::time::{Duration, Instant};

use super::open::{Key, open};
use super::process::{Mapping, Which};
use crate::escape::escape;
use crate::memfd;
use crate::sandbox::{Links, Lost, SYMBOLIZE_PLACES, Symbolizer, Symbolizers};

/// A file that is larger is not looked into.
pub(super) const FILE_BYTES: u64 = 256 << 20;
/// Bytes of all copies that are kept; the one that was not needed for longest goes first.
const FILES_BYTES: u64 = 512 << 20;
/// Their number, those that are no programs included.
const FILES: usize = 256;
/// A file that is made to take for ever: how long it may be waited for in vain, all waits together.
const FILE_TIME: Duration = Duration::from_secs(5);
/// A file that ends its symbolizer whenever it is asked: how often it may. The process may have been ended by
/// somebody else, too.
const FILE_ENDS: u32 = 3;
/// Files that end their symbolizers one after the other: symbolizers that are started for what is asked at once.
const STARTS: u32 = 4;
/// Code without end, all of it under names that fill what is shown: bytes of names that are kept, and what keeps them.
const NAMES_BYTES: usize = 64 << 20;
/// What a name, or a place without any, takes beside its text.
const NAME_OVERHEAD: usize = 64;
/// A debug file whose checksum takes too long to be worth it.
const DEBUG_BYTES: u64 = 1 << 30;
const DEBUG_DIRECTORY: &str = "/usr/lib/debug";

/// Places in files.
pub(super) type Wanted = HashMap<Key, BTreeSet<u64>>;

#[derive(Debug, Default)]
pub(super) struct Files {
    known: HashMap<Key, Entry>,
    /// What [`NAMES_BYTES`] bounds.
    names_bytes: usize,
    clock: u64,
    symbolizers: Symbolizers,
}

#[derive(Debug)]
struct Entry {
    /// None if it cannot be looked into, or is not to be again.
    copy: Option<OwnedFd>,
    path: Vec<u8>,
    bytes: u64,
    /// By place, what was inlined before what it was inlined into.
    names: HashMap<u64, Vec<String>>,
    /// It has answered.
    answers: bool,
    spent: Duration,
    ends: u32,
    used: u64,
}

impl Files {
    /// Finds out which file is mapped there, and copies it if it is not known. None if it is not to be looked into.
    pub(super) fn find(&mut self, pid: u32, mapping: &mut Mapping) -> io::Result<Option<Key>> {
        let key = match &mapping.file {
            Which::Refused => return Ok(None),
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
        if let Some(entry) = self.known.get_mut(&key) {
            entry.used = self.clock;
        }
        Ok(Some(key))
    }

    /// The functions at a place, what was inlined before what it was inlined into. Empty if there is no name for it,
    /// or none was learnt.
    pub(super) fn names(&self, key: &Key, place: u64) -> &[String] {
        self.known.get(key).and_then(|entry| entry.names.get(&place)).map(Vec::as_slice).unwrap_or_default()
    }

    fn load(&mut self, key: &Key, file: File, path: &[u8]) {
        let bytes = key.size;
        if bytes <= FILE_BYTES {
            let kept = |known: &HashMap<Key, Entry>| known.values().map(|entry| entry.bytes).sum::<u64>();
            while self.known.len() >= FILES || kept(&self.known) + bytes > FILES_BYTES {
                let oldest = self.known.iter().min_by_key(|(_, entry)| entry.used);
                let Some(oldest) = oldest.map(|(key, _)| key.clone()) else { break };
                if let Some(entry) = self.known.remove(&oldest) {
                    self.names_bytes -= entry.names.values().map(|names| bytes_of(names)).sum::<usize>();
                }
            }
        }
        let copy = memfd::sealed_copy("weir-symbols", file, FILE_BYTES).ok();
        let entry = Entry {
            bytes: if copy.is_some() { bytes } else { 0 },
            copy,
            path: path.to_vec(),
            names: HashMap::new(),
            answers: false,
            spent: Duration::ZERO,
            ends: 0,
            used: self.clock,
        };
        self.known.insert(key.clone(), entry);
    }

    /// Asks for the functions at places that are not known, for as long as there is time. Or else says why some were not
    /// found out; then they will be asked for again.
    pub(super) fn learn(&mut self, wanted: Wanted, until: Instant) -> Result<(), String> {
        if self.names_bytes > NAMES_BYTES / 2 {
            self.names_bytes = 0;
            self.known.values_mut().for_each(|entry| entry.names = HashMap::new());
        }
        let mut asked = Vec::new();
        for (key, places) in wanted {
            let Some(entry) = self.known.get(&key).filter(|entry| entry.copy.is_some()) else { continue };
            let unknown = places.into_iter().filter(|place| !entry.names.contains_key(place));
            let unknown: Vec<u64> = unknown.collect();
            if !unknown.is_empty() {
                asked.push(((!entry.answers, entry.spent), key, unknown));
            }
        }
        asked.sort_by_key(|(order, ..)| *order);
        let mut problem = Ok(());
        let (mut running, mut starts) = (None, 0);
        for (_, key, places) in asked {
            let Some(entry) = self.known.get_mut(&key) else { continue };
            let begun = Instant::now();
            let symbolizer = match &mut running {
                _ if begun >= until => return problem.and(Err(entry.nameless(&Lost::Slow))),
                Some(symbolizer) => symbolizer,
                None if starts == STARTS => break,
                none => {
                    starts += 1;
                    none.insert(self.symbolizers.start().map_err(|lost| entry.nameless(&lost))?)
                }
            };
            let asked =
                entry.ask(symbolizer, &mut self.names_bytes, &places, Path::new(DEBUG_DIRECTORY), until);
            if let Err(lost) = asked {
                running = None;
                entry.has_lost(&lost, begun.elapsed());
                problem = problem.and(Err(entry.nameless(&lost)));
                if let Lost::Unfit(_) = lost {
                    break;
                }
            }
        }
        problem
    }
}

impl Entry {
    /// After an answer that did not come, which took so long.
    fn has_lost(&mut self, lost: &Lost, took: Duration) {
        match lost {
            Lost::Slow => self.spent += took,
            Lost::Ended(_) | Lost::Garbage => self.ends += 1,
            // That was not this file, or not it alone.
            Lost::Full | Lost::Unfit(_) => {}
        }
        if self.spent > FILE_TIME || self.ends == FILE_ENDS {
            self.give_up();
        }
    }

    fn give_up(&mut self) {
        self.copy = None;
        self.bytes = 0;
    }

    /// Keeps the functions at these places.
    fn ask(
        &mut self,
        symbolizer: &mut Symbolizer,
        names_bytes: &mut usize,
        places: &[u64],
        installed: &Path,
        until: Instant,
    ) -> Result<(), Lost> {
        let Some(copy) = &self.copy else { return Ok(()) };
        let Some(links) = symbolizer.file(copy.as_fd(), until)? else {
            self.give_up();
            return Ok(());
        };
        if let Some((file, checksum)) =
            debug_file(installed, &links, Path::new(OsStr::from_bytes(&self.path)))
        {
            symbolizer.debug_file(file.as_fd(), checksum, until)?;
        }
        for places in places.chunks(SYMBOLIZE_PLACES) {
            for (place, names) in places.iter().zip(symbolizer.functions(places, until)?) {
                *names_bytes += bytes_of(&names);
                self.names.insert(*place, names);
            }
            self.answers = true;
            if *names_bytes > NAMES_BYTES {
                return Err(Lost::Full);
            }
        }
        Ok(())
    }

    /// Says why functions of this file have no names.
    fn nameless(&self, lost: &Lost) -> String {
        format!("functions of {} have no names: {lost}", escape(&self.path))
    }
}

fn bytes_of(names: &[String]) -> usize {
    NAME_OVERHEAD + names.iter().map(|name| NAME_OVERHEAD + name.len()).sum::<usize>()
}

/// Where packages of debug information put what belongs to a file, and the checksum that it is to have.
fn debug_file(installed: &Path, links: &Links, path: &Path) -> Option<(File, Option<u32>)> {
    let id = &links.build_id;
    if (2..=64).contains(&id.len()) {
        let hexadecimal: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        let (directory, file) = hexadecimal.split_at(2);
        let path = installed.join(".build-id").join(directory).join(format!("{file}.debug"));
        if let Some(file) = regular(&path) {
            return Some((file, None));
        }
    }
    // Both are a stranger's, and neither is to lead out of the directory.
    let inside = |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_)));
    let (name, checksum) = links.debug_link.as_ref()?;
    let name = Path::new(OsStr::from_bytes(name));
    let directory = path.parent()?.strip_prefix("/").ok()?;
    if name.components().count() != 1 || !inside(name) || !inside(directory) {
        return None;
    }
    let file = regular(&installed.join(directory).join(name))?;
    (file.metadata().ok()?.size() <= DEBUG_BYTES).then_some((file, Some(*checksum)))
}

fn regular(path: &Path) -> Option<File> {
    path.is_file().then(|| File::open(path).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::Command;

    use object::{Object, ObjectSegment};

    use super::*;

    /// Asks for one place in a file of these bytes.
    fn ask(bytes: &[u8], installed: &Path, place: u64) -> Result<Vec<String>, Lost> {
        let mut entry = entry(bytes);
        let mut symbolizer = Symbolizers::default().start().unwrap();
        entry.ask(&mut symbolizer, &mut 0, &[place], installed, later())?;
        Ok(entry.names.remove(&place).unwrap_or_default())
    }

    fn entry(bytes: &[u8]) -> Entry {
        Entry {
            copy: Some(memfd::sealed("test", bytes).unwrap()),
            path: b"/usr/bin/program".to_vec(),
            bytes: bytes.len() as u64,
            names: HashMap::new(),
            answers: false,
            spent: Duration::ZERO,
            ends: 0,
            used: 0,
        }
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(60)
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
    fn place(bytes: &[u8]) -> u64 {
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
            assert_eq!(ask(&bytes, nowhere(), place(&bytes)).unwrap(), ["inlined", "code"], "{section}");
        }
    }

    #[test]
    fn a_debug_file_is_of_the_administrator() {
        let installed = tempfile::tempdir().unwrap();
        let found = |id: &[u8], link: Option<&str>, path| {
            let debug_link = link.map(|name| (name.as_bytes().to_vec(), 7));
            debug_file(installed.path(), &Links { build_id: id.to_vec(), debug_link }, Path::new(path))
                .is_some()
        };
        std::fs::create_dir_all(installed.path().join("inner/usr/bin")).unwrap();
        std::fs::create_dir_all(installed.path().join(".build-id/00")).unwrap();
        for name in
            ["passwd", "inner/passwd", "inner/usr/bin/passwd", ".build-id/00/.debug", ".build-id/00/00.debug"]
        {
            std::fs::write(installed.path().join(name), b"content").unwrap();
        }
        assert!(found(&[], Some("passwd"), "/inner/x"));
        assert!(found(&[0, 0], None, "/x"));
        let absolute = installed.path().join("passwd");
        for name in ["../passwd", "../inner/passwd", absolute.to_str().unwrap(), "/etc/passwd", "..", ".", ""]
        {
            assert!(!found(&[], Some(name), "/inner/x"), "{name}");
        }
        for path in ["/../x", "/inner/../inner/../x", "inner/x", ""] {
            assert!(!found(&[], Some("passwd"), path), "{path}");
        }
        for id in [[0].as_slice(), &[0; 20], &[0; 200]] {
            assert!(!found(id, None, "/x"));
        }
    }

    #[test]
    fn a_debug_file_that_is_installed_is_used() {
        let directory = tempfile::tempdir().unwrap();
        let installed = directory.path().join("debug");
        let [whole, stripped] = ["whole", "stripped"].map(|name| directory.path().join(name));
        std::fs::write(&whole, program(".other", b"content")).unwrap();
        run(Command::new("objcopy").arg("--strip-all").args([&whole, &stripped]));
        let place = place(&std::fs::read(&stripped).unwrap());
        let look_up = |path: &Path| ask(&std::fs::read(path).unwrap(), &installed, place).unwrap();
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
        assert_eq!(ask(&bytes, nowhere(), place(&bytes)).unwrap(), ["code"]);
    }

    #[test]
    fn a_damaged_file_has_no_names_or_others() {
        let itself = program(".other", b"content");
        let place = place(&itself);
        assert_eq!(ask(&itself, nowhere(), place).unwrap(), ["inlined", "code"]);
        for bytes in [b"".as_slice(), b"#!/bin/sh\n", b"\x7fELF", &itself[..100]] {
            assert!(ask(bytes, nowhere(), place).unwrap().is_empty());
        }
        // Deterministic damage: a byte of every eleventh changed, in turn.
        for at in (0..itself.len()).step_by(11) {
            let mut bytes = itself.clone();
            bytes[at] ^= 0xff;
            drop(weir_functions::Program::read(&bytes).map(|program| program.functions(place)));
        }
    }

    /// Files of these bytes, and one place in each.
    fn files<const N: usize>(bytes: [&[u8]; N], place: u64) -> (Files, [Key; N], Wanted) {
        let mut files = Files::default();
        let keys = std::array::from_fn(|number| Key::of_test(number as u64));
        for (key, bytes) in keys.iter().zip(bytes) {
            files.known.insert(key.clone(), entry(bytes));
        }
        let wanted = keys.iter().map(|key| (key.clone(), BTreeSet::from([place]))).collect();
        (files, keys, wanted)
    }

    #[test]
    fn what_was_learnt_is_kept_and_the_rest_asked_for_when_there_is_time() {
        let bytes = program(".other", b"content");
        let place = place(&bytes);
        let (mut files, [first, second], wanted) = files([&bytes, b"no program"], place);
        let reason = files.learn(wanted.clone(), Instant::now()).unwrap_err();
        assert!(reason.starts_with("functions of /usr/bin/program have no names: "), "{reason}");
        assert!(files.names(&first, place).is_empty());
        files.learn(wanted.clone(), later()).unwrap();
        assert_eq!(files.names(&first, place), ["inlined", "code"]);
        assert!(files.names(&second, place).is_empty() && files.known[&second].copy.is_none());
        // Nothing is new, so there is nothing to have no time for.
        files.learn(wanted, Instant::now()).unwrap();
    }

    #[test]
    fn what_is_waited_for_in_vain_is_given_up() {
        let given_up_after = |lost: &[(Lost, Duration)]| {
            let mut entry = entry(b"");
            lost.iter().position(|(lost, took)| {
                entry.has_lost(lost, *took);
                entry.copy.is_none()
            })
        };
        let half = FILE_TIME / 2;
        let slow = || (Lost::Slow, half);
        let ended = || (Lost::Ended(String::new()), half);
        assert_eq!(given_up_after(&[slow(), slow(), slow(), slow()]), Some(2));
        assert_eq!(given_up_after(&[ended(), (Lost::Garbage, half), slow(), ended(), ended()]), Some(3));
        let others = [Lost::Full, Lost::Unfit(String::new())].map(|lost| (lost, 2 * FILE_TIME));
        assert_eq!(given_up_after(&others), None);
    }

    #[test]
    fn names_without_end_are_not_kept() {
        let bytes = program(".other", b"content");
        let place = place(&bytes);
        let (mut files, [first], wanted) = files([&bytes], place);
        files.learn(wanted.clone(), later()).unwrap();
        let bytes = files.names_bytes;
        assert_eq!(bytes, 3 * NAME_OVERHEAD + "inlined".len() + "code".len());
        // As if others had filled it.
        files.names_bytes = NAMES_BYTES;
        files.learn(wanted, later()).unwrap();
        assert_eq!((files.names_bytes, files.names(&first, place).len()), (bytes, 2));
        let entry = files.known.get_mut(&first).unwrap();
        let mut symbolizer = Symbolizers::default().start().unwrap();
        let full = entry.ask(&mut symbolizer, &mut NAMES_BYTES.clone(), &[place], nowhere(), later());
        assert!(matches!(full, Err(Lost::Full)));
    }
}
