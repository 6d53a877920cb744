//! Compiled code, run where the compiler wrote it: no sandbox has a copy of it, and all that run a component share it.
#![allow(unsafe_code)] // Loading compiled code, and making it executable.

use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::sync::{Arc, Weak};

use memmap2::Mmap;
use rustix::mm::{MprotectFlags, mprotect};
use wasmtime::component::Component;
use wasmtime::{CustomCodeMemory, Engine};

use super::ring;

/// Whoever has the component, or an instance of it, has this for longer.
pub(super) struct Code {
    component: Component,
    /// Where it is: after it, because fields are dropped in their order.
    _memory: Mmap,
}

impl Code {
    /// Maps a file that a compiler wrote.
    fn load(engine: &Engine, file: &OwnedFd, length: usize) -> wasmtime::Result<Self> {
        let memory = ring::map(file, length)?;
        // SAFETY: compiled by a process of this same binary, which wrote to a file that was sealed when it had
        // ended: it never changes, and the mapping is there for as long as the component. Should a component have made
        // that process write something else, it runs here and nowhere else, in a process which holds nothing that the
        // component's plugin was not given anyway, beside the other plugins of the same tenant.
        let component = unsafe { Component::deserialize_raw(engine, NonNull::from(&*memory)) }?;
        Ok(Self { component, _memory: memory })
    }

    pub(super) fn component(&self) -> &Component {
        &self.component
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code")
    }
}

/// Code that is loaded, by the number of its file: many plugins may be one component with other options, and it is in
/// memory once. A file keeps its number while it is mapped.
#[derive(Default)]
pub(super) struct Loaded(BTreeMap<u64, Weak<Code>>);

impl Loaded {
    pub(super) fn code(
        &mut self,
        engine: &Engine,
        file: &OwnedFd,
        length: usize,
    ) -> wasmtime::Result<Arc<Code>> {
        let number = rustix::fs::fstat(file)?.st_ino;
        if let Some(code) = self.0.get(&number).and_then(Weak::upgrade) {
            return Ok(code);
        }
        let code = Arc::new(Code::load(engine, file, length)?);
        self.0.retain(|_, code| code.strong_count() > 0);
        self.0.insert(number, Arc::downgrade(&code));
        Ok(code)
    }
}

/// Makes code executable where it is, in memory that is not Wasmtime's.
pub(super) struct InPlace;

impl CustomCodeMemory for InPlace {
    fn required_alignment(&self) -> usize {
        // SAFETY: this asks for a number, which the C library has known since the process began: what opens /proc for it is
        // refused here.
        usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(1 << 16)
    }

    fn publish_executable(&self, start: *const u8, length: usize) -> wasmtime::Result<()> {
        let protection = MprotectFlags::READ | MprotectFlags::EXEC;
        // SAFETY: Wasmtime calls this with whole pages of code that it was given to load, which nobody writes to.
        Ok(unsafe { mprotect(start.cast_mut().cast(), length, protection) }?)
    }

    /// It is unmapped next.
    fn unpublish_executable(&self, _: *const u8, _: usize) -> wasmtime::Result<()> {
        Ok(())
    }
}
