//! Opening a program's or library's file as what a process has mapped, and not by its path, which may lead to another
//! one by now, or in another place. Nothing here waits for a stranger: neither a pipe nor a device is opened, nor a
//! file in FUSE, where even a question may wait for whoever mounted it.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use rustix::fs::{Mode, OFlags};

/// A list of mounts made to be read for long.
const MOUNTS_BYTES: u64 = 4 << 20;

/// One state of one file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    device: u64,
    inode: u64,
    pub(super) size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

#[cfg(test)]
impl Key {
    pub(super) fn of_test(inode: u64) -> Self {
        Self { device: 0, inode, size: 0, modified: (0, 0), changed: (0, 0) }
    }
}

/// Opens what a process has mapped there.
pub(super) fn open(pid: u32, addresses: &Range<u64>) -> io::Result<(File, Key)> {
    let refuse = |what| Err(io::Error::new(io::ErrorKind::Unsupported, what));
    let link = format!("/proc/{pid}/map_files/{:x}-{:x}", addresses.start, addresses.end);
    // Neither this nor asking for its mount asks the file system anything.
    let place: OwnedFd = rustix::fs::open(link, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    if mount_type(pid, &place)?.is_none_or(|kind| kind.starts_with("fuse")) {
        return refuse("in a file system that may not answer");
    }
    let place = File::from(place);
    if !place.metadata()?.is_file() {
        return refuse("not a regular file");
    }
    let itself = format!("/proc/self/fd/{}", place.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(itself, flags, Mode::empty())?);
    let stat = file.metadata()?;
    let key = Key {
        device: stat.dev(),
        inode: stat.ino(),
        size: stat.size(),
        modified: (stat.mtime(), stat.mtime_nsec()),
        changed: (stat.ctime(), stat.ctime_nsec()),
    };
    Ok((file, key))
}

/// The type of the file system, as far as the process's list of mounts has it.
fn mount_type(pid: u32, place: &OwnedFd) -> io::Result<Option<String>> {
    let about = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", place.as_raw_fd()))?;
    let Some(id) = about.lines().find_map(|line| Some(line.strip_prefix("mnt_id:")?.trim())) else {
        return Ok(None);
    };
    let mut mounts = Vec::new();
    File::open(format!("/proc/{pid}/mountinfo"))?.take(MOUNTS_BYTES).read_to_end(&mut mounts)?;
    // "36 35 98:0 /root /point rw,noatime master:1 - ext3 /dev/root rw", with its spaces escaped.
    Ok(String::from_utf8_lossy(&mounts).lines().find_map(|line| {
        let rest = line.strip_prefix(id)?.strip_prefix(' ')?;
        rest.split_once(" - ")?.1.split(' ').next().map(str::to_owned)
    }))
}
