//! Rows, for those who want rows: a page of a column is read when the first of its rows is looked at.

use std::cell::OnceCell;
use std::fmt;
use std::rc::Rc;

use crate::column::{Histogram, Histograms, Text, Texts};
use crate::table::Table;
use crate::{Failure, Result};

/// Rows of a page. Looking at one row of a large table should not read all of it, and reading all of it should
/// take few calls.
const PAGE_ROWS: u32 = 8192;

/// The rows of a table, in order.
#[derive(Debug)]
pub struct Rows {
    table: Table,
    page: Rc<Page>,
    next: u32,
}

/// Some rows of a table, with what was read of them so far.
#[derive(Debug)]
struct Page {
    table: Table,
    first: u32,
    columns: Vec<OnceCell<Cells>>,
}

#[derive(Debug)]
enum Cells {
    Unsigned(Vec<u64>),
    Signed(Vec<i64>),
    Float(Vec<f64>),
    Texts(Texts),
    Histograms(Histograms),
}

/// One cell, whatever it holds.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(Text<'a>),
    Histogram(Histogram<'a>),
}

impl Rows {
    pub(crate) fn new(table: Table) -> Self {
        Self { page: Rc::new(Page::new(&table, 0)), table, next: 0 }
    }
}

impl Iterator for Rows {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        if self.next >= self.table.len() {
            return None;
        }
        if self.next - self.page.first >= PAGE_ROWS {
            self.page = Rc::new(Page::new(&self.table, self.next));
        }
        let row = Row { page: Rc::clone(&self.page), index: (self.next - self.page.first) as usize };
        self.next += 1;
        Some(row)
    }
}

impl Page {
    fn new(table: &Table, first: u32) -> Self {
        let columns = table.columns().iter().map(|_| OnceCell::new()).collect();
        Self { table: table.clone(), first, columns }
    }

    fn cells(&self, column: u32) -> Result<&Cells> {
        let cell = &self.columns[column as usize];
        if let Some(cells) = cell.get() {
            return Ok(cells);
        }
        let cells = self.read(column)?;
        Ok(cell.get_or_init(|| cells))
    }

    fn read(&self, column: u32) -> Result<Cells> {
        let count = PAGE_ROWS.min(self.table.len() - self.first);
        let (table, first) = (&self.table, self.first);
        match table.columns()[column as usize].kind.as_str() {
            "u64" => table.page::<u64>(column, first, count).map(Cells::Unsigned),
            "s64" => table.page::<i64>(column, first, count).map(Cells::Signed),
            "f64" => table.page::<f64>(column, first, count).map(Cells::Float),
            "text" => table.page::<Text>(column, first, count).map(Cells::Texts),
            "buckets" => table.page::<Histogram>(column, first, count).map(Cells::Histograms),
            other => Err(Failure::new("kind", format!("{other} is a kind that this plugin does not know"))),
        }
    }
}

/// One row of a table.
#[derive(Clone, Debug)]
pub struct Row {
    page: Rc<Page>,
    index: usize,
}

