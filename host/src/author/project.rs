//! A plugin's folder.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};
use rustix::process::{getegid, geteuid};

use super::files::{Files, is_tools};
use crate::config;
use crate::error::{Error, Kind, Result};
use crate::manifest::{Language, Manifest};

/// The SDKs and the interface, as they are in this build of Weir: a project is built with those that fit it.
pub(super) static SDK: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../plugin-sdk");

const MANIFEST: &str = "plugin.toml";
/// What is generated, and what is no part of the plugin.
const NOT_SOURCE: [&str; 3] = ["build", "target", "tests"];

#[derive(Debug)]
pub(super) struct Project {
    pub(super) folder: PathBuf,
    pub(super) manifest: Manifest,
    pub(super) language: Language,
    /// Whether the commands that build it are shown as they are.
    pub(super) verbose: bool,
}

impl Project {
    pub(super) fn open(folder: &Path, verbose: bool) -> Result<Self> {
        let path = folder.join(MANIFEST);
        if !path.exists() {
            let message = format!("{} is no plugin's project: it has no {MANIFEST}", folder.display());
            return Err(
                Error::new(Kind::NoInput, message).help("`weir plugin new NAME --lang LANGUAGE` makes one")
            );
        }
        let manifest = Manifest::parse(&config::read(&path)?, &path)?;
        manifest.check(&path)?;
        let Some(language) = manifest.language else {
            let message = format!("{} does not say in which language the plugin is", path.display());
            return Err(Error::new(Kind::Config, message).help(
                "write language = \"rust\", or build it yourself and `weir plugin pack` the component",
            ));
        };
        // Tools are started in it.
        let folder = folder.canonicalize()?;
        Ok(Self { folder, manifest, language, verbose })
    }

    /// What is generated.
    pub(super) fn build(&self) -> PathBuf {
        self.folder.join("build")
    }

    /// The finished plugin.
    pub(super) fn plugin(&self) -> PathBuf {
        self.build().join(&self.manifest.name).with_extension("wasm")
    }

    pub(super) fn tests(&self) -> PathBuf {
        self.folder.join("tests")
    }

    /// What it is tested on; nothing, if there is no such folder.
    pub(super) fn recordings(&self) -> Vec<PathBuf> {
        files(&self.tests(), "weir").unwrap_or_default()
    }

    /// What the plugin is made of, as it is now.
    pub(super) fn sources(&self) -> Result<Files> {
        sources(&self.folder)
    }
}

/// The sources of the project in a folder, whether or not its manifest is in order.
pub(super) fn sources(folder: &Path) -> Result<Files> {
    Files::of(folder, &NOT_SOURCE)
}

/// What of a folder has this ending, in the order of the names.
pub(super) fn files(folder: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    let mut files: Vec<_> =
        paths.into_iter().filter(|path| path.extension().is_some_and(|there| there == extension)).collect();
    files.sort_by(|a, b| a.file_stem().cmp(&b.file_stem()));
    Ok(files)
}

/// Writes the files of a folder that is part of this binary, those that are not there like that already: their times are
/// what tools go by.
pub(super) fn write(from: &Dir<'_>, to: &Path, change: impl Fn(&[u8]) -> Vec<u8> + Copy) -> Result<()> {
    fs::create_dir_all(to)?;
    for file in from.files() {
        let name = file.path().file_name().unwrap_or_default();
        write_file(&to.join(name), &change(file.contents()))?;
    }
    for folder in from.dirs() {
        let name = folder.path().file_name().unwrap_or_default();
        // Tools may have left something in the folder from which this binary was built.
        if !is_tools(name) {
            write(folder, &to.join(name), change)?;
        }
    }
    Ok(())
}

/// Writes a file, if it is not there like that already; as a whole or not at all, where another file can take its place.
pub(super) fn write_file(path: &Path, content: &[u8]) -> Result<()> {
    put(path, content)
        .map_err(|error| Error::new(Kind::Io, format!("cannot write {}: {error}", path.display())))
}

