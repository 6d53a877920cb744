//! Control groups by their ids: the inode number of a group's folder (version 2 only).

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use crate::escape::escape;
use crate::mounts::{self, Mount};

/// Groups that are looked through for those that are not known yet, and how long that may take. Whoever makes more of them
/// sees them as gone.
const MOST_GROUPS: usize = 65_536;
const LOOK_WALL: Duration = Duration::from_millis(100);
/// Paths that are remembered: groups come and go.
const MOST_PATHS: usize = 2 * MOST_GROUPS;

/// The control groups that there are, looked up as they are asked for.
#[derive(Debug)]
pub(crate) struct Cgroups {
    root: PathBuf,
    paths: HashMap<u64, String>,
    /// Since [`Cgroups::forget_look`].
    has_looked: bool,
}

impl Default for Cgroups {
    fn default() -> Self {
        Self { root: "/sys/fs/cgroup".into(), paths: HashMap::new(), has_looked: false }
    }
}

impl Cgroups {
    /// The group's path below the root of all groups, escaped. One that is gone is known by its id.
    pub(crate) fn path(&mut self, id: u64) -> String {
        // What it does not find is gone, and so is all that is asked for until the next interval: whoever makes groups that
        // are gone at once makes many.
        if !self.paths.contains_key(&id) && !std::mem::replace(&mut self.has_looked, true) {
            self.look();
        }
        self.paths.get(&id).cloned().unwrap_or_else(|| format!("(gone: {id})"))
    }

    /// The id of the container whose group it is, where its path names one: 64 hexadecimal digits, as runtimes of
    /// containers have them (`docker-ID.scope`, `crio-ID.scope`, `kubepods/…/ID`). Empty otherwise.
    pub(crate) fn container(&mut self, id: u64) -> String {
        let path = self.path(id);
        let is_id = |part: &&str| part.len() == 64 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        path.split(['/', '-', '.', ':']).rev().find(is_id).unwrap_or_default().to_owned()
    }

    /// Has groups looked for again: another interval is over, in which new ones may have been made.
    pub(crate) fn forget_look(&mut self) {
        self.has_looked = false;
    }

    /// Notes the paths of all groups that there are now, the outer ones first.
    fn look(&mut self) {
        if self.paths.len() >= MOST_PATHS {
            self.paths.clear();
        }
        let until = Instant::now() + LOOK_WALL;
        let mut folders = VecDeque::from([self.root.clone()]);
        let mut seen = 0;
        while let Some(folder) = folders.pop_front() {
            let Ok(about) = fs::metadata(&folder) else { continue };
            self.paths.insert(about.ino(), below(&self.root, &folder));
            seen += 1;
            if seen == MOST_GROUPS || Instant::now() >= until {
                return;
            }
            let entries = fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok);
            folders.extend(
                entries
                    .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                    .map(|entry| entry.path()),
            );
        }
    }
}

/// Where control groups of version 2 are mounted.
pub(crate) fn mount() -> io::Result<Option<PathBuf>> {
    let mounts = mounts::list("self")?;
    Ok(Mount::find(&mounts, |mount| mount.kind == "cgroup2").map(|mount| mount.point.into()))
}

/// A group's id, and how many levels it is below the root of all groups.
pub(crate) fn find(root: &Path, path: &str) -> io::Result<(u64, u32)> {
    let mut folder = root.to_owned();
    let mut level = 0;
    for part in Path::new(path).components() {
        match part {
            Component::RootDir => {}
            Component::Normal(name) => {
                folder.push(name);
                level += 1;
            }
            // What the kernel says of a group that it does not show here, or has taken away.
            _ => return Err(io::Error::new(io::ErrorKind::NotFound, "it is not below the root")),
        }
    }
    Ok((fs::metadata(folder)?.ino(), level))
}

fn below(root: &Path, folder: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let path = folder.strip_prefix(root).unwrap_or(folder);
    format!("/{}", escape(path.as_os_str().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_a_level() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b");
        fs::create_dir_all(&folder).unwrap();
        let inode = |path: &Path| fs::metadata(path).unwrap().ino();
        assert_eq!(find(root.path(), "/a/b").unwrap(), (inode(&folder), 2));
        assert_eq!(find(root.path(), "/").unwrap(), (inode(root.path()), 0));
        for path in ["/a/c", "/../a", "/a/../a/b"] {
            assert!(find(root.path(), path).is_err(), "{path}");
        }
    }

    #[test]
    fn groups_are_known_by_their_inode() {
        let root = tempfile::tempdir().unwrap();
        let id = "0123456789abcdef".repeat(4);
        let folder = root.path().join("system.slice").join(format!("docker-{id}.scope"));
        fs::create_dir_all(&folder).unwrap();
        let inode = fs::metadata(&folder).unwrap().ino();
        let top = fs::metadata(root.path()).unwrap().ino();
        let mut groups = Cgroups { root: root.path().to_owned(), ..Cgroups::default() };
        assert_eq!(groups.path(inode), format!("/system.slice/docker-{id}.scope"));
        assert_eq!(groups.container(inode), id);
        assert_eq!(groups.path(top), "/");
        assert_eq!(groups.container(top), "");
        assert_eq!(groups.path(1), "(gone: 1)");
        let later = root.path().join("later");
        fs::create_dir(&later).unwrap();
        let inode = fs::metadata(&later).unwrap().ino();
        groups.forget_look();
        assert_eq!((groups.path(inode), groups.path(1)), ("/later".to_owned(), "(gone: 1)".to_owned()));
        // All are looked for once an interval, and no more.
        let last = root.path().join("last");
        fs::create_dir(&last).unwrap();
        let inode = fs::metadata(&last).unwrap().ino();
        assert_eq!(groups.path(inode), format!("(gone: {inode})"));
    }
}
