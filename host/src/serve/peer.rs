//! Who is at the other end of a socket, by the kernel's account.
#![allow(unsafe_code)] // Options of sockets that no library reads.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::policy::Peer;

/// The kernel lets a user be of no more groups (NGROUPS_MAX in include/uapi/linux/limits.h).
const GROUPS: usize = 65_536;

/// Who connected, as of then: user and groups are kept with the socket and do not change with the process. The control
/// group is read from /proc while the process is known to be the one that connected; of a kernel that cannot say so
/// (before Linux 6.5), a peer has none.
pub(super) fn of(socket: impl AsFd) -> io::Result<Peer> {
    let socket = socket.as_fd();
    let credentials = rustix::net::sockopt::socket_peercred(socket)?;
    let mut gids = groups(&socket)?;
    gids.push(credentials.gid.as_raw());
    let pid = u32::try_from(credentials.pid.as_raw_nonzero().get()).unwrap_or_default();
    let cgroup = process(&socket).ok().and_then(|process| {
        let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        // Nobody has been given its number meanwhile.
        let ended = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&Timespec::default())).ok()?;
        let group = groups.lines().find_map(|line| line.strip_prefix("0::")).map(str::to_owned);
        group.filter(|_| ended == 0)
    });
    Ok(Peer { pid, uid: credentials.uid.as_raw(), gids, cgroup })
}

/// SO_PEERPIDFD.
fn process(socket: &impl AsRawFd) -> io::Result<OwnedFd> {
    let mut fd: libc::c_int = -1;
    option(socket, libc::SO_PEERPIDFD, std::slice::from_mut(&mut fd))?;
    // SAFETY: the kernel has just made it for this process, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// SO_PEERGROUPS.
fn groups(socket: &impl AsRawFd) -> io::Result<Vec<u32>> {
    let mut gids = vec![0u32; 64];
    loop {
        match option(socket, libc::SO_PEERGROUPS, &mut gids) {
            Ok(length) => {
                gids.truncate(length);
                return Ok(gids);
            }
            Err(error) if error.raw_os_error() == Some(libc::ERANGE) && gids.len() < GROUPS => {
                gids.resize(GROUPS, 0);
            }
            Err(error) => return Err(error),
        }
    }
}

/// How many of the values were set.
fn option<T: Copy>(socket: &impl AsRawFd, option: libc::c_int, values: &mut [T]) -> io::Result<usize> {
    let mut length = libc::socklen_t::try_from(size_of_val(values)).unwrap_or_default();
    let to = values.as_mut_ptr().cast();
    // SAFETY: the pointers are to the values and their size, and the kernel writes no more than that.
    let result =
        unsafe { libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, to, &raw mut length) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(length as usize / size_of::<T>())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_peer_is_who_the_kernel_says() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let peer = of(&ours).unwrap();
        assert_eq!(peer.pid, std::process::id());
        assert_eq!(peer.uid, rustix::process::getuid().as_raw());
        let mut groups: Vec<u32> =
            rustix::process::getgroups().unwrap().iter().map(|gid| gid.as_raw()).collect();
        groups.push(rustix::process::getgid().as_raw());
        assert_eq!(peer.gids, groups);
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap();
        let own = own.lines().find_map(|line| line.strip_prefix("0::")).map(str::to_owned);
        assert_eq!(peer.cgroup, own);
    }
}
