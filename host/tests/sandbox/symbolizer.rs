//! Programs' files, read by the process that has nothing else: what it is left with, and files that are made to harm it.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, Signal, kill_process};
use weir::sandbox::{Links, Lost, Symbolizer, Symbolizers};

use crate::host::Host;
use crate::privileges;
use crate::support::PATIENCE;

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("the_symbolizer_has_no_privileges", the_symbolizer_has_no_privileges),
    ("two_symbolizers_are_two_users", two_symbolizers_are_two_users),
    ("a_symbolizer_that_is_killed_is_told_from_others", a_symbolizer_that_is_killed_is_told_from_others),
    ("a_symbolizer_that_is_stopped_is_not_waited_for", a_symbolizer_that_is_stopped_is_not_waited_for),
    ("a_symbolizer_ends_with_its_channel", a_symbolizer_ends_with_its_channel),
];

/// These measure this process.
pub(crate) fn trials() -> Vec<Trial> {
    vec![Trial::test("hostile_programs_cost_their_names_only", || {
        hostile_programs_cost_their_names_only();
        Ok(())
    })]
}

fn file(bytes: &[u8]) -> OwnedFd {
    let mut file = File::from(memfd_create("test", MemfdFlags::CLOEXEC).unwrap());
    file.write_all(bytes).unwrap();
    file.into()
}

/// A program with debug information, of one function with another in it, and where that is in the file.
fn program() -> (Vec<u8>, u64) {
    let directory = tempfile::tempdir().unwrap();
    let [source, made] = ["source.c", "program"].map(|name| directory.path().join(name));
    let code = "static inline __attribute__((always_inline)) void inlined(void) { for (;;) __asm__(\"\"); }\n\
                void code(void) { inlined(); }\n";
    std::fs::write(&source, code).unwrap();
    let mut cc = Command::new("cc");
    cc.args(["-g", "-O1", "-gz=none", "-nostdlib", "-static", "-Wl,-e,code", "-o"]).args([&made, &source]);
    assert!(cc.status().unwrap().success());
    let bytes = std::fs::read(made).unwrap();
    let number = |at: usize, size: usize| {
        let mut number = [0; 8];
        number[..size].copy_from_slice(&bytes[at..at + size]);
        u64::from_le_bytes(number)
    };
    // The segment with the entry, by the program headers.
    let (entry, headers, count) = (number(24, 8), number(32, 8) as usize, number(56, 2) as usize);
    let place = (0..count).map(|header| headers + header * 56).find_map(|at| {
        let (offset, address, size) = (number(at + 8, 8), number(at + 16, 8), number(at + 32, 8));
        (number(at, 4) == 1 && (address..address + size).contains(&entry)).then(|| offset + entry - address)
    });
    (bytes, place.unwrap())
}

fn later() -> Instant {
    Instant::now() + PATIENCE
}

fn start() -> Symbolizer {
    Symbolizers::default().start().unwrap()
}

fn links(symbolizer: &mut Symbolizer, bytes: &[u8], until: Instant) -> Result<Option<Links>, Lost> {
    symbolizer.file(file(bytes).as_fd(), until)?;
    symbolizer.links(until)
}

fn functions(symbolizer: &mut Symbolizer, places: &[u64], until: Instant) -> Result<Vec<Vec<String>>, Lost> {
    symbolizer.ask(places, until)?;
    symbolizer.functions(places.len(), until)
}

/// One that is at work by now.
fn at_work() -> (Symbolizer, Pid) {
    let mut symbolizer = start();
    assert_eq!(links(&mut symbolizer, b"no program", later()).unwrap(), None);
    let pid = Pid::from_raw(symbolizer.pid().unwrap().cast_signed()).unwrap();
    (symbolizer, pid)
}

fn the_symbolizer_has_no_privileges() {
    let (mut symbolizer, pid) = at_work();
    privileges::assert_none(pid.as_raw_nonzero().get().cast_unsigned());
    let (bytes, place) = program();
    links(&mut symbolizer, &bytes, later()).unwrap().unwrap();
    assert_eq!(functions(&mut symbolizer, &[place, 0], later()).unwrap(), [vec!["inlined", "code"], vec![]]);
    // The file is mapped and closed.
    privileges::assert_no_descriptors(pid.as_raw_nonzero().get().cast_unsigned());
}

fn two_symbolizers_are_two_users() {
    let mut starts = [Symbolizers::default(), Symbolizers::default()];
    let uids = starts.each_mut().map(|starts| {
        let mut symbolizer = starts.start().unwrap();
        links(&mut symbolizer, b"no program", later()).unwrap();
        privileges::user(symbolizer.pid().unwrap())
    });
    assert_eq!(uids[0] == uids[1], !rustix::process::geteuid().is_root(), "{uids:?}");
}

