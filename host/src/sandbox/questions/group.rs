//! One row for each different combination of keys, with what its rows add up to.

use std::collections::HashMap;
use std::hash::Hash;

use arrow::buffer::ScalarBuffer;
use arrow::datatypes::ArrowNativeType;

use super::{few, unknown, wrong_kind};
use crate::sandbox::limits::{MERGED_BUCKETS, ROWS_BETWEEN_LOOKS};
use crate::sandbox::view::{Average, Buckets, Column, Data, Sums, Table, mean};
use crate::sandbox::wit::{Aggregate, Failure};
use crate::sandbox::work::{Refusal, Stop, Work};

/// Groups in the order of their first rows: the columns of `by`, then one for each of `show`, called
/// `op(column)`. Without keys there is one group of all rows, even if there are none.
pub(in crate::sandbox) fn group(
    work: &mut Work,
    table: &Table,
    by: &[u32],
    show: &[Aggregate],
) -> Result<Table, Refusal> {
    few("keys", by.len())?;
    few("aggregates", show.len())?;
    let mut groups = Groups { of: None, count: 1, rows: table.rows };
    for column in by {
        let data = work.data(table, *column)?;
        groups
            .divide(work, data)
            .map_err(|end| end.unwrap_or_else(|| wrong_kind("by", table, *column).into()))?;
    }
    let firsts = groups.firsts();
    let mut columns = Vec::with_capacity(by.len() + show.len());
    if !by.is_empty() {
        let keys = table.pick(firsts);
        for column in by {
            let (meta, data) = (table.column(*column)?, work.data(&keys, *column)?);
            columns.push(Column::computed(meta.name.clone(), &meta.role, &meta.unit, data.clone()));
        }
    }
    let mut bytes = 0;
    for aggregate in show {
        work.look()?;
        let meta = table.column(aggregate.column)?;
        let data = work.data(table, aggregate.column)?;
        let (role, data) =
            groups.aggregate(work, data, &aggregate.op, aggregate.argument).map_err(|end| {
                end.unwrap_or_else(|| wrong_kind(&aggregate.op, table, aggregate.column).into())
            })?;
        bytes += data.bytes();
        work.room(bytes)?;
        let unit = if matches!(role, "count" | "share") { "" } else { &meta.unit };
        columns.push(Column::computed(format!("{}({})", aggregate.op, meta.name), role, unit, data));
    }
    Ok(Table::computed(groups.count, table.coverage, columns))
}

/// Why a column could not be used; nothing, if it is of the wrong kind.
type End = Option<Refusal>;

/// Which group each row is in; all in group 0, if it is not said.
struct Groups {
    of: Option<Vec<u32>>,
    count: usize,
    rows: usize,
}

impl Groups {
    /// Divides the groups further, by another key. Numbers groups in the order of their first rows.
    fn divide(&mut self, work: &Work, data: &Data) -> Result<(), End> {
        match data {
            Data::U64(values) => self.by(work, values.iter().copied()),
            Data::S64(values) => self.by(work, values.iter().copied()),
            // 0 and -0 are the same, and so are all that are not numbers.
            Data::F64(values) => {
                let bits = |value: &f64| if value.is_nan() { f64::NAN } else { value + 0.0 }.to_bits();
                self.by(work, values.iter().map(bits))
            }
            Data::Text(text) => {
                // The dictionary may have the same text twice.
                let mut numbers: HashMap<&[u8], u32> = HashMap::new();
                let codes = (0..).take(text.words.len());
                let same: Vec<u32> =
                    codes.map(|code| *numbers.entry(text.words.get(code)).or_insert(code)).collect();
                if self.of.is_none() {
                    self.by_code(work, text.codes.iter().map(|code| same[*code as usize]), same.len())
                } else {
                    self.by(work, text.codes.iter().map(|code| same[*code as usize]))
                }
            }
            Data::Average(_) | Data::Buckets(_) => return Err(None),
        }
        .map_err(|stop| Some(stop.into()))
    }

