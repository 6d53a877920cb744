//! The types that the host and the kernel side share.
//!
//! A [`Plan`] is the read-only global that the host fills before it loads the programs. The kernel's verifier
//! sees its words as constants and removes every branch that they do not take, so one generic program becomes
//! a program for one table.
#![no_std]
#![forbid(unsafe_code)]

use core::sync::atomic::AtomicU64;

/// Key words of eight bytes that a row can have; `comm` takes two.
pub const KEY_WORDS: usize = 8;
/// Conditions that a filter can have, all of which must hold.
pub const CLAUSES: usize = 8;
/// Measures that a table can have.
pub const MEASURES: usize = 8;
/// Values that a span saves at its start.
pub const SAVED: usize = 4;
/// Bytes of the context that are read by direct loads; what lies beyond is read by a helper.
pub const CONTEXT_BYTES: u32 = 128;
/// Processes of Weir itself that a table leaves out.
pub const SELVES: usize = 4;
/// Buckets of a histogram: zero, one for each power of two, and one for all negative numbers.
pub const BUCKETS: u32 = 66;
/// The bucket of negative numbers.
pub const NEGATIVE_BUCKET: u32 = 65;

/// Rows whose buckets have places from the start: the overflow row, and the one row of a table without a key.
pub const DIRECT_ROWS: u32 = 2;

/// Sizes that depend on the table, as they stand in the object until the host writes the true ones over them.
pub mod placeholder {
    pub const KEY_SIZE: usize = 0x5e01;
    pub const KEY_STRIDE: usize = 0x5e02;
    pub const CELL_SIZE: usize = 0x5e03;
    pub const START_SIZE: usize = 0x5e04;
}

/// What the host and a table's programs tell each other, in memory that both have mapped.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Control {
    /// `generation << 1 | bank`: the dictionary and the bank that programs use. Written by the host only.
    pub word: AtomicU64,
    /// Processes to leave out; `u64::MAX` where there is none.
    pub selves: [AtomicU64; SELVES],
    _apart: [u64; 3],
    /// Ids given out, by `generation & 1`; 0 is never given.
    pub next_row: [AtomicU64; 2],
    pub next_bucket: [AtomicU64; 2],
    /// Programs that were held; see [`Plan::hold`].
    pub held: AtomicU64,
    _apart_too: [u64; 3],
    /// By bank.
    pub counters: [Counters; 2],
}

/// What happens seldom and is counted in one place for all CPUs.
#[repr(C)]
#[derive(Debug)]
pub struct Counters {
    /// Maxima and minima that were given up.
    pub inexact: AtomicU64,
    pub starts_dropped: AtomicU64,
    pub starts_replaced: AtomicU64,
    pub starts_abandoned: AtomicU64,
    pub ends_unmatched: AtomicU64,
}

/// The key of a bucket: the row, which of its histograms, and which bucket.
#[inline(always)]
#[must_use]
pub const fn bucket_key(row: u32, histogram: u32, bucket: u32) -> u64 {
    row as u64 | (histogram as u64) << 32 | (bucket as u64) << 40
}

/// What [`bucket_key`] was made from.
#[must_use]
pub const fn unpack_bucket_key(key: u64) -> (u32, u32, u32) {
    (key as u32, (key >> 32) as u32 & 0xff, (key >> 40) as u32)
}

/// An id that can be used again, with the generation to which it belongs.
#[inline(always)]
#[must_use]
pub const fn pack_spare(generation: u32, id: u32) -> u64 {
    (generation as u64) << 32 | id as u64
}

/// Where a number comes from. The meaning of `a`, `b` and `c` depends on `kind`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Source {
    pub kind: u32,
    pub a: u32,
    pub b: u32,
    pub c: u32,
}

impl Source {
    pub const NONE: Self = Self { kind: 0, a: 0, b: 0, c: 0 };
}

/// What [`Source::kind`] can be.
pub mod source {
    pub const NONE: u32 = 0;
    /// Eight bytes of the context at `a`, shifted left by `b` and right by `c & 63`, the latter keeping the
    /// sign if `c & SIGNED`.
    pub const CONTEXT8: u32 = 1;
    /// As [`CONTEXT8`], from four bytes.
    pub const CONTEXT4: u32 = 2;
    /// As [`CONTEXT8`], from up to eight bytes copied by a helper, whose number is in `c >> 16`.
    pub const CONTEXT_COPY: u32 = 3;
    pub const PID: u32 = 4;
    pub const TID: u32 = 5;
    pub const UID: u32 = 6;
    pub const GID: u32 = 7;
    pub const CPU: u32 = 8;
    pub const CGROUP: u32 = 9;
    /// The 16 bytes of the thread's name, as two key words. A key only.
    pub const COMM: u32 = 10;
    /// Nanoseconds from the span's start to its end.
    pub const ELAPSED: u32 = 11;
    /// Value `a` of those that the span saved at its start.
    pub const SAVED: u32 = 12;
    /// In `c`: the right shift keeps the sign.
    pub const SIGNED: u32 = 1 << 8;
}

