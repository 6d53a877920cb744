//! Which files there are, and whether any of them has changed.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::escape::escape;

/// What tools keep, wherever it is.
pub(super) const TOOLS: [&str; 4] = ["node_modules", "__pycache__", ".git", ".venv"];
/// What tools write beside the sources as they build them.
const LOCKS: [&str; 3] = ["Cargo.lock", "go.sum", "package-lock.json"];
/// A folder that is no project's.
const MOST_FILES: usize = 10_000;

/// Files, by what is seen of them without reading them. That the newest is older than something says too little: one may
/// have been deleted, or an older one moved over another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Files(BTreeMap<PathBuf, Seen>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    size: u64,
    /// When it was written, in seconds and nanoseconds.
    written: (i64, i64),
}

impl Files {
    /// What is in a folder and those below it, but for what tools keep and what of the folder itself is left out.
    pub(super) fn of(folder: &Path, left_out: &[&str]) -> Result<Self> {
        let mut files = Self::default();
        let mut folders = vec![folder.to_owned()];
        while let Some(inner) = folders.pop() {
            let entries = match fs::read_dir(&inner) {
                // It may have gone by now, as an editor's files do.
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
                {
                    continue;
                }
                entries => entries?,
            };
            for entry in entries {
                let entry = entry?;
                let is_in = |names: &[&str]| names.iter().any(|name| entry.file_name() == *name);
                if is_in(&TOOLS) || (inner == folder && is_in(left_out)) {
                    continue;
                }
                match entry.file_type()?.is_dir() {
                    true => folders.push(entry.path()),
                    false => files.add(&entry.path())?,
                }
                if files.0.len() + folders.len() > MOST_FILES {
                    let message = format!("{} has more than {MOST_FILES} files", folder.display());
                    return Err(Error::new(Kind::Usage, message).help("is it the plugin's own folder?"));
                }
            }
        }
        Ok(files)
    }

    /// Adds a file, or whatever a link stands for, if it is there.
    pub(super) fn add(&mut self, path: &Path) -> io::Result<()> {
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => (),
            about => {
                let about = about?;
                let written = (about.mtime(), about.mtime_nsec());
                self.0.insert(path.to_owned(), Seen { size: about.len(), written });
            }
        }
        Ok(())
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Those that tools have written meanwhile are as they are now: they are no change.
    pub(super) fn after_tools(&mut self, now: &Self) {
        let is_lock =
            |path: &Path| LOCKS.iter().any(|lock| path.file_name().is_some_and(|name| name == *lock));
        self.0.extend(
            now.0.iter().filter(|(path, _)| is_lock(path)).map(|(path, seen)| (path.clone(), seen.clone())),
        );
    }
}

/// A line for each, to be kept and compared.
impl fmt::Display for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(path, Seen { size, written: (seconds, nanoseconds) })| {
            let path = escape(path.as_os_str().as_bytes());
            writeln!(f, "{size} {seconds}.{nanoseconds:09} {path}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        fs::create_dir(file("src")).unwrap();
        for name in ["src/a", "src/b", "older"] {
            fs::write(file(name), "text").unwrap();
        }
        let an_hour_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
        fs::File::options().append(true).open(file("older")).unwrap().set_modified(an_hour_ago).unwrap();
        let now = || Files::of(folder.path(), &["build"]).unwrap();
        let mut before = now();
        let mut has_changed = || std::mem::replace(&mut before, now()) != before;
        assert!(!has_changed());
        fs::create_dir(file("build")).unwrap();
        fs::write(file("build/x"), "").unwrap();
        fs::create_dir(file("src/__pycache__")).unwrap();
        fs::write(file("src/__pycache__/x"), "").unwrap();
        assert!(!has_changed(), "these are nobody's sources");
        fs::rename(file("older"), file("src/a")).unwrap();
        assert!(has_changed(), "an older one in its place");
        fs::remove_file(file("src/b")).unwrap();
        assert!(has_changed(), "one less");
        fs::rename(file("src/a"), file("src/c")).unwrap();
        assert!(has_changed(), "another name");
    }

    #[test]
    fn what_tools_write_is_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let now = || Files::of(folder.path(), &[]).unwrap();
        let mut before = now();
        fs::write(folder.path().join("Cargo.lock"), "").unwrap();
        before.after_tools(&now());
        assert_eq!(before, now());
        fs::write(folder.path().join("main.rs"), "").unwrap();
        before.after_tools(&now());
        assert_ne!(before, now());
    }
}
