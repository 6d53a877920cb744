//! A control group of its own for a command, by which its events and those of its children are known.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The group, which is taken away when dropped; whoever is still in it goes back to where it came from.
#[derive(Debug)]
pub(super) struct Group {
    folder: PathBuf,
    id: u64,
}

impl Group {
    /// Makes a group below this process's own, and moves a process into it.
    pub(super) fn of(pid: u32) -> io::Result<Self> {
        let absent = || io::Error::new(io::ErrorKind::NotFound, "no control groups of version 2 are mounted");
        let root = crate::cgroup::mount()?.ok_or_else(absent)?;
        let groups = fs::read_to_string("/proc/self/cgroup")?;
        let own = groups.lines().find_map(|line| line.strip_prefix("0::/")).ok_or_else(absent)?;
        let folder = root.join(own).join(format!("weir-{}", std::process::id()));
        fs::create_dir(&folder)?;
        // Its id is its inode's number.
        let group = Self { id: fs::metadata(&folder)?.ino(), folder };
        fs::write(group.folder.join("cgroup.procs"), pid.to_string())?;
        Ok(group)
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let processes = |folder: &Path| folder.join("cgroup.procs");
        // A process that was just told to end may still be there, and one that stays must go elsewhere.
        for _ in 0..10 {
            if fs::remove_dir(&self.folder).is_ok() {
                return;
            }
            let left = fs::read_to_string(processes(&self.folder)).unwrap_or_default();
            for pid in left.lines() {
                let parent = self.folder.parent().map(processes);
                parent.and_then(|parent| fs::write(parent, pid).ok());
            }
        }
    }
}
