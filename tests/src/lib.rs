//! What Weir's end-to-end tests share: events whose number is known, made on a CPU that is known, and typed
//! looks into snapshots.
//!
//! The tests run on the live kernel and need the privilege for BPF; without it they fail and say so.

#![allow(clippy::panic, reason = "a test fails by panicking, and so does what it is made of")]

pub mod command;
pub mod events;
pub mod look;

use std::path::Path;
use std::sync::Arc;

use weir::config::Config;
use weir::kernel::Tables;
use weir::probe::Kernel;
use weir::table::TableSpec;

/// Resolves the tables of a configuration against the running kernel.
#[must_use]
pub fn tables(config: &str) -> Vec<Arc<TableSpec>> {
    match Config::parse(config, Path::new("test.toml"), &Kernel::running()) {
        Ok(config) => config.tables,
        Err(error) => panic!("{error}"),
    }
}

/// Attaches the tables of a configuration.
#[must_use]
pub fn attach(config: &str) -> Tables {
    match Tables::attach(&tables(config), &[]) {
        Ok(tables) => tables,
        Err(error) => panic!("{error}"),
    }
}

/// Whether this runs in a virtual machine under software emulation, where events are dear and there are fewer.
#[must_use]
pub fn emulated() -> bool {
    std::env::var_os("WEIR_VM").is_some()
}
