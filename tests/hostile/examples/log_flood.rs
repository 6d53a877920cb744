//! Attacks the log: writes lines for ever. They are kept even if the call fails, and never refused with a value.
//!
//! To be stopped by the limit on a call's log lines and then on its host calls, reason `host-calls` or `deadline`.

use weir_plugin::bindings::weir::plugin::output::{self, Severity};
use weir_plugin::{Plugin, Result};

#[derive(Default)]
struct LogFlood;

impl Plugin for LogFlood {
    fn analyze(&mut self) -> Result {
        loop {
            output::log(Severity::Critical, "\u{1b}[2J\nflood \u{202e}doolf");
        }
    }
}

weir_plugin::export!(LogFlood);
