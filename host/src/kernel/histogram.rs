//! The buckets of a table's histograms. What a bucket counts is decoded when it first holds something.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use arrow::array::{ArrayRef, ListArray, StructArray, UInt64Array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field};
use weir_abi::{DIRECT_ROWS, linear_buckets, log_bucket_low, log_buckets, unpack_bucket_key};

use super::keys::Keys;
use super::plan::Layout;
use super::rows::{arrow, numbers};
use crate::error::{Error, Kind, Result};
use crate::table::{MeasureColumn, MeasureKind};

/// A bucket of a row, ordered as it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Bucket {
    histogram: u32,
    row: u32,
    /// Its place among the histogram's buckets, from low to high.
    rank: u32,
    id: u32,
}

/// What is known about the bucket ids of the current dictionary.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    /// By id: whether it was decoded.
    known: Vec<bool>,
    /// In the order of their histogram, their row and their values.
    order: Vec<Bucket>,
    /// By histogram.
    kinds: Vec<MeasureKind>,
}

/// The place of a bucket among those of its histogram: that of negative numbers has the last number and comes first.
fn rank(kind: MeasureKind, bucket: u32) -> u32 {
    match kind {
        MeasureKind::Hist(resolution) if bucket == log_buckets(resolution) - 1 => 0,
        MeasureKind::Hist(_) => bucket + 1,
        _ => bucket,
    }
}

/// The values that a bucket counts, `low <= v < high`; no `high` where there is no greater number.
fn bounds(kind: MeasureKind, rank: u32, signed: bool) -> (u64, Option<u64>) {
    let lowest = if signed { i64::MIN as u64 } else { 0 };
    match kind {
        MeasureKind::Hist(_) if rank == 0 => (lowest, Some(0)),
        MeasureKind::Hist(resolution) => {
            let low = log_bucket_low(rank - 1, resolution);
            // The last one ends where numbers end.
            let high = (rank + 1 < log_buckets(resolution)).then(|| log_bucket_low(rank, resolution));
            (low, high.filter(|high| !(signed && *high > i64::MAX as u64)))
        }
        MeasureKind::Lhist { low, high, step } => {
            let last = linear_buckets(low, high, step) - 1;
            let bound = |bucket: u32| {
                let bound = i128::from(low) + i128::from(bucket) * i128::from(step);
                bound.min(i128::from(high)) as u64
            };
            match rank {
                0 => (lowest, Some(low as u64)),
                rank if rank == last => (high as u64, None),
                rank => (bound(rank - 1), Some(bound(rank))),
            }
        }
        _ => (0, None),
    }
}

impl Buckets {
    pub(super) fn new(layout: &Layout, measures: &[MeasureColumn]) -> Self {
        let kinds: Vec<_> = measures.iter().map(|m| m.kind).filter(|kind| kind.is_histogram()).collect();
        let mut order = Vec::new();
        let words = layout.measures.iter().filter(|words| words.buckets > 0);
        for (words, kind) in words.zip(&kinds) {
            for row in 0..DIRECT_ROWS {
                let first = row * layout.direct_buckets + words.first_bucket;
                order.extend((0..words.buckets).map(|bucket| Bucket {
                    histogram: words.histogram,
                    row,
                    rank: rank(*kind, bucket),
                    id: first + bucket,
                }));
            }
        }
        order.sort_unstable();
        Self { known: vec![true; layout.first_bucket() as usize], order, kinds }
    }

    /// Decodes buckets that are seen for the first time. Their rows' keys are decoded already.
    pub(super) fn learn(&mut self, counts: &[u64], stored: &[AtomicU64], keys: &Keys) {
        self.known.resize(self.known.len().max(counts.len()), false);
        let before = self.order.len();
        for (id, _) in counts.iter().enumerate().filter(|(_, count)| **count != 0) {
            if !std::mem::replace(&mut self.known[id], true) {
                let (row, histogram, bucket) = unpack_bucket_key(stored[id].load(Relaxed));
                let kind = self.kinds.get(histogram as usize).copied().unwrap_or(MeasureKind::Count);
                self.order.push(Bucket {
                    histogram,
                    row: keys.first(row),
                    rank: rank(kind, bucket),
                    id: id as u32,
                });
            }
        }
        if self.order.len() > before {
            // The stable sort merges runs: what was sorted before costs one pass.
            self.order.sort();
        }
    }

