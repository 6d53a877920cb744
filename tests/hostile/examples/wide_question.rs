//! Attacks the process's memory through one question: 64 averages for each row of table 0, which are far more than the
//! answers of one call may take, where the table is large.
//!
//! To be stopped by the limit on the bytes of derived tables while the answer is being made: it is refused with reason
//! `quota`, and the call goes on. With a small table the answer is small, and is given.

use weir_plugin::bindings::weir::plugin::questions::{self, Aggregate};
use weir_plugin::{Plugin, Result};

#[derive(Default)]
struct WideQuestion;

impl Plugin for WideQuestion {
    fn analyze(&mut self) -> Result {
        // The averages of `size`, by `pid`, which every row has another of.
        let average = || Aggregate { column: 5, op: "sum".to_owned(), argument: 0.0 };
        let show: Vec<_> = std::iter::repeat_with(average).take(64).collect();
        match questions::group(0, &[1], &show) {
            Err(failure) if failure.reason != "quota" => Err(failure)?,
            _ => Ok(()),
        }
    }
}

weir_plugin::export!(WideQuestion);
