//! Attacks whatever keeps files: one artefact that never ends, in chunks.
//!
//! To be stopped by the limit on a call's bytes: each further chunk is refused with reason `quota`, which this program
//! ignores; then by the limit on refusals, reason `output`, and nothing of the call is kept.

use weir_plugin::bindings::weir::plugin::output;
use weir_plugin::{Plugin, Result};

#[derive(Default)]
struct ArtefactFlood;

impl Plugin for ArtefactFlood {
    fn analyze(&mut self) -> Result {
        let chunk = [0; 64 << 10];
        loop {
            drop(output::artefact("endless", "application/octet-stream", &chunk));
        }
    }
}

weir_plugin::export!(ArtefactFlood);
