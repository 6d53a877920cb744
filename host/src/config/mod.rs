//! The configuration: what tables, what plugins, and the limits of each.
//!
//! A configuration is TOML. A key that is not in these tables is an error, and so is a value of another type.
//!
//! | key | value | when left out |
//! |---|---|---|
//! | `interval` | a duration from 100ms to 24h | `1s` |
//! | `tables.NAME` | a table, as below; at least one | |
//! | `plugins.NAME` | a plugin, as below | no plugins |
//!
//! | key of a table | value | when left out |
//! |---|---|---|
//! | `on` | the probe, or an array of probes, in which names can have wildcards | `from` and `to` must be given |
//! | `from`, `to` | the probes that start and end a span, each as `on` | `on` must be given |
//! | `pair` | in spans: an expression, or `{ from = "…", to = "…" }` | starts and ends are paired by thread |
//! | `where` | an expression: the events to count | every event counts |
//! | `by` | key columns: `{ COLUMN = "expression", … }` | one row |
//! | `show` | measure columns: `{ COLUMN = "measure", … }`, at least one | |
//! | `keys` | rows that an interval can have, from 1 to 1,000,000 | 10,000; 2,000 if a stack is a key |
//! | `pid` | the one process to count | every process |
//! | `include_self` | count Weir's own process and its sandbox, too | `false` |
//! | `budget` | what its programs may take of one CPU, such as `1% cpu` | no bound |
//!
//! docs/tables.md says what probes, expressions and measures there are.
//!
//! | key of a plugin | value | when left out |
//! |---|---|---|
//! | `component` | the file, from the configuration's folder | |
//! | `digest` | the file's SHA-256, as `sha256:` and 64 hexadecimal digits; another file is refused | any file |
//! | `tables` | the names of the tables that it sees | all |
//! | `options` | texts, numbers and flags, as the plugin asks for them | none |
//! | `limits.memory` | a size from 1MiB to 4GiB | `64MiB` |
//! | `limits.deadline` | processor time of one call: a duration from 1ms to 60s | `100ms` |
//!
//! Durations are a whole number and one of `ns`, `us`, `ms`, `s`, `m`, `h`; sizes one of `B`, `KiB`, `MiB`, `GiB`.

mod arguments;
pub(crate) mod document;
mod parts;
pub(crate) mod piece;
pub(crate) mod plugin;
pub(crate) mod section;
pub(crate) mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Kind, Result};
pub use crate::probe::plan::Whose;
use crate::probe::{Kernel, unit};
use crate::sandbox::{Limits, OptionValue};
use crate::table::TableSpec;
use crate::trust::Digest;
pub use arguments::Arguments;
use document::Document;
use section::{Entry, Section};

const KEYS: [&str; 3] = ["interval", "tables", "plugins"];

/// A longer file is no configuration; it bounds the time and the memory that reading one takes.
const LARGEST_FILE: u64 = 1 << 20;
/// A configuration that is made to be resolved rather than run: tables, and the probes of all.
pub(crate) const MOST_TABLES: usize = 256;
const MOST_PROBES: usize = 16_384;
/// Names of tables, plugins and columns.
const LONGEST_NAME: usize = 64;

/// The shortest interval is several times the wait that closes one, the longest is for a daily total.
pub(crate) const INTERVALS: (u64, u64) = (100_000_000, 24 * 3_600 * 1_000_000_000);
const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);

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
    /// What the component must be.
    pub digest: Option<Digest>,
    /// All tables, if none are named.
    pub tables: Option<Vec<String>>,
    pub options: BTreeMap<String, OptionValue>,
    pub limits: SetLimits,
}

impl PluginConfig {
    /// Nothing but options, as they are given on a command line.
    pub(crate) fn with_options(name: &str, component: &Path, options: BTreeMap<String, OptionValue>) -> Self {
        let (name, component) = (name.to_owned(), component.to_owned());
        Self { name, component, digest: None, tables: None, options, limits: SetLimits::default() }
    }

    /// Whether these bytes are the component that is meant.
    pub(crate) fn is_meant(&self, component: &[u8]) -> Result<()> {
        let Some(wanted) = self.digest else { return Ok(()) };
        let found = Digest::of(component);
        if found == wanted {
            return Ok(());
        }
        let (name, file) = (&self.name, self.component.display());
        let message = format!("plugin {name}: {file} is {found}, and the configuration wants {wanted}");
        Err(Error::new(Kind::Data, message)
            .help("if the file is the one that is meant, put its digest into the configuration"))
    }
}

