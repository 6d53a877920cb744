//! What goes out of Weir and comes back: sinks, recordings, and the command line, without a kernel.

// Tests say what they expect by panicking; clippy allows it in the tests alone, and not in what they share.
#![allow(clippy::unwrap_used, clippy::panic)]

mod author;
mod cli;
mod command;
mod compatibility;
mod json;
mod languages;
mod live;
mod plugins;
mod policy;
mod probes;
mod project;
mod readers;
mod recorded;
mod recording;
mod registry;
mod samples;
mod text;
mod watch;
