//! What code is mapped where in a process, as /proc/PID/maps has it.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read};
use std::ops::Range;

use crate::file::State;

/// Processes whose mappings are kept parsed.
const PROCESSES: usize = 64;
/// A process that maps without end: bytes of its list that are read. The largest of honest ones have a tenth.
const MAPS_BYTES: u64 = 4 << 20;
/// The same: executable mappings that are kept.
const MAPPINGS: usize = 4096;

/// A file's executable part in a process.
#[derive(Debug)]
pub(super) struct Mapping {
    pub(super) addresses: Range<u64>,
    /// Where in the file it begins.
    pub(super) offset: u64,
    pub(super) path: Vec<u8>,
    /// Which file that is; known when it was needed once.
    pub(super) file: Which,
}

#[derive(Clone, Debug)]
pub(super) enum Which {
    Unasked,
    Known(State),
    /// It cannot or is not to be read.
    Refused,
}

impl Mapping {
    /// A line, if it is about code that has a name:
    /// "55c0a7c0e000-55c0a7c2d000 r-xp 0002c000 fe:00 397 /usr/bin/bash (deleted)"
    fn parse(line: &[u8]) -> Option<Self> {
        let mut words = line.splitn(6, |byte| *byte == b' ');
        let mut word = || words.next();
        let number = |text: &[u8]| u64::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok();
        let range = word()?;
        let dash = range.iter().position(|byte| *byte == b'-')?;
        let addresses = number(&range[..dash])?..number(&range[dash + 1..])?;
        let executable = word()?.get(2) == Some(&b'x');
        let offset = number(word()?)?;
        let (_device, _inode) = (word()?, word()?);
        let path = word()?.trim_ascii_start();
        let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
        let named = path.starts_with(b"/") || path == b"[vdso]";
        (executable && named).then(|| {
            let file = if path.starts_with(b"/") { Which::Unasked } else { Which::Refused };
            Self { addresses, offset, path: path.to_vec(), file }
        })
    }

    /// What is shown of the file.
    pub(super) fn name(&self) -> &[u8] {
        match self.path.as_slice() {
            b"[vdso]" => b"vdso",
            path => path.rsplit(|byte| *byte == b'/').next().unwrap_or(path),
        }
    }
}

#[derive(Debug)]
pub(super) struct Process {
    /// Of the list that it was made from.
    hash: u64,
    /// By address.
    mappings: Vec<Mapping>,
    used: u64,
}

impl Process {
    pub(super) fn find(&mut self, address: u64) -> Option<&mut Mapping> {
        let after = self.mappings.partition_point(|mapping| mapping.addresses.start <= address);
        let mapping = self.mappings.get_mut(after.checked_sub(1)?)?;
        mapping.addresses.contains(&address).then_some(mapping)
    }
}

#[derive(Debug, Default)]
pub(super) struct Processes {
    known: HashMap<u32, Process>,
    hasher: RandomState,
    clock: u64,
}

impl Processes {
    /// The process as it is now. Its list is read each time, as code comes and goes, programs replace themselves,
    /// and numbers are used again; what was found out before is kept for as long as it stays the same.
    pub(super) fn get(&mut self, pid: u32) -> io::Result<&mut Process> {
        let mut list = Vec::new();
        let read = File::open(format!("/proc/{pid}/maps"))
            .and_then(|file| file.take(MAPS_BYTES).read_to_end(&mut list));
        if let Err(error) = read {
            self.known.remove(&pid);
            return Err(error);
        }
        let hash = self.hasher.hash_one(&list);
        self.clock += 1;
        if self.known.get(&pid).is_none_or(|process| process.hash != hash) {
            if self.known.len() >= PROCESSES
                && !self.known.contains_key(&pid)
                && let Some(oldest) = self.known.iter().min_by_key(|(_, process)| process.used)
            {
                let oldest = *oldest.0;
                self.known.remove(&oldest);
            }
            // Without an end the last line may be half of one.
            let lines =
                list.split_inclusive(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
            let mappings = lines.filter_map(Mapping::parse).take(MAPPINGS).collect();
            self.known.insert(pid, Process { hash, mappings, used: 0 });
        }
        let process = self.known.get_mut(&pid).ok_or(io::ErrorKind::NotFound)?;
        process.used = self.clock;
        Ok(process)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_with_a_name_is_kept() {
        let mapping =
            Mapping::parse(b"7f00-7f10 r-xp 0002c000 fe:00 397        /usr/lib/a b.so (deleted)").unwrap();
        assert_eq!(mapping.addresses, 0x7f00..0x7f10);
        assert_eq!((mapping.offset, mapping.name()), (0x2c000, b"a b.so".as_slice()));
        assert_eq!(Mapping::parse(b"7f00-7f10 r-xp 00000000 00:00 0    [vdso]").unwrap().name(), b"vdso");
        for line in [
            "7f00-7f10 r--p 00000000 fe:00 397 /usr/lib/data.so",
            "7f00-7f10 rwxp 00000000 00:00 0 ",
            "7f00-7f10 rwxp 00000000 00:00 0 [heap]",
            "7f00-7f10 rwxp 00000000 00:00 0 [anon:jit]",
            "7f00 r-xp",
            "",
        ] {
            assert!(Mapping::parse(line.as_bytes()).is_none(), "{line}");
        }
    }

    #[test]
    fn only_so_many_processes_are_kept() {
        let mut processes = Processes::default();
        let mut children: Vec<_> = (0..PROCESSES + 3)
            .map(|_| std::process::Command::new("sleep").arg("60").spawn().unwrap())
            .collect();
        for child in &children {
            assert!(processes.get(child.id()).is_ok());
        }
        assert_eq!(processes.known.len(), PROCESSES);
        assert!(!processes.known.contains_key(&children[0].id()));
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert!(processes.get(children[5].id()).is_err());
        assert!(!processes.known.contains_key(&children[5].id()));
    }
}
