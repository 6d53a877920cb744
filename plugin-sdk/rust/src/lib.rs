//! Write plugins for Weir in Rust.
//!
//! A plugin is a Wasm component that Weir calls at the end of every interval. It sees the tables it was granted,
//! merged over all CPUs, and answers with metrics, reports and log lines. It can reach nothing else.
//!
//! This is a whole one. It reports whoever made more than a given number of calls:
//!
//! ```
//! use weir_plugin::{Plugin, Result, Severity, col, counter, options, report, table};
//!
//! #[derive(Default)]
//! struct Busy {
//!     calls: u64,
//! }
//!
//! impl Plugin for Busy {
//!     fn configure(&mut self) -> Result {
//!         let calls = options::integer("calls")?.unwrap_or(1000);
//!         self.calls = calls.try_into().map_err(|_| options::wrong("calls", "at least 0 is needed"))?;
//!         Ok(())
//!     }
//!
//!     fn analyze(&mut self) -> Result {
//!         let opens = table("opens")?;
//!         let total: u64 = opens.column::<u64>("calls")?.iter().sum();
//!         counter("calls").add(total as f64)?;
//!
//!         let busy = opens.filter(col("calls").gt(self.calls)).sort_desc("calls").limit(10).ask()?;
//!         for row in busy.rows() {
//!             let who = row.text("comm")?;
//!             report(Severity::Warning, "busy", format!("{who} opens many files"))
//!                 .field("calls", row.u64("calls")?)
//!                 .send()?;
//!         }
//!         Ok(())
//!     }
//! }
//!
//! weir_plugin::export!(Busy);
//! ```
//!
//! What a call of the interface means, and every limit, is written in `plugin-sdk/wit/weir.wit`.
//!
//! # How to read a table
//! - **Ask**: [`Table::filter`], [`Table::group_by`] and [`Table::sort_desc`] are answered by the host at native
//!   speed, and what follows reads a small result.
//! - **Columns**: [`Table::column`] gives a whole column, without a copy where it fits in one page.
//! - **Rows**: [`Table::rows`], where the table is small or the code is to be short.
//!
//! # Failures
//! Whatever fails can be passed on with `?`: [`Failure`] is made from every error, and from texts. A failed
//! `analyze` discards its output, but for the log. A panic does the same, and its message is logged.

#![deny(unsafe_code)] // bindings.rs is the one exception.

pub mod bindings;
mod column;
mod failure;
pub mod interval;
pub mod options;
mod output;
mod plugin;
mod question;
mod row;
pub mod state;
mod table;

pub use column::{Bucket, Histogram, Histograms, Kind, Text, Texts};
pub use failure::{Failure, Result};
pub use output::{
    Counter, Distribution, Gauge, Report, Severity, artefact, counter, gauge, histogram, log, report,
};
pub use plugin::Plugin;
#[doc(hidden)]
pub use plugin::{Exported, check};
pub use question::{Col, Condition, Literal, Question, col};
pub use row::{Row, Rows, Value};
pub use table::{Column, Coverage, Table, table, tables};
