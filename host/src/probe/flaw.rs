//! What is wrong in a piece of text whose own place is known only to whoever took it from a file.

use std::ops::Range;

use crate::error::{Error, Kind};

/// An error at some bytes of an expression or a probe's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    pub span: Range<usize>,
    pub error: Error,
}

impl Flaw {
    pub(crate) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span, error: Error::new(Kind::Config, message) }
    }

    /// The text is right, but this machine does not offer what it asks for.
    pub(crate) fn unavailable(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span, error: Error::new(Kind::Unavailable, message) }
    }

    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.error = self.error.help(help);
        self
    }
}
