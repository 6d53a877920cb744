//! From what the configuration and the command line say of plugins to plugins that can be started.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use super::unreadable;
use crate::config::PluginConfig;
use crate::error::{Error, Kind, Result};
use crate::sandbox::{Limits, Plugin};
use crate::trust::Digest;

/// Bytes of a component. The largest known, an interpreter with its library, has 40 MiB.
const COMPONENT_BYTES: u64 = 256 << 20;

/// Those of the configuration, then those of the command line, which see every table.
pub(super) fn load(
    configured: &[PluginConfig],
    added: &[PathBuf],
    tables: &[(Arc<str>, SchemaRef)],
) -> Result<Vec<Plugin>> {
    let mut plugins =
        configured.iter().map(|plugin| from_config(plugin, tables)).collect::<Result<Vec<_>>>()?;
    for path in added {
        let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        if plugins.iter().any(|plugin| plugin.name == name) {
            return Err(Error::new(Kind::Usage, format!("there are two plugins `{name}`"))
                .help("a plugin given by --plugin has the name of its file"));
        }
        plugins.push(Plugin {
            name,
            component: read(path)?,
            tables: tables.to_vec(),
            options: BTreeMap::new(),
            limits: Limits::default(),
        });
    }
    Ok(plugins)
}

fn from_config(config: &PluginConfig, tables: &[(Arc<str>, SchemaRef)]) -> Result<Plugin> {
    let find = |name: &String| {
        let table = tables.iter().find(|(table, _)| **table == **name);
        table.cloned().ok_or_else(|| {
            Error::new(
                Kind::Config,
                format!("the plugin `{}` is to see a table `{name}` that is not there", config.name),
            )
        })
    };
    let granted = match &config.tables {
        Some(names) => names.iter().map(find).collect::<Result<_>>()?,
        None => tables.to_vec(),
    };
    let component = read(&config.component)?;
    if let Some(wanted) = config.digest {
        let found = Digest::of(&component);
        if found != wanted {
            let file = config.component.display();
            return Err(Error::new(
                Kind::Data,
                format!("plugin {}: {file} is {found}, and the configuration wants {wanted}", config.name),
            )
            .help("if the file is the one that is meant, put its digest into the configuration"));
        }
    }
    Ok(Plugin {
        name: config.name.clone(),
        component,
        tables: granted,
        options: config.options.clone(),
        limits: config.limits.clone(),
    })
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
