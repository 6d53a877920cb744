//! Attacks the host's time through reading: every column of table 0 whole, for ever, in every way that there is.
//!
//! To be stopped by the deadline, reason `deadline`, or the limit on host calls.

use weir_plugin::bindings::weir::plugin::tables;
use weir_plugin::{Plugin, Result};

#[derive(Default)]
struct PageFlood;

impl Plugin for PageFlood {
    fn analyze(&mut self) -> Result {
        let rows = tables::rows(0)?;
        loop {
            for column in 0..8 {
                drop(tables::read_u64(0, column, 0, rows));
                drop(tables::read_f64(0, column, 0, rows));
                drop(tables::read_raw(0, column, 0, rows));
                drop(tables::read_texts(0, column, 0, rows));
                drop(tables::read_buckets(0, column, 0, rows));
                drop(tables::read_u64(0, column, u32::MAX, u32::MAX));
            }
        }
    }
}

weir_plugin::export!(PageFlood);