    fn by<K: Hash + Eq>(&mut self, work: &Work, keys: impl Iterator<Item = K>) -> Result<(), Stop> {
        let mut numbers: HashMap<(u32, K), u32> = HashMap::new();
        let mut of = self.of.take().unwrap_or_else(|| vec![0; self.rows]);
        for (row, (group, key)) in of.iter_mut().zip(keys).enumerate() {
            if row % ROWS_BETWEEN_LOOKS == 0 {
                work.look()?;
            }
            let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
            *group = *numbers.entry((*group, key)).or_insert(next);
        }
        (self.of, self.count) = (Some(of), numbers.len());
        Ok(())
    }

    /// The same for keys below `end`, without hashing.
    fn by_code(&mut self, work: &Work, codes: impl Iterator<Item = u32>, end: usize) -> Result<(), Stop> {
        work.look()?;
        let mut numbers = vec![u32::MAX; end];
        let mut count = 0;
        let of = codes.map(|code| {
            let number = &mut numbers[code as usize];
            if *number == u32::MAX {
                *number = count;
                count += 1;
            }
            *number
        });
        self.of = Some(of.collect());
        self.count = count as usize;
        Ok(())
    }

    /// The first row of each group.
    fn firsts(&self) -> Vec<u32> {
        let mut firsts = Vec::with_capacity(self.count);
        for (row, group) in (0u32..).zip(self.of.iter().flatten()) {
            if *group as usize == firsts.len() {
                firsts.push(row);
            }
        }
        firsts
    }

    fn group(&self, row: usize) -> usize {
        self.of.as_ref().map_or(0, |of| of[row] as usize)
    }

    /// Goes through a column, adding each value to what its group has so far.
    fn fold<T: ArrowNativeType, A: ArrowNativeType>(
        &self,
        work: &Work,
        values: &ScalarBuffer<T>,
        empty: A,
        add: impl Fn(A, T) -> A,
    ) -> Result<ScalarBuffer<A>, Stop> {
        let mut sums = vec![empty; self.count];
        match &self.of {
            None => {
                for part in values.chunks(ROWS_BETWEEN_LOOKS) {
                    work.look()?;
                    sums[0] = part.iter().fold(sums[0], |sum, value| add(sum, *value));
                }
            }
            Some(of) => {
                for (of, part) in of.chunks(ROWS_BETWEEN_LOOKS).zip(values.chunks(ROWS_BETWEEN_LOOKS)) {
                    work.look()?;
                    for (group, value) in of.iter().zip(part) {
                        let sum = &mut sums[*group as usize];
                        *sum = add(*sum, *value);
                    }
                }
            }
        }
        Ok(sums.into())
    }

    /// A group without rows has 0 for a minimum and a maximum.
    fn extreme<T: ArrowNativeType>(
        &self,
        work: &Work,
        values: &ScalarBuffer<T>,
        start: T,
        better: impl Fn(T, T) -> T,
    ) -> Result<ScalarBuffer<T>, Stop> {
        let start = if self.rows == 0 { T::default() } else { start };
        self.fold(work, values, start, better)
    }

    fn counts(&self, work: &Work) -> Result<ScalarBuffer<u64>, Stop> {
        match &self.of {
            None => Ok(vec![self.rows as u64].into()),
            Some(of) => self.fold(work, &ScalarBuffer::from(of.clone()), 0u64, |count, _| count + 1),
        }
    }

    fn sums(&self, work: &Work, sums: &Sums) -> Result<Sums, Stop> {
        let words = self.fold(work, &sums.words, 0u64, u64::wrapping_add)?;
        Ok(Sums { words, signed: sums.signed })
    }

