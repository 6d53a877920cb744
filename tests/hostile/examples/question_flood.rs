//! Attacks the host's memory and time through questions: derives tables for ever, each as large as table 0, and
//! sorts, filters and groups them again.
//!
//! To be stopped by the limits on derived tables (their number and their bytes): each further one is refused with
//! reason `quota`, which this program ignores; then by the limit on host calls, or the deadline.

use weir_plugin::bindings::weir::plugin::questions::{self, Aggregate};
use weir_plugin::{Plugin, Result};

#[derive(Default)]
struct QuestionFlood;

impl Plugin for QuestionFlood {
    fn analyze(&mut self) -> Result {
        let mut newest = 0;
        loop {
            for answer in [
                questions::filter(newest, &[]),
                questions::sort(newest, 0, true, 0),
                questions::group(
                    newest,
                    &[0],
                    &[Aggregate { column: 0, op: "count".to_owned(), argument: 0.0 }],
                ),
                questions::filter(0, &[]),
            ] {
                newest = answer.unwrap_or(0);
            }
        }
    }
}

weir_plugin::export!(QuestionFlood);
