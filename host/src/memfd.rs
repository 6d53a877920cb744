//! Anonymous files.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

/// An anonymous file with these bytes, which nobody can change any more.
pub(crate) fn sealed(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = create(name)?;
    file.write_all(bytes)?;
    seal(file)
}

/// A copy in the making of what is in another file.
#[derive(Debug)]
pub(crate) struct Copy {
    from: File,
    to: File,
    left: u64,
}

impl Copy {
    /// Bytes that are copied before the time is looked at.
    const STEP: u64 = 4 << 20;

    /// Of a file with at most so many bytes.
    pub(crate) fn begin(name: &str, from: File, most: u64) -> io::Result<Self> {
        Ok(Self { from, to: create(name)?, left: most })
    }

    /// Copies on until then. Whether it is done.
    pub(crate) fn go_on(&mut self, until: Instant) -> io::Result<bool> {
        while Instant::now() < until {
            // One byte too many tells a file that is too large.
            let copied = io::copy(&mut (&self.from).take(Self::STEP.min(self.left + 1)), &mut self.to)?;
            self.left = self.left.checked_sub(copied).ok_or(io::ErrorKind::FileTooLarge)?;
            if copied == 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What was copied, which nobody can change any more.
    pub(crate) fn seal(self) -> io::Result<OwnedFd> {
        seal(self.to)
    }
}

fn create(name: &str) -> io::Result<File> {
    Ok(File::from(memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?))
}

fn seal(file: File) -> io::Result<OwnedFd> {
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL)?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use std::io::Seek;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_copy_goes_on_where_it_was_and_ends_at_its_bound() {
        let bytes: Vec<u8> = (0..2 * Copy::STEP + 7).map(|at| (at % 251) as u8).collect();
        let begin = |most| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            file.rewind().unwrap();
            Copy::begin("test", file, most).unwrap()
        };
        let later = || Instant::now() + Duration::from_secs(60);
        let size = bytes.len() as u64;
        let mut copy = begin(size);
        assert!(!copy.go_on(Instant::now()).unwrap());
        assert!(copy.go_on(later()).unwrap());
        let (mut copied, mut file) = (Vec::new(), File::from(copy.seal().unwrap()));
        file.rewind().unwrap();
        file.read_to_end(&mut copied).unwrap();
        assert!(copied == bytes);
        assert!(file.write_all(b"x").is_err());
        assert_eq!(begin(size - 1).go_on(later()).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
