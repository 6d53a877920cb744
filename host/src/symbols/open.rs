//! Opening a program's or library's file as what a process has mapped, and not by its path, which may lead to another
//! one by now, or in another place. Nothing here waits for a stranger, see [`crate::file`].

use std::fs::File;
use std::io;
use std::ops::Range;

use rustix::fs::{Mode, OFlags};

use crate::file::{self, State};

/// Opens what a process has mapped there.
pub(super) fn open(pid: u32, addresses: &Range<u64>) -> io::Result<(File, State)> {
    let link = format!("/proc/{pid}/map_files/{:x}-{:x}", addresses.start, addresses.end);
    // This asks the file system nothing.
    let place = File::from(rustix::fs::open(link, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?);
    let state = file::examine(&place, pid)?;
    Ok((file::open(&place)?, state))
}
