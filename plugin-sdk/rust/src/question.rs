//! Questions: filter, group and sort, answered by the host. They chain, and nothing is asked before
//! [`Question::ask`].

use crate::bindings::weir::plugin::questions::{Aggregate, Condition as Compared};
use crate::column::Text;
use crate::host::questions;
use crate::table::Table;
use crate::{Failure, Result};

/// What a column is compared with. Numbers compare by value, whatever their kinds.
pub use crate::bindings::weir::plugin::questions::Literal;

macro_rules! literals {
    ($($from:ty => $kind:ident),*) => {$(
        impl From<$from> for Literal {
            fn from(value: $from) -> Self {
                Self::$kind(value.into())
            }
        }
    )*};
}

literals!(u32 => Unsigned, u64 => Unsigned, i32 => Signed, i64 => Signed, f64 => Float, &str => Text, &[u8] => Text);

impl From<Text<'_>> for Literal {
    fn from(text: Text<'_>) -> Self {
        Self::Text(text.as_bytes().to_vec())
    }
}

/// A column, to be compared with something: `col("calls").gt(10)`.
#[derive(Clone, Copy, Debug)]
pub struct Col<'a>(&'a str);

/// The column of this name.
#[must_use]
pub fn col(name: &str) -> Col<'_> {
    Col(name)
}

/// What holds for some rows and not for others.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    column: String,
    op: &'static str,
    value: Literal,
}

impl Col<'_> {
    fn condition(self, op: &'static str, value: Literal) -> Condition {
        Condition { column: self.0.to_owned(), op, value }
    }

    /// The value is this one. A NaN is none.
    #[must_use]
    pub fn eq(self, value: impl Into<Literal>) -> Condition {
        self.condition("eq", value.into())
    }

    /// The value is another one.
    #[must_use]
    pub fn ne(self, value: impl Into<Literal>) -> Condition {
        self.condition("ne", value.into())
    }

    /// The number is less.
    #[must_use]
    pub fn lt(self, value: impl Into<Literal>) -> Condition {
        self.condition("lt", value.into())
    }

    /// The number is less or the same.
    #[must_use]
    pub fn le(self, value: impl Into<Literal>) -> Condition {
        self.condition("le", value.into())
    }

    /// The number is greater.
    #[must_use]
    pub fn gt(self, value: impl Into<Literal>) -> Condition {
        self.condition("gt", value.into())
    }

    /// The number is greater or the same.
    #[must_use]
    pub fn ge(self, value: impl Into<Literal>) -> Condition {
        self.condition("ge", value.into())
    }

    /// The text begins with this one.
    #[must_use]
    pub fn starts_with<'v>(self, value: impl Into<Text<'v>>) -> Condition {
        self.condition("prefix", value.into().into())
    }
}

