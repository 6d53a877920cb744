//! Rows, for those who want rows: a page of a column is read when the first of its rows is looked at.

use std::cell::OnceCell;
use std::fmt;
use std::rc::Rc;

use crate::column::{Text, Texts};
use crate::histogram::{Histogram, Histograms};
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
    /// A number of kind `u64`.
    Unsigned(u64),
    /// A number of kind `s64`.
    Signed(i64),
    /// A number of kind `f64`.
    Float(f64),
    /// A text.
    Text(Text<'a>),
    /// A histogram.
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
            "u64" => table.cells::<u64>(column, first, count).map(Cells::Unsigned),
            "s64" => table.cells::<i64>(column, first, count).map(Cells::Signed),
            "f64" => table.cells::<f64>(column, first, count).map(Cells::Float),
            "text" => table.cells::<Text>(column, first, count).map(Cells::Texts),
            "buckets" => table.cells::<Histogram>(column, first, count).map(Cells::Histograms),
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

    /// The number in a column of kind `u64`.
    ///
    /// # Errors
    /// `unknown` or `kind`.
    pub fn u64(&self, column: &str) -> Result<u64> {
        match self.value(column)? {
            Value::Unsigned(value) => Ok(value),
            other => Err(other.not(column, "u64")),
        }
    }

    /// The number in a column of kind `s64`.
    ///
    /// # Errors
    /// `unknown` or `kind`.
    pub fn i64(&self, column: &str) -> Result<i64> {
        match self.value(column)? {
            Value::Signed(value) => Ok(value),
            other => Err(other.not(column, "s64")),
        }
    }

    /// The number in a column of kind `f64`.
    ///
    /// # Errors
    /// `unknown` or `kind`.
    pub fn f64(&self, column: &str) -> Result<f64> {
        match self.value(column)? {
            Value::Float(value) => Ok(value),
            other => Err(other.not(column, "f64")),
        }
    }

    /// The text in a column of kind `text`.
    ///
    /// # Errors
    /// `unknown` or `kind`.
    pub fn text(&self, column: &str) -> Result<Text<'_>> {
        match self.value(column)? {
            Value::Text(value) => Ok(value),
            other => Err(other.not(column, "text")),
        }
    }

    /// The histogram in a column of kind `buckets`.
    ///
    /// # Errors
    /// `unknown` or `kind`.
    pub fn histogram(&self, column: &str) -> Result<Histogram<'_>> {
        match self.value(column)? {
            Value::Histogram(value) => Ok(value),
            other => Err(other.not(column, "buckets")),
        }
    }

    /// Its keys, in the order of their columns.
    ///
    /// # Errors
    /// `kind`, if one is of a kind that this crate does not know.
    pub fn keys(&self) -> Result<Vec<Value<'_>>> {
        self.named_keys().map(|key| Ok(key?.1)).collect()
    }

    fn named_keys(&self) -> impl Iterator<Item = Result<(&str, Value<'_>)>> {
        let keys = self.page.table.columns().iter().filter(|column| column.role == "key");
        keys.map(|key| Ok((key.name.as_str(), self.value(&key.name)?)))
    }

    /// All of its keys as one text for people, never the same for two rows: one key as it prints, several as
    /// `comm="cat" pid=12`, and `all` in a table that has none.
    ///
    /// # Errors
    /// `kind`, if one is of a kind that this crate does not know.
    pub fn key(&self) -> Result<String> {
        Ok(join(&self.named_keys().collect::<Result<Vec<_>>>()?))
    }

    /// This is the row of the events that found no row of their own; its keys mean nothing.
    ///
    /// # Errors
    /// None that a host of today gives.
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
    use crate::table;
    use crate::testing::{self, Host, values};

    #[test]
    fn rows_are_read_as_far_as_they_are_looked_at() {
        let rows = PAGE_ROWS + 3;
        let numbers = (0..u64::from(rows)).collect::<Vec<_>>();
        let table_of = testing::Table::new("t").key("pid", numbers.clone()).count("n", numbers);
        let host = Host::new().table(table_of.avg("size", (0..rows).map(|row| (2, f64::from(row)))));
        host.call(|| {
            for (number, row) in (0..).zip(table("t").unwrap().rows()) {
                assert_eq!((row.u64("pid").unwrap(), row.u64("n").unwrap()), (number, number));
                assert_eq!(row.value("size").unwrap().as_f64(), Some(number as f64 / 2.0));
                assert!(!row.is_overflow().unwrap());
            }
            assert_eq!(table("t").unwrap().rows().count(), rows as usize);
        });
    }

    #[test]
    fn every_kind_of_cell_is_read() {
        let row = testing::Table::new("t").key("comm", ["cat"]).key("error", [-2i64]).max("slowest", [9u64]);
        let host = Host::new().table(row.hist("latency", [values([5, 6])]).overflow(3));
        host.call(|| {
            let row = table("t").unwrap().rows().next().unwrap();
            assert_eq!((row.text("comm").unwrap(), row.i64("error").unwrap()), ("cat".into(), -2));
            assert_eq!(row.histogram("latency").unwrap().count(), 2);
            assert!(row.is_overflow().unwrap());
            assert_eq!(row.key().unwrap(), "comm=\"cat\" error=-2");
            let keys: Vec<String> = row.keys().unwrap().iter().map(Value::to_string).collect();
            assert_eq!(keys, ["cat", "-2"]);
            assert_eq!(row.f64("slowest").unwrap_err().message, "column slowest holds u64, not f64");
            assert_eq!(row.value("nothing").unwrap_err().reason, "unknown");
        });
    }

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
