//! `[tables.NAME]`.

use super::LONGEST_NAME;
use super::section::{Entry, Section};
use crate::error::{Error, Kind, Result};
use crate::probe::plan::{Part, Points, Resolved, Written};
use crate::probe::{Kernel, pattern};
use crate::table::{Attach, KeyKind, TableSpec};

const KEYS: [&str; 11] =
    ["on", "from", "to", "pair", "where", "by", "show", "keys", "pid", "include_self", "budget"];
/// Enough for the processes or files of a busy second, in little memory.
const DEFAULT_ROWS: i64 = 10_000;
/// A row with a stack takes a kilobyte for it.
const DEFAULT_STACK_ROWS: i64 = 2_000;
/// Beyond this, the cells of one table take gigabytes on a machine of many CPUs.
const ROWS: (i64, i64) = (1, 1_000_000);
/// Columns that every snapshot has.
const TAKEN: [&str; 2] = ["interval", "overflow"];
/// Probes, or patterns of probes, of one table.
const MOST_PATTERNS: usize = 64;

pub(super) fn read(entry: &Entry<'_>, kernel: &Kernel) -> Result<TableSpec> {
    let name = entry.name()?;
    let section = entry.section(&KEYS)?;
    let (end, from) = probes(entry, &name, &section)?;
    let pid = section.get("pid").map(|pid| pid.integer((1, i64::from(u32::MAX)))).transpose()?;
    let pid = pid.map(|pid| pid as u32);
    let starts = from.map(|from| points(from, kernel, pid)).transpose()?.unwrap_or_default();
    let ends = points(end, kernel, pid)?;
    if let Some(both) = starts.iter().find(|start| ends.contains(start)) {
        return Err(end
            .value_error(format!("`from` and `to` are the same probe, {both}"))
            .help("a span is from one probe to another; to count one probe, use `on`"));
    }
    let points = Points::new(kernel, ends, starts).map_err(|error| at_value(end, error))?;

    let mut written =
        Written { filter: section.get("where").map(Entry::text).transpose()?, ..Written::default() };
    let pair = section.get("pair").map(|pair| pair_of(pair, from.is_some())).transpose()?;
    if let Some((start, end)) = &pair {
        written.pair = Some((start.text()?, end.text()?));
    }
    let mut columns: Vec<&str> = Vec::new();
    let by = match section.get("by") {
        Some(by) => by.entries()?,
        None => Vec::new(),
    };
    written.keys = read_columns(&by, &mut columns)?;
    let show = match section.get("show") {
        Some(show) => show.entries()?,
        None => Vec::new(),
    };
    if show.is_empty() {
        let place = section.get("show").unwrap_or(entry);
        return Err(place
            .key_error(format!("table `{name}` has nothing to show"))
            .help("give at least one measure: show = { calls = \"count()\" }"));
    }
    written.measures = read_columns(&show, &mut columns)?;
    let resolved = points.resolve(&written).map_err(|(part, flaw)| {
        let place = match part {
            Part::Filter => section.get("where"),
            Part::Pair { start } => {
                pair.as_ref().map(|(at_start, at_end)| if start { at_start } else { at_end })
            }
            Part::Key(number) => by.get(number),
            Part::Measure(number) => show.get(number),
        };
        let place = place.unwrap_or(entry);
        place.document.flaw(place.value, flaw)
    })?;

    let Resolved { mut probes, starts, keys, measures, saved } = resolved;
    let rows = match section.get("keys") {
        Some(keys) if by.is_empty() => {
            return Err(keys
                .key_error("`keys` bounds the rows of a table, and without `by` there is only one")
                .help("leave it out, or give `by`"));
        }
        Some(keys) => keys.integer(ROWS)?,
        None if by.is_empty() => 1,
        None if keys.iter().any(|key| matches!(key.kind, KeyKind::KernelStack | KeyKind::UserStack)) => {
            DEFAULT_STACK_ROWS
        }
        None => DEFAULT_ROWS,
    };
    if let Some(pid) = pid {
        crate::probe::plan::only_process(&mut probes, pid);
    }
    Ok(TableSpec {
        name,
        probes,
        starts,
        keys,
        measures,
        saved,
        rows: rows as u32,
        include_self: section.get("include_self").map_or(Ok(false), Entry::flag)?,
        budget: section.get("budget").map(budget).transpose()?,
    })
}