/// A question about a table, in steps: each asks about the answer to the one before.
#[derive(Clone, Debug)]
#[must_use = "nothing is asked before `ask`"]
pub struct Question {
    table: Table,
    steps: Vec<Step>,
    /// The first step that makes no sense after what is before it.
    misplaced: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Filter(Vec<Condition>),
    Group { by: Vec<String>, show: Vec<(&'static str, String, f64)> },
    Sort { by: String, descending: bool, limit: u32 },
}

impl Question {
    pub(crate) fn about(table: &Table) -> Self {
        Self { table: table.clone(), steps: Vec::new(), misplaced: None }
    }

    /// Only the rows for which this holds too.
    pub fn filter(mut self, condition: Condition) -> Self {
        match self.steps.last_mut() {
            Some(Step::Filter(every)) => every.push(condition),
            _ => self.steps.push(Step::Filter(vec![condition])),
        }
        self
    }

    /// One row for each combination of values in these columns; one of all rows if there are none. The answer has
    /// these columns, and what is shown of each group under names like `sum(calls)`.
    ///
    /// The overflow row's keys read as 0 or empty: have `overflow` among the columns, or filter it out first.
    pub fn group_by<'a>(mut self, columns: impl IntoIterator<Item = &'a str>) -> Self {
        let by = columns.into_iter().map(str::to_owned).collect();
        self.steps.push(Step::Group { by, show: Vec::new() });
        self
    }

    fn show(mut self, op: &'static str, column: &str, argument: f64) -> Self {
        match self.steps.last_mut() {
            Some(Step::Group { show, .. }) => show.push((op, column.to_owned(), argument)),
            _ => {
                self.misplaced =
                    self.misplaced.or(Some("what is shown of a group comes right after group_by"))
            }
        }
        self
    }

    /// The group's sum; of histograms, bucket by bucket.
    pub fn sum(self, column: &str) -> Self {
        self.show("sum", column, 0.0)
    }

    /// The least of the group's numbers.
    pub fn min(self, column: &str) -> Self {
        self.show("min", column, 0.0)
    }

    /// The greatest of the group's numbers.
    pub fn max(self, column: &str) -> Self {
        self.show("max", column, 0.0)
    }

    /// The average of the group's numbers; of histograms and averages, that of all their values.
    pub fn mean(self, column: &str) -> Self {
        self.show("mean", column, 0.0)
    }

    /// The group's sum by the sum over all groups, 0 to 1.
    pub fn share(self, column: &str) -> Self {
        self.show("share", column, 0.0)
    }

    /// The smallest value that at least this share (0 to 1) of the values does not exceed; of histograms, the upper
    /// bound of the bucket that it is in. NaN where there are no values.
    pub fn quantile(self, column: &str, share: f64) -> Self {
        self.show("quantile", column, share)
    }

    /// How many rows the group has.
    pub fn count(self, column: &str) -> Self {
        self.show("count", column, 0.0)
    }

    /// By ascending values of a column; equal ones keep their order.
    pub fn sort_asc(self, column: &str) -> Self {
        self.sort(column, false)
    }

    /// By descending values of a column; equal ones keep their order.
    pub fn sort_desc(self, column: &str) -> Self {
        self.sort(column, true)
    }

    fn sort(mut self, column: &str, descending: bool) -> Self {
        self.steps.push(Step::Sort { by: column.to_owned(), descending, limit: 0 });
        self
    }

    /// The first rows of a sort: at most so many, all if it is 0.
    pub fn limit(mut self, rows: u32) -> Self {
        match self.steps.last_mut() {
            Some(Step::Sort { limit, .. }) => *limit = rows,
            _ => self.misplaced = self.misplaced.or(Some("limit comes right after sort_asc or sort_desc")),
        }
        self
    }

    /// Asks, and gives the answer, which lives until `analyze` returns.
    ///
    /// # Errors
    /// `unknown`, `kind`, `bounds`, `quota`, `too-large`; `misplaced` if a step cannot follow the one before it.
    pub fn ask(self) -> Result<Table> {
        if let Some(what) = self.misplaced {
            return Err(Failure::new("misplaced", what));
        }
        self.steps.into_iter().try_fold(self.table, |table, step| {
            let answer = match step.resolve(&table)? {
                Asked::Filter(every) => questions::filter(table.number, &every),
                Asked::Group { by, show } => questions::group(table.number, &by, &show),
                Asked::Sort { by, descending, limit } => questions::sort(table.number, by, descending, limit),
            };
            table.derived(answer.map_err(Failure::refused)?)
        })
    }
}

/// A step with columns by place.
#[derive(Debug)]
enum Asked {
    Filter(Vec<Compared>),
    Group { by: Vec<u32>, show: Vec<Aggregate> },
    Sort { by: u32, descending: bool, limit: u32 },
}

impl Step {
    fn resolve(self, table: &Table) -> Result<Asked> {
        Ok(match self {
            Self::Filter(every) => Asked::Filter(
                every
                    .into_iter()
                    .map(|Condition { column, op, value }| {
                        let column = table.find(&column)?;
                        Ok(Compared { column, op: op.to_owned(), value })
                    })
                    .collect::<Result<_>>()?,
            ),
            Self::Group { by, show } => Asked::Group {
                by: by.iter().map(|column| table.find(column)).collect::<Result<_>>()?,
                show: show
                    .into_iter()
                    .map(|(op, column, argument)| {
                        Ok(Aggregate { column: table.find(&column)?, op: op.to_owned(), argument })
                    })
                    .collect::<Result<_>>()?,
            },
            Self::Sort { by, descending, limit } => Asked::Sort { by: table.find(&by)?, descending, limit },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, Host};

    fn host() -> Host {
        let opens = testing::Table::new("opens").key("comm", ["cat", "dd", "cat"]).count("calls", [1, 20, 3]);
        Host::new().table(opens)
    }

    /// The columns are `overflow`, `comm`, `calls`.
    fn table() -> Table {
        host().call(|| crate::table("opens").unwrap())
    }

    #[test]
    fn conditions_in_a_row_are_one_step() {
        let question = table().filter(col("calls").gt(10)).filter(col("comm").ne("cat"));
        let [Step::Filter(every)] = &question.steps[..] else { panic!("{:?}", question.steps) };
        assert_eq!(every[0], Condition { column: "calls".into(), op: "gt", value: Literal::Signed(10) });
        assert_eq!(
            every[1],
            Condition { column: "comm".into(), op: "ne", value: Literal::Text(b"cat".into()) }
        );
    }

    #[test]
    fn a_chain_keeps_its_order_and_its_limit() {
        let question =
            table().group_by(["comm"]).sum("calls").quantile("calls", 0.9).sort_desc("sum(calls)").limit(10);
        let [Step::Group { by, show }, sort] = &question.steps[..] else { panic!("{:?}", question.steps) };
        assert_eq!(by, &["comm"]);
        assert_eq!(show, &[("sum", "calls".to_owned(), 0.0), ("quantile", "calls".to_owned(), 0.9)]);
        assert_eq!(sort, &Step::Sort { by: "sum(calls)".into(), descending: true, limit: 10 });
        assert_eq!(question.misplaced, None);
    }

    #[test]
    fn names_become_places() {
        let step = Step::Filter(vec![col("calls").le(7u64)]);
        let Asked::Filter(every) = step.resolve(&table()).unwrap() else { panic!() };
        assert_eq!((every[0].column, every[0].op.as_str()), (2, "le"));
        assert!(matches!(every[0].value, Literal::Unsigned(7)));

        let Question { steps, .. } = table().group_by(["comm"]).count("comm").max("calls");
        let Asked::Group { by, show } = steps[0].clone().resolve(&table()).unwrap() else { panic!() };
        assert_eq!(by, [1]);
        assert_eq!((show[0].column, show[0].op.as_str()), (1, "count"));
        assert_eq!((show[1].column, show[1].op.as_str()), (2, "max"));

        let failure =
            Step::Sort { by: "call".into(), descending: true, limit: 1 }.resolve(&table()).unwrap_err();
        assert_eq!(failure.reason, "unknown");
    }

    #[test]
    fn a_step_out_of_place_is_told_when_asked() {
        assert_eq!(table().filter(col("calls").gt(1)).limit(3).ask().unwrap_err().reason, "misplaced");
        assert_eq!(table().sort_asc("calls").sum("calls").ask().unwrap_err().reason, "misplaced");
    }

    #[test]
    fn nothing_asked_is_the_table_itself() {
        assert_eq!(Question::about(&table()).ask().unwrap().len(), 3);
    }

    #[test]
    fn a_chain_is_answered_step_by_step() {
        host().call(|| {
            let opens = crate::table("opens").unwrap();
            let busy =
                opens.filter(col("calls").gt(1)).group_by(["comm"]).sum("calls").sort_asc("comm").ask();
            let busy = busy.unwrap();
            assert_eq!(busy.name(), "opens");
            assert_eq!(busy.column::<u64>("sum(calls)").unwrap(), [3, 20]);
            let cats = opens.filter(col("comm").starts_with("ca")).ask().unwrap();
            assert_eq!(cats.len(), 2);
            let comm = cats.column::<Text>("comm").unwrap();
            assert_eq!(opens.filter(col("comm").eq(comm.get(0))).ask().unwrap().len(), 2);
            let wrong = opens.filter(col("comm").gt("a")).ask().unwrap_err();
            assert_eq!(wrong.reason, "kind");
        });
    }
}
