//! The file of a program or library in which probes are set.

use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Error, Kind, Result};
use crate::escape::escape;
use crate::file::{self, State};

/// A file, kept open so that what is probed is what was looked into. Two are equal if nothing about the file has changed
/// between them: another build at the same path is another program.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    file: Arc<File>,
    state: State,
}

impl Program {
    /// Opens what is at a path, by the rights of this process.
    pub fn open(path: &Path) -> Result<Self> {
        // Opening a pipe would wait for a writer.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| {
            let kind = match error {
                Errno::NOENT | Errno::NOTDIR => Kind::NoInput,
                Errno::ACCESS => Kind::NoPermission,
                _ => Kind::Io,
            };
            Error::new(kind, format!("{}: {}", shown(path), io::Error::from(error)))
        })?;
        let file = File::from(file);
        let state = State::of(&file)
            .map_err(|error| Error::new(Kind::Data, format!("{} cannot be probed: {error}", shown(path))))?;
        Ok(Self::new(path.to_owned(), file, state))
    }

    /// What somebody has opened.
    pub(crate) fn new(path: PathBuf, file: File, state: State) -> Self {
        Self { path, file: Arc::new(file), state }
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// Its path, made harmless.
    pub(crate) fn shown(&self) -> String {
        shown(&self.path)
    }

    /// The path by which the kernel finds this very file.
    pub(crate) fn itself(&self) -> String {
        file::itself(&*self.file)
    }

    #[cfg(test)]
    pub(crate) fn of_test(path: &str) -> Self {
        let file = File::open("/dev/null").expect("every machine has it");
        Self::new(path.into(), file, State::of_test(0))
    }
}

fn shown(path: &Path) -> String {
    escape(path.as_os_str().as_encoded_bytes()).into_owned()
}

impl PartialEq for Program {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path && self.state == other.state
    }
}

impl Eq for Program {}

impl Hash for Program {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.path.hash(hasher);
        self.state.hash(hasher);
    }
}
