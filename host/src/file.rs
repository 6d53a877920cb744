//! Files that strangers can have made: what can be asked of them without waiting for anybody, and how one is known
//! again.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;

use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

use crate::mounts::{self, Mount};

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
/// what is in FUSE, where even a question may wait for whoever mounted it. So it may in an overlay, which any user can have
/// over FUSE among mounts of its own; one that this process sees too was mounted by the machine's administrator.
pub(crate) fn examine(file: &File, pid: u32) -> io::Result<State> {
    // The mount is asked for first, which asks nothing of the file system.
    let about = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd()))?;
    let id = about.lines().find_map(|line| Some(line.strip_prefix("mnt_id:")?.trim()));
    let theirs = mounts::list(&pid.to_string())?;
    let answers = match id.and_then(|id| Mount::find(&theirs, |mount| mount.id == id)) {
        None => false,
        Some(mount) if mount.kind == "overlay" => {
            let is_it = |own: &Mount<'_>| own.kind == mount.kind && own.device == mount.device;
            Mount::find(&mounts::list("self")?, is_it).is_some()
        }
        Some(mount) => !mount.kind.starts_with("fuse"),
    };
    if !answers {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_this_machine_is_examined() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(examine(&file, std::process::id()).unwrap().size, 0);
    }
}
