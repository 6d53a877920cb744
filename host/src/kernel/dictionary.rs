//! Dictionaries: from keys to dense ids, filled by the programs.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use aya_obj::generated::bpf_map_type::{BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_HASH};

use super::bpf::{self, MapShape};

/// Two maps, of which the one at `generation & 1` is in use.
#[derive(Debug)]
pub(super) struct Dictionary {
    pair: OwnedFd,
    maps: [OwnedFd; 2],
    shape: MapShape,
}

impl Dictionary {
    pub(super) fn new(name: &str, key_size: u32, entries: u32) -> io::Result<Self> {
        let shape = MapShape { kind: BPF_MAP_TYPE_HASH as u32, key_size, value_size: 4, entries, flags: 0 };
        let maps = [bpf::create_map("weir_ids", shape, None)?, bpf::create_map("weir_ids", shape, None)?];
        let outer = MapShape {
            kind: BPF_MAP_TYPE_ARRAY_OF_MAPS as u32,
            key_size: 4,
            value_size: 4,
            entries: 2,
            flags: 0,
        };
        let pair = bpf::create_map(name, outer, Some(maps[0].as_fd()))?;
        let dictionary = Self { pair, maps, shape };
        dictionary.put(0)?;
        dictionary.put(1)?;
        Ok(dictionary)
    }

    /// Puts an empty map in the place of the one at `slot`.
    pub(super) fn renew(&mut self, slot: usize) -> io::Result<()> {
        self.maps[slot] = bpf::create_map("weir_ids", self.shape, None)?;
        self.put(slot)
    }

    /// Puts the map at `slot` where programs find it, and waits until every program that has started by now
    /// has ended.
    ///
    /// The kernel waits for a grace period of RCU before a change to a map of maps returns
    /// (`maybe_wait_bpf_programs`, commit 1ae80cf31938). That covers all programs that are not sleepable, and
    /// none of Weir's are.
    pub(super) fn put(&self, slot: usize) -> io::Result<()> {
        use std::os::fd::AsRawFd;
        bpf::update(self.pair.as_fd(), &(slot as u32), &self.maps[slot].as_raw_fd())
    }
}

impl AsFd for Dictionary {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pair.as_fd()
    }
}
