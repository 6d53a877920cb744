//! Debian's kernels for virtual machines, as images without their modules.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::apt::Apt;
use crate::step::{run, say, target};

/// A kernel that Weir is tested with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kernel {
    #[value(name = "6.1")]
    V6_1,
    #[value(name = "6.12")]
    V6_12,
}

impl Kernel {
    pub(crate) const ALL: [Self; 2] = [Self::V6_1, Self::V6_12];

    fn series(self) -> &'static str {
        match self {
            Self::V6_1 => "6.1",
            Self::V6_12 => "6.12",
        }
    }

    /// The newest of the series that this machine's lists of packages know, downloaded if it is not here yet.
    pub(crate) fn image(self, yes: bool) -> Result<PathBuf> {
        let start = format!("linux-image-{}.", self.series());
        let end = "-cloud-amd64";
        let apt = Apt::here().context("the kernel is Debian's, and there is no apt")?;
        // Old lists may have none, or one that is not there any more.
        if let Some(Ok(image)) = apt.newest(&start, end)?.map(|package| image(&package)) {
            return Ok(image);
        }
        apt.update(yes);
        let package = apt.newest(&start, end)?;
        image(&package.with_context(|| format!("no package is named {start}…{end}"))?)
    }
}

/// What is in a package, which is downloaded if it is not here yet.
fn image(package: &str) -> Result<PathBuf> {
    let folder = target().join("vm").join(package);
    if let Some(image) = in_folder(&folder.join("boot"), "vmlinuz-") {
        return Ok(image);
    }
    say(format_args!("downloading {package}"));
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    // Root's apt would give the download to another user, who may not be able to write here.
    let download = ["download", "--quiet=2", "-o", "APT::Sandbox::User=root", package];
    run(Command::new("apt-get").args(download).current_dir(&folder))?;
    let archive = in_folder(&folder, "linux-image-").context("apt-get downloaded nothing")?;
    run(Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(&folder))?;
    fs::remove_file(&archive).with_context(|| archive.display().to_string())?;
    // Everything that is needed is in the image, and the modules are many.
    let modules = folder.join("lib");
    fs::remove_dir_all(&modules).with_context(|| modules.display().to_string())?;
    in_folder(&folder.join("boot"), "vmlinuz-").with_context(|| format!("{package} has no kernel in boot/"))
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.series())
    }
}

/// The file in a folder whose name begins like that.
fn in_folder(folder: &Path, start: &str) -> Option<PathBuf> {
    let files = fs::read_dir(folder).ok()?.flatten();
    files
        .map(|file| file.path())
        .find(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(start)))
}
