//! Attacks the start: `configure` never returns, so that a host which waits for it never starts.
//!
//! To be stopped by the deadline of `configure`, reason `deadline`.

use weir_plugin::{Plugin, Result};

#[derive(Default)]
struct LoopsInConfigure;

impl Plugin for LoopsInConfigure {
    fn configure(&mut self) -> Result {
        let mut turns = 0u64;
        loop {
            turns = std::hint::black_box(turns.wrapping_add(1));
        }
    }

    fn analyze(&mut self) -> Result {
        Ok(())
    }
}

weir_plugin::export!(LoopsInConfigure);