/// One condition of a filter: `source op value`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clause {
    pub source: Source,
    pub op: u32,
    /// Compare as signed numbers.
    pub signed: u32,
    pub value: u64,
}

impl Clause {
    pub const NONE: Self = Self { source: Source::NONE, op: 0, signed: 0, value: 0 };
}

/// What [`Clause::op`] can be.
pub mod op {
    pub const NONE: u32 = 0;
    pub const EQ: u32 = 1;
    pub const NE: u32 = 2;
    pub const LT: u32 = 3;
    pub const LE: u32 = 4;
    pub const GT: u32 = 5;
    pub const GE: u32 = 6;
}

/// One measure of a cell, at word `word` of it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measure {
    pub source: Source,
    pub kind: u32,
    pub signed: u32,
    /// The first of the measure's words in a cell.
    pub word: u32,
    /// Which of the table's histograms this is.
    pub histogram: u32,
}

impl Measure {
    pub const NONE: Self = Self { source: Source::NONE, kind: 0, signed: 0, word: 0, histogram: 0 };
}

/// What [`Measure::kind`] can be. `count` and the count of `avg` are word 0 of the cell and need no measure.
pub mod measure {
    pub const NONE: u32 = 0;
    /// One word: the sum, modulo 2^64.
    pub const SUM: u32 = 1;
    /// One word: the complement of the ordered value, kept as a maximum.
    pub const MIN: u32 = 2;
    /// One word: the ordered value, kept as a maximum.
    pub const MAX: u32 = 3;
    /// Two words: the sum, and how many values found no bucket.
    pub const HIST: u32 = 4;
}

/// A table, as its programs see it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Key words in use: a multiple of eight bytes is the dictionary's key size.
    pub key_words: u32,
    /// Ids of one shard, a power of two; id 0 is the overflow row.
    pub capacity_shift: u32,
    /// CPUs share shards by `cpu & shard_mask`.
    pub shard_mask: u32,
    /// Shards of one bank, a power of two.
    pub shards_shift: u32,
    /// Bucket ids of one shard, a power of two.
    pub bucket_shift: u32,
    /// The span's end is attached: an event needs a saved start.
    pub span: u32,
    /// Leave out the processes named in the control word's map.
    pub skip_selves: u32,
    /// Iterations to hold between reading the control word and adding; for the test that proves the wait.
    pub hold: u32,
    /// How many of the measures are histograms.
    pub histograms: u32,
    pub reserved: u32,
    pub keys: [Source; KEY_WORDS],
    pub clauses: [Clause; CLAUSES],
    pub measures: [Measure; MEASURES],
    pub saved: [Source; SAVED],
}

impl Plan {
    /// No key, no filter, no measure.
    pub const EMPTY: Self = Self {
        key_words: 0,
        capacity_shift: 0,
        shard_mask: 0,
        shards_shift: 0,
        bucket_shift: 0,
        span: 0,
        skip_selves: 0,
        hold: 0,
        histograms: 0,
        reserved: 0,
        keys: [Source::NONE; KEY_WORDS],
        clauses: [Clause::NONE; CLAUSES],
        measures: [Measure::NONE; MEASURES],
        saved: [Source::NONE; SAVED],
    };
}

/// The order-preserving image of a number: unsigned comparison of images is comparison of numbers.
#[inline(always)]
#[must_use]
pub const fn ordered(value: u64, signed: bool) -> u64 {
    if signed { value ^ (1 << 63) } else { value }
}

/// The bucket of a number: 0 for zero, `n` for `2^(n-1) <= value < 2^n`, [`NEGATIVE_BUCKET`] below zero.
#[inline(always)]
#[must_use]
pub const fn bucket(value: u64, signed: bool) -> u32 {
    if signed && (value as i64) < 0 {
        return NEGATIVE_BUCKET;
    }
    // Written as a search and not with leading_zeros, which has no instruction in eBPF and becomes a long
    // sequence of multiplications and masks.
    if value == 0 {
        return 0;
    }
    let mut value = value;
    let mut bucket = 1;
    if value >> 32 != 0 {
        value >>= 32;
        bucket += 32;
    }
    if value >> 16 != 0 {
        value >>= 16;
        bucket += 16;
    }
    if value >> 8 != 0 {
        value >>= 8;
        bucket += 8;
    }
    if value >> 4 != 0 {
        value >>= 4;
        bucket += 4;
    }
    if value >> 2 != 0 {
        value >>= 2;
        bucket += 2;
    }
    if value >> 1 != 0 {
        bucket += 1;
    }
    bucket
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_powers_of_two() {
        for shift in 0..64 {
            let low = 1u64 << shift;
            assert_eq!(bucket(low, false), shift + 1);
            assert_eq!(bucket(low + (low - 1), false), shift + 1);
        }
        assert_eq!(bucket(0, true), 0);
        assert_eq!(bucket(-1i64 as u64, true), NEGATIVE_BUCKET);
        assert_eq!(bucket(-1i64 as u64, false), 64);
    }

    #[test]
    fn ordering_survives() {
        let numbers = [i64::MIN, -5, -1, 0, 1, 7, i64::MAX];
        assert!(numbers.map(|n| ordered(n as u64, true)).is_sorted());
    }
}
