//! What plugins put out as files, in a folder.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use super::Sink;
use crate::error::{Error, Kind, Result};
use crate::event::{Event, Output};

/// The part of a name that is kept. With its interval it is the name of a file.
const NAME_BYTES: usize = 128;

/// Writes artefacts as `FOLDER/PLUGIN/INTERVAL-NAME`, and passes everything on.
pub(crate) struct Artefacts {
    folder: PathBuf,
    /// How many names were there already.
    again: u64,
    inner: Box<dyn Sink>,
}

impl Artefacts {
    pub(crate) fn new(folder: &Path, inner: Box<dyn Sink>) -> Result<Self> {
        fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
        Ok(Self { folder: folder.to_owned(), again: 0, inner })
    }

    /// Nothing that is there is written over, and no link is followed. A name that is there gets a number: it may be from a
    /// run before, and a plugin can have one twice, which must not end the run.
    fn write(&mut self, plugin: &str, interval: u64, name: &str, bytes: &[u8]) -> Result<()> {
        let folder = self.folder.join(safe(plugin));
        fs::create_dir_all(&folder).map_err(|error| failed(&folder, &error))?;
        let mut path = folder.join(format!("{interval}-{}", safe(name)));
        let mut file = loop {
            match File::create_new(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    self.again += 1;
                    path = folder.join(format!("{interval}.{}-{}", self.again, safe(name)));
                }
                made => break made.map_err(|error| failed(&path, &error))?,
            }
        };
        file.write_all(bytes).map_err(|error| failed(&path, &error))
    }
}

impl Sink for Artefacts {
    fn put(&mut self, event: &Event<'_>) -> Result<()> {
        if let Event::Plugin { plugin, interval, output: Output::Artefact { name, bytes, .. } } = event {
            self.write(plugin, *interval, name, bytes)?;
        }
        self.inner.put(event)
    }

    fn closed(&self) -> bool {
        self.inner.closed()
    }

    fn input(&self) -> Option<BorrowedFd<'_>> {
        self.inner.input()
    }

    fn tend(&mut self) -> Result<()> {
        self.inner.tend()
    }
}

/// A stranger's name, as a file can be called without leaving its folder: everything but letters, digits, `.`, `_` and `-` is
/// a `_`. Two names can come to the same.
fn safe(name: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' };
    name.chars().take(NAME_BYTES).map(keep).collect::<String>().replace("..", "__")
}

fn failed(path: &Path, error: &std::io::Error) -> Error {
    Error::new(Kind::Io, format!("cannot write {}: {error}", path.display()))
        .help("name another folder with --artefacts")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::{Detail, Text};

    #[test]
    fn no_name_leaves_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let mut sink = Artefacts::new(folder.path(), Box::new(Text::new(Vec::new(), Detail::Rows))).unwrap();
        let mut put = |name: &str| {
            let output =
                Output::Artefact { name: name.to_owned(), media_type: String::new(), bytes: b"x".to_vec() };
            sink.put(&Event::Plugin { plugin: "../p", interval: 7, output: &output })
        };
        let names = ["a.svg", "../../etc/passwd", "/a", "", "\0\n", "...", &"long".repeat(100)];
        names.iter().for_each(|name| put(name).unwrap());
        (0..3).for_each(|_| put("a.svg").unwrap());
        // All of them are in the one folder of the one plugin, whatever they are called there.
        let written = fs::read_dir(folder.path().join("___p")).unwrap().map(|entry| entry.unwrap().path());
        let written: Vec<_> = written.collect();
        assert_eq!(written.len(), names.len() + 3);
        assert!(
            written.iter().all(|path| path.is_file() && path.parent().unwrap().ends_with("___p")),
            "{written:?}"
        );
        for name in ["7-a.svg", "7.1-a.svg", "7.2-a.svg", "7.3-a.svg"] {
            assert!(written.iter().any(|path| path.ends_with(name)), "{written:?}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
