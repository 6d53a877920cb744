//! Questions, answered in the simplest way that gives what Weir gives.

use std::cmp::Ordering;

use super::table::{Cells, Column, Table, mean};
use crate::bindings::weir::plugin::questions::{Aggregate, Condition, Literal};
use crate::{Buckets, Failure, Result};

/// Conditions, keys or aggregates of one question.
const TERMS: usize = 64;

fn few(what: &str, count: usize) -> Result {
    if count <= TERMS {
        return Ok(());
    }
    Err(Failure::new("too-large", format!("a question has no more than {TERMS} {what}")))
}

impl Table {
    pub(super) fn find(&self, column: u32) -> Result<&Column> {
        let unknown = || {
            let message = format!("there is no column {column}; the table has {}", self.columns.len());
            Failure::new("unknown", message)
        };
        self.columns.get(column as usize).ok_or_else(unknown)
    }

    fn wrong_kind(op: &str, column: &Column) -> Failure {
        Failure::new("kind", format!("{op} does not apply to a column of kind {}", column.cells.kind()))
    }

    pub(super) fn filter(&self, every: &[Condition]) -> Result<Self> {
        few("conditions", every.len())?;
        let mut rows: Vec<usize> = (0..self.rows()).collect();
        for Condition { column, op, value } in every {
            let column = self.find(*column)?;
            if !["eq", "ne", "lt", "le", "gt", "ge", "prefix"].contains(&op.as_str()) {
                return Err(Failure::new("unknown", format!("operator {op:?} is not known")));
            }
            // Before the first row, so that a table without rows is refused too.
            let applies = match (&column.cells, value) {
                (Cells::Text(_), Literal::Text(_)) => matches!(op.as_str(), "eq" | "ne" | "prefix"),
                (Cells::Text(_) | Cells::Histogram(_), _) | (_, Literal::Text(_)) => false,
                _ => op != "prefix",
            };
            if !applies {
                return Err(Self::wrong_kind(op, column));
            }
            rows.retain(|row| holds(&column.cells, *row, op, value));
        }
        Ok(self.pick(&rows))
    }

    pub(super) fn sort(&self, by: u32, descending: bool, limit: u32) -> Result<Self> {
        let column = self.find(by)?;
        let mut rows: Vec<usize> = (0..self.rows()).collect();
        let turned = |order: Ordering| if descending { order.reverse() } else { order };
        match &column.cells {
            Cells::Unsigned(values) => rows.sort_by(|a, b| turned(values[*a].cmp(&values[*b]))),
            Cells::Signed(values) => rows.sort_by(|a, b| turned(values[*a].cmp(&values[*b]))),
            Cells::Text(texts) => rows.sort_by(|a, b| turned(texts[*a].cmp(&texts[*b]))),
            Cells::Histogram(_) => return Err(Self::wrong_kind("sort", column)),
            Cells::Float(_) | Cells::Average(_) => {
                let values = column.cells.floats().unwrap_or_default();
                rows.sort_by(|a, b| {
                    let (a, b) = (values[*a], values[*b]);
                    // What is not a number comes last in both directions.
                    let numbers = a.partial_cmp(&b).map(turned);
                    numbers.unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
                });
            }
        }
        if limit > 0 {
            rows.truncate(limit as usize);
        }
        Ok(self.pick(&rows))
    }

    pub(super) fn group(&self, by: &[u32], show: &[Aggregate]) -> Result<Self> {
        few("keys", by.len())?;
        few("aggregates", show.len())?;
        let keys = by.iter().map(|column| self.find(*column)).collect::<Result<Vec<_>>>()?;
        for key in &keys {
            if matches!(key.cells, Cells::Average(_) | Cells::Histogram(_)) {
                return Err(Self::wrong_kind("by", key));
            }
        }
        // The rows of each group, in the order of their first rows.
        let mut groups: Vec<Vec<usize>> = Vec::new();
        if keys.is_empty() {
            groups.push((0..self.rows()).collect());
        } else {
            for row in 0..self.rows() {
                let same = |group: &&mut Vec<usize>| keys.iter().all(|key| same(&key.cells, group[0], row));
                match groups.iter_mut().find(same) {
                    Some(group) => group.push(row),
                    None => groups.push(vec![row]),
                }
            }
        }
        let firsts: Vec<usize> = groups.iter().filter_map(|group| group.first().copied()).collect();
        let key = |key: &&Column| Column { cells: key.cells.pick(&firsts), ..(*key).clone() };
        let mut columns: Vec<Column> = keys.iter().map(key).collect();
        for Aggregate { column, op, argument } in show {
            let column = self.find(*column)?;
            let (role, cells) = aggregate(column, &groups, op, *argument)?;
            let unit = if matches!(role, "count" | "share") { String::new() } else { column.unit.clone() };
            columns.push(Column {
                name: format!("{op}({})", column.name),
                role: role.to_owned(),
                unit,
                cells,
            });
        }
        let mut table = Self::new(&self.name);
        (table.columns, table.coverage) = (columns, self.coverage);
        Ok(table)
    }
}

