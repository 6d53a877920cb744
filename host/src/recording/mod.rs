//! Recordings: a folder of Arrow streams that any Arrow reader opens.
//!
//! | file | holds |
//! |---|---|
//! | `weir.json` | the format's version, Weir's, when the run started, the tables in their order |
//! | `tables/NAME.arrows` | an Arrow IPC stream: a batch an interval, as [`crate::snapshot`] has it |
//! | `coverage.arrows` | an Arrow IPC stream: a batch an interval with a row a table, [`coverage_schema`] |
//!
//! Everything is flushed at each interval's end, the coverage last: an interval that has its coverage is
//! whole, and what a killed recorder leaves behind can be read up to there.

mod read;
mod write;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde::{Deserialize, Serialize};

pub use read::Recording;
pub use write::Recorder;

/// Raised when an older Weir could no longer read what is written.
const FORMAT: u32 = 1;
const ABOUT: &str = "weir.json";
const TABLES: &str = "tables";
const COVERAGE: &str = "coverage.arrows";

/// `weir.json`.
#[derive(Serialize, Deserialize)]
struct About {
    format: u32,
    /// The version of the Weir that recorded.
    weir: String,
    /// RFC 3339, UTC.
    started: String,
    tables: Vec<String>,
}

/// The schema of `coverage.arrows`. The last four are null for a table without spans.
#[must_use]
pub fn coverage_schema() -> SchemaRef {
    let field = |name: &str, data_type: DataType| Field::new(name, data_type, false);
    let number = |name: &str| field(name, DataType::UInt64);
    let span = |name: &str| number(name).with_nullable(true);
    Arc::new(Schema::new(vec![
        field("table", DataType::Utf8),
        number("interval"),
        field("began", DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))),
        number("length_ns"),
        field("last", DataType::Boolean),
        number("events"),
        number("overflow"),
        number("missed"),
        field("missed_reliable", DataType::Boolean),
        number("inexact"),
        field("detached", DataType::Boolean),
        field("cpus", DataType::UInt32),
        span("starts_dropped"),
        span("starts_replaced"),
        span("starts_abandoned"),
        span("ends_unmatched"),
    ]))
}

/// A table's name is part of a path, and of one that may be foreign.
fn is_safe_name(name: &str) -> bool {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=128).contains(&name.len()) && name.bytes().all(safe)
}
