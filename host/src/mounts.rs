//! Lists of mounts, as /proc has them (proc_pid_mountinfo(5)).

use std::fs::File;
use std::io::{self, Read};

/// A list of mounts made to be read for long.
const MOUNTS_BYTES: u64 = 4 << 20;

/// A process's list of mounts.
pub(crate) fn list(process: &str) -> io::Result<String> {
    let mut mounts = Vec::new();
    File::open(format!("/proc/{process}/mountinfo"))?.take(MOUNTS_BYTES).read_to_end(&mut mounts)?;
    Ok(String::from_utf8_lossy(&mounts).into_owned())
}

/// A line of such a list.
pub(crate) struct Mount<'a> {
    pub(crate) id: &'a str,
    /// The number of the device that the file system is for those who ask.
    pub(crate) device: &'a str,
    /// Where it is, with its spaces escaped.
    pub(crate) point: &'a str,
    pub(crate) kind: &'a str,
}

impl<'a> Mount<'a> {
    pub(crate) fn find(list: &'a str, is_it: impl Fn(&Self) -> bool) -> Option<Self> {
        list.lines().filter_map(Self::parse).find(is_it)
    }

    /// `36 35 98:0 /root /point rw,noatime master:1 - ext3 /dev/root rw`.
    fn parse(line: &'a str) -> Option<Self> {
        let (front, back) = line.split_once(" - ")?;
        let mut front = front.split(' ');
        let (id, device, point) = (front.next()?, front.nth(1)?, front.nth(1)?);
        Some(Self { id, device, point, kind: back.split(' ').next()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_found_by_its_number() {
        let list = "36 35 98:0 / / rw,noatime master:1 - ext4 /dev/root rw\n\
                    361 36 0:52 / /a\\040-\\040b rw shared:3 - overlay overlay rw,lowerdir=/x\nhalf a li";
        let found = Mount::find(list, |mount| mount.id == "361").unwrap();
        assert_eq!((found.device, found.point, found.kind), ("0:52", "/a\\040-\\040b", "overlay"));
        assert!(Mount::find(list, |mount| mount.id == "3").is_none());
    }
}
