//! Attacks the copy at the boundary: one string of up to 24 MiB as a log line, a report's title, a label's value, a
//! key of the state and at last the message of the failure with which it returns.
//!
//! To be stopped by the limit on what one host call may hand over, before the host copies any of it; where the
//! bound is on the call's value (`too-large`), the next larger thing is tried.

use weir_plugin::bindings::weir::plugin::output::{self, Severity};
use weir_plugin::bindings::weir::plugin::state;
use weir_plugin::bindings::weir::plugin::types::Label;
use weir_plugin::{Failure, Plugin, Result};

#[derive(Default)]
struct HugeString;

impl Plugin for HugeString {
    fn analyze(&mut self) -> Result {
        let huge = "x".repeat(24 << 20);
        drop(state::store(&huge, huge.as_bytes()));
        drop(output::report(Severity::Critical, "huge", &huge, &[]));
        drop(output::add("huge", &[Label { name: "huge".to_owned(), value: huge.clone() }], 1.0));
        output::log(Severity::Critical, &huge);
        Err(Failure::new("huge", huge))
    }
}

weir_plugin::export!(HugeString);
