//! Histograms: of one row, of a column, and added up.

use std::ops::Deref;

use crate::Result;
use crate::bindings::weir::plugin::types;
use crate::column::{Cells, Kind, sealed};
use crate::host::tables;

/// How many values v were seen with `low <= v < high`; no `high` in the last bucket there can be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// The least value that it counts.
    pub low: f64,
    /// The least value above those that it counts.
    pub high: Option<f64>,
    /// How many values there were.
    pub count: u64,
}

/// The histogram of one row.
#[derive(Clone, Copy, Debug)]
pub struct Histogram<'a> {
    lower: &'a [f64],
    bucket: &'a [u32],
    counts: &'a [u64],
    sum: f64,
    total: u64,
}

impl<'a> Histogram<'a> {
    /// Its buckets that are not empty, from low to high.
    pub fn buckets(&self) -> impl ExactSizeIterator<Item = Bucket> + Clone + use<'a> {
        let lower = self.lower;
        self.bucket.iter().zip(self.counts).map(move |(&bucket, &count)| {
            let bucket = bucket as usize;
            let high = lower.get(bucket + 1).copied().filter(|high| high.is_finite());
            Bucket { low: lower[bucket], high, count }
        })
    }

    /// How many values there are. Those that found no room for a bucket are in none.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.total
    }

    /// The sum of the values.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// The average of the values, if there are any.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        mean(self.sum, self.total)
    }

    /// The bucket that holds the smallest value which at least the share (0 to 1) of all values with a bucket does not
    /// exceed, if there is one: `quantile(0.99)` is where the 99th percentile is.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<Bucket> {
        quantile(self.buckets(), share)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a mean is a float")]
fn mean(sum: f64, count: u64) -> Option<f64> {
    (count > 0).then(|| sum / count as f64)
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank among fewer values than 2^53"
)]
fn quantile(mut buckets: impl Iterator<Item = Bucket> + Clone, share: f64) -> Option<Bucket> {
    let total = buckets.clone().fold(0u64, |total, bucket| total.saturating_add(bucket.count));
    let rank = ((total as f64 * share).ceil() as u64).clamp(1, total.max(1));
    let mut seen = 0u64;
    buckets.find(|bucket| {
        seen = seen.saturating_add(bucket.count);
        seen >= rank
    })
}

/// A column of histograms.
#[derive(Clone, Debug)]
pub struct Histograms(types::Buckets);

impl Histograms {
    /// The histogram of a row.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn get(&self, row: usize) -> Histogram<'_> {
        let entries = self.0.offsets[row] as usize..self.0.offsets[row + 1] as usize;
        Histogram {
            lower: &self.0.lower,
            bucket: &self.0.bucket[entries.clone()],
            counts: &self.0.counts[entries],
            sum: self.0.sums[row],
            total: self.0.totals[row],
        }
    }

    /// The histograms of all rows, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Histogram<'_>> {
        (0..self.len()).map(|row| self.get(row))
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.sums.len()
    }

    /// There is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.sums.is_empty()
    }

    /// All rows, added up.
    #[must_use]
    pub fn merged(&self) -> Buckets {
        let mut counts = vec![0u64; self.0.lower.len()];
        for (&bucket, count) in self.0.bucket.iter().zip(&self.0.counts) {
            let sum = &mut counts[bucket as usize];
            *sum = sum.saturating_add(*count);
        }
        let bucket: Vec<u32> =
            (0..).take(counts.len()).filter(|&bucket| counts[bucket as usize] > 0).collect();
        counts.retain(|&count| count > 0);
        let total = self.0.totals.iter().fold(0u64, |sum, total| sum.saturating_add(*total));
        // Not by `sum`, whose sum of nothing is -0.
        let sum = self.0.sums.iter().fold(0.0, |sum, row| sum + row);
        let all = Histogram { lower: &self.0.lower, bucket: &bucket, counts: &counts, sum, total };
        // Each page came with bounds of its own.
        Buckets::from(all)
    }
}

impl Cells for Histograms {
    type Cell<'a> = Histogram<'a>;

    fn cell(&self, row: usize) -> Histogram<'_> {
        self.get(row)
    }
}

