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

/// Characters of a line that are shown: beyond what anybody writes, and far less than a format can be indented by.
const SHOWN: usize = 200;
/// Of these, so many before the place.
const BEFORE: usize = 80;

impl Place {
    /// The line, as much of it as is around the place, with the caret's indent and width under that.
    fn shown(&self) -> (String, usize, usize) {
        let (indent, width) = (self.column.saturating_sub(1), self.width.max(1));
        let length = self.text.chars().count();
        if length <= SHOWN && indent <= length {
            return (self.text.clone(), indent, width.min(SHOWN));
        }
        let first = indent.saturating_sub(BEFORE).min(length.saturating_sub(SHOWN));
        let mut text: String = self.text.chars().skip(first).take(SHOWN).collect();
        // Where it was cut takes a character, too.
        let cut = usize::from(first > 0);
        if cut > 0 {
            text.insert(0, '…');
        }
        if first + SHOWN < length {
            text.push('…');
        }
        let indent = (indent - first).min(SHOWN);
        (text, indent + cut, width.min(SHOWN - indent).max(1))
    }
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
            let (text, indent, width) = place.shown();
            write!(f, "\n{:gutter$} |\n{} | {text}", "", place.line)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: String, column: usize, width: usize) -> Vec<String> {
        let place = Place { file: "a.toml".into(), line: 7, column, text, width };
        let error = Error::new(Kind::Config, "it is wrong").at(place).to_string();
        error.lines().skip(1).map(str::to_owned).collect()
    }

    #[test]
    fn a_line_that_fits_is_shown_as_it_is() {
        assert_eq!(shown("a = b".to_owned(), 5, 1), [" --> a.toml:7:5", "  |", "7 | a = b", "  |     ^"]);
    }

    #[test]
    fn of_a_long_line_the_place_is_shown() {
        for (column, width) in
            [(1, 3), (70_000, 3), (70_000, 140_000), (140_000, 1), (140_001, 1), (150_000, 9)]
        {
            let text = format!("{}wrong{}", "é".repeat(69_999), "e".repeat(69_996));
            let lines = shown(text, column, width);
            assert!(lines.iter().all(|line| line.chars().count() < 210), "{column}: {lines:?}");
            let (line, caret) = (&lines[2], lines[3].find('^').unwrap());
            if column == 70_000 {
                assert!(
                    line.chars().skip(caret).collect::<String>().starts_with("wrong"),
                    "{line}\n{}",
                    lines[3]
                );
            }
        }
    }
}
