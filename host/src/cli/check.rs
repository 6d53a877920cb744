//! `weir check`: a configuration, without running it.

use std::path::Path;

use super::plugins::Added;
use super::{answer, plugins};
use crate::error::Result;
use crate::probe::describe;
use crate::sandbox::Sandbox;

/// Resolves every name, and compiles and configures every plugin, as a run would.
pub(super) fn check(path: &Path) -> Result<()> {
    let (config, plugins) = plugins::plan(Some(path), Added::default())?;
    if !plugins.is_empty() {
        Sandbox::start(plugins)?;
    }
    let mut text = format!("{}: ok\n", path.display());
    for table in &config.tables {
        text.push_str(&format!("  table {}\n", describe(table)));
    }
    for plugin in &config.plugins {
        text.push_str(&format!("  plugin {}: {}\n", plugin.name, plugin.component.display()));
    }
    answer(&text)
}
