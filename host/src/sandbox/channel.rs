//! Messages between the host and a process without privileges: packets of a bounded size on a socket that
//! keeps their edges, a message being one or more of them. Both ends bound what they take. Descriptors sent
//! along are dropped by the kernel, because nothing here asks for them.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv, recvmsg, send, sendmsg, socketpair,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::limits::{FILES, MESSAGE_BYTES, PACKET_BYTES};

/// A packet's first byte: is this the end of the message?
const MORE: u8 = 0;
const LAST: u8 = 1;

/// Why there is no message.
#[derive(Debug)]
pub(super) enum Silence {
    /// Nothing, or not all of it, has come yet.
    Waiting,
    /// The other end is gone.
    Closed,
    /// What came is not a message: too large, or not what the types say.
    Garbage,
}

#[derive(Debug)]
pub(super) struct Channel {
    socket: OwnedFd,
    /// The packets so far of a message that is not complete.
    partial: Vec<u8>,
    packet: Vec<u8>,
    /// The descriptors that came with the last message that had any; none, if none are taken.
    files: Option<Vec<OwnedFd>>,
    /// Packets that there was no room for yet, the first of a message with its descriptor.
    posted: VecDeque<(Vec<u8>, Option<OwnedFd>)>,
}

impl Channel {
    /// Both ends: this one, and the socket for the process at the other.
    pub(super) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self::new(ours), theirs))
    }

    pub(super) fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            partial: Vec::new(),
            packet: vec![0; PACKET_BYTES + 1],
            files: None,
            posted: VecDeque::new(),
        }
    }

    /// The end of a process that is handed descriptors.
    pub(super) fn taking_files(socket: OwnedFd) -> Self {
        Self { files: Some(Vec::new()), ..Self::new(socket) }
    }

    /// The descriptor that came with the last message.
    pub(super) fn file(&mut self) -> Option<OwnedFd> {
        self.files().into_iter().next()
    }

    /// All that came with the last message.
    pub(super) fn files(&mut self) -> Vec<OwnedFd> {
        self.files.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Sends a message, waiting for room until then.
    pub(super) fn send<T: Serialize>(&self, message: &T, until: Until) -> io::Result<()> {
        self.send_with(message, &[], until)
    }

    /// Sends a message with descriptors.
    pub(super) fn send_with<T: Serialize>(
        &self,
        message: &T,
        mut files: &[BorrowedFd<'_>],
        until: Until,
    ) -> io::Result<()> {
        if files.len() > FILES {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many descriptors"));
        }
        for packet in packets(message)? {
            self.send_packet(&packet, std::mem::take(&mut files), until)?;
        }
        Ok(())
    }

    /// Sends a message as far as there is room, and keeps the rest for [`Channel::flush`].
    pub(super) fn post<T: Serialize>(&mut self, message: &T, mut file: Option<OwnedFd>) -> io::Result<()> {
        let packets = packets(message)?;
        let new = packets.len();
        self.posted.extend(packets.into_iter().map(|packet| (packet, file.take())));
        let sent = self.flush(Until::Now);
        if let (Err(_), Some(old)) = (&sent, self.posted.len().checked_sub(new)) {
            // What nothing was sent of is not sent later either.
            self.posted.truncate(old);
        }
        sent
    }

    /// Sends what was posted, waiting for room until then; what there is no room for stays.
    pub(super) fn flush(&mut self, until: Until) -> io::Result<()> {
        while let Some((packet, file)) = self.posted.front() {
            let files: Vec<BorrowedFd<'_>> = file.iter().map(AsFd::as_fd).collect();
            match self.send_packet(packet, &files, until) {
                Ok(()) => drop(self.posted.pop_front()),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// How many packets that were posted have yet to be sent.
    pub(super) fn behind(&self) -> usize {
        self.posted.len()
    }

    pub(super) fn send_packet(
        &self,
        packet: &[u8],
        files: &[BorrowedFd<'_>],
        until: Until,
    ) -> io::Result<()> {
        loop {
            match self.send_once(packet, files) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.wait(PollFlags::OUT, until)?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// A process that sends no descriptor has no right to the call that could.
    fn send_once(&self, packet: &[u8], files: &[BorrowedFd<'_>]) -> rustix::io::Result<usize> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        if files.is_empty() {
            return send(&self.socket, packet, flags);
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
        let mut along = SendAncillaryBuffer::new(&mut space);
        along.push(SendAncillaryMessage::ScmRights(files));
        sendmsg(&self.socket, &[IoSlice::new(packet)], &mut along, flags)
    }

    /// The next message, if all of it is there.
    pub(super) fn receive<T: DeserializeOwned>(&mut self) -> Result<T, Silence> {
        loop {
            let length = match self.receive_packet() {
                // An empty packet looks the same, and is nothing that either end sends.
                Ok(0) => return Err(Silence::Closed),
                Ok(length) => length,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => return Err(Silence::Waiting),
                Err(_) => return Err(Silence::Closed),
            };
            let part = &self.packet[1..length];
            if length > PACKET_BYTES || part.is_empty() || self.partial.len() + part.len() > MESSAGE_BYTES {
                return Err(Silence::Garbage);
            }
            self.partial.extend_from_slice(part);
            match self.packet[0] {
                MORE => {}
                LAST => {
                    let message = std::mem::take(&mut self.partial);
                    return match postcard::take_from_bytes(&message) {
                        Ok((message, [])) => Ok(message),
                        _ => Err(Silence::Garbage),
                    };
                }
                _ => return Err(Silence::Garbage),
            }
        }
    }

    /// The next packet, of which no more is kept than there is room for.
    fn receive_packet(&mut self) -> rustix::io::Result<usize> {
        let Some(files) = &mut self.files else {
            return recv(&self.socket, self.packet.as_mut_slice(), RecvFlags::DONTWAIT)
                .map(|(_, length)| length);
        };
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
        let mut along = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let received = recvmsg(&self.socket, &mut [IoSliceMut::new(&mut self.packet)], &mut along, flags)?;
        for message in along.drain() {
            if let RecvAncillaryMessage::ScmRights(taken) = message {
                *files = taken.collect();
            }
        }
        Ok(received.bytes)
    }

    /// The next message, waiting for it; `Waiting` if it has not come until then.
    pub(super) fn receive_until<T: DeserializeOwned>(&mut self, until: Until) -> Result<T, Silence> {
        loop {
            match self.receive() {
                Err(Silence::Waiting) => match self.wait(PollFlags::IN, until) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(Silence::Waiting),
                    Err(_) => return Err(Silence::Closed),
                },
                other => return other,
            }
        }
    }

    fn wait(&self, what: PollFlags, until: Until) -> io::Result<()> {
        match poll(&mut [PollFd::new(&self.socket, what)], until.timeout().as_ref()) {
            Ok(0) => Err(io::ErrorKind::TimedOut.into()),
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn packets<T: Serialize>(message: &T) -> io::Result<Vec<Vec<u8>>> {
    let bytes = postcard::to_stdvec(message).map_err(io::Error::other)?;
    if bytes.len() > MESSAGE_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the message is too large"));
    }
    let parts = bytes.chunks(PACKET_BYTES - 1);
    let last = parts.len().saturating_sub(1);
    let packet = |(number, part): (usize, &[u8])| [&[if number < last { MORE } else { LAST }], part].concat();
    Ok(parts.enumerate().map(packet).collect())
}

/// How long to wait.
#[derive(Clone, Copy, Debug)]
pub(super) enum Until {
    Now,
    Then(Instant),
    Ever,
}

impl Until {
    /// As `poll` takes it.
    pub(super) fn timeout(self) -> Option<Timespec> {
        let left = match self {
            Self::Ever => None,
            Self::Now => Some(Duration::ZERO),
            Self::Then(then) => Some(then.saturating_duration_since(Instant::now())),
        };
        left.and_then(|left| Timespec::try_from(left).ok())
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
impl Channel {
    pub(super) fn into_socket(self) -> OwnedFd {
        self.socket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends() -> (Channel, Channel) {
        let (ours, theirs) = Channel::pair().unwrap();
        (ours, Channel::new(theirs))
    }

    #[test]
    fn messages_of_many_packets_arrive_whole() {
        let (ours, mut theirs) = ends();
        let sent: Vec<u8> = (0..PACKET_BYTES * 2).map(|n| n as u8).collect();
        ours.send(&sent, Until::Now).unwrap();
        assert_eq!(theirs.receive::<Vec<u8>>().unwrap(), sent);
        assert!(matches!(theirs.receive::<Vec<u8>>(), Err(Silence::Waiting)));
        drop(ours);
        // A process that another test is just starting may hold it open for a moment.
        let soon = Until::Then(Instant::now() + Duration::from_secs(10));
        assert!(matches!(theirs.receive_until::<Vec<u8>>(soon), Err(Silence::Closed)));
    }

    #[test]
    fn descriptors_go_down_and_not_up() {
        let (ours, theirs) = Channel::pair().unwrap();
        let (mut ours, mut theirs) = (ours, Channel::taking_files(theirs));
        let file = crate::memfd::sealed("file", b"what it holds").unwrap();
        ours.send_with(&1u32, &[file.as_fd()], Until::Now).unwrap();
        ours.send(&2u32, Until::Now).unwrap();
        assert_eq!(theirs.receive::<u32>().unwrap(), 1);
        let taken = theirs.file().unwrap();
        assert_eq!(rustix::fs::fstat(&taken).unwrap().st_ino, rustix::fs::fstat(&file).unwrap().st_ino);
        assert_eq!(theirs.receive::<u32>().unwrap(), 2);
        assert!(theirs.file().is_none());
        ours.send_with(&2u32, &[file.as_fd(); FILES], Until::Now).unwrap();
        assert_eq!(theirs.receive::<u32>().unwrap(), 2);
        assert_eq!((theirs.files().len(), theirs.files().len()), (FILES, 0));
        assert!(ours.send_with(&2u32, &[file.as_fd(); FILES + 1], Until::Now).is_err());
        theirs.send_with(&3u32, &[file.as_fd()], Until::Now).unwrap();
        assert_eq!(ours.receive::<u32>().unwrap(), 3);
        assert!(ours.file().is_none());
    }

    #[test]
    fn a_full_socket_does_not_block() {
        let (ours, _theirs) = ends();
        let packet = vec![LAST; PACKET_BYTES];
        let refused = (0..10_000).find_map(|_| ours.send_packet(&packet, &[], Until::Now).err());
        assert_eq!(refused.unwrap().kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn what_is_not_a_message_is_garbage() {
        let packets: [&[u8]; 5] = [
            &[LAST],                   // nothing in it
            &[9, 1],                   // an unknown mark
            &[LAST, 5, 1],             // shorter than it says
            &[LAST, 1, 1, 1],          // longer than it says
            &[LAST; PACKET_BYTES + 1], // more than a packet
        ];
        for packet in packets {
            let (ours, mut theirs) = ends();
            ours.send_packet(packet, &[], Until::Now).unwrap();
            assert!(matches!(theirs.receive::<Vec<u8>>(), Err(Silence::Garbage)), "{:?}", packet.len());
        }
    }

    #[test]
    fn a_message_without_end_is_garbage() {
        let (ours, mut theirs) = ends();
        let packet = vec![MORE; PACKET_BYTES];
        let end = (0..1_000).find_map(|_| {
            ours.send_packet(&packet, &[], Until::Now).unwrap();
            match theirs.receive::<Vec<u8>>() {
                Err(Silence::Waiting) => None,
                other => Some(other),
            }
        });
        assert!(matches!(end, Some(Err(Silence::Garbage))));
    }
}