    /// The role and the values of an aggregate.
    fn aggregate(
        &self,
        work: &Work,
        data: &Data,
        op: &str,
        argument: f64,
    ) -> Result<(&'static str, Data), End> {
        let known = ["sum", "min", "max", "count", "mean", "quantile", "share"];
        let Some(role) = known.into_iter().find(|known| *known == op) else {
            return Err(Some(unknown("aggregate", op, &known.join(", ")).into()));
        };
        let stop = |stop: Stop| Some(Refusal::from(stop));
        let answer = match (op, data) {
            ("count", _) => Data::U64(self.counts(work).map_err(stop)?),
            ("sum", Data::U64(values)) => {
                Data::U64(self.fold(work, values, 0, u64::wrapping_add).map_err(stop)?)
            }
            ("sum", Data::S64(values)) => {
                Data::S64(self.fold(work, values, 0, i64::wrapping_add).map_err(stop)?)
            }
            ("sum", Data::F64(values)) => {
                Data::F64(self.fold(work, values, 0.0, |a, b| a + b).map_err(stop)?)
            }
            ("sum", Data::Average(average)) => {
                let counts = self.fold(work, &average.counts, 0, u64::wrapping_add).map_err(stop)?;
                let sums = self.sums(work, &average.sums).map_err(stop)?;
                return Ok(("avg", Data::Average(Average::new(counts, sums))));
            }
            ("sum", Data::Buckets(buckets)) => {
                return Ok(("hist", Data::Buckets(self.merge(work, buckets).map_err(Some)?)));
            }
            ("min", Data::U64(values)) => {
                Data::U64(self.extreme(work, values, u64::MAX, u64::min).map_err(stop)?)
            }
            ("max", Data::U64(values)) => Data::U64(self.extreme(work, values, 0, u64::max).map_err(stop)?),
            ("min", Data::S64(values)) => {
                Data::S64(self.extreme(work, values, i64::MAX, i64::min).map_err(stop)?)
            }
            ("max", Data::S64(values)) => {
                Data::S64(self.extreme(work, values, i64::MIN, i64::max).map_err(stop)?)
            }
            ("mean", Data::Average(average)) => {
                let counts = self.fold(work, &average.counts, 0, u64::wrapping_add).map_err(stop)?;
                self.means(&self.sums(work, &average.sums).map_err(stop)?, &counts)
            }
            ("mean", Data::Buckets(buckets)) => {
                let counts = self.fold(work, &buckets.counts, 0, u64::wrapping_add).map_err(stop)?;
                self.means(&self.sums(work, &buckets.sums).map_err(stop)?, &counts)
            }
            ("quantile", Data::Buckets(buckets)) => {
                let share = quantile_argument(argument)?;
                let merged = self.merge(work, buckets).map_err(Some)?;
                Data::F64((0..self.count).map(|group| bucket_quantile(&merged, group, share)).collect())
            }
            ("share", Data::Average(_)) | (_, Data::Text(_) | Data::Buckets(_)) => return Err(None),
            (_, numbers) => {
                let values = floats(numbers).ok_or(None)?;
                match op {
                    // Both pass over what is not a number, unless there is nothing else.
                    "min" => Data::F64(self.extreme(work, &values, f64::NAN, f64::min).map_err(stop)?),
                    "max" => Data::F64(self.extreme(work, &values, f64::NAN, f64::max).map_err(stop)?),
                    "mean" => {
                        let sums = self.fold(work, &values, 0.0, |a, b| a + b).map_err(stop)?;
                        let counts = self.counts(work).map_err(stop)?;
                        Data::F64(
                            sums.iter().zip(counts.iter()).map(|(sum, count)| mean(*sum, *count)).collect(),
                        )
                    }
                    "share" => {
                        let sums = self.fold(work, &values, 0.0, |a, b| a + b).map_err(stop)?;
                        let total: f64 = values.iter().sum();
                        let share = |sum: &f64| if total == 0.0 { 0.0 } else { sum / total };
                        Data::F64(sums.iter().map(share).collect())
                    }
                    _ => self.quantiles(work, &values, quantile_argument(argument)?).map_err(stop)?,
                }
            }
        };
        Ok((role, answer))
    }

    fn means(&self, sums: &Sums, counts: &ScalarBuffer<u64>) -> Data {
        Data::F64((0..self.count).map(|group| mean(sums.get(group), counts[group])).collect())
    }

