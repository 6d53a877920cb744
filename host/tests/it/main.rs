//! What goes out of Weir and comes back: sinks, recordings, and the command line, without a kernel.

// Tests say what they expect by panicking; clippy allows it in the tests alone, and not in what they share.
#![allow(clippy::unwrap_used, clippy::panic)]

mod cli;
mod json;
mod live;
mod policy;
mod probes;
mod recorded;
mod recording;
mod samples;
mod text;
mod watch;
