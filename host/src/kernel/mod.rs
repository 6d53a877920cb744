//! The kernel's half of a table: programs, maps, and the closing of intervals.

use std::sync::Arc;

use crate::error::{Error, Kind, Result};
use crate::snapshot::Snapshot;
use crate::table::TableSpec;

/// The tables of one run, loaded and attached.
#[derive(Debug)]
pub struct Tables {}

impl Tables {
    /// Loads the programs of every table and attaches them; interval 0 begins when the last is attached.
    pub fn attach(_tables: &[Arc<TableSpec>]) -> Result<Self> {
        Err(Error::new(Kind::Software, "not built yet"))
    }

    /// Names the processes of Weir itself, which tables leave out unless they `include_self`.
    pub fn leave_out(&mut self, _pids: &[u32]) -> Result<()> {
        Ok(())
    }

    /// Ends the interval of every table and begins the next: one snapshot for each table, in their order.
    /// Blocks for the wait, some milliseconds.
    pub fn close(&mut self) -> Result<Vec<Snapshot>> {
        Ok(Vec::new())
    }

    /// Detaches every probe, and ends the last interval.
    pub fn finish(self) -> Result<Vec<Snapshot>> {
        Ok(Vec::new())
    }
}
