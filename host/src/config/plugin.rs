//! `[plugins.NAME]`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use toml::de::DeValue;

use super::section::Entry;
use super::{PluginConfig, SetLimits};
use crate::error::Result;
use crate::probe::nearest::{did_you_mean, one_of};
use crate::probe::unit;
use crate::sandbox::OptionValue;
use crate::trust::Digest;

/// From what a small component needs to all that 32 bits can address.
const MEMORY: (u64, u64) = (1 << 20, 4 << 30);
pub(crate) const DEADLINE: (u64, u64) = (1_000_000, 60_000_000_000);

pub(super) fn read(entry: &Entry<'_>, tables: &[&str]) -> Result<PluginConfig> {
    let name = entry.name()?;
    let section = entry.section(&["component", "digest", "tables", "options", "limits"])?;
    let Some(component) = section.get("component") else {
        return Err(entry
            .key_error(format!("plugin `{name}` has no component"))
            .help("give the file: component = \"plugins/top.wasm\""));
    };
    let file = component.text()?;
    if file.is_empty() || file.contains('\0') {
        return Err(component.value_error("`component` must be the name of a file"));
    }
    let folder = component.document.path().parent().unwrap_or(Path::new(""));
    Ok(PluginConfig {
        name,
        component: folder.join(file),
        digest: section.get("digest").map(digest).transpose()?,
        tables: section.get("tables").map(|entry| granted(entry, tables)).transpose()?,
        options: section.get("options").map_or(Ok(BTreeMap::new()), options)?,
        limits: section.get("limits").map_or(Ok(SetLimits::default()), limits)?,
    })
}

fn digest(entry: &Entry<'_>) -> Result<Digest> {
    entry.text()?.parse().map_err(|why: String| {
        entry
            .value_error("`digest` must be `sha256:` and 64 hexadecimal digits")
            .help(format!("{why}; `sha256sum FILE` prints the digits"))
    })
}

fn granted(entry: &Entry<'_>, tables: &[&str]) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for piece in entry.pieces()? {
        let name = piece.text;
        let known = || tables.iter().copied();
        if !known().any(|table| table == name) {
            let help = did_you_mean(name, known()).unwrap_or_else(|| {
                format!("the tables here are {}", one_of(known()).replace(" or ", " and "))
            });
            let message = format!("there is no table `{}`", name.escape_debug());
            return Err(piece.error(message).help(help));
        }
        if names.iter().any(|other| other == name) {
            return Err(piece.error(format!("table `{name}` is named twice")));
        }
        names.push(name.to_owned());
    }
    if names.is_empty() {
        return Err(entry
            .value_error("a plugin needs a table to see")
            .help("name one, or leave `tables` out to grant all"));
    }
    Ok(names)
}

pub(crate) fn options(entry: &Entry<'_>) -> Result<BTreeMap<String, OptionValue>> {
    let mut options = BTreeMap::new();
    for option in entry.entries()? {
        options.insert(option.key.to_owned(), option_value(&option)?);
    }
    Ok(options)
}

pub(crate) fn option_value(option: &Entry<'_>) -> Result<OptionValue> {
    match option.value.get_ref() {
        DeValue::String(text) => Ok(OptionValue::Text(text.to_string())),
        DeValue::Boolean(flag) => Ok(OptionValue::Flag(*flag)),
        DeValue::Integer(_) => Ok(OptionValue::Integer(option.integer((i64::MIN, i64::MAX))?)),
        DeValue::Float(number) => match number.as_str().parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(OptionValue::Number(number)),
            _ => Err(option.value_error("an option must be a finite number")),
        },
        _ => Err(option
            .value_error(format!(
                "option `{}` is of a type that plugins do not have",
                option.key.escape_debug()
            ))
            .help("an option is a string, an integer, a number or a boolean")),
    }
}

pub(crate) fn limits(entry: &Entry<'_>) -> Result<SetLimits> {
    let section = entry.section(&["memory", "deadline"])?;
    let memory = section.get("memory").map(|entry| entry.quantity(unit::size, unit::show_size, MEMORY));
    let deadline =
        section.get("deadline").map(|entry| entry.quantity(unit::duration, unit::show_duration, DEADLINE));
    let deadline = deadline.transpose()?.map(Duration::from_nanos);
    Ok(SetLimits { memory: memory.transpose()?, deadline })
}
