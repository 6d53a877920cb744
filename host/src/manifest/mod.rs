//! What a plugin says of itself: `plugin.toml`, which packing puts into the component as a section of its own.
//!
//! | key | value | when left out |
//! |---|---|---|
//! | `name` | letters, digits, `_` and `-` | it must be given |
//! | `version` | as `1.2.3`, by [Semantic Versioning](https://semver.org) | it must be given |
//! | `description` | one line | none |
//! | `license` | an [SPDX expression](https://spdx.dev/learn/handling-license-info/), which `build`, `pack` and `verify` look at | none |
//! | `homepage` | an address | none |
//! | `language` | what `weir plugin build` builds it with | it is not built by that |
//! | `limits` | `memory` and `deadline`, as in a configuration | those of a configuration that says nothing |
//! | `tables.NAME` | a table that it asks for, as in a configuration | it takes the tables that there are |
//! | `options.NAME` | `type`, and if wanted `default` and `help` | it has no options |
//! | `metrics.NAME` | `type`, and if wanted `unit` and `help` | it puts out no metrics |
//!
//! The type of an option is `text`, `integer`, `number` or `flag`; that of a metric `counter`, `gauge` or `histogram`.
//!
//! The section, `weir:manifest`, holds the file as it was written. It may be a stranger's: it is data, of which
//! nothing is believed that the policy does not grant, and all of which is escaped where it is shown.

mod ask;
mod options;
mod section;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use semver::Version;

use crate::config::SetLimits;
use crate::config::document::Document;
use crate::config::plugin as settings;
use crate::config::section::{Entry, Section};
use crate::config::table;
use crate::error::Result;
use crate::probe::Kernel;
use crate::probe::nearest::{did_you_mean, one_of};
use crate::sandbox::OptionValue;
use crate::table::TableSpec;
pub(crate) use ask::{Given, Tables};
pub(crate) use options::typed;
pub(crate) use section::{pack, within};

/// A manifest that is made to be read rather than understood; the largest known has some two kilobytes.
pub(crate) const MANIFEST_BYTES: usize = 64 << 10;
/// One line of a listing.
const LINE_BYTES: usize = 1 << 10;
/// Tables, options and metrics: as many as a person can look over.
const ENTRIES: usize = 64;

const KEYS: [&str; 10] = [
    "name",
    "version",
    "description",
    "license",
    "homepage",
    "language",
    "limits",
    "tables",
    "options",
    "metrics",
];

/// A manifest that is in order. Its tables are text until a kernel is there to resolve them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Manifest {
    pub(crate) name: String,
    pub(crate) version: Version,
    pub(crate) description: String,
    pub(crate) license: String,
    pub(crate) homepage: String,
    pub(crate) language: Option<Language>,
    pub(crate) limits: SetLimits,
    /// The tables that it asks for, in its order: the name of each, and its keys with their values as they are written.
    pub(crate) tables: Vec<(String, Vec<(String, String)>)>,
    /// In its order.
    pub(crate) options: Vec<(String, OptionSpec)>,
    pub(crate) metrics: Vec<(String, MetricSpec)>,
    /// All of it, as it was written.
    pub(crate) text: Arc<str>,
}

/// What `weir plugin build` knows how to build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Language {
    Rust,
    C,
    Go,
    #[value(name = "javascript", alias = "js")]
    JavaScript,
    #[value(name = "typescript", alias = "ts")]
    TypeScript,
    Python,
    Zig,
}

impl Language {
    pub(crate) const ALL: [Self; 7] =
        [Self::Rust, Self::C, Self::Go, Self::JavaScript, Self::TypeScript, Self::Python, Self::Zig];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::C => "c",
            Self::Go => "go",
            Self::JavaScript => "javascript",
            Self::TypeScript => "typescript",
            Self::Python => "python",
            Self::Zig => "zig",
        }
    }
}

