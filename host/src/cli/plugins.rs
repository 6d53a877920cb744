//! From what the configuration and the command line say of plugins to plugins that can be started.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use super::run::schemas;
use super::{Setting, unreadable};
use crate::config::{self, Config, PluginConfig};
use crate::error::{Error, Kind, Result};
use crate::manifest::{self, Manifest};
use crate::probe::Kernel;
use crate::sandbox::Plugin;

/// Bytes of a component. The largest known, an interpreter with its library, has 40 MiB.
const COMPONENT_BYTES: u64 = 256 << 20;

/// The plugins of a command line, and what is set there of their options.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Added<'a> {
    pub(super) paths: &'a [PathBuf],
    pub(super) settings: &'a [Setting],
}

/// A plugin that was read, with what it says of itself and what is written for it.
#[derive(Debug)]
struct Found<'a> {
    name: String,
    path: PathBuf,
    component: Vec<u8>,
    manifest: Option<Manifest>,
    written: Option<Cow<'a, PluginConfig>>,
}

/// What is to run: the tables of a configuration and those that plugins ask for, and the plugins, those of the command line
/// last.
pub(super) fn plan(config: Option<&Path>, added: Added<'_>) -> Result<(Config, Vec<Plugin>)> {
    let kernel = Kernel::running();
    let path = match (config, added.paths) {
        (Some(path), _) => path,
        (None, []) => return Err(nothing_to_do()),
        (None, [plugin, ..]) => plugin,
    };
    let text = config.map(config::read).transpose()?.unwrap_or_default();
    let mut wanted = Config::partial(&text, path, &kernel)?;
    let found = find(&wanted.plugins, added)?;
    let mut tables = manifest::Tables::new(&mut wanted.tables);
    for Found { name, path, manifest, written, .. } in &found {
        tables.add(name, (written.as_deref(), manifest.as_ref()), path, &kernel)?;
    }
    if config.is_none() && wanted.tables.is_empty() {
        return Err(asks_for_nothing(path));
    }
    wanted.has_tables(path)?;
    let plugins = grant(found, &schemas(&wanted.tables))?;
    Ok((wanted, plugins))
}

/// Plugins for tables that are there already, as those of a recording are.
pub(super) fn load(
    config: Option<&Path>,
    added: Added<'_>,
    tables: &[(Arc<str>, SchemaRef)],
) -> Result<Vec<Plugin>> {
    let names: Vec<&str> = tables.iter().map(|(name, _)| &**name).collect();
    let configured = match config {
        Some(path) => Config::plugins_for(&config::read(path)?, path, &names)?,
        None => Vec::new(),
    };
    grant(find(&configured, added)?, tables)
}

/// Plugins for one table, whatever tables they ask for.
pub(super) fn load_for(added: &[PathBuf], table: &[(Arc<str>, SchemaRef)]) -> Result<Vec<Plugin>> {
    let mut found = find(&[], Added { paths: added, settings: &[] })?;
    found
        .iter_mut()
        .filter_map(|plugin| plugin.manifest.as_mut())
        .for_each(|manifest| manifest.tables.clear());
    grant(found, table)
}

fn nothing_to_do() -> Error {
    Error::new(Kind::Usage, "there is nothing to trace")
        .help("name a configuration with -c, or with --plugin a plugin that asks for tables")
}

/// Why there are no tables, where there is no configuration.
fn asks_for_nothing(plugin: &Path) -> Error {
    Error::new(Kind::Config, format!("{} asks for no tables", plugin.display()))
        .help("name a configuration that has some with -c, or add [tables.NAME] to its plugin.toml")
}

/// Those of the configuration, then those of the command line.
fn find<'a>(configured: &'a [PluginConfig], added: Added<'_>) -> Result<Vec<Found<'a>>> {
    let mut found = configured.iter().map(configured_one).collect::<Result<Vec<_>>>()?;
    for path in added.paths {
        let name = stem(path);
        if found.iter().any(|plugin| plugin.name == name) {
            return Err(Error::new(Kind::Usage, format!("there are two plugins `{name}`"))
                .help("a plugin given by --plugin has the name of its file"));
        }
        found.push(Found::new(name, path, None)?);
    }
    let about = found.iter().skip(configured.len());
    let about: Vec<_> = about.map(|plugin| (&*plugin.name, plugin.manifest.as_ref())).collect();
    let options = manifest::typed(added.settings, &about)?;
    for (plugin, options) in found.iter_mut().skip(configured.len()).zip(options) {
        plugin.written = Some(Cow::Owned(PluginConfig::with_options(&plugin.name, &plugin.path, options)));
    }
    Ok(found)
}

fn configured_one(config: &PluginConfig) -> Result<Found<'_>> {
    let found = Found::new(config.name.clone(), &config.component, Some(Cow::Borrowed(config)))?;
    config.is_meant(&found.component)?;
    Ok(found)
}

impl<'a> Found<'a> {
    fn new(name: String, path: &Path, written: Option<Cow<'a, PluginConfig>>) -> Result<Self> {
        let component = read(path)?;
        let manifest = manifest::within(&component, path)?;
        Ok(Self { name, path: path.to_owned(), component, manifest, written })
    }
}

/// Finds each plugin's tables, and settles its options and limits.
fn grant(found: Vec<Found<'_>>, tables: &[(Arc<str>, SchemaRef)]) -> Result<Vec<Plugin>> {
    let grant = |plugin: Found<'_>| {
        let Found { name, component, manifest, written, .. } = plugin;
        let given = manifest::Given::new(&name, written.as_deref(), manifest.as_ref())?;
        let granted = given.of(&name, tables)?;
        Ok(Plugin { name, component, tables: granted, options: given.options, limits: given.limits })
    };
    found.into_iter().map(grant).collect()
}

/// The name of a plugin that nobody named.
pub(crate) fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let mut component = Vec::new();
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    file.take(COMPONENT_BYTES + 1).read_to_end(&mut component).map_err(|error| unreadable(path, &error))?;
    if component.len() as u64 > COMPONENT_BYTES {
        let message = format!("{} is no plugin: it has more than {COMPONENT_BYTES} bytes", path.display());
        return Err(Error::new(Kind::Data, message));
    }
    Ok(component)
}
