//! The biggest keys of every table that it is granted, once an interval, as one report a table.
//!
//! | option | |
//! |---|---|
//! | `by` | the measure to rank by; without it, each table's first count or sum |
//! | `limit` | how many keys to show, 1 to 25, at first 10 |
//!
//! The fields of a report (code `top`) are the ranks, each with the value, its share of the whole table, and the key, of
//! a long one both ends; then what is known to be missing. The whole includes what overflowed, so shares never look
//! better than they are.

#![forbid(unsafe_code)]

use weir_plugin::{
    Column, Coverage, Failure, Plugin, Result, Severity, Table, Value, brief, interval, options, report,
    tables,
};

/// With what is said about loss, as many as a report has fields for.
const LIMITS: std::ops::RangeInclusive<i64> = 1..=25;
/// Of a key: a stack can be longer than a field.
const KEY_BYTES: usize = 256;

#[derive(Default)]
struct Top {
    by: Option<String>,
    limit: u32,
}

weir_plugin::export!(Top);

impl Plugin for Top {
    fn configure(&mut self) -> Result {
        self.by = options::text("by")?;
        let limit = options::integer("limit")?.unwrap_or(10);
        let allowed =
            Some(limit).filter(|limit| LIMITS.contains(limit)).and_then(|limit| limit.try_into().ok());
        self.limit = allowed.ok_or_else(|| {
            options::wrong(
                "limit",
                format_args!("{limit} keys; {} to {} are possible", LIMITS.start(), LIMITS.end()),
            )
        })?;
        for table in tables()? {
            self.measure(table.name(), table.columns())?;
        }
        Ok(())
    }

    fn analyze(&mut self) -> Result {
        tables()?.iter().try_for_each(|table| self.rank(table))
    }
}

impl Top {
    /// The column to rank a table by.
    fn measure<'a>(&self, table: &str, columns: &'a [Column]) -> Result<&'a Column> {
        let numbers = || columns.iter().filter(|column| is_measure(column));
        let found = match &self.by {
            Some(by) => numbers().find(|column| column.name == *by),
            None => numbers().find(|column| adds_up(column)),
        };
        found.ok_or_else(|| {
            let names: Vec<&str> = numbers().map(|column| column.name.as_str()).collect();
            let known = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
            let wanted = match &self.by {
                Some(by) => format!("table {table} has no number called {by}"),
                None => format!("table {table} has no count or sum"),
            };
            options::wrong("by", format_args!("{wanted}; it can be ranked by {known}"))
        })
    }

    fn rank(&self, table: &Table) -> Result {
        let measure = self.measure(table.name(), table.columns())?;
        let coverage = table.coverage()?;
        let keys = table.len() - u32::from(coverage.overflow > 0);
        // One more, because the overflow row may be among them.
        let ranked = table.sort_desc(&measure.name).limit(self.limit + 1).ask()?;
        let mut shown = Vec::new();
        for row in ranked.rows() {
            if !row.is_overflow()? && shown.len() < self.limit as usize {
                shown.push(row);
            }
        }
        let values = shown.iter().map(|row| row.value(&measure.name)).collect::<Result<Vec<Value<'_>>>>()?;
        let total = Total::of(table, measure)?;

        let title = match coverage.events {
            0 => format!("{}: nothing in this interval", table.name()),
            _ => title(table.name(), measure, &values, keys, total),
        };
        let mut report = report(Severity::Info, "top", title);
        for (rank, (row, value)) in (1..).zip(shown.iter().zip(&values)) {
            let share = total.share(*value).map_or_else(String::new, |share| format!("  {share}"));
            let value = format!("{value}{}{share}  {}", unit(measure), brief(&row.key()?, KEY_BYTES));
            report = report.field(&format!("{rank}"), value);
        }
        for (name, what) in missing(coverage, interval::skipped()) {
            report = report.field(name, what);
        }
        report.send()
    }
}

fn is_measure(column: &Column) -> bool {
    !matches!(column.role.as_str(), "key" | "overflow")
        && matches!(column.kind.as_str(), "u64" | "s64" | "f64")
}

/// Whether the values of different keys have a sum that means something.
fn adds_up(column: &Column) -> bool {
    is_measure(column) && matches!(column.role.as_str(), "count" | "sum")
}

/// The sum over the whole table, of a measure that adds up.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Total {
    None,
    Unsigned(u64),
    Signed(i64),
}

impl Total {
    fn of(table: &Table, measure: &Column) -> Result<Self> {
        if !adds_up(measure) {
            return Ok(Self::None);
        }
        let sum = table.group_by([]).sum(&measure.name).ask()?;
        let row = sum.rows().next().ok_or("a sum over all rows has one row")?;
        match row.value(&format!("sum({})", measure.name))? {
            Value::Unsigned(sum) => Ok(Self::Unsigned(sum)),
            Value::Signed(sum) => Ok(Self::Signed(sum)),
            other => Err(Failure::new("kind", format!("a sum of integers is no integer: {other}"))),
        }
    }

    /// A part of it in percent, where that means something: signed values may cancel each other out.
    #[expect(clippy::cast_precision_loss, reason = "a tenth of a percent is all that is shown")]
    fn share(self, part: Value<'_>) -> Option<String> {
        match (self, part) {
            (Self::Unsigned(total), Value::Unsigned(part)) if total > 0 => {
                Some(format!("{:.1}%", part as f64 / total as f64 * 100.0))
            }
            _ => None,
        }
    }
}

fn unit(measure: &Column) -> String {
    if measure.unit.is_empty() { String::new() } else { format!(" {}", measure.unit) }
}

fn title(table: &str, measure: &Column, shown: &[Value<'_>], keys: u32, total: Total) -> String {
    let name = &measure.name;
    let of = match (keys, shown.len()) {
        (1, _) => "its only key".to_owned(),
        (keys, shown) if shown as u64 == u64::from(keys) => format!("all {keys} keys"),
        (keys, shown) => format!("{shown} of {keys} keys"),
    };
    let sum = shown.iter().fold(0u64, |sum, value| match value {
        Value::Unsigned(value) => sum.wrapping_add(*value),
        _ => sum,
    });
    let verb = if keys == 1 || shown.len() == 1 { "has" } else { "have" };
    match (total, total.share(Value::Unsigned(sum))) {
        (Total::Unsigned(total), Some(share)) => {
            format!("{table}: {of} {verb} {share} of {name} ({total}{})", unit(measure))
        }
        (Total::Signed(total), _) => format!("{table}: {of} by {name} ({total}{} in all)", unit(measure)),
        _ => format!("{table}: {of} by {name}"),
    }
}

/// What the ranks do not show.
fn missing(coverage: Coverage, skipped: u32) -> Vec<(&'static str, String)> {
    let Coverage { events, overflow, missed } = coverage;
    let mut missing = Vec::new();
    if overflow > 0 {
        missing.push(("overflow", format!("{overflow} of {events} events found no row of their own")));
    }
    match missed {
        Some(0) => {}
        Some(missed) => missing.push(("missed", format!("{missed} events were skipped by the kernel"))),
        None => missing.push(("missed", "this kernel does not tell".to_owned())),
    }
    if skipped > 0 {
        missing.push(("skipped", format!("{skipped} intervals before this one")));
    }
    missing
}

#[cfg(test)]
mod tests;
