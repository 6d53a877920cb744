//! A plugin's folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};

use super::files::{Files, TOOLS};
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
        if !TOOLS.iter().any(|tool| name == *tool) {
            write(folder, &to.join(name), change)?;
        }
    }
    Ok(())
}

pub(super) fn write_file(path: &Path, content: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|there| there == content) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, content)
        .map_err(|error| Error::new(Kind::Io, format!("cannot write {}: {error}", path.display())))
}

/// A part of the SDK that every build of Weir has.
pub(super) fn part(path: &str) -> Result<&'static Dir<'static>> {
    SDK.get_dir(path)
        .ok_or_else(|| Error::new(Kind::Software, format!("this build of Weir lacks plugin-sdk/{path}")))
}
