//! The settings that a plugin has.

use std::collections::BTreeMap;

use super::{Manifest, OptionSpec, OptionType, line, needs_type, one_of_these};
use crate::config::is_name;
use crate::config::plugin::option_value;
use crate::config::section::Entry;
use crate::error::{Error, Kind, Result};
use crate::probe::nearest::{did_you_mean, one_of};
use crate::sandbox::OptionValue;

pub(super) const TYPES: [(&str, OptionType); 4] = [
    ("text", OptionType::Text),
    ("integer", OptionType::Integer),
    ("number", OptionType::Number),
    ("flag", OptionType::Flag),
];

pub(super) fn read(entry: &Entry<'_>) -> Result<OptionSpec> {
    // It is what command lines and configurations name it by.
    if !is_name(entry.key) {
        return Err(entry
            .key_error(format!("`{}` cannot be the name of an option", entry.key.escape_debug()))
            .help("a name is a letter or _, then letters, digits, _ and -, 64 characters at most"));
    }
    let section = entry.section(&["type", "default", "help"])?;
    let kind = section.get("type").ok_or_else(|| needs_type(entry, &TYPES))?;
    let kind = one_of_these(kind, TYPES)?;
    let default = match section.get("default") {
        Some(default) => {
            let value = option_value(default)?;
            if !fits(kind, &value) {
                return Err(default.value_error(format!("the default of {} must be one", article(kind))));
            }
            Some(value)
        }
        None => None,
    };
    Ok(OptionSpec { kind, default, help: line(section.get("help"))? })
}

/// An integer is a number too, as the interface has it.
fn fits(kind: OptionType, value: &OptionValue) -> bool {
    matches!(
        (kind, value),
        (OptionType::Text, OptionValue::Text(_))
            | (OptionType::Integer | OptionType::Number, OptionValue::Integer(_))
            | (OptionType::Number, OptionValue::Number(_))
            | (OptionType::Flag, OptionValue::Flag(_))
    )
}

fn article(kind: OptionType) -> String {
    match kind {
        OptionType::Integer => format!("an {kind}"),
        _ => format!("a {kind}"),
    }
}

/// What somebody has given on a command line, `NAME=VALUE` split, for each of the plugins that it names, with their
/// manifests: of the type that the manifest has, which is what makes of a text an option.
pub(crate) fn typed(
    given: &[(String, String)],
    plugins: &[(&str, Option<&Manifest>)],
) -> Result<Vec<BTreeMap<String, OptionValue>>> {
    let mut options = vec![BTreeMap::new(); plugins.len()];
    for (name, text) in given {
        let known = |at: &usize| {
            plugins[*at].1.iter().flat_map(|manifest| &manifest.options).find(|(known, _)| known == name)
        };
        let mut have = (0..plugins.len()).filter_map(|at| Some((at, known(&at)?)));
        let wrong = |message: String| Error::new(Kind::Usage, message);
        let (at, (_, spec)) = match (have.next(), have.next()) {
            (Some(found), None) => found,
            (Some((one, _)), Some((other, _))) => {
                let (one, other) = (plugins[one].0, plugins[other].0);
                return Err(wrong(format!("the plugins {one} and {other} both have an option `{name}`"))
                    .help("write it in a configuration, as options = { … } of the one that is meant"));
            }
            (None, _) => return Err(nobodys(name, plugins)),
        };
        let value = of_text(spec.kind, text).ok_or_else(|| {
            let message =
                format!("option `{name}` is {}, and this is `{}`", article(spec.kind), text.escape_debug());
            match spec.help.as_str() {
                "" => wrong(message),
                help => wrong(message).help(format!("{name}: {help}")),
            }
        })?;
        options[at].insert(name.clone(), value);
    }
    Ok(options)
}

fn nobodys(name: &str, plugins: &[(&str, Option<&Manifest>)]) -> Error {
    let error = Error::new(
        Kind::Usage,
        format!("no plugin that is named here has an option `{}`", name.escape_debug()),
    );
    let names =
        || plugins.iter().filter_map(|(_, manifest)| *manifest).flat_map(|manifest| &manifest.options);
    let names = || names().map(|(name, _)| name.as_str());
    if let Some((plugin, _)) = plugins.iter().find(|(_, manifest)| manifest.is_none()) {
        return error.help(format!(
            "{plugin} has no manifest, which would have the option's type; write it in a configuration"
        ));
    }
    error.help(did_you_mean(name, names()).unwrap_or_else(|| match names().next() {
        None => "they have no options; those of a configuration's plugins are written in it".to_owned(),
        Some(_) => format!("the options are {}", one_of(names()).replace(" or ", " and ")),
    }))
}

/// What a text is as an option of a type, if it can be one.
fn of_text(kind: OptionType, text: &str) -> Option<OptionValue> {
    match kind {
        OptionType::Text => Some(OptionValue::Text(text.to_owned())),
        OptionType::Integer => text.parse().ok().map(OptionValue::Integer),
        OptionType::Number => {
            text.parse().ok().filter(|number: &f64| number.is_finite()).map(OptionValue::Number)
        }
        OptionType::Flag => text.parse().ok().map(OptionValue::Flag),
    }
}

pub(super) fn settle(
    known: &[(String, OptionSpec)],
    given: &BTreeMap<String, OptionValue>,
) -> Result<BTreeMap<String, OptionValue>> {
    for (name, value) in given {
        let error = |message: String| Error::new(Kind::Config, message);
        let Some((_, spec)) = known.iter().find(|(known, _)| known == name) else {
            let names = || known.iter().map(|(name, _)| name.as_str());
            let all = || match known.is_empty() {
                true => "it has no options".to_owned(),
                false => format!("its options are {}", one_of(names()).replace(" or ", " and ")),
            };
            return Err(error(format!("there is no option `{}`", name.escape_debug()))
                .help(did_you_mean(name, names()).unwrap_or_else(all)));
        };
        if !fits(spec.kind, value) {
            let found = match value {
                OptionValue::Text(_) => OptionType::Text,
                OptionValue::Integer(_) => OptionType::Integer,
                OptionValue::Number(_) => OptionType::Number,
                OptionValue::Flag(_) => OptionType::Flag,
            };
            let message =
                format!("option `{name}` is {}, and this is {}", article(spec.kind), article(found));
            return Err(match spec.help.as_str() {
                "" => error(message),
                help => error(message).help(format!("{name}: {help}")),
            });
        }
    }
    let defaults = known.iter().filter_map(|(name, spec)| Some((name.clone(), spec.default.clone()?)));
    Ok(defaults.chain(given.iter().map(|(name, value)| (name.clone(), value.clone()))).collect())
}
