//! Which files there are, and whether any of them has changed.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::escape::escape;

/// What tools keep, wherever it is.
const TOOLS: [&str; 4] = ["node_modules", "__pycache__", ".git", ".venv"];
/// What tools write beside the sources as they build them.
const LOCKS: [&str; 3] = ["Cargo.lock", "go.sum", "package-lock.json"];
/// Where the plugin and what it is made from are written, in its folder.
const WRITTEN: [&str; 2] = ["build", "target"];
/// A folder that is no project's.
const MOST_FILES: usize = 10_000;
/// What is behind a link, and looked at.
const MOST_LINKED: usize = 1_000;

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
    /// What is in a folder, in those below it and in those that links lead to, but for what tools keep and write, and what of
    /// the folder itself is left out.
    pub(super) fn of(folder: &Path, left_out: &[&str]) -> Result<Self> {
        let mut files = Self::default();
        let Some(root) = if_there(folder.canonicalize())? else { return Ok(files) };
        // By their real paths, too: no link brings back what is written here.
        let written: Vec<PathBuf> =
            WRITTEN.iter().filter_map(|name| root.join(name).canonicalize().ok()).collect();
        let left_out: Vec<PathBuf> = left_out.iter().map(|name| root.join(name)).collect();
        let mut links = Vec::new();
        if !files.walk(&root, &left_out, MOST_FILES, &mut links)? {
            let message = format!("{} has more than {MOST_FILES} files", folder.display());
            return Err(Error::new(Kind::Usage, message).help("is it the plugin's own folder?"));
        }
        for link in links {
            let Some(real) = if_there(link.canonicalize())? else { continue };
            match Self::behind(&real, &written) {
                Some(behind) => {
                    files.insert(link.clone(), link.symlink_metadata())?;
                    files.extend(behind);
                }
                None => files.add(&link)?,
            }
        }
        Ok(files)
    }

    /// What is in a folder that a link leads to, but for what is written; nothing, if it cannot be seen: a link can lead to a file,
    /// or to all that there is.
    fn behind(real: &Path, written: &[PathBuf]) -> Option<Self> {
        let mut behind = Self::default();
        if real.file_name().is_some_and(is_tools) || written.iter().any(|written| real.starts_with(written)) {
            return Some(behind);
        }
        let whole = real.is_dir() && behind.walk(real, written, MOST_LINKED, &mut Vec::new()).ok()?;
        whole.then_some(behind)
    }

    /// Adds what is in a folder and those below it; false, if that is more than so many. Links are not followed.
    fn walk(
        &mut self,
        root: &Path,
        left_out: &[PathBuf],
        most: usize,
        links: &mut Vec<PathBuf>,
    ) -> io::Result<bool> {
        let mut folders = vec![root.to_owned()];
        while let Some(inner) = folders.pop() {
            let Some(entries) = if_there(fs::read_dir(&inner))? else { continue };
            for entry in entries {
                let entry = entry?;
                let path = entry.path();
                if is_tools(&entry.file_name()) || left_out.contains(&path) {
                    continue;
                }
                let kind = entry.file_type()?;
                match kind.is_dir() {
                    true => folders.push(path),
                    false if kind.is_symlink() => links.push(path),
                    false => self.add(&path)?,
                }
                if self.0.len() + folders.len() + links.len() > most {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Adds a file, or whatever a link stands for, if it is there.
    pub(super) fn add(&mut self, path: &Path) -> io::Result<()> {
        self.insert(path.to_owned(), fs::metadata(path))
    }

    fn insert(&mut self, path: PathBuf, about: io::Result<fs::Metadata>) -> io::Result<()> {
        if let Some(about) = if_there(about)? {
            let written = (about.mtime(), about.mtime_nsec());
            self.0.insert(path, Seen { size: about.len(), written });
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

/// Whether tools keep something by this name.
pub(super) fn is_tools(name: &OsStr) -> bool {
    TOOLS.iter().any(|tool| name == *tool)
}

/// What was looked for, if it is there: it may have gone by now, as an editor's files do, and a link can lead nowhere, or to
/// itself.
fn if_there<T>(looked: io::Result<T>) -> io::Result<Option<T>> {
    match looked {
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
                || error.raw_os_error() == Some(libc::ELOOP) =>
        {
            Ok(None)
        }
        looked => looked.map(Some),
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
    use std::os::unix::fs::symlink;

    use super::*;

    fn set_back(file: &Path) {
        let an_hour_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
        fs::File::options().append(true).open(file).unwrap().set_modified(an_hour_ago).unwrap();
    }

    #[test]
    fn every_change_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        fs::create_dir(file("src")).unwrap();
        for name in ["src/a", "src/b", "older"] {
            fs::write(file(name), "text").unwrap();
        }
        set_back(&file("older"));
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
    fn what_is_behind_links_is_seen_once() {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let file = |name: &str| folder.path().join(name);
        let shared = elsewhere.path().join("shared");
        fs::write(&shared, "text").unwrap();
        fs::create_dir(file("build")).unwrap();
        for (to, link) in [
            (elsewhere.path(), file("linked")),
            (elsewhere.path(), file("again")),
            (folder.path(), elsewhere.path().join("back")),
            (Path::new("build"), file("generated")),
            (Path::new("nowhere"), file("dangling")),
            (Path::new("itself"), file("itself")),
        ] {
            symlink(to, link).unwrap();
        }
        let now = || Files::of(folder.path(), &["build"]).unwrap();
        let mut before = now();
        assert_eq!(before.0.len(), 4, "the file, and three links that lead to folders:\n{before}");
        let mut has_changed = || std::mem::replace(&mut before, now()) != before;
        assert!(!has_changed());
        fs::write(file("build/x"), "").unwrap();
        assert!(!has_changed(), "what is left out, by another name");
        set_back(&shared);
        assert!(has_changed(), "as long as before");
        fs::write(&shared, "a longer text").unwrap();
        assert!(has_changed(), "another text");
        fs::rename(file("linked"), file("renamed")).unwrap();
        assert!(has_changed(), "another name");
        // More than is looked at is seen as the link itself is.
        let many = tempfile::tempdir().unwrap();
        (0..=MOST_LINKED).for_each(|number| fs::write(many.path().join(number.to_string()), "").unwrap());
        symlink(many.path(), file("many")).unwrap();
        assert!(has_changed() && before.0.len() == 5, "{before}");
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
