//! A table on the command line.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::document::Document;
use super::parts::{Column, MOST_PATTERNS, Parts, TAKEN, can_name};
use super::piece::Piece;
use super::{Config, DEFAULT_INTERVAL, INTERVALS};
use crate::error::{Error, Kind, Result};
use crate::probe::plan::{Whose, column_name, measure_name};
use crate::probe::{Kernel, unit};

/// The name of the one table.
const NAME: &str = "watch";

/// What is asked for in arguments, each as it was written. Errors point into them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Arguments {
    /// What is counted; where spans start, if there is a `to`.
    pub probes: Vec<String>,
    /// Where spans end.
    pub to: Vec<String>,
    /// Each of them columns, separated by commas.
    pub by: Vec<String>,
    /// Likewise; `count()` if there are none.
    pub show: Vec<String>,
    pub filter: Option<String>,
    pub pair: Option<String>,
    pub keys: Option<u32>,
    pub interval: Option<String>,
    pub only: Option<Whose>,
}

impl Config {
    /// Resolves a table of the command line.
    pub fn from_arguments(asked: &Arguments, kernel: &Kernel) -> Result<Self> {
        let probes = whole("PROBE", &asked.probes);
        let to = whole("--to", &asked.to);
        if probes.is_empty() || probes.len().max(to.len()) > MOST_PATTERNS {
            let message = format!("from 1 to {MOST_PATTERNS} probes can be watched at once");
            return Err(Error::new(Kind::Usage, message));
        }
        let pair = asked.pair.as_deref().map(|pair| argument("--pair", pair));
        if to.is_empty()
            && let Some(pair) = pair
        {
            return Err(pair
                .error("`--pair` says which start belongs to which end, and there are no spans")
                .help("give the probe at their end: --to PROBE"));
        }
        let (ends, starts) = if to.is_empty() { (probes, to) } else { (to, probes) };
        let (by, mut show) = (columns("--by", &asked.by)?, columns("--show", &asked.show)?);
        if show.is_empty() {
            show = columns_of(&argument("--show", "count()"))?;
        }
        if by.is_empty() && asked.keys.is_some() {
            return Err(Error::new(
                Kind::Usage,
                "`--keys` bounds the rows, and without `--by` there is only one",
            ));
        }
        let (keys, measures) = name(by, show);
        let parts = Parts {
            name: NAME.to_owned(),
            ends,
            starts,
            filter: asked.filter.as_deref().map(|filter| argument("--where", filter)),
            pair: pair.map(|pair| (pair.clone(), pair)),
            keys,
            measures,
            rows: asked.keys,
            only: asked.only,
            include_self: false,
            budget: None,
        };
        let interval = asked.interval.as_deref().map(|text| interval(&argument("--interval", text)));
        let interval = interval.transpose()?.unwrap_or(DEFAULT_INTERVAL);
        Ok(Self { interval, tables: vec![Arc::new(parts.resolve(kernel)?)], plugins: Vec::new() })
    }
}

fn argument<'a>(option: &'a str, text: &'a str) -> Piece<'a> {
    Piece::argument(Document::new(Path::new(option), text))
}

fn whole<'a>(option: &'a str, texts: &'a [String]) -> Vec<Piece<'a>> {
    texts.iter().map(|text| argument(option, text)).collect()
}

fn interval(piece: &Piece<'_>) -> Result<Duration> {
    let (low, high) = INTERVALS;
    let wrong = || {
        let (low, high) = (unit::show_duration(low), unit::show_duration(high));
        piece.error(format!("an interval is from {low} to {high}"))
    };
    let length = unit::duration(piece.text).map_err(|why| wrong().help(why))?;
    if !(low..=high).contains(&length) {
        return Err(wrong());
    }
    Ok(Duration::from_nanos(length))
}

/// A column as it was written: perhaps with a name, or else to be named by its expression.
struct Written<'a> {
    name: Option<Piece<'a>>,
    expression: Piece<'a>,
}

