//! Attacks whoever reads reports: makes as many as it can, each as large as it may be.
//!
//! To be stopped by the limit on a call's bytes: each further report is refused with reason `quota`, which this program
//! ignores; then by the limit on refusals, reason `output`, and nothing of the call is kept.

use weir_plugin::bindings::weir::plugin::output::{self, Severity};
use weir_plugin::bindings::weir::plugin::types::Label;
use weir_plugin::{Plugin, Result};

#[derive(Default)]
struct ReportFlood;

impl Plugin for ReportFlood {
    fn analyze(&mut self) -> Result {
        let (code, text) = ("c".repeat(256), "t".repeat(4_096));
        let fields = vec![Label { name: code.clone(), value: text.clone() }; 32];
        loop {
            drop(output::report(Severity::Critical, &code, &text, &fields));
        }
    }
}

weir_plugin::export!(ReportFlood);
