//! What a policy says, what it refuses, and that a scope lets through what is of it and nothing else.

mod granted;
mod refused;
mod scope;
mod written;

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::{Grant, Policy};
use crate::config::Config;
use crate::error::Result;
use crate::probe::kernel::tests::recorded;

/// Properties are tried so often, or as often as PROPTEST_CASES says.
fn cases() -> ProptestConfig {
    let usual = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { usual.cases } else { 4096 };
    ProptestConfig { cases, ..usual }
}

fn policy(text: &str) -> Result<Policy> {
    Policy::parse(text, Path::new("etc/policy.toml"))
}

/// What a tenant of these lines may have.
#[track_caller]
fn grant(lines: &str) -> Grant {
    let policy = policy(&format!("[tenants.t]\nusers = [\"1\"]\n{lines}"));
    let policy = policy.unwrap_or_else(|error| panic!("{error}"));
    policy.tenants().next().unwrap().grant.clone()
}

/// A configuration on the recorded kernel.
#[track_caller]
fn config(text: &str) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::parse(text, Path::new("weir.toml"), &recorded(folder.path()));
    config.unwrap_or_else(|error| panic!("{error}"))
}

/// A table of the recorded kernel, with these lines.
#[track_caller]
fn table(lines: &str) -> Arc<crate::table::TableSpec> {
    config(&format!("[tables.t]\n{lines}")).tables[0].clone()
}
