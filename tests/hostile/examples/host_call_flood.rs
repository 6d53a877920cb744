//! Attacks the host's time: cheap host calls for ever. Time in the host is not the guest's own code's, so a bound on
//! that alone would miss it.
//!
//! To be stopped by the limit on host calls, reason `host-calls`, or by the deadline.

use weir_plugin::bindings::weir::plugin::interval;
use weir_plugin::{Plugin, Result};

#[derive(Default)]
struct HostCallFlood;

impl Plugin for HostCallFlood {
    fn analyze(&mut self) -> Result {
        loop {
            std::hint::black_box(interval::number());
        }
    }
}

weir_plugin::export!(HostCallFlood);
