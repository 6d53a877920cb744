//! Attacks its own next call, and the rule that output and state are kept together: stores a value and puts out a metric,
//! then traps.
//!
//! To be caught as a trap, reason `trap`, with nothing kept: were the value there in a later call, this program would not
//! trap but fail, reason `failed`.

use weir_plugin::bindings::weir::plugin::{output, state};
use weir_plugin::{Plugin, Result};

#[derive(Default)]
struct StatePoison;

impl Plugin for StatePoison {
    fn analyze(&mut self) -> Result {
        if state::load("poison").is_some() {
            Err("what a lost call stored was kept")?;
        }
        state::store("poison", b"poison")?;
        output::add("poison", &[], 1.0)?;
        std::process::abort()
    }
}

weir_plugin::export!(StatePoison);
