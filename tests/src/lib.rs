//! What Weir's end-to-end tests share: events whose number is known, made on a CPU that is known, and typed
//! looks into snapshots.
//!
//! The tests run on the live kernel and need the privilege for BPF; without it they fail and say so.

#![allow(clippy::panic, reason = "a test fails by panicking, and so does what it is made of")]
#![allow(clippy::print_stderr, reason = "a test says what it does not do")]

pub mod command;
pub mod daemon;
pub mod events;
pub mod happen;
pub mod held;
pub mod look;
pub mod native;
pub mod traced;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use weir::config::Config;
use weir::error::Error;
use weir::kernel::Tables;
use weir::probe::Kernel;
use weir::snapshot::Snapshot;
use weir::table::TableSpec;

/// Resolves the tables of a configuration against the running kernel.
#[must_use]
pub fn tables(config: &str) -> Vec<Arc<TableSpec>> {
    command::start_hidden();
    match Config::parse(config, Path::new("test.toml"), &Kernel::running()) {
        Ok(config) => config.tables,
        Err(error) => panic!("{error}"),
    }
}

/// Attaches the tables of a configuration.
#[must_use]
pub fn attach(config: &str) -> Tables {
    match try_attach(config) {
        Ok(tables) => tables,
        Err(error) => panic!("{error}"),
    }
}

/// Why the tables of a configuration cannot be attached.
#[must_use]
pub fn refusal(config: &str) -> Error {
    match try_attach(config) {
        Ok(_) => panic!("it can be attached:\n{config}"),
        Err(error) => error,
    }
}

/// Attaches the tables of a configuration, or says why not.
pub fn try_attach(config: &str) -> Result<Tables, Error> {
    command::start_hidden();
    let config = Config::parse(config, Path::new("test.toml"), &Kernel::running())?;
    Tables::attach(&config.tables, &[])
}

/// Closes the interval of a single table.
#[must_use]
pub fn close(tables: &mut Tables) -> Snapshot {
    let mut snapshots = tables.close().expect("the interval closes");
    assert_eq!(snapshots.len(), 1);
    snapshots.remove(0)
}

/// Whether this runs in a virtual machine under software emulation, where events are dear and there are fewer.
#[must_use]
pub fn emulated() -> bool {
    std::env::var_os("WEIR_VM").is_some()
}

/// A plugin that was built, by its name below `target/plugins`. None where there are no compilers.
#[must_use]
pub fn plugin(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("WEIR_PLUGINS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/plugins"), PathBuf::from);
    Some(folder.join(name).with_extension("wasm")).filter(|path| path.exists())
}

/// Notes something that this machine cannot run, for the list at the end of `cargo xtask test`.
#[expect(clippy::print_stderr, reason = "for whoever runs the test by itself")]
pub fn not_run(what: &str, why: &str) {
    eprintln!("not run: {what}: {why}");
    let Some(file) = std::env::var_os("WEIR_NOT_RUN") else { return };
    let mut file = std::fs::OpenOptions::new().append(true).open(file).expect("the file for notes is there");
    writeln!(file, "{what}: {}", why.lines().next().unwrap_or_default()).expect("a note is written");
}
