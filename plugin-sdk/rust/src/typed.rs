//! Rows as a structure of the plugin's own.

use std::fmt;

use crate::Result;
use crate::table::Table;

/// Declares a structure that rows of a table are read into, each field from the column of its name.
///
/// ```
/// use weir_plugin::{Histogram, Result, Text, table};
///
/// weir_plugin::row! {
///     /// Who read, and how long it took.
///     #[derive(Debug)]
///     struct Reads<'a> {
///         comm: Text<'a>,
///         pid: u64,
///         /// Columns of answers have names that fields cannot have.
///         latency: Histogram<'a> = "sum(latency)",
///     }
/// }
///
/// fn slowest() -> Result<String> {
///     let sums = table("reads")?.group_by(["comm", "pid"]).sum("latency").ask()?;
///     let mut slowest = (0.0, String::new());
///     for reads in &sums.read::<Reads>()? {
///         let mean = reads.latency.mean().unwrap_or(0.0);
///         if mean > slowest.0 {
///             slowest = (mean, format!("{} ({})", reads.comm, reads.pid));
///         }
///     }
///     Ok(slowest.1)
/// }
/// # use weir_plugin::testing::{self, Host, values};
/// # let reads = testing::Table::new("reads").key("comm", ["cat", "dd"]).key("pid", [1u64, 2]);
/// # let host = Host::new().table(reads.hist("latency", [values([3, 3, 3]), values([4, 4, 4, 4])]));
/// # assert_eq!(host.call(slowest).unwrap(), "dd (2)");
/// ```
///
/// A field is a `u64`, `i64` or `f64`, or a [`Text`](crate::Text) or [`Histogram`](crate::Histogram) with the
/// structure's lifetime. All columns are looked up, and their kinds compared, once, before the first row is read. In
/// `configure`, where tables have no rows yet, the same line tells what is wrong before anything runs.
#[macro_export]
macro_rules! row {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident<$life:lifetime> {
            $($(#[$field_meta:meta])* $field_vis:vis $field:ident: $type:ty $(= $column:literal)?),* $(,)?
        }
    ) => {
        $(#[$meta])*
        $vis struct $name<$life> {
            $($(#[$field_meta])* $field_vis $field: $type,)*
        }

        impl<$life> $crate::Record for $name<$life> {
            type Columns = ($($crate::ColumnOf<$type>,)*);
            type Row<'row> = $name<'row>;

            $crate::row!(@functions $name $($field: $type $(= $column)?,)*);
        }
    };
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $($(#[$field_meta:meta])* $field_vis:vis $field:ident: $type:ty $(= $column:literal)?),* $(,)?
        }
    ) => {
        $(#[$meta])*
        $vis struct $name {
            $($(#[$field_meta])* $field_vis $field: $type,)*
        }

        impl $crate::Record for $name {
            type Columns = ($($crate::ColumnOf<$type>,)*);
            type Row<'row> = $name;

            $crate::row!(@functions $name $($field: $type $(= $column)?,)*);
        }
    };
    (@functions $name:ident $($field:ident: $type:ty $(= $column:literal)?,)*) => {
        fn columns(table: &$crate::Table) -> $crate::Result<Self::Columns> {
            $(table.holds::<$type>($crate::row!(@name $field $($column)?))?;)*
            Ok(($(table.column::<$type>($crate::row!(@name $field $($column)?))?,)*))
        }

        fn row(columns: &Self::Columns, index: usize) -> Self::Row<'_> {
            let ($($field,)*) = columns;
            $name { $($field: $crate::Cells::cell($field, index),)* }
        }
    };
    (@name $field:ident) => { ::core::stringify!($field) };
    (@name $field:ident $column:literal) => { $column };
}

/// What [`row!`](crate::row!) declares.
pub trait Record {
    #[doc(hidden)]
    type Columns;
    /// The structure, as long as the columns are there.
    type Row<'row>;

    #[doc(hidden)]
    fn columns(table: &Table) -> Result<Self::Columns>;
    #[doc(hidden)]
    fn row(columns: &Self::Columns, index: usize) -> Self::Row<'_>;
}

/// The rows of a table as structures, in order; what [`Table::read`] gives.
pub struct Records<R: Record> {
    columns: R::Columns,
    rows: usize,
}

impl<R: Record> Records<R> {
    pub(crate) fn of(table: &Table) -> Result<Self> {
        Ok(Self { columns: R::columns(table)?, rows: table.len() as usize })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// There are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The row at this place, if there is one.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<R::Row<'_>> {
        (index < self.rows).then(|| R::row(&self.columns, index))
    }

    /// All of them.
    pub fn iter(&self) -> RecordsIter<'_, R> {
        RecordsIter { records: self, next: 0 }
    }
}

impl<R: Record> fmt::Debug for Records<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows", self.rows)
    }
}

impl<'a, R: Record> IntoIterator for &'a Records<R> {
    type Item = R::Row<'a>;
    type IntoIter = RecordsIter<'a, R>;

    fn into_iter(self) -> RecordsIter<'a, R> {
        self.iter()
    }
}

/// What [`Records::iter`] gives.
#[derive(Debug)]
pub struct RecordsIter<'a, R: Record> {
    records: &'a Records<R>,
    next: usize,
}

impl<'a, R: Record> Iterator for RecordsIter<'a, R> {
    type Item = R::Row<'a>;

    fn next(&mut self) -> Option<R::Row<'a>> {
        let row = self.records.get(self.next)?;
        self.next += 1;
        Some(row)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.records.rows - self.next;
        (left, Some(left))
    }
}

