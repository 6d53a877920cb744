//! What is known of programs' and libraries' files: the functions at places in them.
//!
//! Whoever runs a program can have written its file, and can write it while it is read. So a file is
//!
//! - opened with the care that [`super::open`] takes;
//! - copied once, and read by a process that has no privileges and nothing else, the symbolizer. What it says is kept
//!   here, so that it is started only when there is something new to ask, and then for all files at once;
//! - not followed to other files. Those under /usr/lib/debug are found here, by the build ID or debug link that
//!   the symbolizer reads, and are believed, being the administrator's;
//! - asked for no longer than the caller has time. One file at a time is read on meanwhile, so that a large one has its
//!   names in a later interval. None is asked any more once it ended the process again and again, or kept it at work for
//!   long. Files that have answered before are asked before those that have not, so that they do not wait for one that
//!   is made to be waited for.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::Path;
use std::time::Instant;

use super::file::{Asked, Entry, NAMES_BYTES};
use super::open::open;
use super::process::{Mapping, Which};
use crate::file::State;
use crate::sandbox::{Lost, Symbolizer, Symbolizers};

/// Bytes of all copies that are kept; the one that was not needed for longest goes first.
const FILES_BYTES: u64 = 768 << 20;
/// Their number, those that are no programs included.
const FILES: usize = 256;
/// Files that end their symbolizers one after the other: symbolizers that are started for what is asked at once.
const STARTS: u32 = 4;
const DEBUG_DIRECTORY: &str = "/usr/lib/debug";

/// Places in files.
pub(super) type Wanted = HashMap<State, BTreeSet<u64>>;

#[derive(Debug, Default)]
pub(super) struct Files {
    known: HashMap<State, Entry>,
    /// What [`NAMES_BYTES`] bounds.
    names_bytes: usize,
    /// Closings so far.
    clock: u64,
    /// The first file that found no room in this one.
    no_room: Option<String>,
    symbolizers: Symbolizers,
    /// What did not answer in time and goes on while nobody waits.
    late: Option<Asked>,
}

impl Files {
    /// What is found or used from now on is not given up for others until this is called again.
    pub(super) fn next_closing(&mut self) {
        self.clock += 1;
    }

    /// Keeps a file that was found before.
    pub(super) fn keep(&mut self, key: &State) {
        if let Some(entry) = self.known.get_mut(key) {
            entry.used = self.clock;
        }
    }

    /// Finds out which file is mapped there, and keeps it open if it is not known. None if it is not to be looked into.
    pub(super) fn find(&mut self, pid: u32, mapping: &mut Mapping) -> io::Result<Option<State>> {
        let key = match &mapping.file {
            Which::Refused => return Ok(None),
            Which::Known(key) if self.known.contains_key(key) => key.clone(),
            Which::Known(_) | Which::Unasked => {
                mapping.file = Which::Refused;
                let (file, key) = open(pid, &mapping.addresses)?;
                if !self.known.contains_key(&key) {
                    let entry = Entry::new(&key, file, &mapping.path);
                    if !self.make_room(entry.bytes) {
                        mapping.file = Which::Unasked;
                        self.no_room
                            .get_or_insert(entry.nameless(&"there are too many other files to be kept"));
                        return Ok(None);
                    }
                    self.known.insert(key.clone(), entry);
                }
                mapping.file = Which::Known(key.clone());
                key
            }
        };
        self.keep(&key);
        Ok(Some(key))
    }

