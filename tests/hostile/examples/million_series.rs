//! Attacks the host's memory through totals: ten thousand counters a call, whose labels never repeat.
//!
//! To be stopped by the limit on a plugin's counters: the first call is within it, each later one is refused whole, reason
//! `output`, and the host keeps no total of it.

use weir_plugin::bindings::weir::plugin::output;
use weir_plugin::bindings::weir::plugin::types::Label;
use weir_plugin::{Plugin, Result, interval};

#[derive(Default)]
struct MillionSeries;

impl Plugin for MillionSeries {
    fn analyze(&mut self) -> Result {
        for series in 0..10_000 {
            let value = (interval::number() * 10_000 + series).to_string();
            output::add("s", &[Label { name: "n".to_owned(), value }], 1.0)?;
        }
        Ok(())
    }
}

weir_plugin::export!(MillionSeries);
