//! The one error type, and the exit code that each kind of error ends the process with.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What went wrong, by whose doing. Exit codes follow sysexits(3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// The command line is wrong.
    Usage = 64,
    /// A plugin or a recording is not what it should be.
    Data = 65,
    /// A file that was named is not there or cannot be read.
    NoInput = 66,
    /// This kernel, or this machine, does not offer what was asked for.
    Unavailable = 69,
    /// A fault of Weir's own.
    Software = 70,
    /// Reading or writing failed on the way.
    Io = 74,
    /// A privilege is missing.
    NoPermission = 77,
    /// The configuration is wrong.
    Config = 78,
}

/// Where in a file an error is, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub file: PathBuf,
    pub line: usize,
    pub column: usize,
    /// The line itself and how many of its characters are meant, for the caret.
    pub text: String,
    pub width: usize,
}

/// An error: what is wrong, where, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    pub kind: Kind,
    pub message: String,
    /// Boxed to keep every `Result` small.
    pub place: Option<Box<Place>>,
    pub help: Option<String>,
    /// What the kernel's verifier said, in full; for those who ask.
    pub log: Option<Box<str>>,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), place: None, help: None, log: None }
    }

    /// Keeps a log, of which the message has the lines that matter.
    #[must_use]
    pub fn log(mut self, log: &str) -> Self {
        self.log = Some(log.into());
        self
    }

    /// Adds what would be right, or what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(Box::new(place));
        self
    }

    /// Prefixes what was being done when this happened.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.kind as u8
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        if let Some(place) = &self.place {
            let gutter = place.line.to_string().len();
            write!(f, "\n{:gutter$}--> {}:{}:{}", "", place.file.display(), place.line, place.column)?;
            write!(f, "\n{:gutter$} |\n{} | {}", "", place.line, place.text)?;
            let (indent, width) = (place.column.saturating_sub(1), place.width.max(1));
            write!(f, "\n{:gutter$} | {:indent$}{:^<width$}", "", "", "")?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::new(Kind::Io, error.to_string())
    }
}