fn columns<'a>(option: &'a str, texts: &'a [String]) -> Result<Vec<Written<'a>>> {
    let mut columns = Vec::new();
    for text in texts {
        columns.extend(columns_of(&argument(option, text))?);
    }
    Ok(columns)
}

fn columns_of<'a>(argument: &Piece<'a>) -> Result<Vec<Written<'a>>> {
    let column = |range: Range<usize>| {
        let piece = argument.part(range);
        if piece.text.is_empty() {
            return Err(argument.error("a column is empty").help(
                "columns are separated by commas: --by comm,pid --show 'count(), bytes=sum(args.ret)'",
            ));
        }
        Ok(match piece.text.split_once('=') {
            Some((name, rest)) if can_name(name.trim()) && !rest.starts_with('=') => {
                let end = name.len();
                Written { name: Some(piece.part(0..end)), expression: piece.part(end + 1..piece.text.len()) }
            }
            _ => Written { name: None, expression: piece },
        })
    };
    split(argument.text).into_iter().map(column).collect()
}

/// The parts between commas that are not within parentheses, brackets or quotes.
fn split(text: &str) -> Vec<Range<usize>> {
    let (mut parts, mut start, mut depth, mut quote) = (Vec::new(), 0, 0_usize, None);
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match (quote, character) {
            (Some(_), '\\') => drop(characters.next()),
            (Some(open), _) if open == character => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(character),
            (None, '(' | '[') => depth += 1,
            (None, ')' | ']') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                parts.push(start..at);
                start = at + 1;
            }
            (None, _) => {}
        }
    }
    parts.push(start..text.len());
    parts
}

/// Gives every column a name. Those that were written stay as they are; of the others, a key is called as what it is,
/// and a measure as what it measures, or with its own name before that where two would be called alike.
fn name<'a>(by: Vec<Written<'a>>, show: Vec<Written<'a>>) -> (Vec<Column<'a>>, Vec<Column<'a>>) {
    let written = by.iter().chain(&show).filter_map(|column| column.name.as_ref());
    let mut taken: Vec<String> =
        written.map(|name| name.text.to_owned()).chain(TAKEN.map(str::to_owned)).collect();
    let keys: Vec<Column<'a>> = by
        .into_iter()
        .map(|column| {
            let wanted = column_name(column.expression.text);
            column.called(wanted.unwrap_or_else(|| "key".to_owned()), &mut taken)
        })
        .collect();
    let names: Vec<(String, String)> = show.iter().map(Written::measured).collect();
    let measures = show.into_iter().zip(&names).map(|(column, (short, long))| {
        let alike = names.iter().filter(|(other, _)| other == short).count() > 1;
        let wanted = if alike || taken.contains(short) { long } else { short };
        column.called(wanted.clone(), &mut taken)
    });
    let measures = measures.collect();
    (keys, measures)
}

impl<'a> Written<'a> {
    /// What is measured, and what that is called with the measure's own name.
    fn measured(&self) -> (String, String) {
        match (&self.name, measure_name(self.expression.text)) {
            (Some(name), _) => (format!("={}", name.text), String::new()),
            (None, Some((measure, Some(of)))) => (of.clone(), format!("{measure}_{of}")),
            (None, Some((measure, None))) => (measure.clone(), measure),
            // It is not understood, and that will be said.
            (None, None) => ("value".to_owned(), "value".to_owned()),
        }
    }

    /// By its own name, or by this one, with a number where that is taken.
    fn called(self, wanted: String, taken: &mut Vec<String>) -> Column<'a> {
        if let Some(name) = self.name {
            return Column { name: name.text.to_owned(), named: name, expression: self.expression };
        }
        let numbered = (2..).map(|number| format!("{wanted}_{number}"));
        let mut names = std::iter::once(wanted.clone()).chain(numbered);
        let name = names.find(|name| !taken.contains(name)).unwrap_or(wanted);
        taken.push(name.clone());
        Column { name, named: self.expression.clone(), expression: self.expression }
    }
}
