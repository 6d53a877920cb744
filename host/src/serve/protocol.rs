//! What a client and the daemon say to each other, on a stream socket: a greeting with the version, then frames. A
//! frame is its length, in four bytes with the lowest first, and a message in postcard's encoding. A client asks once,
//! with the bytes of plugins after the question, and is answered until the connection closes. Programs in which it wants
//! probes are asked of it meanwhile: it opens them, so that nobody has the daemon read what is not theirs to read.
//!
//! Nothing here names a user: who asks is what the kernel says of the socket.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use rustix::io::retry_on_intr;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::status::Status;
use crate::config::Arguments;
use crate::error::{Error, Kind, Result};
use crate::event::{Output, Why};
use crate::sandbox::{decode, encode};
use crate::snapshot::{Coverage, Interval, Snapshot};

/// Changes with every change of what follows: client and daemon are of one build, or say that they are not.
const GREETING: [u8; 8] = *b"weir\0\0\0\x03";
/// A question that is made to fill memory: a configuration has no more, and names are short.
pub(super) const QUESTION_BYTES: usize = 2 << 20;
/// An answer. The daemon is trusted, but a length may be anything where no daemon answers.
const ANSWER_BYTES: usize = 1 << 30;
/// Why a client could not open a program.
const OPENED_BYTES: usize = 64 << 10;
/// Plugins that come with one question.
pub(super) const UPLOADS: usize = 64;

#[derive(Debug, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub(crate) enum Question {
    Status,
    /// What plugins of one of the tenant's jobs, or of all, put out lately, and from now on if it is to follow.
    Logs {
        job: Option<String>,
        follow: bool,
    },
    Start(Start),
    Stop {
        job: String,
    },
}

/// A job to begin: tables, and plugins whose bytes follow the question, in their order.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Start {
    /// It goes on by this name when the connection closes, in the place of another one of the name. Without, it ends
    /// with the connection.
    pub(crate) name: Option<String>,
    pub(crate) asked: Asked,
    pub(crate) plugins: Vec<Upload>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Asked {
    /// A configuration, and the name of its file, for errors.
    Text {
        text: String,
        path: String,
    },
    Arguments(Arguments),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Upload {
    pub(crate) name: String,
    pub(crate) bytes: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    Failed(Error),
    /// Not an answer yet: the client is to open the program of this name, and to say so with [`send_opened`].
    Open(String),
    /// What was too much of what was asked for, with the code of each.
    Refused(Vec<(String, String)>),
    /// The same of a job that is there already: that goes on, and what was asked for waits until the policy grants it.
    Waits(Vec<(String, String)>),
    Status(Status),
    /// It is done, and nothing follows.
    Done(String),
    /// Every probe is attached and every plugin configured. An Arrow stream without rows for each table's columns.
    Started {
        at: SystemTime,
        tables: Vec<(String, Vec<u8>)>,
    },
    Snapshot(Box<Table>),
    Detached {
        table: String,
        interval: u64,
        why: Why,
        message: String,
    },
    Plugin {
        job: String,
        plugin: String,
        at: SystemTime,
        interval: u64,
        output: Output,
    },
    /// So many answers found no room, because the client did not read.
    Lost(u64),
    Ended,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Table {
    table: String,
    interval: Interval,
    coverage: Coverage,
    rows: Vec<u8>,
}

impl Answer {
    /// How much memory it takes, about.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Snapshot(table) => table.rows.len(),
                Self::Plugin { job, plugin, output, .. } => {
                    job.len() + plugin.len() + super::job::size(output)
                }
                Self::Started { tables, .. } => {
                    tables.iter().map(|(name, empty)| name.len() + empty.len()).sum()
                }
                Self::Done(text) => text.len(),
                _ => 0,
            }
    }
}

impl Table {
    pub(super) fn of(snapshot: &Snapshot) -> Result<Self> {
        let mut rows = Vec::new();
        encode(&mut rows, &snapshot.rows).map_err(|error| Error::new(Kind::Software, error.to_string()))?;
        let Snapshot { table, interval, coverage, .. } = snapshot;
        Ok(Self { table: table.to_string(), interval: *interval, coverage: *coverage, rows })
    }

    pub(crate) fn snapshot(self) -> Result<Snapshot> {
        let Self { table, interval, coverage, rows } = self;
        let rows = batch(rows)?;
        Ok(Snapshot { table: table.into(), interval, coverage, rows })
    }
}

pub(super) fn empty(schema: &SchemaRef) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    encode(&mut bytes, &RecordBatch::new_empty(schema.clone()))
        .map_err(|error| Error::new(Kind::Software, error.to_string()))?;
    Ok(bytes)
}

pub(crate) fn schemas(tables: Vec<(String, Vec<u8>)>) -> Result<Vec<(Arc<str>, SchemaRef)>> {
    tables.into_iter().map(|(name, empty)| Ok((name.into(), batch(empty)?.schema()))).collect()
}

