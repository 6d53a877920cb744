//! Weir's host, in the order in which data flows through it.
//!
//! A configuration names tables ([`table`]); each is loaded into the kernel as a specialised program; at the
//! end of every interval its rows become a [`snapshot`], which goes to the sinks and, through shared memory,
//! to the sandbox in which plugins run; what these put out are [`event`]s, which go to the sinks too.

mod author;
mod cgroup;
pub mod cli;
pub mod config;
pub mod error;
pub mod escape;
pub mod event;
mod file;
pub mod kernel;
mod manifest;
mod memfd;
mod mounts;
pub mod policy;
pub mod probe;
pub mod recording;
pub mod sandbox;
mod serve;
pub mod sink;
pub mod snapshot;
mod symbols;
pub mod table;
pub mod trust;
