//! What plugins ask for, beside what a configuration has.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use super::Manifest;
use crate::config::{MOST_TABLES, PluginConfig};
use crate::error::{Error, Kind, Result};
use crate::probe::Kernel;
use crate::sandbox::{Limits, OptionValue};
use crate::table::TableSpec;

/// What a plugin is given: what is written for it, and for the rest what its manifest says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    /// All tables, if none are named.
    pub(crate) tables: Option<Vec<String>>,
    pub(crate) options: BTreeMap<String, OptionValue>,
    pub(crate) limits: Limits,
}

impl Given {
    pub(crate) fn new(
        plugin: &str,
        written: Option<&PluginConfig>,
        manifest: Option<&Manifest>,
    ) -> Result<Self> {
        let tables = written.and_then(|written| written.tables.clone());
        let options = written.map(|written| written.options.clone()).unwrap_or_default();
        let limits = written.map(|written| written.limits.clone()).unwrap_or_default();
        let Some(manifest) = manifest else {
            return Ok(Self { tables, options, limits: limits.or(&Limits::default()) });
        };
        let asked =
            Self::asked(manifest, &options).map_err(|error| error.context(format!("plugin {plugin}")))?;
        Ok(Self { tables: tables.or(asked.tables), limits: limits.or(&asked.limits), ..asked })
    }

    /// What a manifest asks for, with these options.
    pub(crate) fn asked(manifest: &Manifest, options: &BTreeMap<String, OptionValue>) -> Result<Self> {
        let tables = manifest.tables.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        Ok(Self {
            tables: (!tables.is_empty()).then_some(tables),
            options: manifest.settle(options)?,
            limits: manifest.limits.or(&Limits::default()),
        })
    }

    /// Of the tables that there are, its own.
    pub(crate) fn of(
        &self,
        plugin: &str,
        tables: &[(Arc<str>, SchemaRef)],
    ) -> Result<Vec<(Arc<str>, SchemaRef)>> {
        let Some(names) = &self.tables else { return Ok(tables.to_vec()) };
        let find = |name: &String| {
            let found = tables.iter().find(|(there, _)| **there == **name);
            found.cloned().ok_or_else(|| {
                let there: Vec<&str> = tables.iter().map(|(name, _)| &**name).collect();
                let message = format!("the plugin `{plugin}` is to see a table `{name}` that is not there");
                Error::new(Kind::Config, message).help(format!("the tables here are {}", there.join(", ")))
            })
        };
        names.iter().map(find).collect()
    }
}

/// The tables of a run: those that its operator wrote, then those that plugins ask for.
#[derive(Debug)]
pub(crate) struct Tables<'a> {
    tables: &'a mut Vec<Arc<TableSpec>>,
    /// How many are the operator's.
    own: usize,
}

impl<'a> Tables<'a> {
    pub(crate) fn new(tables: &'a mut Vec<Arc<TableSpec>>) -> Self {
        Self { own: tables.len(), tables }
    }

    /// Adds what a plugin's manifest asks for and is not there, unless it is written which tables the plugin sees. A table of
    /// the operator takes the place of one that is asked for by the same name: so it can be narrowed, or given more room.
    pub(crate) fn add(
        &mut self,
        plugin: &str,
        (written, manifest): (Option<&PluginConfig>, Option<&Manifest>),
        path: &Path,
        kernel: &Kernel,
    ) -> Result<()> {
        let Some(manifest) = manifest.filter(|_| written.is_none_or(|written| written.tables.is_none()))
        else {
            return Ok(());
        };
        for wanted in manifest.resolve(path, kernel)? {
            let there = self.tables.iter().position(|table| table.name == wanted.name);
            match there.map(|at| (at < self.own, &self.tables[at])) {
                None if self.tables.len() >= MOST_TABLES => {
                    let message = format!("plugin {plugin}: there are more than {MOST_TABLES} tables");
                    return Err(Error::new(Kind::Config, message).help("run fewer plugins at once"));
                }
                None => self.tables.push(Arc::new(wanted)),
                Some((true, table)) => has_columns(table, &wanted, plugin)?,
                Some((false, table)) if **table == wanted => (),
                Some((false, _)) => {
                    let message = format!("two plugins ask for different tables `{}`", wanted.name);
                    return Err(Error::new(Kind::Config, format!("plugin {plugin}: {message}"))
                        .help("run them apart, or write a table of that name which is right for both"));
                }
            }
        }
        Ok(())
    }
}

/// Whether a table has what a plugin reads of the one that it asked for.
fn has_columns(table: &TableSpec, wanted: &TableSpec, plugin: &str) -> Result<()> {
    let key = wanted.keys.iter().find(|key| {
        !table.keys.iter().any(|there| there.name == key.name && there.kind.is_text() == key.kind.is_text())
    });
    let measure = wanted.measures.iter().find(|measure| {
        !table
            .measures
            .iter()
            .any(|there| there.name == measure.name && there.kind.name() == measure.kind.name())
    });
    let (place, name) = match (key, measure) {
        (Some(key), _) => ("by", &key.name),
        (None, Some(measure)) => ("show", &measure.name),
        (None, None) => return Ok(()),
    };
    let message =
        format!("plugin {plugin}: the table `{}` has no column `{name}` as it needs it", table.name);
    Err(Error::new(Kind::Config, message)
        .help(format!("add it to `{place}`, or leave the table out, and the plugin's own is used")))
}
