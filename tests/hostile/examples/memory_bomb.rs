//! Attacks memory: allocates and touches blocks for as long as the host gives any.
//!
//! To be stopped by the limit on linear memory, reason `memory`. Blocks are kept and written to, so that each one
//! costs real pages.

use weir_plugin::{Plugin, Result};

#[derive(Default)]
struct MemoryBomb;

impl Plugin for MemoryBomb {
    fn analyze(&mut self) -> Result {
        let mut blocks = Vec::new();
        loop {
            blocks.push(std::hint::black_box(vec![0xa5u8; 1 << 20]));
        }
    }
}

weir_plugin::export!(MemoryBomb);
