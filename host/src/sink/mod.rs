//! Where events go: the terminal, or one JSON object a line.

mod artefacts;
mod json;
mod live;
mod rows;
mod text;

use std::io::{ErrorKind, Write};
use std::os::fd::BorrowedFd;
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) use artefacts::Artefacts;
pub use json::Json;
pub(crate) use json::output_line;
pub use live::{Live, Screen, restore};
pub use rows::Rows;
pub(crate) use rows::check as check_schema;
pub use text::{Detail, Text};

use crate::error::Result;
use crate::event::Event;

/// A taker of events.
pub trait Sink {
    fn put(&mut self, event: &Event<'_>) -> Result<()>;

    /// Nobody is there any more to read what is put, or whoever is has seen enough.
    fn closed(&self) -> bool {
        false
    }

    /// What can be read when the user wants something of the sink.
    fn input(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Looks what the user wants, if anything. Called whenever something may have happened.
    fn tend(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The stream that a sink writes to, an event at a time.
#[derive(Debug)]
struct Out<W> {
    writer: W,
    closed: bool,
}

impl<W: Write> Out<W> {
    fn new(writer: W) -> Self {
        Self { writer, closed: false }
    }

    /// A pipe whose reader has gone is no error: `weir … | head` ends quietly, as other commands do.
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if self.closed {
            return Ok(());
        }
        match self.writer.write_all(bytes).and_then(|()| self.writer.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => self.closed = true,
            other => other?,
        }
        Ok(())
    }
}

/// A time in UTC as RFC 3339 has it, with nanoseconds.
pub(crate) fn time(at: SystemTime) -> String {
    // A clock before 1970 is wrong by more than can be shown.
    humantime::format_rfc3339_nanos(at.max(UNIX_EPOCH)).to_string()
}
