//! The configuration: what tables, what plugins, and the limits of each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::sandbox::{Limits, OptionValue};
use crate::table::TableSpec;

/// A configuration whose every name is resolved against this kernel.
#[derive(Clone, Debug)]
pub struct Config {
    pub interval: Duration,
    /// In the order of the file.
    pub tables: Vec<Arc<TableSpec>>,
    /// In the order of the file.
    pub plugins: Vec<PluginConfig>,
}

#[derive(Clone, Debug)]
pub struct PluginConfig {
    pub name: String,
    /// Relative paths are taken from the configuration's folder.
    pub component: PathBuf,
    /// All tables, if none are named.
    pub tables: Option<Vec<String>>,
    pub options: BTreeMap<String, OptionValue>,
    pub limits: Limits,
}

impl Config {
    pub fn load(path: &Path) -> Result<Self> {
        Err(Error::new(Kind::Software, format!("{} cannot be read yet", path.display())))
    }
}
