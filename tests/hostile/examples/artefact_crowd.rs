//! Attacks the search for an artefact's earlier chunks: as many artefacts as there can be, then bytes for the first one, one
//! by one.
//!
//! To be stopped by the limits on a call's outputs, reason `output`, or the deadline: the search is as long as the limit
//! on outputs lets it be.

use weir_plugin::bindings::weir::plugin::output;
use weir_plugin::{Plugin, Result};

#[derive(Default)]
struct ArtefactCrowd;

impl Plugin for ArtefactCrowd {
    fn analyze(&mut self) -> Result {
        for number in 0..10_000 {
            drop(output::artefact(&number.to_string(), "x", &[]));
        }
        loop {
            drop(output::artefact("0", "x", b"x"));
        }
    }
}

weir_plugin::export!(ArtefactCrowd);