/// A share of one CPU, in millionths.
fn budget(entry: &Entry<'_>) -> Result<u32> {
    let wrong = || {
        entry
            .value_error("`budget` must be from 0.01% to 100% of a CPU")
            .help("write what the table's programs may take of one CPU: budget = \"1% cpu\"")
    };
    let text = entry.text()?;
    let number = text.strip_suffix("cpu").unwrap_or(text).trim_end().strip_suffix('%').ok_or_else(wrong)?;
    let percent: f64 = number.parse().map_err(|_| wrong())?;
    if !(0.01..=100.0).contains(&percent) {
        return Err(wrong());
    }
    Ok((percent * 10_000.0) as u32)
}

/// What is counted, and where spans start.
fn probes<'a>(
    entry: &Entry<'_>,
    name: &str,
    section: &'a Section<'a>,
) -> Result<(&'a Entry<'a>, Option<&'a Entry<'a>>)> {
    match (section.get("on"), section.get("from"), section.get("to")) {
        (Some(on), None, None) => Ok((on, None)),
        (None, Some(from), Some(to)) => Ok((to, Some(from))),
        (Some(_), Some(other), _) | (Some(_), None, Some(other)) => Err(other
            .key_error(format!("`{}` and `on` cannot both be given", other.key))
            .help("a table is `on` one probe, or measures spans `from` one `to` another")),
        (None, Some(only), None) | (None, None, Some(only)) => {
            let missing = if only.key == "from" { "to" } else { "from" };
            Err(only.key_error(format!("`{}` needs a `{missing}`", only.key)))
        }
        (None, None, None) => Err(entry
            .key_error(format!("table `{name}` has no probe"))
            .help("give `on`, a probe, or `from` and `to`, the probes that start and end a span")),
    }
}

/// The points that a text, or each text of an array, means.
fn points(entry: &Entry<'_>, kernel: &Kernel, pid: Option<u32>) -> Result<Vec<Attach>> {
    let texts = match entry.text() {
        Ok(text) => vec![(text, entry.value.span())],
        Err(_) => entry.texts()?,
    };
    if texts.is_empty() || texts.len() > MOST_PATTERNS {
        return Err(entry.value_error(format!("`{}` names from 1 to {MOST_PATTERNS} probes", entry.key)));
    }
    let one = texts.len() == 1;
    let mut points: Vec<Attach> = Vec::new();
    for (text, span) in texts {
        let pattern = pattern(text).map_err(|flaw| match one {
            true => entry.document.flaw(entry.value, flaw),
            false => flaw.error.at(entry.document.place(span.clone())),
        })?;
        let place = |error: Error| match error.kind {
            Kind::Config if error.place.is_none() => error.at(entry.document.place(span.clone())),
            _ => error,
        };
        for point in kernel.points(&pattern, pid).map_err(place)? {
            // Asked for here already, so that the error has the place of this probe and not of the table.
            kernel.record(&point).map_err(place)?;
            if !points.contains(&point) {
                points.push(point);
            }
        }
    }
    Ok(points)
}

/// The expressions by which a span's start and its end are paired.
fn pair_of<'a>(entry: &'a Entry<'a>, span: bool) -> Result<(Entry<'a>, Entry<'a>)> {
    if !span {
        return Err(entry
            .key_error("`pair` says which start belongs to which end, and this table has no spans")
            .help("give `from` and `to` in place of `on`"));
    }
    if entry.text().is_ok() {
        return Ok((entry.clone(), entry.clone()));
    }
    let section = entry.section(&["from", "to"])?;
    match (section.get("from"), section.get("to")) {
        (Some(from), Some(to)) => Ok((from.clone(), to.clone())),
        _ => Err(entry
            .value_error("`pair` is an expression, or one for `from` and one for `to`")
            .help("write pair = \"args.rq\", or pair = { from = \"args.sk\", to = \"arg0\" }")),
    }
}

/// The names and expressions of `by` or `show`. `taken` are the columns before it and become those after it.
fn read_columns<'a>(entries: &[Entry<'a>], taken: &mut Vec<&'a str>) -> Result<Vec<(&'a str, &'a str)>> {
    let mut columns = Vec::new();
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
        columns.push((column, entry.text()?));
        taken.push(column);
    }
    Ok(columns)
}

/// What is wrong with the machine is so wherever it is asked for; what is wrong with the name has its place.
fn at_value(entry: &Entry<'_>, error: Error) -> Error {
    match error.kind {
        Kind::Config => Error { place: entry.value_error("").place, ..error },
        _ => error,
    }
}
