//! A few kilobytes that outlive the instance. What a call that fails stored is gone.

use crate::bindings::weir::plugin::state;
use crate::{Failure, Result};

/// What was stored under this key, if anything was.
#[must_use]
pub fn load(key: &str) -> Option<Vec<u8>> {
    state::load(key)
}

/// Errors: `too-large`, if there is no room for it.
pub fn store(key: &str, value: &[u8]) -> Result {
    state::store(key, value).map_err(Failure::refused)
}

pub fn remove(key: &str) {
    state::remove(key);
}
