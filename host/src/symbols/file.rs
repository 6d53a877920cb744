//! One program's or library's file: its copy, what a symbolizer is asked about it, and what was learnt.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path};
use std::time::{Duration, Instant};

use crate::escape::escape;
use crate::file::State;
use crate::memfd::Copy;
use crate::sandbox::{Links, Lost, SYMBOLIZE_PLACES, Symbolizer};

/// A file that is larger is not looked into.
pub(super) const FILE_BYTES: u64 = 384 << 20;
/// A file that is made to take for ever: how long it may be waited for in vain until it answers. After that it is looked
/// whether an answer has come, and no more.
const FILE_TIME: Duration = Duration::from_secs(5);
/// One that answers now and then: the same, all waits together.
const FILE_TIMES: Duration = Duration::from_secs(60);
/// The same: how long a symbolizer may be at work on one answer, waited for or not.
const WORK_TIME: Duration = Duration::from_secs(20);
/// A file that ends its symbolizer whenever it is asked, or never answers: how often. The process may have been ended by
/// somebody else, too.
const FILE_ENDS: u32 = 3;
/// Code without end, all of it under names that fill what is shown: bytes of names that are kept, and what keeps them.
pub(super) const NAMES_BYTES: usize = 64 << 20;
/// What a name, or a place without any, takes beside its text.
const NAME_OVERHEAD: usize = 64;
/// A debug file whose checksum takes too long to be worth it.
const DEBUG_BYTES: u64 = 1 << 30;

#[derive(Debug)]
pub(super) struct Entry {
    source: Source,
    path: Vec<u8>,
    pub(super) bytes: u64,
    /// By place, what was inlined before what it was inlined into.
    pub(super) names: HashMap<u64, Vec<String>>,
    /// It has answered.
    answers: bool,
    /// How long it was waited for in vain since it last answered.
    pub(super) spent: Duration,
    /// How long it was at all.
    spent_ever: Duration,
    /// What copying it took.
    copying: Duration,
    ends: u32,
    pub(super) used: u64,
}

#[derive(Debug)]
enum Source {
    Copying(Copy),
    Copied(OwnedFd),
    TooLarge,
    /// It cannot be looked into, or is not to be again.
    Nothing,
}

/// A symbolizer that is asked about a file.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) key: State,
    symbolizer: Symbolizer,
    /// When what is awaited was asked.
    begun: Instant,
    awaited: Awaited,
    /// What is yet to be asked.
    places: Vec<u64>,
}

#[derive(Debug)]
enum Awaited {
    Nothing,
    Links,
    /// At these places.
    Functions(Vec<u64>),
}

impl Asked {
    pub(super) fn new(key: State, symbolizer: Symbolizer, places: Vec<u64>) -> Self {
        Self { key, symbolizer, begun: Instant::now(), awaited: Awaited::Nothing, places }
    }

    /// What else is to be asked, of what was not asked yet.
    pub(super) fn want(&mut self, mut places: Vec<u64>) {
        if let Awaited::Functions(awaited) = &self.awaited {
            places.retain(|place| !awaited.contains(place));
        }
        self.places = places;
    }

    /// Whether it has been at work for long enough.
    pub(super) fn is_over(&self) -> bool {
        self.begun.elapsed() > WORK_TIME
    }

    /// The symbolizer, which has answered everything.
    pub(super) fn over(self) -> Symbolizer {
        self.symbolizer
    }
}

impl Entry {
    /// Of a file that is open, and of that state.
    pub(super) fn new(key: &State, file: File, path: &[u8]) -> Self {
        let source = if key.size > FILE_BYTES {
            Source::TooLarge
        } else {
            // One that has grown since is another file.
            Copy::begin("weir-symbols", file, key.size).map_or(Source::Nothing, Source::Copying)
        };
        let mut entry = Self {
            source,
            bytes: 0,
            path: path.to_vec(),
            names: HashMap::new(),
            answers: false,
            spent: Duration::ZERO,
            spent_ever: Duration::ZERO,
            copying: Duration::ZERO,
            ends: 0,
            used: 0,
        };
        if entry.can_be_asked() {
            entry.bytes = key.size;
        }
        entry
    }

    pub(super) fn can_be_asked(&self) -> bool {
        matches!(self.source, Source::Copying(_) | Source::Copied(_))
    }

