//! `[tables.NAME]`.

use super::LONGEST_NAME;
use super::section::Entry;
use crate::error::{Error, Kind, Result};
use crate::probe::plan::Plan;
use crate::probe::{Flaw, Kernel, attach};
use crate::table::{Attach, TableSpec};

const KEYS: [&str; 8] = ["on", "from", "to", "where", "by", "show", "keys", "include_self"];
/// Enough for the processes or files of a busy second, in little memory.
const DEFAULT_ROWS: i64 = 10_000;
/// Beyond this, the cells of one table take gigabytes on a machine of many CPUs.
const ROWS: (i64, i64) = (1, 1_000_000);
/// Columns that every snapshot has.
const TAKEN: [&str; 2] = ["interval", "overflow"];

pub(super) fn read(entry: &Entry<'_>, kernel: &Kernel) -> Result<TableSpec> {
    let name = entry.name()?;
    let section = entry.section(&KEYS)?;
    let (end, from) = match (section.get("on"), section.get("from"), section.get("to")) {
        (Some(on), None, None) => (on, None),
        (None, Some(from), Some(to)) => (to, Some(from)),
        (Some(_), Some(other), _) | (Some(_), None, Some(other)) => {
            return Err(other
                .key_error(format!("`{}` and `on` cannot both be given", other.key))
                .help("a table is `on` one probe, or measures spans `from` one `to` another"));
        }
        (None, Some(only), None) | (None, None, Some(only)) => {
            let missing = if only.key == "from" { "to" } else { "from" };
            return Err(only.key_error(format!("`{}` needs a `{missing}`", only.key)));
        }
        (None, None, None) => {
            return Err(entry
                .key_error(format!("table `{name}` has no probe"))
                .help("give `on`, a probe, or `from` and `to`, the probes that start and end a span"));
        }
    };
    let attach_point = |entry: &Entry<'_>| -> Result<Attach> {
        let point = attach(entry.text()?).map_err(|flaw| entry.document.flaw(entry.value, flaw))?;
        // Asked for here already, so that the error has the place of this probe and not of the table.
        kernel.record(&point).map_err(|error| at_value(entry, error))?;
        Ok(point)
    };
    let start = from.map(attach_point).transpose()?;
    let point = attach_point(end)?;
    if start.as_ref() == Some(&point) {
        return Err(end
            .value_error("`from` and `to` are the same probe")
            .help("a span is from one probe to another; to count one probe, use `on`"));
    }
    let mut plan = Plan::new(kernel, &point, start.as_ref())?;

    if let Some(filter) = section.get("where") {
        let flawed = |flaw| filter.document.flaw(filter.value, flaw);
        plan.filter(filter.text()?).map_err(flawed)?;
    }
    let mut columns: Vec<&str> = Vec::new();
    if let Some(by) = section.get("by") {
        let add = |column: &str, text: &str| plan.key(column, text);
        read_columns(&by.entries()?, &mut columns, add)?;
    }
    let keyed = !columns.is_empty();
    let shown = match section.get("show") {
        Some(show) => show.entries()?,
        None => Vec::new(),
    };
    if shown.is_empty() {
        let place = section.get("show").unwrap_or(entry);
        return Err(place
            .key_error(format!("table `{name}` has nothing to show"))
            .help("give at least one measure: show = { calls = \"count()\" }"));
    }
    read_columns(&shown, &mut columns, |column, text| plan.measure(column, text))?;

    let rows = match section.get("keys") {
        Some(keys) if !keyed => {
            return Err(keys
                .key_error("`keys` bounds the rows of a table, and without `by` there is only one")
                .help("leave it out, or give `by`"));
        }
        Some(keys) => keys.integer(ROWS)?,
        None if keyed => DEFAULT_ROWS,
        None => 1,
    };
    Ok(TableSpec {
        name,
        attach: point,
        from: start,
        keys: plan.keys,
        measures: plan.measures,
        clauses: plan.clauses,
        saved: plan.saved,
        rows: rows as u32,
        include_self: section.get("include_self").map_or(Ok(false), Entry::flag)?,
    })
}

/// Reads `by` or `show`. `taken` are the columns before it and become those after it.
fn read_columns<'a>(
    entries: &[Entry<'a>],
    taken: &mut Vec<&'a str>,
    mut add: impl FnMut(&str, &str) -> Result<(), Flaw>,
) -> Result<()> {
    for entry in entries {
        let column = entry.key;
        let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if column.is_empty()
            || column.len() > LONGEST_NAME
            || column.starts_with(|c: char| c.is_ascii_digit())
            || !column.chars().all(in_name)
        {
            return Err(entry
                .key_error(format!("`{}` cannot be the name of a column", column.escape_debug()))
                .help(
                    "a column's name is a letter or _, then letters, digits and _, 64 characters at most",
                ));
        }
        if TAKEN.contains(&column) {
            return Err(entry.key_error(format!("every table has a column `{column}` of its own")));
        }
        if taken.contains(&column) {
            return Err(entry
                .key_error(format!("there is a column `{column}` already"))
                .help("each column of `by` and `show` needs a name of its own"));
        }
        add(column, entry.text()?).map_err(|flaw| entry.document.flaw(entry.value, flaw))?;
        taken.push(column);
    }
    Ok(())
}

/// What is wrong with the machine is so wherever it is asked for; what is wrong with the name has its place.
fn at_value(entry: &Entry<'_>, error: Error) -> Error {
    match error.kind {
        Kind::Config => Error { place: entry.value_error("").place, ..error },
        _ => error,
    }
}
