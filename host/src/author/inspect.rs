//! `weir plugin inspect`: what a plugin says of itself, and what it would be given.

use std::path::Path;

use serde_json::{Value, json};

use super::component;
use crate::cli::{Format, answer, read_component};
use crate::error::Result;
use crate::escape::escape;
use crate::manifest::{self, Manifest};
use crate::probe::unit::show_size;
use crate::sandbox::{Limits, OptionValue};
use crate::trust::{self, Digest};

pub(super) fn inspect(path: &Path, format: Format) -> Result<()> {
    let bytes = read_component(path)?;
    let imports = component::imports(&bytes).map_err(|error| error.context(path.display()))?;
    let manifest = manifest::within(&bytes, path)?;
    let signer = trust::signer(&bytes).map(|id| id.to_string());
    let (digest, size) = (Digest::of(&bytes).to_string(), bytes.len() as u64);
    if matches!(format, Format::Json) {
        let value = json!({
            "bytes": size,
            "digest": digest,
            "signed_by": signer,
            "imports": imports.iter().map(|name| shown(name)).collect::<Vec<_>>(),
            "manifest": manifest.as_ref().map(to_json),
        });
        return answer(&format!("{value}\n"));
    }
    let mut text = match &manifest {
        Some(manifest) => heading(manifest),
        None => format!("{}: no manifest\n", path.display()),
    };
    let mut put = |what: &str, value: &str| text.push_str(&format!("{what:<9} {value}\n"));
    put("size", &format!("{size} bytes"));
    put("digest", &digest);
    // Whose key that is, only whoever has it can say.
    put("signed", &signer.map_or("no".to_owned(), |id| format!("by a key {id}, which is not verified here")));
    for import in &imports {
        put("imports", &shown(import));
    }
    if let Some(manifest) = &manifest {
        asks(manifest, &mut put);
    }
    answer(&text)
}

fn heading(manifest: &Manifest) -> String {
    let license = match manifest.license.as_str() {
        "" => String::new(),
        license => format!("  ({})", shown(license)),
    };
    let mut text = format!("{} {}{license}\n", manifest.name, manifest.version);
    for line in [&manifest.description, &manifest.homepage] {
        if !line.is_empty() {
            text.push_str(&format!("{}\n", shown(line)));
        }
    }
    text.push('\n');
    text
}

/// What it would be given, and what it puts out.
fn asks(manifest: &Manifest, put: &mut impl FnMut(&str, &str)) {
    let limits = manifest.limits.or(&Limits::default());
    let deadline = humantime::format_duration(limits.deadline);
    put("limits", &format!("{} of memory, {deadline} of processor time a call", show_size(limits.memory)));
    if manifest.tables.is_empty() {
        put("tables", "none of its own: it takes those that there are");
    }
    for (name, parts) in &manifest.tables {
        put("table", &shown(name));
        for (key, value) in parts {
            put("", &format!("  {} = {}", shown(key), shown(value)));
        }
    }
    for (name, option) in &manifest.options {
        let default = option.default.as_ref().map_or("none".to_owned(), value);
        put("option", &format!("{}: {}, default {default}{}", shown(name), option.kind, help(&option.help)));
    }
    for (name, metric) in &manifest.metrics {
        let unit =
            if metric.unit.is_empty() { String::new() } else { format!(" in {}", shown(&metric.unit)) };
        put("metric", &format!("{}: {}{unit}{}", shown(name), metric.kind, help(&metric.help)));
    }
}

fn help(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("; {}", shown(text)) }
}

fn shown(text: &str) -> String {
    escape(text.as_bytes()).into_owned()
}

fn value(value: &OptionValue) -> String {
    match value {
        OptionValue::Text(text) => format!("\"{}\"", shown(text)),
        OptionValue::Integer(number) => number.to_string(),
        OptionValue::Number(number) => number.to_string(),
        OptionValue::Flag(flag) => flag.to_string(),
    }
}

fn to_json(manifest: &Manifest) -> Value {
    let limits = manifest.limits.or(&Limits::default());
    let options = manifest.options.iter().map(|(name, option)| {
        let default = option.default.as_ref().map(|value| match value {
            OptionValue::Text(text) => json!(shown(text)),
            OptionValue::Integer(number) => json!(number),
            OptionValue::Number(number) => json!(number),
            OptionValue::Flag(flag) => json!(flag),
        });
        json!({"name": shown(name), "type": option.kind.to_string(), "default": default, "help": shown(&option.help)})
    });
    let metrics = manifest.metrics.iter().map(|(name, metric)| {
        let (unit, help) = (shown(&metric.unit), shown(&metric.help));
        json!({"name": shown(name), "type": metric.kind.to_string(), "unit": unit, "help": help})
    });
    let tables = manifest.tables.iter().map(|(name, parts)| {
        let parts = parts.iter().map(|(key, value)| (shown(key), json!(shown(value))));
        json!({"name": shown(name), "as_written": parts.collect::<serde_json::Map<_, _>>()})
    });
    json!({
        "name": manifest.name,
        "version": manifest.version.to_string(),
        "description": shown(&manifest.description),
        "license": shown(&manifest.license),
        "homepage": shown(&manifest.homepage),
        "limits": {"memory": limits.memory, "deadline_ns": limits.deadline.as_nanos() as u64},
        "tables": tables.collect::<Vec<_>>(),
        "options": options.collect::<Vec<_>>(),
        "metrics": metrics.collect::<Vec<_>>(),
    })
}