impl<R: Record> ExactSizeIterator for RecordsIter<'_, R> {}

#[cfg(test)]
mod tests {
    use crate::testing::{Host, Table, values};
    use crate::{Histogram, Text, table};

    crate::row! {
        struct Reads<'a> {
            comm: Text<'a>,
            bytes: i64,
            latency: Histogram<'a>,
            calls: u64,
        }
    }

    crate::row! {
        #[derive(Debug, PartialEq)]
        struct Numbers {
            total: u64 = "sum(calls)",
            mean: f64 = "mean(bytes)",
        }
    }

    fn host() -> Host {
        let reads = Table::new("reads")
            .key("comm", ["cat", "dd"])
            .count("calls", [3, 4])
            .sum("bytes", [-7i64, 9])
            .hist("latency", [values([1]), values([2, 3])]);
        Host::new().table(reads)
    }

    #[test]
    fn rows_become_structures() {
        host().call(|| {
            let reads = table("reads").unwrap().read::<Reads>().unwrap();
            let seen: Vec<_> = reads
                .iter()
                .map(|row| (row.comm.to_string(), row.bytes, row.latency.count(), row.calls))
                .collect();
            assert_eq!(seen, [("cat".to_owned(), -7, 1, 3), ("dd".to_owned(), 9, 2, 4)]);
            assert_eq!((reads.len(), reads.iter().len()), (2, 2));
            assert!(reads.get(2).is_none());
        });
    }

    #[test]
    fn fields_have_names_of_columns() {
        host().call(|| {
            let sums = table("reads").unwrap().group_by([]).sum("calls").mean("bytes").ask().unwrap();
            let sums = sums.read::<Numbers>().unwrap();
            assert_eq!(sums.iter().collect::<Vec<_>>(), [Numbers { total: 7, mean: 1.0 }]);
        });
    }

    #[test]
    fn a_column_that_does_not_fit_is_named() {
        host().call(|| {
            let failure = table("reads").unwrap().read::<Numbers>().unwrap_err();
            assert!(
                failure.message.starts_with("there is no column sum(calls) in table reads; "),
                "{failure}"
            );
        });
        let other = Table::new("reads").key("comm", [1u64]).count("calls", [3]).sum("bytes", [7i64]);
        Host::new().table(other.hist("latency", [values([1])])).call(|| {
            let failure = table("reads").unwrap().read::<Reads>().unwrap_err();
            let told = (failure.reason.as_str(), failure.message.as_str());
            assert_eq!(told, ("kind", "column comm of table reads holds u64, not text"));
        });
    }
}
