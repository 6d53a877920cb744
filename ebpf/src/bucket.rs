//! Histograms: from a value to the count of its bucket.

use weir_abi::{Control, DIRECT_ROWS, bucket_key, linear_bucket, log_bucket};

use crate::dictionary::{self, find};
use crate::maps;
use crate::plan::plan;
use crate::table::{Row, add};

/// One histogram of the plan, whose words the verifier knows.
#[derive(Clone, Copy)]
pub struct Histogram {
    pub number: u32,
    pub first_bucket: u32,
    pub buckets: u32,
    pub resolution: u32,
    pub low: i64,
    pub high: i64,
    pub step: u64,
    pub signed: bool,
}

impl Histogram {
    #[inline(always)]
    fn bucket(self, value: u64) -> u32 {
        if self.step == 0 {
            return log_bucket(value, self.signed, self.resolution);
        }
        linear_bucket(value, self.signed, self.low, self.high, self.step)
    }

    /// Counts a value whose sum and `unplaced` are the words from `at` on.
    #[inline(always)]
    pub fn count(self, value: u64, at: u32, row: &Row, control: &Control) {
        add(row.cell, at, value);
        let bucket = core::hint::black_box(self.bucket(value));
        // Never so, but the verifier does not know it.
        if bucket >= self.buckets {
            return;
        }
        if plan!(key_words) == 0 {
            add(row.cell, at + 2 + bucket, 1);
        } else if !self.place(bucket, row, control) {
            add(row.cell, at + 1, 1);
        }
    }

    /// False if there is no room for the bucket.
    #[inline(always)]
    fn place(self, bucket: u32, row: &Row, control: &Control) -> bool {
        // The overflow row has its buckets from the start, for it must always be able to count.
        let id = if row.id < DIRECT_ROWS {
            row.id * plan!(direct_buckets) + self.first_bucket + bucket
        } else {
            let Some(buckets) = maps::buckets(row.generation) else { return false };
            let key = bucket_key(row.id, self.number, bucket);
            match find(buckets, &key) {
                Some(id) => id,
                None => dictionary::admit_bucket(buckets, key, control, row.generation),
            }
        };
        if id == 0 && row.id >= DIRECT_ROWS {
            return false;
        }
        let Some(cell) = maps::bucket_cell(row.shard << (plan!(bucket_shift) & 31) | id) else {
            return false;
        };
        add(cell.as_ptr(), 0, 1);
        true
    }
}
