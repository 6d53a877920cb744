//! Attacks whoever prints or stores names: control characters, terminal sequences, line ends, text that runs backwards,
//! paths that lead elsewhere.
//!
//! To be taken as they are: strings are data, of which sinks escape what does not print, and no name is a path.

use weir_plugin::bindings::weir::plugin::output::{self, Severity};
use weir_plugin::bindings::weir::plugin::state;
use weir_plugin::bindings::weir::plugin::types::Label;
use weir_plugin::{Plugin, Result};

#[derive(Default)]
struct ControlNames;

const NAMES: [&str; 8] = [
    "\0",
    "\u{1b}[2J\u{1b}]0;title\u{7}",
    "\r\nforged: line",
    "\u{202e}drawkcab\u{2066}",
    "\u{9b}31m",
    "../../../../etc/passwd",
    "/dev/sda",
    "{\"json\": \"\u{2028}",
];

impl Plugin for ControlNames {
    fn analyze(&mut self) -> Result {
        for name in NAMES {
            let labels = [Label { name: name.to_owned(), value: name.to_owned() }];
            output::gauge(name, &labels, 1.0)?;
            output::report(Severity::Critical, name, name, &labels)?;
            output::artefact(name, name, name.as_bytes())?;
            output::log(Severity::Critical, name);
            state::store(name, name.as_bytes())?;
        }
        Ok(())
    }
}

weir_plugin::export!(ControlNames);
