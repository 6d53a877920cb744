//! Write plugins for Weir in Rust.
//!
//! A plugin is a Wasm component that Weir calls at the end of every interval. It sees the tables it was granted,
//! merged over all CPUs, and answers with metrics, reports, artefacts and log lines. It can reach nothing else.
//!
//! This is a whole one. It reports whoever made more than a given number of calls:
//!
//! ```
//! use weir_plugin::{Plugin, Result, Severity, col, counter, report, table};
//!
//! weir_plugin::options! {
//!     #[derive(Default)]
//!     struct Options {
//!         /// Who makes more calls than this is reported.
//!         calls: u64,
//!     }
//! }
//!
//! #[derive(Default)]
//! struct Busy {
//!     options: Options,
//! }
//!
//! weir_plugin::export!(Busy);
//!
//! impl Plugin for Busy {
//!     fn configure(&mut self) -> Result {
//!         self.options = Options::read()?;
//!         table("opens")?.holds::<u64>("calls")
//!     }
//!
//!     fn analyze(&mut self) -> Result {
//!         let opens = table("opens")?;
//!         let total: u64 = opens.column::<u64>("calls")?.iter().sum();
//!         counter("calls").add(total as f64)?;
//!
//!         let busy = opens.filter(col("calls").gt(self.options.calls)).sort_desc("calls").limit(10).ask()?;
//!         for row in busy.rows() {
//!             report(Severity::Warning, "busy", format!("{} opens many files", row.key()?))
//!                 .field("calls", row.u64("calls")?)
//!                 .send()?;
//!         }
//!         Ok(())
//!     }
//! }
//!
//! # use weir_plugin::testing::{Host, Table};
//! # let opens = Table::new("opens").key("comm", ["cat", "make"]).count("calls", [3, 1200]);
//! # let said = Host::new().table(opens).option("calls", 1000).analyze::<Busy>().unwrap();
//! # assert_eq!(said.value("calls", &[]), Some(1203.0));
//! # assert_eq!(said.reports[0].title, "make opens many files");
//! ```
//!
//! What a call of the interface means, and every limit, is written in `weir.wit`.
//!
//! # How to read a table
//! - **Ask**: [`Table::filter`], [`Table::group_by`] and [`Table::sort_desc`] are answered by the host at native
//!   speed, and what follows reads a small result.
//! - **Columns**: [`Table::column`] gives a whole column, without a copy where it fits in one page.
//! - **Rows**: [`row!`](macro@row) reads them into a structure of yours, checked once. [`Table::rows`] is for tables
//!   whose columns are not known, and reads as far as is looked at.
//!
//! # Options, state, tests
//! [`options!`](macro@options) reads the operator's settings into a structure and checks them. [`state`] keeps a few
//! kilobytes between calls. [`testing`] runs a plugin in `cargo test`, without Weir.
//!
//! # Failures
//! Whatever fails can be passed on with `?`: [`Failure`] is made from every error, and from texts. A failed
//! `analyze` discards its output, but for the log. A panic does the same, and its message is logged.

#![deny(unsafe_code)] // bindings.rs is the one exception.
#![warn(missing_docs)]

#[allow(missing_docs)]
pub mod bindings;
mod column;
mod failure;
mod histogram;
mod host;
pub mod interval;
pub mod options;
mod output;
mod plugin;
mod question;
mod row;
pub mod state;
mod table;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
mod typed;

pub use column::{Cells, Kind, Text, Texts};
pub use failure::{Failure, Result};
pub use histogram::{Bucket, Buckets, Histogram, Histograms};
pub use output::{
    Counter, Distribution, Gauge, Report, Severity, artefact, brief, counter, gauge, histogram, log, report,
};
pub use plugin::Plugin;
#[doc(hidden)]
pub use plugin::{Exported, check};
pub use question::{Col, Condition, Literal, Question, col};
pub use row::{Row, Rows, Value};
pub use table::{Column, ColumnOf, Coverage, Table, table, tables};
pub use typed::{Record, Records, RecordsIter};
