//! The first rows in the order of a column.

use super::wrong_kind;
use crate::sandbox::limits::{ROWS_BETWEEN_LOOKS, SORT_ROWS};
use crate::sandbox::view::{Data, Table, Text};
use crate::sandbox::wit::Failure;
use crate::sandbox::work::{Refusal, Stop, Work};

/// Rows that are compared at once. Divides `ROWS_BETWEEN_LOOKS`.
const BLOCK: usize = 32;

/// The first `limit` rows by a column, all of them if it is 0. Rows with the same value stay in their order,
/// and what is not a number comes last, in either direction.
pub(in crate::sandbox) fn sort(
    work: &mut Work,
    table: &Table,
    by: u32,
    descending: bool,
    limit: u32,
) -> Result<Table, Refusal> {
    let limit = if limit == 0 { table.rows } else { table.rows.min(limit as usize) };
    if limit > SORT_ROWS {
        let message = format!("no more than {SORT_ROWS} rows are sorted at once; ask for the first ones");
        return Err(Failure::new("too-large", message).into());
    }
    let turn = if descending { u64::MAX } else { 0 };
    let float = |value: f64| if value.is_nan() { u64::MAX } else { image(value) ^ turn };
    let rows = match work.data(table, by)? {
        Data::U64(values) => first(work, values, |value| value ^ turn, limit)?,
        Data::S64(values) => {
            first(work, values, |value| weir_abi::ordered(value.cast_unsigned(), true) ^ turn, limit)?
        }
        Data::F64(values) => first(work, values, float, limit)?,
        Data::Average(average) => first(work, average.means(), float, limit)?,
        Data::Text(text) => {
            let ranks = ranks(text)?;
            first(work, &text.codes, |code| ranks[code as usize] ^ turn, limit)?
        }
        Data::Buckets(_) => return Err(wrong_kind("sort", table, by).into()),
    };
    Ok(table.pick(rows))
}

/// An unsigned integer that is ordered as the float is. 0 and -0 are the same.
fn image(value: f64) -> u64 {
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

/// The place of each word among all words; the same for the same bytes.
fn ranks(text: &Text) -> Result<Vec<u64>, Failure> {
    if text.words.len() > SORT_ROWS {
        return Err(Failure::new(
            "too-large",
            format!("no more than {SORT_ROWS} different texts are sorted"),
        ));
    }
    let mut order: Vec<u32> = (0..).take(text.words.len()).collect();
    order.sort_unstable_by_key(|code| text.words.get(*code));
    let mut ranks = vec![0; order.len()];
    let mut rank = 0;
    for pair in order.windows(2) {
        rank += u64::from(text.words.get(pair[0]) != text.words.get(pair[1]));
        ranks[pair[1] as usize] = rank;
    }
    Ok(ranks)
}

/// The rows of the `limit` smallest keys, in order. One pass: candidates are collected and now and then cut
/// down to the best, and what is no better than the worst of those is passed over.
fn first<T: Copy>(work: &Work, values: &[T], key: impl Fn(T) -> u64, limit: usize) -> Result<Vec<u32>, Stop> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let room = limit.saturating_mul(2).max(64);
    let mut best: Vec<(u64, u32)> = Vec::with_capacity(room.min(values.len()));
    // The worst of the best, once there are enough of them.
    let (mut enough, mut worst) = (false, 0);
    for (start, block) in (0u32..).step_by(BLOCK).zip(values.chunks(BLOCK)) {
        if (start as usize).is_multiple_of(ROWS_BETWEEN_LOOKS) {
            work.look()?;
        }
        // Of a large table most blocks have no candidate, which takes no branch a row to find out.
        if enough && !block.iter().fold(false, |any, value| any | (key(*value) < worst)) {
            continue;
        }
        for (row, value) in (start..).zip(block) {
            let key = key(*value);
            // A later row with the same key comes after those that are there.
            if !enough || key < worst {
                best.push((key, row));
                if best.len() == room {
                    let (_, last, _) = best.select_nth_unstable(limit - 1);
                    (enough, worst) = (true, last.0);
                    best.truncate(limit);
                }
            }
        }
    }
    best.sort_unstable();
    best.truncate(limit);
    work.look()?;
    Ok(best.into_iter().map(|(_, row)| row).collect())
}
