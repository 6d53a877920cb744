//! Tables of a test.

use crate::{Bucket, Buckets, Coverage};

/// A table as a test has it: columns, one after the other, all with as many rows.
///
/// ```
/// use weir_plugin::testing::{Table, values};
///
/// let reads = Table::new("reads")
///     .key("comm", ["cat", "dd", ""])
///     .count("calls", [3, 2, 7])
///     .hist("latency", [values([900, 1100, 1200]), values([40, 80]), values([])])
///     .unit("ns")
///     // The last row is the overflow row, of seven events.
///     .overflow(7)
///     .missed(Some(2));
/// ```
///
/// The column `overflow`, which every table has, is made by itself.
#[derive(Clone, Debug)]
pub struct Table {
    pub(super) name: String,
    /// All but `overflow`.
    pub(super) columns: Vec<Column>,
    pub(super) coverage: Coverage,
    events: Option<u64>,
}

#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) role: String,
    pub(super) unit: String,
    pub(super) cells: Cells,
}

/// A column's values: `["cat", "dd"]`, `[1u64, 2]`, `[-1i64, 2]`, a `Vec` of these, or histograms.
#[derive(Clone, Debug)]
pub enum Cells {
    /// Kind `u64`.
    Unsigned(Vec<u64>),
    /// Kind `s64`.
    Signed(Vec<i64>),
    /// Kind `f64`.
    Float(Vec<f64>),
    /// Kind `f64` too: of each row, how many values there are and their sum.
    Average(Vec<(u64, f64)>),
    /// Kind `text`.
    Text(Vec<Vec<u8>>),
    /// Kind `buckets`.
    Histogram(Vec<Buckets>),
}

macro_rules! cells {
    ($($from:ty => $kind:ident),*) => {$(
        impl<const N: usize> From<[$from; N]> for Cells {
            fn from(values: [$from; N]) -> Self {
                Self::$kind(values.into_iter().map(Into::into).collect())
            }
        }

        impl From<Vec<$from>> for Cells {
            fn from(values: Vec<$from>) -> Self {
                Self::$kind(values.into_iter().map(Into::into).collect())
            }
        }
    )*};
}

cells! {
    u64 => Unsigned, i64 => Signed, f64 => Float, (u64, f64) => Average,
    &str => Text, String => Text, &[u8] => Text, Vec<u8> => Text, Buckets => Histogram
}

impl Cells {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Unsigned(_) => "u64",
            Self::Signed(_) => "s64",
            Self::Float(_) | Self::Average(_) => "f64",
            Self::Text(_) => "text",
            Self::Histogram(_) => "buckets",
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Unsigned(values) => values.len(),
            Self::Signed(values) => values.len(),
            Self::Float(values) => values.len(),
            Self::Average(values) => values.len(),
            Self::Text(values) => values.len(),
            Self::Histogram(values) => values.len(),
        }
    }

    /// These rows of it, in this order.
    pub(super) fn pick(&self, rows: &[usize]) -> Self {
        fn of<T: Clone>(values: &[T], rows: &[usize]) -> Vec<T> {
            rows.iter().map(|row| values[*row].clone()).collect()
        }
        match self {
            Self::Unsigned(values) => Self::Unsigned(of(values, rows)),
            Self::Signed(values) => Self::Signed(of(values, rows)),
            Self::Float(values) => Self::Float(of(values, rows)),
            Self::Average(values) => Self::Average(of(values, rows)),
            Self::Text(values) => Self::Text(of(values, rows)),
            Self::Histogram(values) => Self::Histogram(of(values, rows)),
        }
    }

    /// Numbers as floats, where they are numbers.
    #[expect(clippy::cast_precision_loss, reason = "that is what reading as a float means")]
    pub(super) fn floats(&self) -> Option<Vec<f64>> {
        Some(match self {
            Self::Unsigned(values) => values.iter().map(|value| *value as f64).collect(),
            Self::Signed(values) => values.iter().map(|value| *value as f64).collect(),
            Self::Float(values) => values.clone(),
            Self::Average(values) => values.iter().map(|(count, sum)| mean(*sum, *count)).collect(),
            Self::Text(_) | Self::Histogram(_) => return None,
        })
    }
}

/// 0 where nothing was counted.
#[expect(clippy::cast_precision_loss, reason = "a mean is a float")]
pub(super) fn mean(sum: f64, count: u64) -> f64 {
    if count == 0 { 0.0 } else { sum / count as f64 }
}

/// What `hist(x)` makes of these values: a histogram by powers of two.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "bounds are powers of two")]
pub fn values(values: impl IntoIterator<Item = u64>) -> Buckets {
    let mut sum = 0.0;
    let bucket = |value: u64| {
        sum += value as f64;
        let (low, high): (u64, _) = match value.checked_ilog2() {
            None => (0, Some(1.0)),
            Some(63) => (1 << 63, None),
            Some(power) => (1 << power, Some((2u64 << power) as f64)),
        };
        Bucket { low: low as f64, high, count: 1 }
    };
    let buckets = values.into_iter().map(bucket).collect();
    Buckets::new(buckets, sum)
}

