//! What `wit-bindgen` makes of `weir.wit`: the functions of the interface as they cross the boundary.
//!
//! The rest of this crate is a thin layer over it; a plugin that needs a call as it is finds it here. Outside of Wasm
//! its types are there, but its functions have no host to call and abort: what [`testing`](crate::testing) runs goes
//! through the rest of the crate.

// Passing lists through the component boundary is done with raw pointers, which the generator writes; its
// output is neither documented nor formatted to this project's lints.
#![allow(unsafe_code, missing_debug_implementations, unreachable_pub, unused_qualifications, clippy::all)]
#![allow(clippy::undocumented_unsafe_blocks, clippy::multiple_unsafe_ops_per_block)]

wit_bindgen::generate!({
    // Beside this crate in Weir's repository, and in a plugin's project, where they are build/wit and build/sdk.
    path: "../wit",
    world: "plugin",
    pub_export_macro: true,
    additional_derives: [PartialEq],
    default_bindings_module: "weir_plugin::bindings",
});