    /// Whether an answer is not waited for any more.
    pub(super) fn is_slow(&self) -> bool {
        self.left().is_zero()
    }

    /// How long it may still be waited for.
    fn left(&self) -> Duration {
        FILE_TIME.saturating_sub(self.spent).min(FILE_TIMES.saturating_sub(self.spent_ever))
    }

    /// Whether functions at a place may have names that were not learnt yet.
    pub(super) fn waits(&self, place: u64) -> bool {
        self.can_be_asked() && !self.names.contains_key(&place)
    }

    pub(super) fn is_copying(&self) -> bool {
        matches!(self.source, Source::Copying(_))
    }

    /// What comes first is asked first: files that have answered, and then those that have cost the least.
    pub(super) fn order(&self) -> (bool, Duration) {
        (!self.answers, self.spent + self.copying)
    }

    /// Copies the file, as far as there is time. Whether it is done; then the entry may not be one to be asked any more.
    pub(super) fn copy(&mut self, until: Instant) -> bool {
        let Source::Copying(copy) = &mut self.source else { return true };
        let begun = Instant::now();
        let done = copy.go_on(until);
        self.copying += begun.elapsed();
        match done {
            Ok(false) => return false,
            Ok(true) => {
                if let Source::Copying(copy) = std::mem::replace(&mut self.source, Source::Nothing)
                    && let Ok(copy) = copy.seal()
                {
                    self.source = Source::Copied(copy);
                    return true;
                }
            }
            Err(_) => {}
        }
        self.give_up();
        true
    }

    fn give_up(&mut self) {
        self.source = Source::Nothing;
        self.bytes = 0;
    }

    /// After an answer that did not come, for which was waited so long, and on which the symbolizer is no longer at work
    /// if that is over.
    fn has_lost(&mut self, lost: &Lost, waited: Duration, over: bool) {
        match lost {
            Lost::Slow => {
                self.spent += waited;
                self.spent_ever += waited;
                self.ends += u32::from(over);
            }
            Lost::Ended(_) | Lost::Garbage => self.ends += 1,
            // Of other files, they are forgotten before it is asked again.
            Lost::Full if self.names_bytes() > NAMES_BYTES / 2 => self.give_up(),
            Lost::Full | Lost::Unfit(_) => {}
        }
        if self.ends >= FILE_ENDS {
            self.give_up();
        }
    }

    /// What its names take.
    pub(super) fn names_bytes(&self) -> usize {
        self.names.values().map(|names| bytes_of(names)).sum()
    }

    /// Asks a symbolizer, and keeps what it says, for as long as there is time. After [`Lost::Slow`] it can be gone on
    /// with, unless it [`Asked::is_over`].
    pub(super) fn ask(
        &mut self,
        asked: &mut Asked,
        names_bytes: &mut usize,
        installed: &Path,
        until: Instant,
    ) -> Result<(), Lost> {
        let begun = Instant::now();
        let until = until.min(begun + self.left());
        let answered = self.go_on(asked, names_bytes, installed, until);
        if let Err(lost) = &answered {
            self.has_lost(lost, begun.elapsed(), asked.is_over());
        }
        answered
    }

    fn go_on(
        &mut self,
        asked: &mut Asked,
        names_bytes: &mut usize,
        installed: &Path,
        until: Instant,
    ) -> Result<(), Lost> {
        let symbolizer = &mut asked.symbolizer;
        loop {
            match &asked.awaited {
                Awaited::Nothing => {
                    let Source::Copied(copy) = &self.source else { return Ok(()) };
                    symbolizer.file(copy.as_fd(), until)?;
                    asked.awaited = Awaited::Links;
                    continue;
                }
                Awaited::Links => {
                    let Some(links) = symbolizer.links(until)? else {
                        self.give_up();
                        return Ok(());
                    };
                    let path = Path::new(OsStr::from_bytes(&self.path));
                    if let Some((file, checksum)) = debug_file(installed, &links, path) {
                        symbolizer.debug_file(file.as_fd(), checksum, until)?;
                    }
                }
                Awaited::Functions(places) => {
                    let functions = symbolizer.functions(places.len(), until)?;
                    for (place, names) in places.iter().zip(functions) {
                        *names_bytes += bytes_of(&names);
                        self.names.insert(*place, names);
                    }
                    (self.answers, self.spent) = (true, Duration::ZERO);
                    if *names_bytes > NAMES_BYTES {
                        return Err(Lost::Full);
                    }
                }
            }
            asked.begun = Instant::now();
            let places = asked.places.split_off(asked.places.len().saturating_sub(SYMBOLIZE_PLACES));
            if !places.is_empty() {
                symbolizer.ask(&places, until)?;
            }
            let is_answered = places.is_empty();
            asked.awaited = Awaited::Functions(places);
            if is_answered {
                return Ok(());
            }
        }
    }

