//! Why something did not work.

use std::error::Error;
use std::fmt;

use crate::bindings::weir::plugin::types;

/// Why a call was refused, or why a plugin gives up.
///
/// Every error converts into it with `?`, and so does a text, so that `Err("no table has a histogram")?` does
/// what it says. (For that reason it is no [`std::error::Error`] itself.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// A word for programs: the host's (`quota`, `unknown`, `kind`, `bounds`, `too-large`, …), or `failed` for an
    /// error of the plugin's own.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
}

/// What can fail in a plugin.
pub type Result<T = (), E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// A failure for a reason of the plugin's own.
    pub fn new(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { reason: reason.into(), message: message.into() }
    }

    pub(crate) fn refused(failure: types::Failure) -> Self {
        Self { reason: failure.reason, message: failure.message }
    }

    pub(crate) fn into_host(self) -> types::Failure {
        types::Failure { reason: self.reason, message: self.message }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl<E: Into<Box<dyn Error>>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new("failed", error.into().to_string())
    }
}
