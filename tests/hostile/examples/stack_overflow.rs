//! Attacks the stack: recursion without an end.
//!
//! To be stopped by the limit on the stack, reason `stack`. Its frames are small, so that the host's stack is used up
//! before the one which the compiler keeps in linear memory, whose end would be an ordinary trap.

use weir_plugin::{Plugin, Result};

#[derive(Default)]
struct StackOverflow;

#[expect(unconditional_recursion, reason = "that is the attack")]
#[inline(never)]
fn deeper(depth: u64) -> u64 {
    std::hint::black_box(deeper(depth.wrapping_add(1))).wrapping_mul(3)
}

impl Plugin for StackOverflow {
    fn analyze(&mut self) -> Result {
        std::hint::black_box(deeper(0));
        Ok(())
    }
}

weir_plugin::export!(StackOverflow);
