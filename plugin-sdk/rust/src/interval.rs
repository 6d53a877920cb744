//! The interval that the tables belong to: the only clock there is.

use std::time::Duration;

use crate::host::interval;

/// Counted from 0.
#[must_use]
pub fn number() -> u64 {
    interval::number()
}

/// The wall clock's time at its beginning, since 1970-01-01T00:00:00Z.
#[must_use]
pub fn began() -> Duration {
    let began = interval::began();
    Duration::new(began.seconds, began.nanoseconds)
}

/// Its length in seconds: what to divide by for a rate.
#[must_use]
pub fn seconds() -> f64 {
    interval::length()
}

/// Intervals that this plugin was not called for since its last call.
#[must_use]
pub fn skipped() -> u32 {
    interval::skipped()
}

/// This is the last call of the run.
#[must_use]
pub fn is_last() -> bool {
    interval::is_last()
}
