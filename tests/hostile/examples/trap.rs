//! Attacks the instance: executes an instruction that traps.
//!
//! To be caught as a trap, reason `trap`.

use weir_plugin::{Plugin, Result};

#[derive(Default)]
struct Trap;

impl Plugin for Trap {
    fn analyze(&mut self) -> Result {
        std::process::abort()
    }
}

weir_plugin::export!(Trap);
