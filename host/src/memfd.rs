//! Anonymous files.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

/// An anonymous file with these bytes, which nobody can change any more.
pub(crate) fn sealed(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    filled(name, |file| file.write_all(bytes))
}

/// One with what is in another file, if that is not more than so much.
pub(crate) fn sealed_copy(name: &str, from: File, most: u64) -> io::Result<OwnedFd> {
    filled(name, |file| match io::copy(&mut from.take(most + 1), file)? {
        copied if copied > most => Err(io::ErrorKind::FileTooLarge.into()),
        _ => Ok(()),
    })
}

fn filled(name: &str, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
    fill(&mut file)?;
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL)?;
    Ok(file.into())
}