/// Two rows have the same key. 0 and -0 are the same, and so are all that are not numbers.
fn same(cells: &Cells, a: usize, b: usize) -> bool {
    match cells {
        Cells::Unsigned(values) => values[a] == values[b],
        Cells::Signed(values) => values[a] == values[b],
        Cells::Text(texts) => texts[a] == texts[b],
        Cells::Float(values) => values[a] == values[b] || values[a].is_nan() && values[b].is_nan(),
        Cells::Average(_) | Cells::Histogram(_) => false,
    }
}

fn holds(cells: &Cells, row: usize, op: &str, value: &Literal) -> bool {
    let order = match (cells, value) {
        (Cells::Text(texts), Literal::Text(sought)) if op == "prefix" => {
            return texts[row].starts_with(sought);
        }
        (Cells::Text(texts), Literal::Text(sought)) => Some(texts[row].cmp(sought)),
        (Cells::Unsigned(values), value) => compare(values[row].into(), value),
        (Cells::Signed(values), value) => compare(values[row].into(), value),
        (cells, value) => {
            cells.floats().zip(float(value)).and_then(|(cells, value)| cells[row].partial_cmp(&value))
        }
    };
    match op {
        "eq" => order == Some(Ordering::Equal),
        "ne" => order != Some(Ordering::Equal),
        "lt" => order.is_some_and(Ordering::is_lt),
        "le" => order.is_some_and(Ordering::is_le),
        "gt" => order.is_some_and(Ordering::is_gt),
        _ => order.is_some_and(Ordering::is_ge),
    }
}

/// Compares an integer by value, exactly, with whatever number it is.
#[expect(clippy::cast_possible_truncation, reason = "casts of floats stop at the ends of the range")]
fn compare(integer: i128, value: &Literal) -> Option<Ordering> {
    match value {
        Literal::Unsigned(value) => Some(integer.cmp(&i128::from(*value))),
        Literal::Signed(value) => Some(integer.cmp(&i128::from(*value))),
        Literal::Float(value) if value.is_nan() => None,
        Literal::Float(value) => {
            let order = integer.cmp(&(value.floor() as i128));
            // An integer is less than what lies between it and the next one.
            Some(if order.is_eq() && value.fract() != 0.0 { Ordering::Less } else { order })
        }
        Literal::Text(_) => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "floats compare as floats")]
fn float(value: &Literal) -> Option<f64> {
    match value {
        Literal::Unsigned(value) => Some(*value as f64),
        Literal::Signed(value) => Some(*value as f64),
        Literal::Float(value) => Some(*value),
        Literal::Text(_) => None,
    }
}

