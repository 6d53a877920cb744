//! A table in one line, for people who want to know how it was understood.

use crate::table::{Attach, KeyKind, MeasureKind, Probe, TableSpec};

/// Where a table is attached, its keys and measures with their types, and its bounds.
#[must_use]
pub fn describe(table: &TableSpec) -> String {
    let typed = |name: &str, words: &[&str]| {
        let words: Vec<&str> = words.iter().copied().filter(|word| !word.is_empty()).collect();
        format!("{name} ({})", words.join(", "))
    };
    let sign = |signed| if signed { "signed" } else { "unsigned" };
    let from = if table.is_span() { format!("{} to ", probes(&table.starts)) } else { String::new() };
    let measures: Vec<String> = table
        .measures
        .iter()
        .map(|measure| match measure.kind {
            MeasureKind::Count => typed(&measure.name, &["count"]),
            kind => typed(&measure.name, &[kind.name(), sign(measure.signed), &measure.unit]),
        })
        .collect();
    let keys: Vec<String> = table
        .keys
        .iter()
        .map(|key| match key.kind {
            KeyKind::KernelStack | KeyKind::UserStack => typed(&key.name, &["stack"]),
            KeyKind::Unsigned | KeyKind::Signed => {
                typed(&key.name, &[sign(key.kind == KeyKind::Signed), &key.unit])
            }
            _ => typed(&key.name, &["text"]),
        })
        .collect();
    let by = match keys.is_empty() {
        true => ", one row".to_owned(),
        false => format!(" by {}, at most {} rows", keys.join(", "), table.rows),
    };
    format!("{}: {from}{}: {}{by}", table.name, probes(&table.probes), measures.join(", "))
}

fn probes(probes: &[Probe]) -> String {
    let attach: Vec<&Attach> = probes.iter().map(|probe| &probe.attach).collect();
    match attach[..] {
        [] => String::new(),
        [one] => one.to_string(),
        [first, ..] => format!("{first} and {} others", attach.len() - 1),
    }
}
