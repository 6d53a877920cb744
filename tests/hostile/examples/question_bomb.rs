//! Attacks the host's time through one question: sixty thousand conditions, and as many columns to group by.
//!
//! To be stopped by the limits on the terms of a question, refused with reason `too-large`, and on what one host call may
//! hand over, reason `output`.

use weir_plugin::bindings::weir::plugin::questions::{self, Condition, Literal};
use weir_plugin::{Plugin, Result};

#[derive(Default)]
struct QuestionBomb;

impl Plugin for QuestionBomb {
    fn analyze(&mut self) -> Result {
        drop(questions::group(0, &vec![1; 60_000], &[]));
        let condition = || Condition { column: 1, op: "ge".to_owned(), value: Literal::Text(vec![0; 64]) };
        drop(questions::filter(0, &std::iter::repeat_with(condition).take(60_000).collect::<Vec<_>>()));
        Ok(())
    }
}

weir_plugin::export!(QuestionBomb);