impl Kind for Histogram<'_> {}

impl sealed::Read for Histogram<'_> {
    const NAME: &'static str = "buckets";
    type Column = Histograms;

    fn read(table: u32, column: u32, first: u32, count: u32) -> Result<Histograms, types::Failure> {
        tables::read_buckets(table, column, first, count).map(Histograms)
    }

    /// A page's bounds follow those before it, after an infinite one, which ends the bucket that was open.
    fn join(column: &mut Histograms, page: Histograms) {
        column.0.lower.push(f64::INFINITY);
        let (bounds, entries) = (column.0.lower.len() as u32, column.0.counts.len() as u32);
        column.0.lower.extend(page.0.lower);
        column.0.offsets.extend(page.0.offsets.iter().skip(1).map(|offset| entries + offset));
        column.0.bucket.extend(page.0.bucket.iter().map(|bucket| bounds + bucket));
        column.0.counts.extend(page.0.counts);
        column.0.sums.extend(page.0.sums);
        column.0.totals.extend(page.0.totals);
    }
}

/// Histograms added up, whichever rows, tables or intervals they are of: a slice of [`Bucket`]s that are not empty,
/// from low to high, with the number of values and their sum.
///
/// ```
/// # use weir_plugin::{Histogram, Result, table};
/// # use weir_plugin::testing::{Host, Table, values};
/// # let host = Host::new().table(Table::new("reads").hist("latency", [values([1, 2, 3]), values([900])]));
/// # host.call(|| -> Result {
/// let reads = table("reads")?.column::<Histogram>("latency")?.merged();
/// assert_eq!((reads.count(), reads.mean()), (4, Some(226.5)));
/// // The median is 2, and all that is known of it is its bucket.
/// let median = reads.quantile(0.5).unwrap();
/// assert_eq!((median.low, median.high), (2.0, Some(4.0)));
/// # Ok(())
/// # }).unwrap();
/// ```
///
/// Where there are many rows, and other groups than all of them are needed, the host adds up faster:
/// `table.group_by(["comm"]).sum("latency").ask()?` has a histogram for each `comm` in the column `sum(latency)`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Buckets {
    buckets: Vec<Bucket>,
    count: u64,
    sum: f64,
}

impl Buckets {
    /// Adds up buckets, in any order. `sum` is that of their values.
    #[must_use]
    pub fn new(mut buckets: Vec<Bucket>, sum: f64) -> Self {
        let count = buckets.iter().fold(0u64, |count, bucket| count.saturating_add(bucket.count));
        buckets.sort_by(|a, b| a.low.total_cmp(&b.low));
        buckets.dedup_by(|next, kept| {
            let same = next.low == kept.low;
            if same {
                kept.count = kept.count.saturating_add(next.count);
            }
            same
        });
        buckets.retain(|bucket| bucket.count > 0);
        Self { buckets, count, sum }
    }

    /// Adds others to these, bucket by bucket.
    pub fn merge(&mut self, others: &Self) {
        let buckets = self.buckets.iter().chain(&others.buckets).copied().collect();
        let count = self.count.saturating_add(others.count);
        *self = Self { count, ..Self::new(buckets, self.sum + others.sum) };
    }

    /// How many values there are. Those that found no room for a bucket are in none.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The sum of the values.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// The average of the values, if there are any.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        mean(self.sum, self.count)
    }

    /// As [`Histogram::quantile`].
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<Bucket> {
        quantile(self.buckets.iter().copied(), share)
    }
}

impl From<Histogram<'_>> for Buckets {
    fn from(histogram: Histogram<'_>) -> Self {
        Self { count: histogram.total, ..Self::new(histogram.buckets().collect(), histogram.sum) }
    }
}

impl Deref for Buckets {
    type Target = [Bucket];

    fn deref(&self) -> &[Bucket] {
        &self.buckets
    }
}

#[cfg(test)]
mod tests {
    use super::sealed::Read;
    use super::*;