impl Row {
    /// The cell of this column, whatever it holds.
    ///
    /// # Errors
    /// `unknown`.
    pub fn value(&self, column: &str) -> Result<Value<'_>> {
        Ok(match self.page.cells(self.page.table.find(column)?)? {
            Cells::Unsigned(cells) => Value::Unsigned(cells[self.index]),
            Cells::Signed(cells) => Value::Signed(cells[self.index]),
            Cells::Float(cells) => Value::Float(cells[self.index]),
            Cells::Texts(cells) => Value::Text(cells.get(self.index)),
            Cells::Histograms(cells) => Value::Histogram(cells.get(self.index)),
        })
    }

    /// The number in a column of kind `u64`. It and those below fail with `unknown` or `kind`.
    pub fn u64(&self, column: &str) -> Result<u64> {
        match self.value(column)? {
            Value::Unsigned(value) => Ok(value),
            other => Err(other.not(column, "u64")),
        }
    }

    pub fn i64(&self, column: &str) -> Result<i64> {
        match self.value(column)? {
            Value::Signed(value) => Ok(value),
            other => Err(other.not(column, "s64")),
        }
    }

    pub fn f64(&self, column: &str) -> Result<f64> {
        match self.value(column)? {
            Value::Float(value) => Ok(value),
            other => Err(other.not(column, "f64")),
        }
    }

    pub fn text(&self, column: &str) -> Result<Text<'_>> {
        match self.value(column)? {
            Value::Text(value) => Ok(value),
            other => Err(other.not(column, "text")),
        }
    }

    pub fn histogram(&self, column: &str) -> Result<Histogram<'_>> {
        match self.value(column)? {
            Value::Histogram(value) => Ok(value),
            other => Err(other.not(column, "buckets")),
        }
    }

    /// All of its keys as one text for people, never the same for two rows: one key as it prints, several as
    /// `comm="cat" pid=12`, and `all` in a table that has none.
    pub fn key(&self) -> Result<String> {
        let keys = self.page.table.columns().iter().filter(|column| column.role == "key");
        let keys = keys.map(|key| Ok((key.name.as_str(), self.value(&key.name)?)));
        Ok(join(&keys.collect::<Result<Vec<_>>>()?))
    }

    /// This is the row of the events that found no row of their own; its keys mean nothing.
    pub fn is_overflow(&self) -> Result<bool> {
        Ok(self.page.table.find("overflow").is_ok() && self.u64("overflow")? != 0)
    }
}

fn join(keys: &[(&str, Value<'_>)]) -> String {
    match keys {
        [] => "all".to_owned(),
        [(_, only)] => only.to_string(),
        // Quotes keep a text from looking like the key after it.
        several => several
            .iter()
            .map(|(name, key)| match key {
                Value::Text(text) => format!("{name}=\"{}\"", text.to_string().replace('"', "\\\"")),
                number => format!("{name}={number}"),
            })
            .collect::<Vec<_>>()
            .join(" "),
    }
}

impl Value<'_> {
    fn not(self, column: &str, wanted: &str) -> Failure {
        let kind = match self {
            Self::Unsigned(_) => "u64",
            Self::Signed(_) => "s64",
            Self::Float(_) => "f64",
            Self::Text(_) => "text",
            Self::Histogram(_) => "buckets",
        };
        Failure::new("kind", format!("column {column} holds {kind}, not {wanted}"))
    }

    /// The cell as a number, rounded above 2^53; none for texts and histograms.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "said so")]
    pub fn as_f64(self) -> Option<f64> {
        match self {
            Self::Unsigned(value) => Some(value as f64),
            Self::Signed(value) => Some(value as f64),
            Self::Float(value) => Some(value),
            Self::Text(_) | Self::Histogram(_) => None,
        }
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned(value) => value.fmt(f),
            Self::Signed(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
            Self::Histogram(value) => write!(f, "{} values", value.count()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> Value<'_> {
        Value::Text(Text::from(bytes))
    }

    #[test]
    fn a_row_is_named_by_its_keys() {
        assert_eq!(join(&[]), "all");
        assert_eq!(join(&[("comm", text(b"my cat"))]), "my cat");
        assert_eq!(join(&[("comm", text(b"cat")), ("pid", Value::Unsigned(12))]), "comm=\"cat\" pid=12");
    }

    #[test]
    fn two_rows_never_have_the_same_name() {
        let one = join(&[("a", text(b"x\" b=\"y")), ("b", text(b"z"))]);
        let other = join(&[("a", text(b"x")), ("b", text(b"y\" b=\"z"))]);
        assert_ne!(one, other);
    }

    #[test]
    fn a_cell_of_another_kind_is_told() {
        let failure = text(b"cat").not("comm", "u64");
        assert_eq!(
            (failure.reason.as_str(), failure.message.as_str()),
            ("kind", "column comm holds text, not u64")
        );
    }
}
