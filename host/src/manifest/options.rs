//! The settings that a plugin has.

use std::collections::BTreeMap;

use super::{OptionSpec, OptionType, line, needs_type, one_of_these};
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
