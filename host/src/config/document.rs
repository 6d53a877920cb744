//! A configuration's text, and the places in it that errors point to.

use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::DeTable;

use crate::error::{Error, Kind, Place, Result};
use crate::probe::Flaw;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Document<'a> {
    path: &'a Path,
    text: &'a str,
}

impl<'a> Document<'a> {
    pub(crate) fn new(path: &'a Path, text: &'a str) -> Self {
        Self { path, text }
    }

    pub(crate) fn path(&self) -> &'a Path {
        self.path
    }

    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    pub(crate) fn parse(&self) -> Result<Spanned<DeTable<'a>>> {
        DeTable::parse(self.text).map_err(|error| {
            let mut lines = error.message().lines();
            let wrong = self.error(error.span().unwrap_or_default(), lines.next().unwrap_or("not TOML"));
            lines.next().into_iter().fold(wrong, Error::help)
        })
    }

    pub(crate) fn error(&self, span: Range<usize>, message: impl Into<String>) -> Error {
        Error::new(Kind::Config, message).at(self.place(span))
    }

    /// The error of a piece of text that stands here. It points into the piece where every character of
    /// it stands for itself, and to the whole of it where escapes come between.
    pub(crate) fn flaw(&self, span: Range<usize>, content: &str, flaw: Flaw) -> Error {
        let raw = self.text.get(span.clone()).unwrap_or_default();
        let quotes = raw.len().saturating_sub(content.len()) / 2;
        let verbatim = raw.get(quotes..quotes + content.len()) == Some(content);
        let place = match verbatim {
            true => span.start + quotes + flaw.span.start..span.start + quotes + flaw.span.end,
            false => span,
        };
        flaw.error.at(self.place(place))
    }

    pub(crate) fn place(&self, span: Range<usize>) -> Place {
        let before = self.text.get(..span.start).unwrap_or_default();
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.text[start..].lines().next().unwrap_or_default();
        let meant = self.text.get(span.start..span.end.min(start + line.len())).unwrap_or_default();
        Place {
            file: self.path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[start..].chars().count() + 1,
            text: line.chars().map(plain).collect(),
            width: meant.chars().count(),
        }
    }
}

/// A character as it can be shown above a caret: one column wide, and without power over a terminal.
fn plain(character: char) -> char {
    match character {
        '\t' => ' ',
        '"' | '\'' | '\\' => character,
        // Whatever Rust would escape cannot be printed or combines with its neighbour.
        _ if character.escape_debug().len() > 1 => char::REPLACEMENT_CHARACTER,
        _ => character,
    }
}