/// An aggregate's role and values, one for each group.
fn aggregate(
    column: &Column,
    groups: &[Vec<usize>],
    op: &str,
    argument: f64,
) -> Result<(&'static str, Cells)> {
    let known = ["count", "sum", "min", "max", "mean", "quantile", "share"];
    let Some(role) = known.into_iter().find(|known| *known == op) else {
        return Err(Failure::new("unknown", format!("aggregate {op:?} is not known")));
    };
    if op == "quantile" && !(0.0..=1.0).contains(&argument) {
        return Err(Failure::new("bounds", "the argument of quantile is from 0 to 1"));
    }
    let cells = match (op, &column.cells) {
        ("count", _) => Cells::Unsigned(groups.iter().map(|rows| rows.len() as u64).collect()),
        ("sum", Cells::Unsigned(values)) => {
            Cells::Unsigned(fold(groups, values, |sum, value| sum.wrapping_add(value)))
        }
        ("sum", Cells::Signed(values)) => {
            Cells::Signed(fold(groups, values, |sum, value| sum.wrapping_add(value)))
        }
        ("sum", Cells::Float(values)) => Cells::Float(fold(groups, values, |sum, value| sum + value)),
        ("sum", Cells::Average(values)) => return Ok(("avg", Cells::Average(averages(groups, values)))),
        ("sum", Cells::Histogram(rows)) => return Ok(("hist", Cells::Histogram(merged(groups, rows)))),
        ("min", Cells::Unsigned(values)) => Cells::Unsigned(extreme(groups, values, u64::min)),
        ("max", Cells::Unsigned(values)) => Cells::Unsigned(extreme(groups, values, u64::max)),
        ("min", Cells::Signed(values)) => Cells::Signed(extreme(groups, values, i64::min)),
        ("max", Cells::Signed(values)) => Cells::Signed(extreme(groups, values, i64::max)),
        ("mean", Cells::Average(values)) => {
            let averages = averages(groups, values);
            Cells::Float(averages.into_iter().map(|(count, sum)| mean(sum, count)).collect())
        }
        ("mean", Cells::Histogram(rows)) => {
            Cells::Float(merged(groups, rows).iter().map(|all| all.mean().unwrap_or(0.0)).collect())
        }
        ("quantile", Cells::Histogram(rows)) => {
            let upper = |all: &Buckets| match all.quantile(argument) {
                Some(bucket) => bucket.high.unwrap_or(f64::INFINITY),
                None => f64::NAN,
            };
            Cells::Float(merged(groups, rows).iter().map(upper).collect())
        }
        ("share", Cells::Average(_)) | (_, Cells::Text(_) | Cells::Histogram(_)) => {
            return Err(Table::wrong_kind(op, column));
        }
        (_, numbers) => {
            let values = numbers.floats().unwrap_or_default();
            let sums = || fold(groups, &values, |sum, value| sum + value);
            Cells::Float(match op {
                "min" => extreme(groups, &values, f64::min),
                "max" => extreme(groups, &values, f64::max),
                "mean" => {
                    sums().iter().zip(groups).map(|(sum, rows)| mean(*sum, rows.len() as u64)).collect()
                }
                "share" => {
                    let total: f64 = values.iter().sum();
                    sums().iter().map(|sum| if total == 0.0 { 0.0 } else { sum / total }).collect()
                }
                _ => groups.iter().map(|rows| quantile(rows, &values, argument)).collect(),
            })
        }
    };
    Ok((role, cells))
}

fn fold<T: Copy + Default>(groups: &[Vec<usize>], values: &[T], add: impl Fn(T, T) -> T) -> Vec<T> {
    groups.iter().map(|rows| rows.iter().fold(T::default(), |sum, row| add(sum, values[*row]))).collect()
}

/// A group without rows has 0.
fn extreme<T: Copy + Default>(groups: &[Vec<usize>], values: &[T], better: impl Fn(T, T) -> T) -> Vec<T> {
    let of = |rows: &Vec<usize>| rows.iter().map(|row| values[*row]).reduce(&better).unwrap_or_default();
    groups.iter().map(of).collect()
}

fn averages(groups: &[Vec<usize>], values: &[(u64, f64)]) -> Vec<(u64, f64)> {
    let add =
        |(count, sum): (u64, f64), row: &usize| (count.wrapping_add(values[*row].0), sum + values[*row].1);
    groups.iter().map(|rows| rows.iter().fold((0, 0.0), add)).collect()
}

fn merged(groups: &[Vec<usize>], rows: &[Buckets]) -> Vec<Buckets> {
    let add = |mut all: Buckets, row: &usize| {
        all.merge(&rows[*row]);
        all
    };
    groups.iter().map(|group| group.iter().fold(Buckets::default(), add)).collect()
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank among the rows of a test"
)]
fn quantile(rows: &[usize], values: &[f64], share: f64) -> f64 {
    let mut sorted: Vec<f64> = rows.iter().map(|row| values[*row]).collect();
    sorted.sort_by(f64::total_cmp);
    let rank = ((share * sorted.len() as f64).ceil() as usize).max(1);
    sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
}