    /// A page in which each row has a value more than its buckets.
    fn page(lower: &[f64], rows: &[&[(u32, u64)]]) -> Histograms {
        let entries = rows.concat();
        let ends = rows.iter().scan(0, |end, row| {
            *end += row.len() as u32;
            Some(*end)
        });
        Histograms(types::Buckets {
            lower: lower.to_vec(),
            offsets: std::iter::once(0).chain(ends).collect(),
            bucket: entries.iter().map(|entry| entry.0).collect(),
            counts: entries.iter().map(|entry| entry.1).collect(),
            sums: vec![0.5; rows.len()],
            totals: rows.iter().map(|row| row.iter().map(|entry| entry.1).sum::<u64>() + 1).collect(),
        })
    }

    fn bucket(low: f64, high: Option<f64>, count: u64) -> Bucket {
        Bucket { low, high, count }
    }

    #[test]
    fn the_last_bound_opens_a_bucket() {
        let column = page(&[0.0, 1.0, 2.0], &[&[(0, 3), (2, 1)], &[], &[(1, 9)]]);
        let rows: Vec<Vec<Bucket>> = column.iter().map(|row| row.buckets().collect()).collect();
        assert_eq!(rows[0], [bucket(0.0, Some(1.0), 3), bucket(2.0, None, 1)]);
        assert!(rows[1].is_empty());
        assert_eq!(rows[2], [bucket(1.0, Some(2.0), 9)]);
        // One value found no bucket.
        assert_eq!(column.get(0).count(), 5);
        assert_eq!(column.get(0).mean(), Some(0.1));
    }

    #[test]
    fn pages_of_histograms_join_and_merge() {
        let mut column = page(&[0.0, 1.0], &[&[(0, 3), (1, 1)]]);
        Histogram::join(&mut column, page(&[-2.0, 0.0, 1.0], &[&[(0, 5)], &[(1, 4), (2, 2)]]));
        let rows: Vec<Vec<Bucket>> = column.iter().map(|row| row.buckets().collect()).collect();
        assert_eq!(rows[0], [bucket(0.0, Some(1.0), 3), bucket(1.0, None, 1)]);
        assert_eq!(rows[1], [bucket(-2.0, Some(0.0), 5)]);
        assert_eq!(rows[2], [bucket(0.0, Some(1.0), 4), bucket(1.0, None, 2)]);
        assert_eq!(column.iter().map(|row| row.count()).collect::<Vec<_>>(), [5, 6, 7]);
        let merged = column.merged();
        assert_eq!(*merged, [bucket(-2.0, Some(0.0), 5), bucket(0.0, Some(1.0), 7), bucket(1.0, None, 3)]);
        assert_eq!((merged.count(), merged.sum()), (18, 1.5));
    }

    #[test]
    fn a_quantile_is_in_the_bucket_of_its_rank() {
        let column = page(&[0.0, 1.0, 2.0, 3.0], &[&[(0, 50), (1, 40), (3, 10)], &[]]);
        let low = |share| column.get(0).quantile(share).unwrap().low;
        assert_eq!(
            [low(0.0), low(0.5), low(0.51), low(0.9), low(0.91), low(1.0)],
            [0.0, 0.0, 1.0, 1.0, 3.0, 3.0]
        );
        // What is no share is taken for the nearest one.
        assert_eq!([low(-1.0), low(2.0), low(f64::NAN)], [0.0, 3.0, 0.0]);
        assert_eq!(column.get(0).quantile(0.99).unwrap().high, None);
        assert_eq!(column.get(1).quantile(0.5), None);
        assert_eq!((Buckets::default().quantile(0.5), Buckets::default().mean()), (None, None));
    }

    #[test]
    fn what_is_merged_keeps_values_without_a_bucket() {
        let column = page(&[0.0, 1.0, 2.0], &[&[(0, 3)], &[(0, 1), (1, 1)]]);
        let mut all = Buckets::default();
        column.iter().for_each(|row| all.merge(&row.into()));
        assert_eq!(all, column.merged());
        assert_eq!((all.count(), all.len()), (7, 2));
        let again =
            Buckets::new(vec![bucket(1.0, None, 0), bucket(1.0, None, 2), bucket(0.0, Some(1.0), 1)], 2.0);
        assert_eq!(*again, [bucket(0.0, Some(1.0), 1), bucket(1.0, None, 2)]);
    }
}