    /// The buckets of one histogram column, a list for each of `ids`.
    pub(super) fn column(
        &self,
        histogram: u32,
        signed: bool,
        ids: &[u32],
        counts: &[u64],
    ) -> Result<ArrayRef> {
        let kind = self.kinds.get(histogram as usize).copied().unwrap_or(MeasureKind::Count);
        let start = self.order.partition_point(|bucket| bucket.histogram < histogram);
        let end = self.order.partition_point(|bucket| bucket.histogram <= histogram);
        let ordered = &self.order[start..end];
        let (mut lows, mut highs, mut filled) = (Vec::new(), Vec::new(), Vec::<u64>::new());
        let mut offsets = vec![0];
        let mut rest = ordered;
        for id in ids {
            // Ids ascend, but for the overflow row, which is the last here and the first there.
            if *id == 0 {
                rest = ordered;
            }
            let skip = rest.iter().take_while(|bucket| bucket.row < *id).count();
            let take = rest[skip..].iter().take_while(|bucket| bucket.row == *id).count();
            let mut last = None;
            for bucket in &rest[skip..skip + take] {
                let count = counts.get(bucket.id as usize).copied().unwrap_or_default();
                if count == 0 {
                    continue;
                }
                // Of rows that look the same, each has its own.
                if last == Some(bucket.rank) {
                    if let Some(filled) = filled.last_mut() {
                        *filled += count;
                    }
                    continue;
                }
                last = Some(bucket.rank);
                let (low, high) = bounds(kind, bucket.rank, signed);
                lows.push(low);
                highs.push(high);
                filled.push(count);
            }
            rest = &rest[skip + take..];
            offsets.push(filled.len() as i32);
        }
        let DataType::Struct(fields) = crate::snapshot::bucket_type(signed) else {
            return Err(Error::new(Kind::Software, "a bucket is no structure"));
        };
        let nulls = NullBuffer::from_iter(highs.iter().map(Option::is_some));
        let entries = StructArray::try_new(
            fields.clone(),
            vec![
                numbers(signed, lows.into_iter(), None),
                numbers(signed, highs.into_iter().map(Option::unwrap_or_default), Some(nulls)),
                Arc::new(UInt64Array::from(filled)),
            ],
            None,
        )
        .map_err(arrow)?;
        let field = Arc::new(Field::new("item", DataType::Struct(fields), false));
        let offsets = OffsetBuffer::new(offsets.into());
        Ok(Arc::new(ListArray::try_new(field, offsets, Arc::new(entries), None).map_err(arrow)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_tile_all_numbers() {
        let linear = MeasureKind::Lhist { low: -10, high: 25, step: 10 };
        let kinds = [(MeasureKind::Hist(0), 66), (MeasureKind::Hist(3), log_buckets(3)), (linear, 6)];
        for (kind, buckets) in kinds {
            for rank in 1..buckets {
                let (low, _) = bounds(kind, rank, true);
                let (_, high) = bounds(kind, rank - 1, true);
                // Beyond the signed numbers there are buckets that are never used.
                assert!(high == Some(low) || low > i64::MAX as u64 || high.is_none(), "{kind:?} {rank}");
            }
        }
        assert_eq!(bounds(MeasureKind::Hist(0), 0, true), (i64::MIN as u64, Some(0)));
        assert_eq!(bounds(MeasureKind::Hist(0), 65, false), (1 << 63, None));
        assert_eq!(bounds(linear, 4, true), (20, Some(25)));
        assert_eq!(bounds(linear, 5, true), (25, None));
    }
}
