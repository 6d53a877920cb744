//! Maps that the host and the programs share as memory.
#![allow(unsafe_code, reason = "memory that the kernel shares is typed here, and nowhere else")]

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::AtomicU64;

use aya::maps::MapData;
use memmap2::{MmapOptions, MmapRaw};
use weir_abi::Control;

/// The values of an array map, as words. Every access is atomic, for programs may write at any time.
#[derive(Debug)]
pub(super) struct Mapped {
    memory: MmapRaw,
    words: usize,
    /// Programs that are loaded later still name the map by its descriptor.
    _map: MapData,
}

impl Mapped {
    /// Maps `words` words of an array map with BPF_F_MMAPABLE.
    pub(super) fn new(map: MapData, words: usize) -> io::Result<Self> {
        let memory = MmapOptions::new().len(words * 8).map_raw(map.fd().as_fd().as_raw_fd())?;
        Ok(Self { memory, words, _map: map })
    }

    pub(super) fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is page-aligned, `words * 8` bytes long, readable and writable for as long as
        // `self` lives, any bits are a valid u64, and all accesses in this process are atomic.
        unsafe { std::slice::from_raw_parts(self.memory.as_mut_ptr().cast::<AtomicU64>(), self.words) }
    }
}

/// The control block of a table.
#[derive(Debug)]
pub(super) struct MappedControl(Mapped);

impl MappedControl {
    pub(super) fn new(map: MapData) -> io::Result<Self> {
        Mapped::new(map, size_of::<Control>() / 8).map(Self)
    }

    pub(super) fn get(&self) -> &Control {
        // SAFETY: the mapping is page-aligned and as long as a `Control`, whose fields are atomic words or
        // plain words that nobody reads.
        unsafe { &*self.0.memory.as_mut_ptr().cast::<Control>() }
    }
}
