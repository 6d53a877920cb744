//! Attacks the host's memory through totals: few counters a call, so that their number stays within its limit for long,
//! each with labels of 100 KiB that never repeat.
//!
//! To be stopped by the limit on the bytes of a plugin's counters: the first calls are within it, each later one is
//! refused whole, reason `output`, and the host keeps no total of it.

use weir_plugin::bindings::weir::plugin::output;
use weir_plugin::bindings::weir::plugin::types::Label;
use weir_plugin::{Plugin, Result, interval};

#[derive(Default)]
struct FatSeries;

impl Plugin for FatSeries {
    fn analyze(&mut self) -> Result {
        for series in 0..8 {
            let number = interval::number() * 8 + series;
            let label = |name: u32| Label { name: name.to_string(), value: format!("{number:04000}") };
            output::add("fat", &(0..32).map(label).collect::<Vec<_>>(), 1.0)?;
        }
        Ok(())
    }
}

weir_plugin::export!(FatSeries);
