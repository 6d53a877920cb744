//! `[tables.NAME]`.

use super::parts::{Column, MOST_PATTERNS, Parts};
use super::piece::Piece;
use super::section::{Entry, Section};
use crate::error::{Error, Result};
use crate::probe::Kernel;
use crate::probe::plan::Whose;
use crate::table::TableSpec;

const KEYS: [&str; 11] =
    ["on", "from", "to", "pair", "where", "by", "show", "keys", "pid", "include_self", "budget"];
/// Beyond this, the cells of one table take gigabytes on a machine of many CPUs.
pub(super) const ROWS: (i64, i64) = (1, 1_000_000);

pub(crate) fn read(entry: &Entry<'_>, kernel: &Kernel) -> Result<TableSpec> {
    let section = entry.section(&KEYS)?;
    let parts = parts(entry, &section)?;
    // Told last: the rest of a table is written first.
    let nothing =
        parts.measures.is_empty().then(|| shows_nothing(section.get("show").unwrap_or(entry), &parts.name));
    let table = parts.resolve(kernel)?;
    nothing.map_or(Ok(table), Err)
}

/// What can be said of a table without a kernel.
pub(crate) fn check(entry: &Entry<'_>) -> Result<()> {
    check_shape(entry)?;
    parts(entry, &entry.section(&KEYS)?)?.check()
}

fn parts<'a>(entry: &Entry<'a>, section: &'a Section<'a>) -> Result<Parts<'a>> {
    let name = entry.name()?;
    let (end, from) = probes(entry, &name, section)?;
    let pid = section.get("pid").map(|pid| pid.integer((1, i64::from(u32::MAX)))).transpose()?;
    let pair = section.get("pair").map(|pair| pair_of(pair, from.is_some())).transpose()?;
    let by = match section.get("by") {
        Some(by) => by.entries()?,
        None => Vec::new(),
    };
    let show = match section.get("show") {
        Some(show) => show.entries()?,
        None => Vec::new(),
    };
    let rows = match section.get("keys") {
        Some(keys) if by.is_empty() => {
            return Err(keys
                .key_error("`keys` bounds the rows of a table, and without `by` there is only one")
                .help("leave it out, or give `by`"));
        }
        Some(keys) => Some(keys.integer(ROWS)? as u32),
        None => None,
    };
    Ok(Parts {
        name,
        ends: patterns(end)?,
        starts: from.map(patterns).transpose()?.unwrap_or_default(),
        filter: section.get("where").map(Entry::piece).transpose()?,
        pair,
        keys: columns(&by)?,
        measures: columns(&show)?,
        rows,
        only: pid.map(|pid| Whose::Process(pid as u32)),
        include_self: section.get("include_self").map_or(Ok(false), Entry::flag)?,
        budget: section.get("budget").map(|budget| share(budget, "the table's programs")).transpose()?,
    })
}

/// What can be said of a table without reading its expressions: that its keys are those of tables, and that it counts and measures.
pub(crate) fn check_shape(entry: &Entry<'_>) -> Result<()> {
    let name = entry.name()?;
    let section = entry.section(&KEYS)?;
    probes(entry, &name, &section)?;
    let measures = section.get("show").map(Entry::entries).transpose()?;
    if measures.is_none_or(|measures| measures.is_empty()) {
        Err(shows_nothing(entry, &name))
    } else {
        Ok(())
    }
}

fn shows_nothing(place: &Entry<'_>, name: &str) -> Error {
    place
        .key_error(format!("table `{name}` has nothing to show"))
        .help("give at least one measure: show = { calls = \"count()\" }")
}

/// A share of one CPU, in millionths.
pub(crate) fn share(entry: &Entry<'_>, of: &str) -> Result<u32> {
    let wrong = || {
        let key = entry.key;
        entry
            .value_error(format!("`{key}` must be from 0.01% to 100% of a CPU"))
            .help(format!("write what {of} may take of one CPU: {key} = \"1% cpu\""))
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

/// A text, or each text of an array.
fn patterns<'a>(entry: &Entry<'a>) -> Result<Vec<Piece<'a>>> {
    let pieces = entry.one_or_more()?;
    if pieces.is_empty() || pieces.len() > MOST_PATTERNS {
        return Err(entry.value_error(format!("`{}` names from 1 to {MOST_PATTERNS} probes", entry.key)));
    }
    Ok(pieces)
}

/// The expressions by which a span's start and its end are paired.
fn pair_of<'a>(entry: &Entry<'a>, span: bool) -> Result<(Piece<'a>, Piece<'a>)> {
    if !span {
        return Err(entry
            .key_error("`pair` says which start belongs to which end, and this table has no spans")
            .help("give `from` and `to` in place of `on`"));
    }
    if let Ok(both) = entry.piece() {
        return Ok((both.clone(), both));
    }
    let section = entry.section(&["from", "to"])?;
    match (section.get("from"), section.get("to")) {
        (Some(from), Some(to)) => Ok((from.piece()?, to.piece()?)),
        _ => Err(entry
            .value_error("`pair` is an expression, or one for `from` and one for `to`")
            .help("write pair = \"args.rq\", or pair = { from = \"args.sk\", to = \"arg0\" }")),
    }
}

fn columns<'a>(entries: &[Entry<'a>]) -> Result<Vec<Column<'a>>> {
    let column = |entry: &Entry<'a>| {
        Ok(Column { name: entry.key.to_owned(), named: entry.key_piece(), expression: entry.piece()? })
    };
    entries.iter().map(column).collect()
}
