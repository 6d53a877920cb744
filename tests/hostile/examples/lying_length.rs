//! Attacks the host's reading of the guest's memory: a string that claims to begin in it and to be 1 GiB long, and
//! so to end far outside.
//!
//! To be caught when the host checks the range, reason `trap` or `output`.

// The lie is a slice that is none, which takes unsafe code to make.
#![allow(unsafe_code)]

use weir_plugin::bindings::weir::plugin::output::{self, Severity};
use weir_plugin::{Plugin, Result};

#[derive(Default)]
struct LyingLength;

impl Plugin for LyingLength {
    fn analyze(&mut self) -> Result {
        let start = "lie";
        // SAFETY: it is unsound, which is the attack: only its address and length are used, by the host.
        let bytes = unsafe { std::slice::from_raw_parts(start.as_ptr(), 1 << 30) };
        // SAFETY: as above.
        output::log(Severity::Critical, unsafe { std::str::from_utf8_unchecked(bytes) });
        Ok(())
    }
}

weir_plugin::export!(LyingLength);