/// The type of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OptionType {
    Text,
    Integer,
    Number,
    Flag,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OptionSpec {
    pub(crate) kind: OptionType,
    pub(crate) default: Option<OptionValue>,
    pub(crate) help: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MetricType {
    Counter,
    Gauge,
    Histogram,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MetricSpec {
    pub(crate) kind: MetricType,
    pub(crate) unit: String,
    pub(crate) help: String,
}

impl Manifest {
    /// Reads a manifest's text, which errors say to be in the file `path`.
    pub(crate) fn parse(text: &str, path: &Path) -> Result<Self> {
        let document = Document::new(path, text);
        let root = document.parse()?;
        let root = Section::of_root(&document, &root, &KEYS)?;
        let missing = |key: &str, example: &str| {
            let message = format!("a manifest needs a `{key}`");
            document.error(0..0, message).help(format!("write {key} = \"{example}\""))
        };
        let name = root.get("name").ok_or_else(|| missing("name", "my-plugin"))?;
        let version = root.get("version").ok_or_else(|| missing("version", "0.1.0"))?;
        let language = match root.get("language") {
            Some(entry) => {
                Some(one_of_these(entry, Language::ALL.map(|language| (language.name(), language)))?)
            }
            None => None,
        };
        let options = list(root.get("options"), options::read)?;
        let metrics = list(root.get("metrics"), metric)?;
        let tables = list(root.get("tables"), |entry| {
            table::check_shape(entry)?;
            entry.entries()?.iter().map(|part| Ok((part.key.to_owned(), written(part)?))).collect()
        })?;
        Ok(Self {
            name: plugin_name(name)?,
            version: semantic(version)?,
            description: line(root.get("description"))?,
            license: line(root.get("license"))?,
            homepage: line(root.get("homepage"))?,
            language,
            limits: root.get("limits").map_or(Ok(SetLimits::default()), settings::limits)?,
            tables,
            options,
            metrics,
            text: text.into(),
        })
    }

    /// The tables that it asks for, resolved against a kernel.
    pub(crate) fn resolve(&self, path: &Path, kernel: &Kernel) -> Result<Vec<TableSpec>> {
        self.read(path, |root| each_table(root, |entry| table::read(entry, kernel)))
    }

    /// What its author has to have right, and whoever runs it does not ask for: that the tables can be such, on one kernel
    /// or another, and that the licence has a name that programs know.
    pub(crate) fn check(&self, path: &Path) -> Result<()> {
        self.read(path, |root| {
            root.get("license").map_or(Ok(()), spdx_expression)?;
            each_table(root, table::check).map(drop)
        })
    }

    /// Reads the text again, of which it has what is for those who run it.
    fn read<T>(&self, path: &Path, read: impl FnOnce(&Section<'_>) -> Result<T>) -> Result<T> {
        let document = Document::new(path, &self.text);
        let root = document.parse()?;
        read(&Section::of_root(&document, &root, &KEYS)?)
    }

    /// The options with which it is to run: those given, which must be of its types, and the defaults of the others.
    pub(crate) fn settle(
        &self,
        given: &BTreeMap<String, OptionValue>,
    ) -> Result<BTreeMap<String, OptionValue>> {
        options::settle(&self.options, given)
    }
}

/// The name of a plugin: of its file, its folder and its package, in every language.
fn plugin_name(entry: &Entry<'_>) -> Result<String> {
    let name = entry.text()?;
    if is_plugin_name(name) {
        return Ok(name.to_owned());
    }
    Err(entry
        .value_error(format!("`{}` cannot be the name of a plugin", name.escape_debug()))
        .help("a name is a letter, then letters, digits, _ and -, 64 characters at most"))
}

pub(crate) fn is_plugin_name(name: &str) -> bool {
    crate::config::is_name(name) && name.starts_with(|c: char| c.is_ascii_alphabetic())
}

fn semantic(entry: &Entry<'_>) -> Result<Version> {
    let text = entry.text()?;
    // As long as the section is that others read it from.
    let version = (text.len() <= 256).then(|| Version::parse(text).ok()).flatten();
    version.ok_or_else(|| {
        entry.value_error("`version` must be three numbers, such as 1.2.3").help("see https://semver.org")
    })
}

fn spdx_expression(entry: &Entry<'_>) -> Result<()> {
    let parsed = spdx::Expression::parse(entry.text()?);
    parsed.map(drop).map_err(|error| {
        entry.value_error(format!("`license` is no SPDX expression: {}", error.reason)).help(
            "such as \"Apache-2.0 OR MIT\", see https://spdx.org/licenses; LicenseRef-NAME is one that is not there",
        )
    })
}

fn each_table<T>(root: &Section<'_>, read: impl Fn(&Entry<'_>) -> Result<T>) -> Result<Vec<T>> {
    let Some(tables) = root.get("tables") else { return Ok(Vec::new()) };
    tables.entries()?.iter().map(read).collect()
}

/// A value as it is written, on one line, however its table is laid out.
fn written(entry: &Entry<'_>) -> Result<String> {
    if entry.value.get_ref().is_table() {
        let parts = entry.entries()?;
        let parts = parts.iter().map(|part| Ok(format!("{} = {}", part.key, written(part)?)));
        return Ok(format!("{{ {} }}", parts.collect::<Result<Vec<_>>>()?.join(", ")));
    }
    let text = entry.document.text().get(entry.value.span()).unwrap_or_default();
    Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// A text of one line; empty if there is none.
fn line(entry: Option<&Entry<'_>>) -> Result<String> {
    let Some(entry) = entry else { return Ok(String::new()) };
    let text = entry.text()?;
    if text.len() > LINE_BYTES || text.chars().any(char::is_control) {
        return Err(
            entry.value_error(format!("`{}` must be one line of at most {LINE_BYTES} bytes", entry.key))
        );
    }
    Ok(text.to_owned())
}

/// The entries of a table of the manifest, each read.
fn list<T>(entry: Option<&Entry<'_>>, read: impl Fn(&Entry<'_>) -> Result<T>) -> Result<Vec<(String, T)>> {
    let Some(entry) = entry else { return Ok(Vec::new()) };
    let entries = entry.entries()?;
    if entries.len() > ENTRIES {
        return Err(entry.key_error(format!("`{}` has more than {ENTRIES} entries", entry.key)));
    }
    entries.iter().map(|entry| Ok((entry.key.to_owned(), read(entry)?))).collect()
}

fn metric(entry: &Entry<'_>) -> Result<MetricSpec> {
    // As the exposition format of Prometheus has it: https://prometheus.io/docs/concepts/data_model/
    let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let begins = entry.key.starts_with(|c: char| in_name(c) && !c.is_ascii_digit());
    if !begins || !entry.key.chars().all(in_name) {
        return Err(entry
            .key_error(format!("`{}` cannot be the name of a metric", entry.key.escape_debug()))
            .help("a metric's name is a letter or _, then letters, digits and _"));
    }
    let section = entry.section(&["type", "unit", "help"])?;
    let kind = section.get("type").ok_or_else(|| needs_type(entry, &METRIC_TYPES))?;
    let kind = one_of_these(kind, METRIC_TYPES)?;
    Ok(MetricSpec { kind, unit: line(section.get("unit"))?, help: line(section.get("help"))? })
}

const METRIC_TYPES: [(&str, MetricType); 3] =
    [("counter", MetricType::Counter), ("gauge", MetricType::Gauge), ("histogram", MetricType::Histogram)];

fn needs_type<T>(entry: &Entry<'_>, known: &[(&str, T)]) -> crate::error::Error {
    let message = format!("`{}` has no type", entry.key.escape_debug());
    entry
        .key_error(message)
        .help(format!("write type = \"…\": {}", one_of(known.iter().map(|(name, _)| *name))))
}

/// The value that a word stands for.
fn one_of_these<T: Copy, const N: usize>(entry: &Entry<'_>, known: [(&str, T); N]) -> Result<T> {
    let text = entry.text()?;
    known.iter().find(|(name, _)| *name == text).map(|(_, value)| *value).ok_or_else(|| {
        let names = || known.iter().map(|(name, _)| *name);
        let message = format!("`{}` is no {}", text.escape_debug(), entry.key);
        let all = || format!("there are {}", one_of(names()).replace(" or ", " and "));
        entry.value_error(message).help(did_you_mean(text, names()).unwrap_or_else(all))
    })
}

impl fmt::Display for OptionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(options::TYPES.iter().find(|(_, kind)| kind == self).map_or("", |(name, _)| name))
    }
}

impl fmt::Display for MetricType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(METRIC_TYPES.iter().find(|(_, kind)| kind == self).map_or("", |(name, _)| name))
    }
}
