//! Attacks the channel: puts out metrics and reports for as long as they are taken, then for ever.
//!
//! To be stopped by the limit on a call's outputs: each further one is refused with reason `quota`, which this
//! program ignores; its turn then ends as `output`, `host-calls` or `deadline`, and nothing of it is kept.

use weir_plugin::bindings::weir::plugin::output::{self, Severity};
use weir_plugin::bindings::weir::plugin::types::Label;
use weir_plugin::{Plugin, Result};

#[derive(Default)]
struct OutputFlood;

impl Plugin for OutputFlood {
    fn analyze(&mut self) -> Result {
        let text = "flood".repeat(200);
        let mut number = 0u64;
        loop {
            let labels = [Label { name: "number".to_owned(), value: number.to_string() }];
            drop(output::add("flood", &labels, 1.0));
            drop(output::gauge("flood", &labels, 1.0));
            drop(output::report(Severity::Critical, "flood", &text, &labels));
            drop(output::artefact("flood", "text/plain", text.as_bytes()));
            number += 1;
        }
    }
}

weir_plugin::export!(OutputFlood);
