//! Attacks what is kept between calls: stores ever more keys and ever larger values, ignoring every refusal.
//!
//! To be stopped by the limit on the state: each store beyond it is refused with reason `too-large`, and after the
//! last one the call returns as if nothing had been. What is kept stays within the limit.

use weir_plugin::bindings::weir::plugin::state;
use weir_plugin::{Plugin, Result};

#[derive(Default)]
struct StateFlood;

impl Plugin for StateFlood {
    fn analyze(&mut self) -> Result {
        let value = vec![0xa5; 1 << 20];
        for number in 0..2_000u32 {
            drop(state::store(&number.to_string(), &value[..1 << (number % 21)]));
        }
        Ok(())
    }
}

weir_plugin::export!(StateFlood);