impl Table {
    /// A table without columns and rows, of which nothing was missed.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let coverage = Coverage { events: 0, overflow: 0, missed: Some(0) };
        Self { name: name.to_owned(), columns: Vec::new(), coverage, events: None }
    }

    /// Adds a column of any role. The others are short for this.
    #[must_use]
    pub fn column(mut self, role: &str, name: &str, cells: impl Into<Cells>) -> Self {
        let (role, unit) = (role.to_owned(), String::new());
        self.columns.push(Column { name: name.to_owned(), role, unit, cells: cells.into() });
        self
    }

    /// A key: `.key("comm", ["cat", "dd"])`, `.key("pid", [1u64, 2])`.
    #[must_use]
    pub fn key(self, name: &str, cells: impl Into<Cells>) -> Self {
        self.column("key", name, cells)
    }

    /// What `count()` measures. The first such column's sum is how many events there were.
    #[must_use]
    pub fn count(self, name: &str, values: impl Into<Vec<u64>>) -> Self {
        self.column("count", name, values.into())
    }

    /// What `sum(x)` measures.
    #[must_use]
    pub fn sum(self, name: &str, cells: impl Into<Cells>) -> Self {
        self.column("sum", name, cells)
    }

    /// What `min(x)` measures.
    #[must_use]
    pub fn min(self, name: &str, cells: impl Into<Cells>) -> Self {
        self.column("min", name, cells)
    }

    /// What `max(x)` measures.
    #[must_use]
    pub fn max(self, name: &str, cells: impl Into<Cells>) -> Self {
        self.column("max", name, cells)
    }

    /// What `avg(x)` measures: of each row, how many values there are and their sum.
    #[must_use]
    pub fn avg(self, name: &str, rows: impl IntoIterator<Item = (u64, f64)>) -> Self {
        self.column("avg", name, rows.into_iter().collect::<Vec<_>>())
    }

    /// What `hist(x)` measures. [`values`] makes a row from values.
    #[must_use]
    pub fn hist(self, name: &str, rows: impl IntoIterator<Item = Buckets>) -> Self {
        self.column("hist", name, rows.into_iter().collect::<Vec<_>>())
    }

    /// The unit of the column that was added last.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn unit(mut self, unit: &str) -> Self {
        let column = self.columns.last_mut().expect("a unit belongs to the column before it");
        unit.clone_into(&mut column.unit);
        self
    }

    /// The last row is that of the events that found no row of their own, which were so many.
    #[must_use]
    pub fn overflow(mut self, events: u64) -> Self {
        self.coverage.overflow = events;
        self
    }

    /// How many events there were, where that is not the sum of the first count.
    #[must_use]
    pub fn events(mut self, events: u64) -> Self {
        self.events = Some(events);
        self
    }

    /// Events that the kernel skipped; `None`, if it does not tell.
    #[must_use]
    pub fn missed(mut self, events: Option<u64>) -> Self {
        self.coverage.missed = events;
        self
    }

    pub(super) fn rows(&self) -> usize {
        self.columns.first().map_or(0, |column| column.cells.len())
    }

    pub(super) fn check(&self) {
        for column in &self.columns {
            let (first, rows) = (&self.columns[0].name, self.rows());
            let same = column.cells.len() == rows;
            assert!(same, "table {}: {} has not as many rows as {first}, {rows}", self.name, column.name);
        }
        let has_row = self.coverage.overflow == 0 || self.rows() > 0;
        assert!(has_row, "table {}: events in overflow need a row, the last one", self.name);
    }

    /// As a plugin sees it: with the column `overflow`, and its events counted.
    pub(super) fn granted(mut self) -> Self {
        let rows = self.rows();
        let mut overflow = vec![0; rows];
        if self.coverage.overflow > 0 {
            overflow[rows - 1] = 1;
        }
        let counts = self.columns.iter().find_map(|column| match &column.cells {
            Cells::Unsigned(counts) if column.role == "count" => {
                Some(counts.iter().fold(0, |sum: u64, count| sum.wrapping_add(*count)))
            }
            _ => None,
        });
        self.coverage.events = self.events.or(counts).unwrap_or(rows as u64);
        let (name, role, unit) = ("overflow".to_owned(), "overflow".to_owned(), String::new());
        self.columns.insert(0, Column { name, role, unit, cells: Cells::Unsigned(overflow) });
        self
    }

    /// The same without rows.
    pub(super) fn empty(&self) -> Self {
        let coverage = Coverage { events: 0, overflow: 0, missed: Some(0) };
        Self { coverage, events: None, ..self.pick(&[]) }
    }

    pub(super) fn pick(&self, rows: &[usize]) -> Self {
        let mut table = self.clone();
        table.columns.iter_mut().for_each(|column| column.cells = column.cells.pick(rows));
        table
    }
}
