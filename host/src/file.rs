//! Files that strangers can have made: what can be asked of them without waiting for anybody, and how one is known
//! again.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;

use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

/// A list of mounts made to be read for long.
const MOUNTS_BYTES: u64 = 4 << 20;

/// One state of one file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct State {
    device: u64,
    inode: u64,
    pub(crate) size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl State {
    /// Of a regular file.
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        let stat = file.metadata()?;
        if !stat.is_file() {
            return Err(refused("not a regular file"));
        }
        Ok(Self {
            device: stat.dev(),
            inode: stat.ino(),
            size: stat.size(),
            modified: (stat.mtime(), stat.mtime_nsec()),
            changed: (stat.ctime(), stat.ctime_nsec()),
        })
    }

    /// Whether both are states of one file.
    pub(crate) fn is_of_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    #[cfg(test)]
    pub(crate) fn of_test(inode: u64) -> Self {
        Self { device: 0, inode, size: 0, modified: (0, 0), changed: (0, 0) }
    }
}

/// The state of a file that a process has opened, or that is a place only (`O_PATH`). Refused are pipes and devices, and
/// what is in FUSE, where even a question may wait for whoever mounted it.
pub(crate) fn examine(file: &File, pid: u32) -> io::Result<State> {
    // The mount is asked for first, which asks nothing of the file system.
    if mount_type(pid, file)?.is_none_or(|kind| kind.starts_with("fuse")) {
        return Err(refused("in a file system that may not answer"));
    }
    State::of(file)
}

/// Opens a place for reading.
pub(crate) fn open(place: &File) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::open(itself(place), flags, Mode::empty())?))
}

/// The path by which the kernel finds an open file, whatever lies at its name by now.
pub(crate) fn itself(file: &impl AsFd) -> String {
    format!("/proc/self/fd/{}", file.as_fd().as_raw_fd())
}

fn refused(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, what)
}

/// The type of the file system, as far as the process's list of mounts has it.
fn mount_type(pid: u32, file: &File) -> io::Result<Option<String>> {
    let about = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd()))?;
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