    /// For another file of so many bytes, in the place of those that are not used in this closing.
    fn make_room(&mut self, bytes: u64) -> bool {
        let kept = |known: &HashMap<State, Entry>| known.values().map(|entry| entry.bytes).sum::<u64>();
        while self.known.len() >= FILES || kept(&self.known) + bytes > FILES_BYTES {
            let others = self.known.iter().filter(|(_, entry)| entry.used < self.clock);
            let oldest = others.min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone());
            let Some(entry) = oldest.and_then(|oldest| self.known.remove(&oldest)) else { return false };
            self.names_bytes = self.names_bytes.saturating_sub(entry.names_bytes());
        }
        true
    }

    /// The functions at a place, what was inlined before what it was inlined into. Empty if there is no name for it,
    /// or none was learnt.
    pub(super) fn names(&self, key: &State, place: u64) -> &[String] {
        self.known.get(key).and_then(|entry| entry.names.get(&place)).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether names for a place can still be learnt.
    pub(super) fn waits(&self, key: &State, place: u64) -> bool {
        self.known.get(key).is_some_and(|entry| entry.waits(place))
    }

    /// Asks for the functions at places that are not known, for as long as there is time. Or else says why some were not
    /// found out; those that [`Files::waits`] tells of are to be asked for again.
    pub(super) fn learn(&mut self, wanted: Wanted, until: Instant) -> Result<(), String> {
        if self.names_bytes > NAMES_BYTES / 2 {
            self.names_bytes = 0;
            self.known.values_mut().for_each(|entry| entry.names = HashMap::new());
        }
        let mut questions = Vec::new();
        let mut problem = self.no_room.take().map_or(Ok(()), Err);
        for (key, places) in wanted {
            let Some(entry) = self.known.get(&key) else { continue };
            problem = problem.and(entry.problem());
            let unknown: Vec<u64> = places.into_iter().filter(|place| entry.waits(*place)).collect();
            if !unknown.is_empty() {
                questions.push((entry.order(), key, unknown));
            }
        }
        questions.sort_by_key(|(order, ..)| *order);
        // Whether it has answered meanwhile; others do not wait for it. It reads no other file, for which it would have had all
        // the time since to be taken over.
        if let Some(mut late) = self.late.take() {
            if let Some(question) = questions.iter().position(|(_, key, _)| *key == late.key) {
                late.want(questions.remove(question).2);
            }
            drop(self.ask(late, Instant::now()));
        }
        let (mut running, mut starts) = (None, 0);
        for (_, key, places) in questions {
            let Some(entry) = self.known.get_mut(&key) else { continue };
            if !entry.copy(until) || Instant::now() >= until {
                problem = problem.and(Err(entry.nameless(&Lost::Slow)));
                break;
            }
            // Without a place for it to go on, it would be asked in vain.
            if !entry.can_be_asked() || (entry.is_slow() && self.late.is_some()) {
                continue;
            }
            let symbolizer = match running.take() {
                Some(symbolizer) => symbolizer,
                None if starts == STARTS => break,
                None => {
                    starts += 1;
                    match self.symbolizers.start() {
                        Ok(symbolizer) => symbolizer,
                        Err(lost) => {
                            problem = problem.and(Err(entry.nameless(&lost)));
                            break;
                        }
                    }
                }
            };
            match self.ask(Asked::new(key, symbolizer, places), until) {
                Ok(symbolizer) => running = symbolizer,
                Err((lost, reason)) => {
                    problem = problem.and(Err(reason));
                    if let Lost::Unfit(_) = lost {
                        break;
                    }
                }
            }
        }
        if let Some(late) = self.late.take()
            && let Err((_, reason)) = self.ask(late, until)
        {
            problem = problem.and(Err(reason));
        }
        // A file that is open keeps what it is in from being unmounted.
        self.known.retain(|_, entry| !entry.is_copying() || entry.used == self.clock);
        problem
    }

    /// Gives back the symbolizer once it has answered everything, or says why it has not. It goes on if it is only slow,
    /// and no other does.
    fn ask(&mut self, mut asked: Asked, until: Instant) -> Result<Option<Symbolizer>, (Lost, String)> {
        let Some(entry) = self.known.get_mut(&asked.key) else { return Ok(None) };
        let answered = entry.ask(&mut asked, &mut self.names_bytes, Path::new(DEBUG_DIRECTORY), until);
        if let Err(lost) = answered {
            let reason = entry.nameless(&lost);
            if matches!(lost, Lost::Slow) && !asked.is_over() && self.late.is_none() {
                self.late = Some(asked);
            }
            return Err((lost, reason));
        }
        Ok(Some(asked.over()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::file::tests::{later, place, program};
    use super::*;

    /// Files of these bytes, and one place in each.
    fn files<const N: usize>(bytes: [&[u8]; N], place: u64) -> (Files, [State; N], Wanted) {
        let mut files = Files::default();
        let keys = std::array::from_fn(|number| State::of_test(number as u64));
        for (key, bytes) in keys.iter().zip(bytes) {
            files.known.insert(key.clone(), Entry::of_test(bytes));
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
        assert!(files.waits(&first, place) && files.waits(&second, place));
        files.learn(wanted.clone(), later()).unwrap();
        assert_eq!(files.names(&first, place), ["inlined", "code"]);
        assert!(files.names(&second, place).is_empty());
        assert!(!files.waits(&first, place) && !files.waits(&second, place));
        // Nothing is new, so there is nothing to have no time for.
        files.learn(wanted, Instant::now()).unwrap();
    }

    #[test]
    fn what_is_late_goes_on_and_others_do_not_wait_for_it() {
        let bytes = program(".other", b"content");
        let place = place(&bytes);
        let (mut files, [slow, other], mut wanted) = files([&bytes, &bytes], place);
        // It is not waited for any more.
        files.known.get_mut(&slow).unwrap().spent = Duration::from_secs(5);
        let question = HashMap::from([(slow.clone(), wanted[&slow].clone())]);
        assert!(files.learn(question, later()).is_err());
        assert!(files.late.is_some() && files.waits(&slow, place));
        files.learn(HashMap::from([(other.clone(), wanted[&other].clone())]), later()).unwrap_or_default();
        assert_eq!(files.names(&other, place), ["inlined", "code"]);
        // With another place, which is asked for by the same symbolizer.
        wanted.get_mut(&slow).unwrap().insert(place + 1);
        let begun = Instant::now();
        while files.learn(wanted.clone(), later()).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60));
        }
        assert_eq!(files.names(&slow, place), ["inlined", "code"]);
        assert!(!files.waits(&slow, place + 1) && files.late.is_none());
    }

    #[test]
    fn files_make_room_for_others_once_they_are_not_used() {
        let (mut files, keys, _) = files([b"", b"", b""], 0);
        for (number, key) in keys.iter().enumerate() {
            let entry = files.known.get_mut(key).unwrap();
            (entry.bytes, entry.used) = (FILES_BYTES / 3, number as u64);
        }
        files.clock = 2;
        files.keep(&keys[0]);
        assert!(files.make_room(1));
        assert!(files.known.contains_key(&keys[0]) && files.known.contains_key(&keys[2]));
        assert!(!files.known.contains_key(&keys[1]), "the one that was not used for longest");
        assert!(files.make_room(FILES_BYTES / 3));
        assert!(!files.make_room(FILES_BYTES / 3 + 3), "both are used");
        assert_eq!(files.known.len(), 2);
        files.next_closing();
        assert!(files.make_room(FILES_BYTES / 3 + 3));
        assert_eq!(files.known.len(), 1);
        // It is still to be copied, and nobody wants it.
        files.learn(Wanted::new(), later()).unwrap();
        assert_eq!(files.known.len(), 0);
    }

    #[test]
    fn names_without_end_are_not_kept() {
        let bytes = program(".other", b"content");
        let place = place(&bytes);
        let (mut files, [first], wanted) = files([&bytes], place);
        files.learn(wanted.clone(), later()).unwrap();
        let bytes = files.names_bytes;
        assert_eq!(bytes, crate::symbols::file::bytes_of(&["inlined".to_owned(), "code".to_owned()]));
        // As if others had filled it.
        files.names_bytes = NAMES_BYTES;
        files.learn(wanted, later()).unwrap();
        assert_eq!((files.names_bytes, files.names(&first, place).len()), (bytes, 2));
        let mut asked = Asked::new(first.clone(), Symbolizers::default().start().unwrap(), vec![place]);
        let entry = files.known.get_mut(&first).unwrap();
        let full = entry.ask(&mut asked, &mut NAMES_BYTES.clone(), Path::new("/nonexistent"), later());
        assert!(matches!(full, Err(Lost::Full)));
        // Its own are not the many.
        assert!(entry.can_be_asked());
    }
}
