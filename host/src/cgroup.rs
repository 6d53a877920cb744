//! Control groups by their ids: the inode number of a group's folder (version 2 only).

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::escape::escape;

/// Groups that are looked through for one that is not known yet. Whoever makes more of them sees them as gone.
const MOST_GROUPS: usize = 65_536;

/// The control groups that there are, looked up as they are asked for.
#[derive(Debug)]
pub(crate) struct Cgroups {
    root: PathBuf,
    paths: HashMap<u64, String>,
}

impl Default for Cgroups {
    fn default() -> Self {
        Self { root: "/sys/fs/cgroup".into(), paths: HashMap::new() }
    }
}

impl Cgroups {
    /// The group's path below the root of all groups, escaped. One that is gone is known by its id.
    pub(crate) fn path(&mut self, id: u64) -> String {
        if !self.paths.contains_key(&id) {
            self.look();
        }
        // Remembered, so that a group that is gone is not looked for again.
        self.paths.entry(id).or_insert_with(|| format!("(gone: {id})")).clone()
    }

    /// The id of the container whose group it is, where its path names one: 64 hexadecimal digits, as runtimes of
    /// containers have them (`docker-ID.scope`, `crio-ID.scope`, `kubepods/…/ID`). Empty otherwise.
    pub(crate) fn container(&mut self, id: u64) -> String {
        let path = self.path(id);
        let is_id = |part: &&str| part.len() == 64 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        path.split(['/', '-', '.', ':']).rev().find(is_id).unwrap_or_default().to_owned()
    }

    /// Notes the paths of all groups that there are now.
    fn look(&mut self) {
        let mut folders = vec![self.root.clone()];
        let mut seen = 0;
        while let Some(folder) = folders.pop() {
            let Ok(about) = fs::metadata(&folder) else { continue };
            self.paths.insert(about.ino(), below(&self.root, &folder));
            seen += 1;
            if seen == MOST_GROUPS {
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

/// Where control groups of version 2 are mounted (proc_pid_mountinfo(5)).
pub(crate) fn mount() -> io::Result<Option<PathBuf>> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    Ok(mounts.lines().find_map(|line| {
        let (front, back) = line.split_once(" - ")?;
        (back.split(' ').next() == Some("cgroup2")).then(|| front.split(' ').nth(4).map(PathBuf::from))?
    }))
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
        let mut groups = Cgroups { root: root.path().to_owned(), paths: HashMap::new() };
        assert_eq!(groups.path(inode), format!("/system.slice/docker-{id}.scope"));
        assert_eq!(groups.container(inode), id);
        assert_eq!(groups.path(top), "/");
        assert_eq!(groups.container(top), "");
        assert_eq!(groups.path(1), "(gone: 1)");
    }
}