/// The limits that are written down for a plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetLimits {
    pub memory: Option<u64>,
    pub deadline: Option<Duration>,
}

impl SetLimits {
    /// With those of another where nothing is written.
    #[must_use]
    pub fn or(&self, other: &Limits) -> Limits {
        Limits {
            memory: self.memory.unwrap_or(other.memory),
            deadline: self.deadline.unwrap_or(other.deadline),
        }
    }
}

impl Config {
    /// Reads a file and resolves it against the running kernel.
    pub fn load(path: &Path) -> Result<Self> {
        Self::parse(&read(path)?, path, &Kernel::running())
    }

    /// Resolves a configuration's text, which errors say to be in the file `path`.
    pub fn parse(text: &str, path: &Path, kernel: &Kernel) -> Result<Self> {
        let config = Self::partial(text, path, kernel)?;
        config.has_tables(path)?;
        Ok(config)
    }

    /// As [`Self::parse`], of one whose plugins may ask for all of its tables.
    pub(crate) fn partial(text: &str, path: &Path, kernel: &Kernel) -> Result<Self> {
        let document = Document::new(path, text);
        let root = document.parse()?;
        let root = Section::of_root(&document, &root, &KEYS)?;
        let interval = match root.get("interval") {
            None => DEFAULT_INTERVAL,
            Some(entry) => {
                Duration::from_nanos(entry.quantity(unit::duration, unit::show_duration, INTERVALS)?)
            }
        };
        let mut tables = Vec::new();
        if let Some(entry) = root.get("tables") {
            let mut probes = 0;
            for entry in entry.entries()? {
                let table = table::read(&entry, kernel)?;
                probes += table.probes.len() + table.starts.len();
                if tables.len() >= MOST_TABLES || probes > MOST_PROBES {
                    return Err(entry
                        .key_error(format!(
                            "there are more than {MOST_TABLES} tables, or {MOST_PROBES} probes in all"
                        ))
                        .help("make two configurations of it"));
                }
                tables.push(Arc::new(table));
            }
        }
        let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
        let plugins = plugins(&root, &names)?;
        Ok(Self { interval, tables, plugins })
    }

    /// The plugins of a configuration for tables that are there already, as those of a recording are. What it has of tables is
    /// not looked at: there need be no kernel that has their probes.
    pub(crate) fn plugins_for(text: &str, path: &Path, tables: &[&str]) -> Result<Vec<PluginConfig>> {
        let document = Document::new(path, text);
        let root = document.parse()?;
        plugins(&Section::of_root(&document, &root, &KEYS)?, tables)
    }

    pub(crate) fn has_tables(&self, path: &Path) -> Result<()> {
        if !self.tables.is_empty() {
            return Ok(());
        }
        Err(Error::new(Kind::Config, format!("{}: there are no tables", path.display()))
            .help("add one: [tables.NAME] with `on`, the probe, and `show`, what to measure"))
    }
}

fn plugins(root: &Section<'_>, tables: &[&str]) -> Result<Vec<PluginConfig>> {
    let entries = root.get("plugins").map_or(Ok(Vec::new()), Entry::entries)?;
    entries.iter().map(|entry| plugin::read(entry, tables)).collect()
}

pub(crate) fn read(path: &Path) -> Result<String> {
    let failed = |kind, why: String| Error::new(kind, format!("cannot read {}: {why}", path.display()));
    let length = fs::metadata(path).map_err(|error| failed(Kind::NoInput, reason(&error)))?;
    if !length.is_file() {
        return Err(failed(Kind::NoInput, "it is not a file".to_owned()));
    }
    if length.len() > LARGEST_FILE {
        return Err(failed(Kind::Config, format!("it is longer than {}", unit::show_size(LARGEST_FILE))));
    }
    let bytes = fs::read(path).map_err(|error| failed(Kind::NoInput, reason(&error)))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        failed(Kind::Config, format!("byte {} is not UTF-8", at + 1))
    })
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

/// Whether this can name a table or a plugin. Both go into file names and labels.
pub(crate) fn is_name(text: &str) -> bool {
    text.len() <= LONGEST_NAME
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}