fn a_symbolizer_that_is_killed_is_told_from_others() {
    let (mut symbolizer, pid) = at_work();
    kill_process(pid, Signal::KILL).unwrap();
    let lost = links(&mut symbolizer, b"no program", later()).unwrap_err();
    assert_eq!(lost.to_string(), "reading it ended with signal 9");
}

fn a_symbolizer_that_is_stopped_is_not_waited_for() {
    let (mut symbolizer, pid) = at_work();
    kill_process(pid, Signal::STOP).unwrap();
    let begun = Instant::now();
    let lost = links(&mut symbolizer, b"no program", begun + Duration::from_millis(100)).unwrap_err();
    assert!(matches!(lost, Lost::Slow), "{lost}");
    drop(symbolizer);
    assert!(begun.elapsed() < PATIENCE / 2);
    assert!(!std::path::Path::new(&format!("/proc/{}", pid.as_raw_nonzero())).exists());
}

fn a_symbolizer_ends_with_its_channel() {
    let (symbolizer, pid) = at_work();
    let process = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
    // As if the host had died: nothing kills the process or waits for it.
    symbolizer.hang_up().unwrap();
    let mut fds = [rustix::event::PollFd::new(&process, rustix::event::PollFlags::IN)];
    let timeout = rustix::event::Timespec::try_from(PATIENCE).unwrap();
    assert_eq!(rustix::event::poll(&mut fds, Some(&timeout)).unwrap(), 1, "it lives on");
}

/// The same in every run.
struct Random(u64);

impl Random {
    /// Below this.
    fn next(&mut self, below: usize) -> usize {
        // xorshift64*, as <https://en.wikipedia.org/wiki/Xorshift> has it.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % below
    }
}

/// Bytes of this test's own program that are looked into: its beginning, which has the code, but no symbols.
const OWN_BYTES: usize = 8 << 20;

fn hostile(random: &mut Random) -> Vec<Vec<u8>> {
    let (program, _) = program();
    let mut files = vec![Vec::new(), b"\x7fELF".to_vec(), b"#!/bin/sh\n".to_vec()];
    for length in [1, 64, 4096, 1 << 20] {
        let noise = |random: &mut Random| (0..length).map(|_| random.next(256) as u8).collect::<Vec<_>>();
        let mut headed = noise(random);
        headed.splice(..length.min(16), program[..length.min(16)].iter().copied());
        files.extend([noise(random), headed]);
    }
    files.extend((0..24).map(|_| program[..random.next(program.len())].to_vec()));
    // Everywhere, and then in the headers of the file and of its sections, which say how long everything is.
    let sections = usize::from_le_bytes(program[40..48].try_into().unwrap());
    for (range, count) in [(0..program.len(), 200), (0..120, 60), (sections..program.len(), 120)] {
        for _ in 0..count {
            let mut bytes = program.clone();
            for _ in 0..=random.next(8) {
                let at = range.start + random.next(range.len());
                bytes[at] = [0, 0xff, 0x7f, 0x80, random.next(256) as u8][random.next(5)];
            }
            files.push(bytes);
        }
    }
    let mut own = vec![0; OWN_BYTES];
    File::open("/proc/self/exe").unwrap().read_exact_at(&mut own, 0).unwrap();
    for _ in 0..4 {
        let mut bytes = own.clone();
        (0..1000).for_each(|_| bytes[random.next(OWN_BYTES)] ^= 1 << random.next(8));
        files.push(bytes);
    }
    files
}

fn hostile_programs_cost_their_names_only() {
    let (program, place) = program();
    let files = hostile(&mut Random(1));
    let mut starts = Symbolizers::default();
    let round = |starts: &mut Symbolizers| {
        let mut running = None;
        let mut ended = 0u32;
        for (number, bytes) in files.iter().enumerate() {
            let mut symbolizer = running.take().unwrap_or_else(|| starts.start().unwrap());
            let until = Instant::now() + Duration::from_secs(2);
            let places: Vec<u64> = (0..32).map(|step| place.wrapping_add(step * 257)).collect();
            let asked = links(&mut symbolizer, bytes, until).and_then(|links| match links {
                Some(_) => functions(&mut symbolizer, &places, until).map(drop),
                None => Ok(()),
            });
            match asked {
                Ok(()) => running = Some(symbolizer),
                Err(Lost::Slow | Lost::Ended(_)) => ended += 1,
                Err(lost) => panic!("file {number}: {lost}"),
            }
        }
        // The process that read most of them still tells the truth, for what that is worth.
        let mut symbolizer = running.unwrap_or_else(|| starts.start().unwrap());
        links(&mut symbolizer, &program, later()).unwrap().unwrap();
        assert_eq!(functions(&mut symbolizer, &[place], later()).unwrap(), [["inlined", "code"]]);
        ended
    };
    let ended = round(&mut starts);
    let host = Host::now();
    // A machine that stands still for a moment is too slow for one that was in time before.
    let again = round(&mut starts);
    assert!(again.abs_diff(ended) <= 2, "{again} and {ended}");
    host.assert_flat("hostile programs");
}
