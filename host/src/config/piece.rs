//! A piece of text that someone wrote, with the place to which errors point.

use std::ops::Range;

use super::document::Document;
use crate::error::{Error, Result};
use crate::probe::Flaw;

/// A piece of a configuration's text, or of an argument of the command line.
#[derive(Clone, Debug)]
pub(crate) struct Piece<'a> {
    pub(crate) document: Document<'a>,
    /// What it says.
    pub(crate) text: &'a str,
    /// Where it stands, with its quotes if it has some.
    pub(crate) span: Range<usize>,
}

impl<'a> Piece<'a> {
    /// A whole argument.
    pub(crate) fn argument(document: Document<'a>) -> Self {
        let text = document.text();
        Self { document, text, span: 0..text.len() }
    }

    /// A part of this one, without the spaces around it. For text that stands as it is, as arguments do.
    pub(crate) fn part(&self, range: Range<usize>) -> Self {
        let part = &self.text[range.clone()];
        let text = part.trim();
        let start = self.span.start + range.start + (part.len() - part.trim_start().len());
        Self { document: self.document, text, span: start..start + text.len() }
    }

    pub(crate) fn error(&self, message: impl Into<String>) -> Error {
        self.document.error(self.span.clone(), message)
    }

    /// The error of something in it.
    pub(crate) fn flaw(&self, flaw: Flaw) -> Error {
        self.document.flaw(self.span.clone(), self.text, flaw)
    }

    /// What is wrong with the machine is so wherever it is asked for; what is wrong with the name has its place.
    pub(crate) fn place<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| match error.kind {
            crate::error::Kind::Config if error.place.is_none() => {
                error.at(self.document.place(self.span.clone()))
            }
            _ => error,
        })
    }
}
