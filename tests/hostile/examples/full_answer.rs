//! Attacks the channel between the processes: an answer as large as all the limits together let it be, which is the
//! largest message there is.
//!
//! To be taken: nothing of it is refused, and the host gets all of it.

use weir_plugin::bindings::weir::plugin::output::{self, Severity};
use weir_plugin::{Plugin, Result};

#[derive(Default)]
struct FullAnswer;

impl Plugin for FullAnswer {
    fn analyze(&mut self) -> Result {
        // What is left of 1 MiB after the names, and what is counted for an artefact itself.
        output::artefact("a", "t", &vec![0xa5; (1 << 20) - 18])?;
        let line = "l".repeat(4 << 10);
        for _ in 0..300 {
            output::log(Severity::Critical, &line);
        }
        Ok(())
    }
}

weir_plugin::export!(FullAnswer);
