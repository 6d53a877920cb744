//! Attacks what is made of labels: metrics and reports with more of them than anybody reads, with names and values that
//! are longer than they may be, without a name, and all the same.
//!
//! To be refused with reason `too-large`, which this program ignores; then by the limit on refusals, reason `output`.

use weir_plugin::bindings::weir::plugin::output::{self, Severity};
use weir_plugin::bindings::weir::plugin::types::Label;
use weir_plugin::{Plugin, Result};

#[derive(Default)]
struct LabelFlood;

impl Plugin for LabelFlood {
    fn analyze(&mut self) -> Result {
        let label = |name: usize, value: usize| Label { name: "n".repeat(name), value: "v".repeat(value) };
        loop {
            for labels in
                [vec![label(1, 1); 1_000], vec![label(257, 1)], vec![label(1, 4_097)], vec![label(0, 1)]]
            {
                drop(output::add("flood", &labels, 1.0));
                drop(output::gauge("flood", &labels, 1.0));
                drop(output::report(Severity::Debug, "flood", "flood", &labels));
            }
        }
    }
}

weir_plugin::export!(LabelFlood);