fn put(path: &Path, content: &[u8]) -> io::Result<()> {
    let there = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        there => Some(there?),
    };
    // Nothing takes the place of a pipe or a device, nor of a file that is open: a link to /proc, as /dev/stdout is.
    let is_open = ["/proc", "/dev/fd"].iter().any(|folder| path.starts_with(folder));
    if is_open || there.as_ref().is_some_and(|there| !there.is_file()) {
        return fs::write(path, content);
    }
    if there.is_some() && fs::read(path).is_ok_and(|there| there == content) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    // A link stays one, whether or not there is something yet where it leads to.
    if let Ok(to) = fs::read_link(path) {
        return put(&folder.join(to), content);
    }
    let Some(there) = there else {
        fs::create_dir_all(folder)?;
        return replace(path, None, content);
    };
    // Who may not write to it may not replace it, either.
    File::options().write(true).open(path)?;
    // One by another name too, or somebody else's, would not be the same file.
    let is_ours =
        there.nlink() == 1 && there.uid() == geteuid().as_raw() && there.gid() == getegid().as_raw();
    if is_ours {
        use io::ErrorKind::{CrossesDevices, PermissionDenied, ReadOnlyFilesystem, ResourceBusy};
        match replace(path, Some(there.permissions()), content) {
            // Nothing can be made beside it, or it is a file system of its own.
            Err(error)
                if matches!(
                    error.kind(),
                    PermissionDenied | ReadOnlyFilesystem | ResourceBusy | CrossesDevices
                ) => {}
            done => return done,
        }
    }
    fs::write(path, content)
}

/// Puts a whole file where one may be, or leaves that as it is.
fn replace(path: &Path, permissions: Option<fs::Permissions>, content: &[u8]) -> io::Result<()> {
    // In the same folder, because no file moves to another file system; by a name that nobody else comes to.
    let new = path.with_file_name(format!(".weir-{:016x}", RandomState::new().hash_one(path)));
    let mut file = File::create_new(&new)?;
    let done = permissions
        .map_or(Ok(()), |permissions| file.set_permissions(permissions))
        .and_then(|()| file.write_all(content))
        .and_then(|()| fs::rename(&new, path));
    if done.is_err() {
        drop(fs::remove_file(&new));
    }
    done
}

/// A part of the SDK that every build of Weir has.
pub(super) fn part(path: &str) -> Result<&'static Dir<'static>> {
    SDK.get_dir(path)
        .ok_or_else(|| Error::new(Kind::Software, format!("this build of Weir lacks plugin-sdk/{path}")))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};

    use rustix::fs::{CWD, Mode, mkfifoat};

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_is_replaced_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let (inner, usual) = (folder.path().join("inner"), folder.path().join("usual"));
        let there = inner.join("there");
        fs::write(&usual, "").unwrap();
        write_file(&there, b"one").unwrap();
        assert_eq!(mode(&there), mode(&usual));
        fs::set_permissions(&there, fs::Permissions::from_mode(0o640)).unwrap();
        write_file(&there, b"two").unwrap();
        assert_eq!((&*fs::read(&there).unwrap(), mode(&there)), (&b"two"[..], 0o640));
        // A file cannot take a folder's place, and nothing is left of it.
        assert!(replace(&inner, None, b"three").is_err());
        assert!(write_file(&inner, b"three").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        assert_eq!(fs::read_dir(&inner).unwrap().count(), 1);
    }

    #[test]
    fn a_link_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        symlink("second", file("first")).unwrap();
        symlink("inner/file", file("second")).unwrap();
        for content in ["what was not there", "what was there"] {
            write_file(&file("first"), content.as_bytes()).unwrap();
            assert!(file("first").is_symlink() && file("second").is_symlink());
            assert!(!file("inner/file").is_symlink());
            assert_eq!(fs::read_to_string(file("inner/file")).unwrap(), content);
        }
        symlink("itself", file("itself")).unwrap();
        assert!(write_file(&file("itself"), b"").is_err());
    }

    #[test]
    fn what_cannot_be_replaced_is_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        mkfifoat(CWD, pipe.as_path(), Mode::RUSR | Mode::WUSR).unwrap();
        let from = pipe.clone();
        let reader = std::thread::spawn(move || fs::read(from).unwrap());
        write_file(&pipe, b"text").unwrap();
        assert_eq!(reader.join().unwrap(), b"text");
        assert!(pipe.metadata().unwrap().file_type().is_fifo());
        let (open, link) = (tempfile::tempfile().unwrap(), folder.path().join("link"));
        symlink(format!("/proc/self/fd/{}", open.as_raw_fd()), &link).unwrap();
        write_file(&link, b"text").unwrap();
        assert_eq!(io::read_to_string(open).unwrap(), "text");
    }
}
