//! Attacks time: `analyze` never returns, and calls nothing of the host's.
//!
//! To be stopped by the call's deadline, reason `deadline`.

use weir_plugin::{Plugin, Result};

#[derive(Default)]
struct EndlessLoop;

impl Plugin for EndlessLoop {
    fn analyze(&mut self) -> Result {
        let mut turns = 0u64;
        loop {
            turns = std::hint::black_box(turns.wrapping_add(1));
        }
    }
}

weir_plugin::export!(EndlessLoop);
