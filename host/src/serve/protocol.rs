//! What a client and the daemon say to each other, on a stream socket: a greeting with the version, then frames. A
//! frame is its length, in four bytes with the lowest first, and a message in postcard's encoding. A client asks once,
//! with the bytes of plugins after the question, and is answered until the connection closes.
//!
//! Nothing here names a user: who asks is what the kernel says of the socket.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::SystemTime;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::status::Status;
use crate::config::Arguments;
use crate::error::{Error, Kind, Result};
use crate::event::Output;
use crate::sandbox::{decode, encode};
use crate::snapshot::{Coverage, Interval, Snapshot};

/// Changes with every change of what follows: client and daemon are of one build, or say that they are not.
const GREETING: [u8; 8] = *b"weir\0\0\0\x02";
/// A question that is made to fill memory: a configuration has no more, and names are short.
pub(super) const QUESTION_BYTES: usize = 2 << 20;
/// An answer. The daemon is trusted, but a length may be anything where no daemon answers.
const ANSWER_BYTES: usize = 1 << 30;
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
