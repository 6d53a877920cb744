//! The `weir` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    // The same binary, started by itself without privileges, is the sandbox.
    weir::sandbox::enter_if_asked().unwrap_or_else(weir::cli::main)
}
