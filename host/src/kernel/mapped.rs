//! Maps that the host and the programs share as memory.
#![allow(unsafe_code, reason = "memory that the kernel shares is typed here, and nowhere else")]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::AtomicU64;

use memmap2::{MmapOptions, MmapRaw};
use weir_abi::Control;

/// The values of an array map, as words. Every access is atomic, for programs may write at any time.
#[derive(Debug)]
pub(super) struct Mapped {
    memory: MmapRaw,
    words: usize,
}

impl Mapped {
    /// Maps `words` words of an array map with BPF_F_MMAPABLE.
    pub(super) fn new(map: &OwnedFd, words: usize) -> io::Result<Self> {
        let memory = MmapOptions::new().len(words * 8).map_raw(map.as_raw_fd())?;
        Ok(Self { memory, words })
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
    pub(super) fn new(map: &OwnedFd) -> io::Result<Self> {
        Mapped::new(map, size_of::<Control>() / 8).map(Self)
    }

    pub(super) fn get(&self) -> &Control {
        // SAFETY: the mapping is page-aligned and as long as a `Control`, whose fields are atomic words or
        // plain words that nobody reads.
        unsafe { &*self.0.memory.as_mut_ptr().cast::<Control>() }
    }
}

/// The plan as it stands in memory.
pub(super) fn plan_bytes(plan: &weir_abi::Plan) -> &[u8] {
    // SAFETY: a plan is a #[repr(C)] structure of integers whose sizes leave no padding, as is asserted below, and
    // any initialised memory can be read as bytes.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(plan).cast(), size_of::<weir_abi::Plan>()) }
}

const _: () = assert!(size_of::<weir_abi::Measure>() == 8 * 4 + 3 * 8);
const _: () =
    assert!(size_of::<weir_abi::Plan>() == 18 * 4 + weir_abi::MEASURES * size_of::<weir_abi::Measure>());