    /// The value below or at which the share of a group's values lies, by nearest rank; NaN where there is none.
    fn quantiles(&self, work: &Work, values: &ScalarBuffer<f64>, share: f64) -> Result<Data, Stop> {
        let mut of_group: Vec<Vec<f64>> = vec![Vec::new(); self.count];
        for (row, value) in values.iter().enumerate() {
            if row % ROWS_BETWEEN_LOOKS == 0 {
                work.look()?;
            }
            of_group[self.group(row)].push(*value);
        }
        let quantile = |values: &mut Vec<f64>| match rank(share, values.len() as u64) {
            None => f64::NAN,
            Some(rank) => {
                let place = usize::try_from(rank - 1).unwrap_or(usize::MAX).min(values.len() - 1);
                *values.select_nth_unstable_by(place, f64::total_cmp).1
            }
        };
        Ok(Data::F64(of_group.iter_mut().map(quantile).collect()))
    }

    /// Adds histograms bucket by bucket.
    fn merge(&self, work: &Work, buckets: &Buckets) -> Result<Buckets, Refusal> {
        let width = buckets.lower.len();
        if self.count.saturating_mul(width) > MERGED_BUCKETS {
            let message = format!("{} groups of {width} buckets are too many to add up", self.count);
            return Err(Failure::new("too-large", message).into());
        }
        let mut merged = vec![0u64; self.count * width];
        for row in 0..self.rows {
            if row % ROWS_BETWEEN_LOOKS == 0 {
                work.look()?;
            }
            let base = self.group(row) * width;
            for (bucket, count) in buckets.row(row) {
                let sum = &mut merged[base + bucket as usize];
                *sum = sum.wrapping_add(count);
            }
        }
        let mut offsets = vec![0];
        let (mut bucket, mut entries) = (Vec::new(), Vec::new());
        for group in 0..self.count {
            let sums = (0u32..).zip(&merged[group * width..(group + 1) * width]);
            for (b, count) in sums.filter(|(_, count)| **count > 0) {
                bucket.push(b);
                entries.push(*count);
            }
            offsets.push(u32::try_from(bucket.len()).unwrap_or(u32::MAX));
        }
        Ok(Buckets {
            counts: self.fold(work, &buckets.counts, 0, u64::wrapping_add)?,
            sums: self.sums(work, &buckets.sums)?,
            lower: buckets.lower.clone(),
            offsets: offsets.into(),
            bucket: bucket.into(),
            entries: entries.into(),
        })
    }
}

fn quantile_argument(argument: f64) -> Result<f64, End> {
    if (0.0..=1.0).contains(&argument) {
        return Ok(argument);
    }
    Err(Some(Failure::new("bounds", "the argument of quantile is from 0 to 1").into()))
}

/// The rank, from 1, of the value below or at which the share lies.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "ranks are positive, and no count is so large"
)]
fn rank(share: f64, count: u64) -> Option<u64> {
    (count > 0).then(|| ((share * count as f64).ceil() as u64).clamp(1, count))
}

/// The upper bound of the bucket that holds the quantile: infinite for the last, NaN where nothing was counted.
fn bucket_quantile(buckets: &Buckets, row: usize, share: f64) -> f64 {
    let total = buckets.row(row).map(|(_, count)| count).fold(0, u64::wrapping_add);
    let Some(rank) = rank(share, total) else { return f64::NAN };
    let mut below = 0u64;
    let holds = buckets.row(row).find(|(_, count)| {
        below = below.wrapping_add(*count);
        below >= rank
    });
    holds.map_or(f64::NAN, |(bucket, _)| buckets.upper(bucket).unwrap_or(f64::INFINITY))
}

#[expect(clippy::cast_precision_loss, reason = "means, shares and quantiles are floats")]
fn floats(data: &Data) -> Option<ScalarBuffer<f64>> {
    Some(match data {
        Data::U64(values) => values.iter().map(|value| *value as f64).collect(),
        Data::S64(values) => values.iter().map(|value| *value as f64).collect(),
        Data::F64(values) => values.clone(),
        Data::Average(average) => average.means().clone(),
        Data::Text(_) | Data::Buckets(_) => return None,
    })
}
