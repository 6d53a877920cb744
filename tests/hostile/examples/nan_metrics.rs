//! Attacks sums and sinks: puts out metrics that are no numbers, infinite, or counters that fall.
//!
//! To be refused with reason `bounds`, each of them, which this program ignores: one interval a few times, and its turn is
//! as if it had put out nothing; the next for ever, and it is stopped by the limit on refusals, reason `output`.

use weir_plugin::bindings::weir::plugin::output;
use weir_plugin::{Plugin, Result, interval};

#[derive(Default)]
struct NanMetrics;

impl Plugin for NanMetrics {
    fn analyze(&mut self) -> Result {
        let times = if interval::number().is_multiple_of(2) { 100 } else { u32::MAX };
        for _ in 0..times {
            for number in [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                drop(output::gauge("none", &[], number));
                drop(output::add("none", &[], number));
            }
            drop(output::add("none", &[], -1.0));
        }
        Ok(())
    }
}

weir_plugin::export!(NanMetrics);
