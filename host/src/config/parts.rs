//! A table as it was written, in a file or on the command line, and what it comes to on this kernel.

use super::LONGEST_NAME;
use super::piece::Piece;
use crate::error::{Error, Result};
use crate::probe::plan::{Part, Points, Resolved, Whose, Written, check_written};
use crate::probe::{Flaw, Kernel, pattern};
use crate::table::{Attach, KeyKind, TableSpec};

/// Enough for the processes or files of a busy second, in little memory.
const DEFAULT_ROWS: u32 = 10_000;
/// A row with a stack takes a kilobyte for it.
const DEFAULT_STACK_ROWS: u32 = 2_000;
/// Columns that every snapshot has.
pub(super) const TAKEN: [&str; 2] = ["interval", "overflow"];
/// Probes, or patterns of probes, of one table.
pub(super) const MOST_PATTERNS: usize = 64;

/// A column: what it is called, where that is said, and its expression.
#[derive(Clone, Debug)]
pub(super) struct Column<'a> {
    pub(super) name: String,
    pub(super) named: Piece<'a>,
    pub(super) expression: Piece<'a>,
}

/// A table's parts, each with its place.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    pub(super) name: String,
    /// `on`, or the ends of spans; at least one.
    pub(super) ends: Vec<Piece<'a>>,
    /// Where spans start, if the table has spans.
    pub(super) starts: Vec<Piece<'a>>,
    pub(super) filter: Option<Piece<'a>>,
    /// By what a span's start and its end are paired.
    pub(super) pair: Option<(Piece<'a>, Piece<'a>)>,
    pub(super) keys: Vec<Column<'a>>,
    pub(super) measures: Vec<Column<'a>>,
    pub(super) rows: Option<u32>,
    pub(super) only: Option<Whose>,
    pub(super) include_self: bool,
    /// What the table's programs may take of one CPU, in millionths.
    pub(super) budget: Option<u32>,
}

impl Parts<'_> {
    /// Looks every name up.
    pub(super) fn resolve(self, kernel: &Kernel) -> Result<TableSpec> {
        let pid = match self.only {
            Some(Whose::Process(pid)) => Some(pid),
            _ => None,
        };
        let starts = points(&self.starts, kernel, pid)?;
        let ends = points(&self.ends, kernel, pid)?;
        if let (Some(both), Some(end)) = (starts.iter().find(|start| ends.contains(start)), self.ends.first())
        {
            return Err(end
                .error(format!("`from` and `to` are the same probe, {both}"))
                .help("a span is from one probe to another; to count one probe, use `on`"));
        }
        let points = Points::new(kernel, ends, starts);
        let points = match self.ends.first() {
            Some(end) => end.place(points)?,
            None => points?,
        };
        check_names(self.keys.iter().chain(&self.measures))?;
        let resolved = points.resolve(&self.written()).map_err(|flawed| self.flaw(flawed))?;

        let Resolved { mut probes, starts, keys, measures, saved, names } = resolved;
        let stacks = || keys.iter().any(|key| matches!(key.kind, KeyKind::KernelStack | KeyKind::UserStack));
        let rows = match self.rows {
            Some(rows) => rows,
            None if keys.is_empty() => 1,
            None if stacks() => DEFAULT_STACK_ROWS,
            None => DEFAULT_ROWS,
        };
        if let Some(only) = self.only {
            crate::probe::plan::only(&mut probes, only);
        }
        let Self { name, include_self, budget, .. } = self;
        let scoped = false;
        Ok(TableSpec {
            name,
            probes,
            starts,
            keys,
            measures,
            saved,
            names,
            rows,
            include_self,
            budget,
            scoped,
        })
    }

    /// What can be said without a kernel: that the probes are of kinds that there are, and the expressions such.
    pub(super) fn check(&self) -> Result<()> {
        for piece in self.starts.iter().chain(&self.ends) {
            pattern(piece.text).map_err(|flaw| piece.flaw(flaw))?;
        }
        check_names(self.keys.iter().chain(&self.measures))?;
        check_written(&self.written()).map_err(|flawed| self.flaw(flawed))
    }

    fn flaw(&self, (part, flaw): (Part, Flaw)) -> Error {
        match self.piece(part) {
            Some(piece) => piece.flaw(flaw),
            None => flaw.error,
        }
    }

    fn written(&self) -> Written<'_> {
        Written {
            filter: self.filter.as_ref().map(|filter| filter.text),
            pair: self.pair.as_ref().map(|(start, end)| (start.text, end.text)),
            keys: written(&self.keys),
            measures: written(&self.measures),
        }
    }

    fn piece(&self, part: Part) -> Option<&Piece<'_>> {
        match part {
            Part::Filter => self.filter.as_ref(),
            Part::Pair { start } => {
                self.pair.as_ref().map(|(first, second)| if start { first } else { second })
            }
            Part::Key(number) => self.keys.get(number).map(|column| &column.expression),
            Part::Measure(number) => self.measures.get(number).map(|column| &column.expression),
        }
    }
}

fn written<'a>(columns: &'a [Column<'_>]) -> Vec<(&'a str, &'a str)> {
    columns.iter().map(|column| (&*column.name, column.expression.text)).collect()
}

/// The points that each of these means.
fn points(pieces: &[Piece<'_>], kernel: &Kernel, pid: Option<u32>) -> Result<Vec<Attach>> {
    let mut points: Vec<Attach> = Vec::new();
    for piece in pieces {
        let pattern = pattern(piece.text).map_err(|flaw| piece.flaw(flaw))?;
        for point in piece.place(kernel.points(&pattern, pid))? {
            // Asked for here already, so that the error has the place of this probe and not of the table.
            piece.place(kernel.record(&point))?;
            if !points.contains(&point) {
                points.push(point);
            }
        }
    }
    Ok(points)
}

fn check_names<'a>(columns: impl Iterator<Item = &'a Column<'a>>) -> Result<()> {
    let mut taken: Vec<&str> = Vec::new();
    for column in columns {
        let (name, error) = (&*column.name, |message: String| -> Error { column.named.error(message) });
        if !can_name(name) {
            return Err(error(format!("`{}` cannot be the name of a column", name.escape_debug())).help(
                "a column's name is a letter or _, then letters, digits and _, 64 characters at most",
            ));
        }
        if TAKEN.contains(&name) {
            return Err(error(format!("every table has a column `{name}` of its own")));
        }
        if taken.contains(&name) {
            return Err(error(format!("there is a column `{name}` already"))
                .help("each column of `by` and `show` needs a name of its own"));
        }
        taken.push(name);
    }
    Ok(())
}

/// Whether this can name a column.
pub(super) fn can_name(name: &str) -> bool {
    let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty()
        && name.len() <= LONGEST_NAME
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(in_name)
}
