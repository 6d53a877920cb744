//! `weir check`: a configuration, without running it.

use std::io::{self, Write};
use std::path::Path;

use super::plugins;
use crate::config::Config;
use crate::error::Result;

pub(super) fn check(path: &Path) -> Result<()> {
    let config = Config::load(path)?;
    let mut text = format!("{}: ok\n", path.display());
    for table in &config.tables {
        let from = table.from.as_ref().map_or(String::new(), |from| format!("{from} → "));
        text.push_str(&format!("  table {}: {from}{}\n", table.name, table.attach));
    }
    for plugin in &config.plugins {
        plugins::read(&plugin.component)?;
        text.push_str(&format!("  plugin {}: {}\n", plugin.name, plugin.component.display()));
    }
    let lines: Vec<_> = text.split('\n').map(crate::escape::guard).collect();
    match io::stdout().write_all(lines.join("\n").as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}