    /// Why it is not looked into, if something could be done about it.
    pub(super) fn problem(&self) -> Result<(), String> {
        match self.source {
            Source::TooLarge => {
                let large =
                    format!("it is larger than {} MiB; strip it of debug information", FILE_BYTES >> 20);
                Err(self.nameless(&large))
            }
            _ => Ok(()),
        }
    }

    /// Says why functions of this file have no names.
    pub(super) fn nameless(&self, why: &dyn fmt::Display) -> String {
        format!("functions of {} have no names: {why}", escape(&self.path))
    }
}

pub(super) fn bytes_of(names: &[String]) -> usize {
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
impl Entry {
    /// Of a file of these bytes.
    pub(super) fn of_test(bytes: &[u8]) -> Self {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, bytes).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        let key = State::of(&file).unwrap();
        Self::new(&key, file, b"/usr/bin/program")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;
    use std::process::Command;

    use object::{Object, ObjectSegment};

    use super::*;
    use crate::sandbox::Symbolizers;

    /// Asks for one place in a file of these bytes.
    fn ask(bytes: &[u8], installed: &Path, place: u64) -> Result<Vec<String>, Lost> {
        let mut entry = Entry::of_test(bytes);
        assert!(entry.copy(later()));
        let mut asked = Asked::new(State::of_test(0), Symbolizers::default().start().unwrap(), vec![place]);
        entry.ask(&mut asked, &mut 0, installed, later())?;
        Ok(entry.names.remove(&place).unwrap_or_default())
    }

    pub(in super::super) fn later() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    fn nowhere() -> &'static Path {
        Path::new("/nonexistent")
    }

    fn run(command: &mut Command) {
        assert!(command.status().unwrap().success(), "{command:?}");
    }

    /// A program of one function, `code`, with `inlined` in it, and a section of this name and content beside it.
    pub(in super::super) fn program(section: &str, content: &[u8]) -> Vec<u8> {
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
    pub(in super::super) fn place(bytes: &[u8]) -> u64 {
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

    #[test]
    fn what_keeps_a_symbolizer_at_work_again_and_again_is_given_up() {
        let second = Duration::from_secs(1);
        let given_up_after = |lost: &[(Lost, bool)]| {
            let mut entry = Entry::of_test(b"");
            lost.iter().position(|(lost, over)| {
                entry.has_lost(lost, second, *over);
                !entry.can_be_asked()
            })
        };
        let ended = || Lost::Ended(String::new());
        let all = [(ended(), false), (Lost::Garbage, false), (Lost::Slow, false), (Lost::Slow, true)];
        assert_eq!(given_up_after(&all), Some(3));
        let slow = [(); 30].map(|()| (Lost::Slow, false));
        assert_eq!(given_up_after(&slow), None);
        let mut full = Entry::of_test(b"");
        let long = || vec!["x".repeat(NAMES_BYTES / 4)];
        full.names = HashMap::from([(1, long()), (2, long())]);
        full.has_lost(&Lost::Full, second, false);
        assert!(!full.can_be_asked(), "half of all are its own");
        let others = [(); 9].map(|()| (Lost::Full, true));
        assert_eq!(given_up_after(&others), None);

        let mut entry = Entry::of_test(b"");
        (0..5).for_each(|_| {
            assert!(!entry.is_slow());
            entry.has_lost(&Lost::Slow, second, false);
        });
        assert!(entry.is_slow());
        // It has answered, again and again.
        (0..55).for_each(|_| {
            entry.spent = Duration::ZERO;
            assert!(!entry.is_slow());
            entry.has_lost(&Lost::Slow, second, false);
        });
        entry.spent = Duration::ZERO;
        assert!(entry.is_slow());
    }
}
