//! Whom this crate asks: the host in a plugin, and the one of [`crate::testing`] in a test. Both have the same
//! functions, those of the interface.

#[cfg(target_family = "wasm")]
pub(crate) use crate::bindings::weir::plugin::{interval, options, output, questions, state, tables};

#[cfg(not(target_family = "wasm"))]
pub(crate) use crate::testing::host::{interval, options, output, questions, state, tables};
