//! Which rows meet every condition.

use arrow::buffer::ScalarBuffer;

use super::{few, unknown, wrong_kind};
use crate::sandbox::limits::ROWS_BETWEEN_LOOKS;
use crate::sandbox::view::{Data, Table};
use crate::sandbox::wit::{Condition, Failure, Literal};
use crate::sandbox::work::{Refusal, Stop, Work};

/// The rows that meet all conditions, in their order.
pub(in crate::sandbox) fn filter(
    work: &mut Work,
    table: &Table,
    every: &[Condition],
) -> Result<Table, Refusal> {
    few("conditions", every.len())?;
    let mut keep = vec![true; table.rows];
    for condition in every {
        let wrong = || wrong_kind(&condition.op, table, condition.column);
        let data = work.data(table, condition.column)?;
        let op = Op::parse(&condition.op)?;
        match data {
            Data::U64(values) => {
                let range = op.range(&condition.value).ok_or_else(wrong)?;
                // No bound of a range is a number that a column could not hold: the rest is cut off.
                let (low, high) = (range.low.max(0), range.high.min(i128::from(u64::MAX)));
                match (u64::try_from(low), u64::try_from(high)) {
                    (Ok(low), Ok(high)) => {
                        retain(work, &mut keep, values, |v| (low <= v && v <= high) != range.outside)?;
                    }
                    _ => keep.iter_mut().for_each(|keep| *keep &= range.outside),
                }
            }
            Data::S64(values) => {
                let range = op.range(&condition.value).ok_or_else(wrong)?;
                let (low, high) = (range.low.max(i128::from(i64::MIN)), range.high.min(i128::from(i64::MAX)));
                match (i64::try_from(low), i64::try_from(high)) {
                    (Ok(low), Ok(high)) => {
                        retain(work, &mut keep, values, |v| (low <= v && v <= high) != range.outside)?;
                    }
                    _ => keep.iter_mut().for_each(|keep| *keep &= range.outside),
                }
            }
            Data::F64(values) => {
                let bound = float(&condition.value).ok_or_else(wrong)?;
                retain(work, &mut keep, values, |v| op.holds(&v, &bound))?;
            }
            Data::Average(average) => {
                let bound = float(&condition.value).ok_or_else(wrong)?;
                retain(work, &mut keep, average.means(), |v| op.holds(&v, &bound))?;
            }
            Data::Text(text) => {
                let Literal::Text(sought) = &condition.value else { return Err(wrong().into()) };
                let meets = |word: &[u8]| match op {
                    Op::Eq => Ok(word == sought.as_slice()),
                    Op::Ne => Ok(word != sought.as_slice()),
                    Op::Prefix => Ok(word.starts_with(sought)),
                    _ => Err(wrong()),
                };
                // Once for each different text.
                let words = (0..).take(text.words.len()).map(|code| meets(text.words.get(code)));
                let meets = words.collect::<Result<Vec<bool>, Failure>>()?;
                retain(work, &mut keep, &text.codes, |code: u32| meets[code as usize])?;
            }
            Data::Buckets(_) => return Err(wrong().into()),
        }
    }
    let rows = (0u32..).zip(&keep).filter_map(|(row, keep)| keep.then_some(row)).collect();
    Ok(table.pick(rows))
}

fn retain<T: Copy + arrow::datatypes::ArrowNativeType>(
    work: &Work,
    keep: &mut [bool],
    values: &ScalarBuffer<T>,
    meets: impl Fn(T) -> bool,
) -> Result<(), Stop> {
    for (keep, values) in keep.chunks_mut(ROWS_BETWEEN_LOOKS).zip(values.chunks(ROWS_BETWEEN_LOOKS)) {
        work.look()?;
        keep.iter_mut().zip(values).for_each(|(keep, value)| *keep &= meets(*value));
    }
    Ok(())
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Prefix,
}

/// The integers from `low` to `high`, both included, or all others.
#[derive(Clone, Copy, Debug)]
struct Range {
    low: i128,
    high: i128,
    outside: bool,
}

impl Op {
    fn parse(name: &str) -> Result<Self, Failure> {
        Ok(match name {
            "eq" => Self::Eq,
            "ne" => Self::Ne,
            "lt" => Self::Lt,
            "le" => Self::Le,
            "gt" => Self::Gt,
            "ge" => Self::Ge,
            "prefix" => Self::Prefix,
            _ => return Err(unknown("operator", name, "eq, ne, lt, le, gt, ge, prefix")),
        })
    }

    /// As floats compare: nothing but `ne` holds for what is not a number.
    fn holds<T: PartialOrd>(self, value: &T, bound: &T) -> bool {
        match self {
            Self::Eq => value == bound,
            Self::Ne => value != bound,
            Self::Lt => value < bound,
            Self::Le => value <= bound,
            Self::Gt => value > bound,
            Self::Ge => value >= bound,
            Self::Prefix => false,
        }
    }

    /// The integers that meet the condition, exactly, also where the bound lies between two of them.
    #[expect(clippy::cast_possible_truncation, reason = "casts of floats stop at the ends of the range")]
    fn range(self, value: &Literal) -> Option<Range> {
        // The greatest integer that is not above the bound, and the least that is not below it.
        let (floor, ceiling) = match value {
            Literal::Unsigned(value) => (i128::from(*value), i128::from(*value)),
            Literal::Signed(value) => (i128::from(*value), i128::from(*value)),
            Literal::Float(value) if value.is_nan() => {
                let outside = matches!(self, Self::Ne);
                return (!matches!(self, Self::Prefix)).then_some(Range { low: 1, high: 0, outside });
            }
            Literal::Float(value) => (value.floor() as i128, value.ceil() as i128),
            Literal::Text(_) => return None,
        };
        let range = |low, high| Some(Range { low, high, outside: false });
        match self {
            Self::Eq => range(ceiling, floor),
            Self::Ne => Some(Range { low: ceiling, high: floor, outside: true }),
            Self::Lt => range(i128::MIN, ceiling.saturating_sub(1)),
            Self::Le => range(i128::MIN, floor),
            Self::Gt => range(floor.saturating_add(1), i128::MAX),
            Self::Ge => range(ceiling, i128::MAX),
            Self::Prefix => None,
        }
    }
}

/// A bound for a column of floats.
#[expect(clippy::cast_precision_loss, reason = "floats compare as floats")]
fn float(value: &Literal) -> Option<f64> {
    match value {
        Literal::Unsigned(value) => Some(*value as f64),
        Literal::Signed(value) => Some(*value as f64),
        Literal::Float(value) => Some(*value),
        Literal::Text(_) => None,
    }
}
