//! What a process holds in the kernel, and whether it is gone.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use crate::daemon::patience;

/// Programs in the kernel, the links by which they are attached, and maps, by their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub programs: BTreeSet<u32>,
    pub links: BTreeSet<u32>,
    pub maps: BTreeSet<u32>,
}

impl Held {
    /// By a process; nothing, if it has ended.
    #[must_use]
    pub fn by(pid: u32) -> Self {
        let files = fs::read_dir(format!("/proc/{pid}/fdinfo")).into_iter().flatten().flatten();
        // One may be closed by now.
        let texts: Vec<String> = files.filter_map(|file| fs::read_to_string(file.path()).ok()).collect();
        let numbers = |key: &str| {
            let lines = texts.iter().flat_map(|text| text.lines());
            let numbers = lines.filter_map(|line| line.strip_prefix(key)?.trim().parse().ok());
            numbers.collect::<BTreeSet<u32>>()
        };
        Self { programs: numbers("prog_id:"), links: numbers("link_id:"), maps: numbers("map_id:") }
    }

    /// Descriptors of a process, which runs.
    #[must_use]
    pub fn descriptors(pid: u32) -> usize {
        fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").count()
    }

    /// Memory that a process has and no other one, in KiB.
    #[must_use]
    pub fn memory(pid: u32) -> u64 {
        rollup(pid, "Private_Clean:") + rollup(pid, "Private_Dirty:")
    }

    /// What of that is no file's.
    #[must_use]
    pub fn anonymous(pid: u32) -> u64 {
        rollup(pid, "Anonymous:")
    }

    /// All that there are.
    fn loaded() -> Self {
        // One may be gone before it is looked at.
        let programs = aya::programs::loaded_programs().filter_map(|program| Some(program.ok()?.id()));
        let links = aya::programs::loaded_links().filter_map(|link| Some(link.ok()?.id()));
        let maps = aya::maps::loaded_maps().filter_map(|map| Some(map.ok()?.id()));
        Self { programs: programs.collect(), links: links.collect(), maps: maps.collect() }
    }

    pub fn add(&mut self, other: Self) {
        self.programs.extend(other.programs);
        self.links.extend(other.links);
        self.maps.extend(other.maps);
    }

    /// Waits until none of it is there any more: what an ended process held is let go after a grace period of RCU.
    pub fn assert_gone(&self) {
        let start = Instant::now();
        loop {
            let all = Self::loaded();
            let left: Vec<_> = [
                ("programs", &self.programs, &all.programs),
                ("links", &self.links, &all.links),
                ("maps", &self.maps, &all.maps),
            ]
            .into_iter()
            .filter(|(_, own, all)| !own.is_disjoint(all))
            .map(|(what, own, all)| (what, own.intersection(all).collect::<Vec<_>>()))
            .collect();
            if left.is_empty() {
                return;
            }
            assert!(start.elapsed() < patience(), "they are left: {left:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// A figure of all of a process's memory.
fn rollup(pid: u32, name: &str) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("it runs");
    let line = rollup.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel says so");
    line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
}
