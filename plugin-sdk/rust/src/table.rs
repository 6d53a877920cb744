//! Tables: what was granted, and what questions give.

use std::rc::Rc;

use crate::column::{self, Kind};
use crate::host::tables;
use crate::question::{Condition, Question};
use crate::row::Rows;
use crate::typed::{Record, Records};
use crate::{Failure, Result};

pub use crate::bindings::weir::plugin::tables::{Column, Coverage};

/// A column that was read as `K`.
pub type ColumnOf<K> = <K as column::sealed::Read>::Column;

/// A table: one that was granted, or the answer to a question. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Table {
    pub(crate) number: u32,
    name: Rc<str>,
    columns: Rc<[Column]>,
    rows: u32,
}

/// The tables that were granted, in the order of the grant.
///
/// # Errors
/// None that a host of today gives.
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

    /// Its columns: of a granted table `overflow`, the keys and the measures, in this order.
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

    /// There is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// How complete the granted table is, also of what was derived from it.
    ///
    /// # Errors
    /// None that a host of today gives.
    pub fn coverage(&self) -> Result<Coverage> {
        tables::covered(self.number).map_err(Failure::refused)
    }

    /// Checks that there is a column of this name that can be read as `K`.
    ///
    /// # Errors
    /// `unknown`, with the names that there are; `kind`, if the column holds something else.
    pub fn holds<K: Kind>(&self, name: &str) -> Result {
        self.place::<K>(name).map(drop)
    }

    fn place<K: Kind>(&self, name: &str) -> Result<u32> {
        let place = self.find(name)?;
        let kind = &self.columns[place as usize].kind;
        if kind != K::NAME {
            let message = format!("column {name} of table {} holds {kind}, not {}", self.name, K::NAME);
            return Err(Failure::new("kind", message));
        }
        Ok(place)
    }

    /// A whole column: `u64`, `i64` and `f64` give a `Vec`, [`Text`](crate::Text) gives [`Texts`](crate::Texts),
    /// [`Histogram`](crate::Histogram) gives [`Histograms`](crate::Histograms).
    ///
    /// It is read in one page if the host allows one so large, and then never copied.
    ///
    /// # Errors
    /// `unknown`, or `kind` if the column holds something else.
    pub fn column<K: Kind>(&self, name: &str) -> Result<ColumnOf<K>> {
        self.page::<K>(name, 0, self.rows)
    }

    /// The rows of a column from `first` on, `count` of them: for tables that are too large to be held as a whole.
    ///
    /// # Errors
    /// As for [`Table::column`], and `bounds` if there are not so many rows.
    pub fn page<K: Kind>(&self, name: &str, first: u32, count: u32) -> Result<ColumnOf<K>> {
        self.cells::<K>(self.place::<K>(name)?, first, count)
    }

    pub(crate) fn cells<K: Kind>(&self, column: u32, first: u32, count: u32) -> Result<ColumnOf<K>> {
        column::read_all::<K>(first, count, |first, count| {
            K::read(self.number, column, first, count).map_err(Failure::refused)
        })
    }

    /// A page's bytes as they cross the boundary, little-endian: eight for each number, and four for the code of each
    /// text. Reading numbers as numbers takes no longer.
    ///
    /// # Errors
    /// `unknown`, `kind` for histograms, `bounds`, `too-large`.
    pub fn raw(&self, name: &str, first: u32, count: u32) -> Result<Vec<u8>> {
        tables::read_raw(self.number, self.find(name)?, first, count).map_err(Failure::refused)
    }

    /// All rows as structures that [`row!`](crate::row!) declares, whose columns are read as a whole.
    ///
    /// # Errors
    /// `unknown` or `kind`, with the name of the column that is not there or holds something else.
    pub fn read<R: Record>(&self) -> Result<Records<R>> {
        Records::of(self)
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
    pub fn group_by<'a>(&self, columns: impl IntoIterator<Item = &'a str>) -> Question {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, Host};
    use crate::{Histogram, Text};

    fn host() -> Host {
        let one =
            testing::Table::new("one").key("comm", ["cat", "dd", ""]).count("calls", [3, 4, 5]).overflow(5);
        Host::new().table(one.missed(None)).table(testing::Table::new("two").count("n", [1]))
    }

    #[test]
    fn tables_are_found_by_name() {
        host().call(|| {
            let names: Vec<String> = tables().unwrap().iter().map(|table| table.name().to_owned()).collect();
            assert_eq!(names, ["one", "two"]);
            let one = table("one").unwrap();
            assert_eq!((one.len(), one.columns().len()), (3, 3));
            assert_eq!(one.coverage().unwrap(), Coverage { events: 12, overflow: 5, missed: None });
            let failure = table("three").unwrap_err();
            assert_eq!(failure.message, "there is no table three; there is one, two");
        });
        Host::new().call(|| assert!(tables().unwrap().is_empty()));
    }

    #[test]
    fn a_column_that_is_not_there_is_told_with_those_that_are() {
        host().call(|| {
            let table = table("one").unwrap();
            assert_eq!(table.find("calls").unwrap(), 2);
            let failure = table.find("call").unwrap_err();
            assert_eq!(failure.reason, "unknown");
            assert_eq!(
                failure.message,
                "there is no column call in table one; there is overflow, comm, calls"
            );
        });
    }

    #[test]
    fn columns_are_read_as_what_they_are() {
        host().call(|| {
            let table = table("one").unwrap();
            assert_eq!(table.column::<u64>("calls").unwrap(), [3, 4, 5]);
            assert_eq!(table.page::<u64>("calls", 1, 2).unwrap(), [4, 5]);
            assert_eq!(table.page::<u64>("calls", 2, 2).unwrap_err().reason, "bounds");
            assert_eq!(table.column::<Text>("comm").unwrap().get(1), "dd");
            assert_eq!(table.raw("calls", 2, 1).unwrap(), 5u64.to_le_bytes());
            let failure = table.column::<Histogram>("comm").unwrap_err();
            assert_eq!(failure.message, "column comm of table one holds text, not buckets");
            assert!(table.holds::<i64>("calls").is_err() && table.holds::<u64>("calls").is_ok());
        });
    }
}
