//! What goes out of Weir and comes back: sinks, recordings, and the command line, without a kernel.

mod cli;
mod json;
mod recording;
mod samples;
mod text;