fn batch(bytes: Vec<u8>) -> Result<RecordBatch> {
    decode(bytes.into()).map_err(|error| Error::new(Kind::Software, format!("the daemon's answer: {error}")))
}

pub(crate) fn greet(stream: &mut impl Write) -> io::Result<()> {
    stream.write_all(&GREETING)
}

/// False if whoever is there speaks something else.
pub(crate) fn greeted(stream: &mut impl Read) -> io::Result<bool> {
    let mut greeting = [0; 8];
    stream.read_exact(&mut greeting)?;
    Ok(greeting == GREETING)
}

pub(crate) fn send<T: Serialize>(stream: &mut impl Write, message: &T) -> io::Result<()> {
    stream.write_all(&frame(message)?)
}

pub(super) fn frame<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let mut frame = postcard::to_extend(message, vec![0; 4]).map_err(io::Error::other)?;
    let length = u32::try_from(frame.len() - 4).map_err(io::Error::other)?;
    frame[..4].copy_from_slice(&length.to_le_bytes());
    Ok(frame)
}

pub(crate) fn receive<T: DeserializeOwned>(stream: &mut impl Read, most: usize) -> io::Result<T> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > most {
        return Err(wrong("a message is too long"));
    }
    // As it comes, and not at once: a length is no reason to take so much memory.
    let mut message = Vec::new();
    stream.take(length as u64).read_to_end(&mut message)?;
    match postcard::take_from_bytes(&message) {
        Ok((value, [])) if message.len() == length => Ok(value),
        _ => Err(wrong("what came is no message")),
    }
}

/// Reads until a time, however little comes at a time.
pub(super) struct Timed<'a> {
    socket: &'a UnixStream,
    end: Instant,
}

impl<'a> Timed<'a> {
    pub(super) fn new(socket: &'a UnixStream, patience: Duration) -> Self {
        Self { socket, end: Instant::now() + patience }
    }

    /// Has the next read wait no longer than is left.
    fn wait(&self) -> io::Result<()> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.socket.set_read_timeout(Some(left))
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.wait()?;
        self.socket.read(into)
    }
}

/// Hands over a program that was opened, or says why there is none. Its descriptor goes with the length.
pub(crate) fn send_opened(mut socket: &UnixStream, opened: &Result<BorrowedFd<'_>>) -> io::Result<()> {
    let frame = frame(&opened.as_ref().map(drop))?;
    let (length, message) = frame.split_at(4);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut along = SendAncillaryBuffer::new(&mut space);
    let file = opened.as_ref().ok().copied();
    if let Some(file) = &file {
        along.push(SendAncillaryMessage::ScmRights(std::slice::from_ref(file)));
    }
    let sent = retry_on_intr(|| sendmsg(socket, &[IoSlice::new(length)], &mut along, SendFlags::NOSIGNAL))?;
    socket.write_all(&length[sent..])?;
    socket.write_all(message)
}

/// What a client says of a program that it was asked to open.
pub(super) fn receive_opened(mut socket: Timed<'_>) -> io::Result<Result<OwnedFd>> {
    let mut length = [0; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut along = RecvAncillaryBuffer::new(&mut space);
    socket.wait()?;
    let received = retry_on_intr(|| {
        recvmsg(socket.socket, &mut [IoSliceMut::new(&mut length)], &mut along, RecvFlags::CMSG_CLOEXEC)
    })?;
    let files = along.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(files) => Some(files),
        _ => None,
    });
    let file = files.flatten().next();
    if received.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let begun = &length[..received.bytes];
    let opened = receive::<Result<()>>(&mut begun.chain(&mut socket), OPENED_BYTES)?;
    match (opened, file) {
        (Ok(()), Some(file)) => Ok(Ok(file)),
        (Ok(()), None) => Err(io::Error::new(io::ErrorKind::InvalidData, "there is no descriptor")),
        (Err(error), _) => Ok(Err(error)),
    }
}

pub(crate) fn answer(stream: &mut impl Read) -> io::Result<Answer> {
    receive(stream, ANSWER_BYTES)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_sent_arrives() {
        let mut stream = Vec::new();
        send(&mut stream, &Question::Stop { job: "j".to_owned() }).unwrap();
        let question = receive::<Question>(&mut stream.as_slice(), QUESTION_BYTES).unwrap();
        assert!(matches!(question, Question::Stop { job } if job == "j"));
        stream.pop();
        assert!(receive::<Question>(&mut stream.as_slice(), QUESTION_BYTES).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_are_more_than_a_question_or_an_error(bytes: Vec<u8>) {
            drop(receive::<Question>(&mut bytes.as_slice(), QUESTION_BYTES));
        }
    }

    #[test]
    fn a_length_alone_takes_no_memory() {
        let mut stream: &[u8] = &[0xff, 0xff, 0xff, 0x7f];
        assert!(receive::<Question>(&mut stream, QUESTION_BYTES).is_err());
    }
}
