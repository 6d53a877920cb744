//! Tables: what was granted, and what questions give.

use std::rc::Rc;

use crate::bindings::weir::plugin::tables;
use crate::column::{self, Kind};
use crate::question::{Condition, Question};
use crate::row::Rows;
use crate::{Failure, Result};

pub use tables::{Column, Coverage};

/// A table: one that was granted, or the answer to a question. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Table {
    pub(crate) number: u32,
    name: Rc<str>,
    columns: Rc<[Column]>,
    rows: u32,
}

/// The tables that were granted, in the order of the grant.
pub fn tables() -> Result<Vec<Table>> {
    (0..).zip(tables::names()).map(|(number, name)| Table::open(number, name.into())).collect()
}

/// The granted table of this name.
///
/// # Errors
/// `unknown`, with the names that there are.
pub fn table(name: &str) -> Result<Table> {
    let names = tables::names();
    match (0..).zip(&names).find(|(_, granted)| *granted == name) {
        Some((number, _)) => Table::open(number, name.into()),
        None => Err(unknown(&format!("table {name}"), &names)),
    }
}

/// Says what there is in place of what there is not.
fn unknown(what: &str, known: &[impl AsRef<str>]) -> Failure {
    let known: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
    Failure::new("unknown", format!("there is no {what}; there is {}", known.join(", ")))
}

impl Table {
    fn open(number: u32, name: Rc<str>) -> Result<Self> {
        let columns = tables::columns(number).map_err(Failure::refused)?;
        let rows = tables::rows(number).map_err(Failure::refused)?;
        Ok(Self { number, name, columns: columns.into(), rows })
    }

    /// The answer to a question about this table, under the same name.
    pub(crate) fn derived(&self, number: u32) -> Result<Self> {
        Self::open(number, Rc::clone(&self.name))
    }

    /// The name of the granted table, also of what was derived from it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The place of the column of this name.
    ///
    /// # Errors
    /// `unknown`, with the names that there are.
    pub fn find(&self, name: &str) -> Result<u32> {
        match (0..).zip(self.columns.iter()).find(|(_, column)| column.name == name) {
            Some((index, _)) => Ok(index),
            None => {
                let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
                Err(unknown(&format!("column {name} in table {}", self.name), &names))
            }
        }
    }

    /// How many rows there are, the overflow row included.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.rows
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// How complete the granted table is.
    pub fn coverage(&self) -> Result<Coverage> {
        tables::covered(self.number).map_err(Failure::refused)
    }

    /// A whole column: `u64`, `i64` and `f64` give a `Vec`, [`Text`](crate::Text) gives [`Texts`](crate::Texts),
    /// [`Histogram`](crate::Histogram) gives [`Histograms`](crate::Histograms).
    ///
    /// It is read in one page if the host allows one so large, and then never copied.
    ///
    /// # Errors
    /// `unknown`, or `kind` if the column holds something else.
    pub fn column<K: Kind>(&self, name: &str) -> Result<K::Column> {
        self.page::<K>(self.find(name)?, 0, self.rows)
    }

    pub(crate) fn page<K: Kind>(&self, column: u32, first: u32, count: u32) -> Result<K::Column> {
        column::read_all::<K>(first, count, |first, count| {
            K::read(self.number, column, first, count).map_err(Failure::refused)
        })
    }

    /// Row by row, for those who want rows; columns are read as far as they are looked at.
    #[must_use]
    pub fn rows(&self) -> Rows {
        Rows::new(self.clone())
    }

    /// Asks for the rows for which the condition holds: `table.filter(col("calls").gt(10)).ask()?`.
    pub fn filter(&self, condition: Condition) -> Question {
        Question::about(self).filter(condition)
    }

    /// Asks for one row for each combination of values in these columns; what it shows of each group is added to
    /// the question: `table.group_by(["comm"]).sum("calls").ask()?` has the columns `comm` and `sum(calls)`.
    /// See [`Question::group_by`].
    pub fn group_by<const N: usize>(&self, columns: [&str; N]) -> Question {
        Question::about(self).group_by(columns)
    }

    /// Asks for the rows by ascending values of a column.
    pub fn sort_asc(&self, column: &str) -> Question {
        Question::about(self).sort_asc(column)
    }

    /// Asks for the rows by descending values of a column; `.limit(10)` keeps the ten largest.
    pub fn sort_desc(&self, column: &str) -> Question {
        Question::about(self).sort_desc(column)
    }

    /// A table as a test would have it.
    #[cfg(test)]
    pub(crate) fn example(columns: &[(&str, &str)], rows: u32) -> Self {
        let columns = columns
            .iter()
            .map(|&(name, kind)| Column {
                name: name.to_owned(),
                role: String::new(),
                kind: kind.to_owned(),
                unit: String::new(),
            })
            .collect();
        Self { number: 0, name: "example".into(), columns, rows }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_that_is_not_there_is_told_with_those_that_are() {
        let table = Table::example(&[("comm", "text"), ("calls", "u64")], 0);
        assert_eq!(table.find("calls").unwrap(), 1);
        let failure = table.find("call").unwrap_err();
        assert_eq!(failure.reason, "unknown");
        assert_eq!(failure.message, "there is no column call in table example; there is comm, calls");
    }
}
