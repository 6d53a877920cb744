//! Attacks the copy at the boundary: hands over one string of 24 MiB, each interval in another place.
//!
//! To be stopped by the limit on what one host call may hand over, before the host copies any of it, reason
//! `output`; the message of a failure, which is not the argument of a call, may be cut instead.

use weir_plugin::bindings::weir::plugin::output::{self, Severity};
use weir_plugin::bindings::weir::plugin::state;
use weir_plugin::bindings::weir::plugin::types::Label;
use weir_plugin::{Failure, Plugin, Result, interval};

#[derive(Default)]
struct HugeString;

impl Plugin for HugeString {
    fn analyze(&mut self) -> Result {
        let huge = "x".repeat(24 << 20);
        match interval::number() % 6 {
            0 => output::log(Severity::Critical, &huge),
            1 => drop(output::report(Severity::Critical, "huge", &huge, &[])),
            2 => drop(output::add("huge", &[Label { name: "huge".to_owned(), value: huge }], 1.0)),
            3 => drop(state::store(&huge, &[])),
            4 => drop(output::artefact("huge", "text/plain", huge.as_bytes())),
            _ => Err(Failure::new("huge", huge))?,
        }
        Ok(())
    }
}

weir_plugin::export!(HugeString);
