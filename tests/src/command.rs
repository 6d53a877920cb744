//! The `weir` command that is tested.

use std::path::PathBuf;
use std::process::{Command, Output};

/// The one that `cargo xtask test` names, or the one beside this test, where cargo puts both.
#[must_use]
pub fn binary() -> PathBuf {
    std::env::var_os("WEIR_BIN").map_or_else(
        || {
            std::env::current_exe()
                .expect("a test has a path")
                .parent()
                .expect("in deps")
                .with_file_name("weir")
        },
        PathBuf::from,
    )
}

/// Has tables that this process attaches look names up in processes of that command: this one would not know what it was
/// started for.
pub fn start_hidden() {
    weir::sandbox::start_from(binary());
}

/// Runs it to its end.
#[must_use]
pub fn weir(arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).output().expect("WEIR_BIN, or the weir beside this test, runs")
}

/// What it wrote to standard output, if it ended well.
#[must_use]
pub fn answer(arguments: &[&str]) -> String {
    let output = weir(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("output is UTF-8")
}
