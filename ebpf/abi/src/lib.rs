//! The types that the host and the kernel side share.
//!
//! A [`Plan`] is what specialises the programs for a table: the host writes its words into their code before it loads
//! them, and drops every branch that they do not take, so one generic program becomes a program for one table. What a
//! table keys on, filters by and measures are expressions, which the host compiles to code that works on a [`Frame`].
#![no_std]
#![forbid(unsafe_code)]

use core::sync::atomic::AtomicU64;

/// Key words of eight bytes that a row can have; texts and the mask of nulls take some.
pub const KEY_WORDS: usize = 16;
/// Measures that a table can have.
pub const MEASURES: usize = 8;
/// Values that a span saves at its start.
pub const SAVED: usize = 4;
/// Words for a text that is compared.
pub const TEXT_WORDS: usize = 8;
/// Parts of expressions that can wait for other parts at once.
pub const SLOTS: usize = 8;
/// Processes of Weir itself that a table leaves out.
pub const SELVES: usize = 4;
/// Words that a stack takes where it is kept: how many frames it has, and their addresses.
pub const STACK_WORDS: usize = 128;
/// Frames of a stack that are kept, the innermost ones.
pub const STACK_FRAMES: usize = STACK_WORDS - 1;
/// Stacks that programs on one CPU can be taking at once, each in an interrupt of the one before.
pub const STACKS_AT_ONCE: u32 = 4;

/// Rows whose buckets have places from the start: the overflow row, and the one row of a table without a key.
pub const DIRECT_ROWS: u32 = 2;

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

impl Control {
    /// As the kernel gives it out.
    #[expect(clippy::declare_interior_mutable_const, reason = "what a static begins with")]
    pub const ZERO: Self = Self {
        word: AtomicU64::new(0),
        selves: [const { AtomicU64::new(0) }; SELVES],
        _apart: [0; 3],
        next_row: [const { AtomicU64::new(0) }; 2],
        next_bucket: [const { AtomicU64::new(0) }; 2],
        held: AtomicU64::new(0),
        _apart_too: [0; 3],
        counters: [const { Counters::ZERO }; 2],
    };
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

impl Counters {
    #[expect(clippy::declare_interior_mutable_const, reason = "as above")]
    const ZERO: Self = Self {
        inexact: AtomicU64::new(0),
        starts_dropped: AtomicU64::new(0),
        starts_replaced: AtomicU64::new(0),
        starts_abandoned: AtomicU64::new(0),
        ends_unmatched: AtomicU64::new(0),
    };
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

/// What the expressions of a table work on, in the memory of one run of a program. The host compiles them to
/// code that it puts into the kernel side's programs, and knows this by its offsets.
#[repr(C)]
#[derive(Debug)]
pub struct Frame {
    /// For what the code itself keeps. It comes first, where the stack ends: what is not used is not counted.
    pub text: [u64; TEXT_WORDS],
    pub slots: [u64; SLOTS],
    /// The thread that runs: its process's id in the high half, its own in the low.
    pub thread: u64,
    /// At the end of a span: nanoseconds since its start.
    pub elapsed: u64,
    /// When the span began. What follows is kept with it.
    pub began: u64,
    pub saved: [u64; SAVED],
    /// Bit n: conditional measure n has a value for this event.
    pub present: u64,
    /// What is measured.
    pub values: [u64; MEASURES],
    pub key: [u64; KEY_WORDS],
}

/// One measure of a cell.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measure {
    pub kind: u32,
    pub signed: u32,
    /// The first of the measure's words in a cell.
    pub word: u32,
    /// The word that counts the events which have a value; 0, which counts all, if every one has.
    pub counted: u32,
    /// Which of the table's histograms this is.
    pub histogram: u32,
    /// The histogram's first bucket of a row whose buckets have places from the start.
    pub first_bucket: u32,
    /// How many buckets the histogram can have.
    pub buckets: u32,
    /// Each power of two is divided into two to this number.
    pub resolution: u32,
    /// Of a linear histogram, whose buckets are `[low + n * step, low + (n + 1) * step)` up to `high`.
    pub low: i64,
    pub high: i64,
    /// 0 for one by powers of two.
    pub step: u64,
}

impl Measure {
    pub const NONE: Self = Self {
        kind: 0,
        signed: 0,
        word: 0,
        counted: 0,
        histogram: 0,
        first_bucket: 0,
        buckets: 0,
        resolution: 0,
        low: 0,
        high: 0,
        step: 0,
    };
}

/// What [`Measure::kind`] can be.
pub mod measure {
    pub const NONE: u32 = 0;
    /// No word but that which counts its events.
    pub const COUNT: u32 = 1;
    /// One word: the sum, modulo 2^64.
    pub const SUM: u32 = 2;
    /// One word: the complement of the ordered value, kept as a maximum.
    pub const MIN: u32 = 3;
    /// One word: the ordered value, kept as a maximum.
    pub const MAX: u32 = 4;
    /// Two words: the sum, and how many values found no bucket. In a table without a key, a word for each bucket
    /// follows.
    pub const HIST: u32 = 5;
    /// Three words: as `SUM`, `MIN` and `MAX`.
    pub const STATS: u32 = 6;
}

/// A table, as its programs see it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Key words in use: so many times eight bytes is the dictionary's key size.
    pub key_words: u32,
    /// Ids of one shard, a power of two; id 0 is the overflow row.
    pub capacity_shift: u32,
    /// CPUs share shards by `cpu & shard_mask`.
    pub shard_mask: u32,
    /// Shards of one bank, a power of two.
    pub shards_shift: u32,
    /// Bucket ids of one shard, a power of two.
    pub bucket_shift: u32,
    /// Buckets of one row whose buckets have places from the start.
    pub direct_buckets: u32,
    /// The span's end is attached: an event needs a saved start.
    pub span: u32,
    /// Spans are paired by the value of `pair`, and not by thread.
    pub paired: u32,
    /// Values that a span's start saves.
    pub saved: u32,
    /// Leave out the processes that the control block names.
    pub skip_selves: u32,
    /// Something reads [`Frame::thread`].
    pub thread: u32,
    /// Iterations to hold between reading the control word and adding; for the test that proves the wait.
    pub hold: u32,
    /// The key word of the kernel's stack and one more; 0 if it is no key.
    pub kernel_stack: u32,
    /// The same for the stack of the process.
    pub user_stack: u32,
    /// The key word that has a bit for each key which could not be read, and one more; 0 if none can fail.
    pub null_word: u32,
    /// The bits of it that stand for the kernel's stack and for the process's.
    pub null_bits: [u32; 2],
    /// How many of the measures are in use.
    pub measure_count: u32,
    pub measures: [Measure; MEASURES],
}

impl Plan {
    /// No key and no measure.
    pub const EMPTY: Self = Self {
        key_words: 0,
        capacity_shift: 0,
        shard_mask: 0,
        shards_shift: 0,
        bucket_shift: 0,
        direct_buckets: 0,
        span: 0,
        paired: 0,
        saved: 0,
        skip_selves: 0,
        thread: 0,
        hold: 0,
        kernel_stack: 0,
        user_stack: 0,
        null_word: 0,
        null_bits: [0; 2],
        measure_count: 0,
        measures: [Measure::NONE; MEASURES],
    };
}

/// The upper half of what stands in the programs for a word of the plan, until the host writes the word over it. No
/// program has such a number of its own.
pub const PLAN_MARK: u32 = u32::from_be_bytes(*b"WEIR");

/// What stands for the word of so many bytes at an offset of the plan.
#[must_use]
pub const fn plan_place(offset: usize, bytes: usize) -> u64 {
    (PLAN_MARK as u64) << 32 | (bytes as u64) << 16 | offset as u64
}

/// What stands in the programs for a table's own code, until the host puts the code in its place: that which filters
/// and fills the frame.
pub const EVALUATE: u64 = u64::from_be_bytes(*b"EVALUATE");
/// That which answers the key of a pair.
pub const PAIR: u64 = u64::from_be_bytes(*b"PAIR KEY");

/// The offset and the bytes of a word, from the lower half of what stands for it.
#[must_use]
pub const fn unpack_plan_place(place: u32) -> (usize, usize) {
    (place as usize & 0xffff, place as usize >> 16)
}

/// The order-preserving image of a number: unsigned comparison of images is comparison of numbers.
#[inline(always)]
#[must_use]
pub const fn ordered(value: u64, signed: bool) -> u64 {
    if signed { value ^ (1 << 63) } else { value }
}

/// The buckets of a histogram by powers of two of this resolution, that of negative numbers, the last, included.
#[inline(always)]
#[must_use]
pub const fn log_buckets(resolution: u32) -> u32 {
    ((65 - resolution) << resolution) + 1
}

/// The bucket of a number in a histogram by powers of two, each divided into `2^resolution`: the number itself up
/// to `2^(resolution + 1)`, and the last bucket below zero. `log2` is asked for the exponent of the greatest power of
/// two that a number, which is not 0, is not below.
#[inline(always)]
#[must_use]
pub fn log_bucket(value: u64, signed: bool, resolution: u32, log2: impl FnOnce(u64) -> u64) -> u64 {
    if signed && (value as i64) < 0 {
        return log_buckets(resolution) as u64 - 1;
    }
    if value >> resolution == 0 {
        return value;
    }
    let beyond = log2(value >> resolution);
    (beyond << resolution) + (value >> beyond)
}

/// The lower bound of a bucket that is not that of negative numbers.
#[must_use]
pub const fn log_bucket_low(bucket: u32, resolution: u32) -> u64 {
    let beyond = (bucket >> resolution).saturating_sub(1);
    ((bucket - (beyond << resolution)) as u64) << beyond
}

/// The bucket of a number in a linear histogram: 0 below `low`, the last one from `high` on.
#[inline(always)]
#[must_use]
pub const fn linear_bucket(value: u64, signed: bool, low: i64, high: i64, step: u64) -> u32 {
    let last = linear_buckets(low, high, step) - 1;
    // A number beyond what is signed is beyond every bound.
    if !signed && value > i64::MAX as u64 {
        return last;
    }
    if (value as i64) < low {
        return 0;
    }
    if value as i64 >= high {
        return last;
    }
    1 + (value.wrapping_sub(low as u64) / step) as u32
}

/// The buckets of a linear histogram, those below and above its bounds included.
#[inline(always)]
#[must_use]
pub const fn linear_buckets(low: i64, high: i64, step: u64) -> u32 {
    (high.wrapping_sub(low) as u64).div_ceil(step) as u32 + 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_bucket(value: u64, signed: bool, resolution: u32) -> u32 {
        super::log_bucket(value, signed, resolution, |value| value.ilog2().into()) as u32
    }

    #[test]
    fn buckets_are_powers_of_two() {
        for shift in 0..64 {
            let low = 1u64 << shift;
            assert_eq!(log_bucket(low, false, 0), shift + 1);
            assert_eq!(log_bucket(low + (low - 1), false, 0), shift + 1);
            assert_eq!(log_bucket_low(shift + 1, 0), low);
        }
        assert_eq!(log_bucket(0, true, 0), 0);
        assert_eq!(log_bucket(-1i64 as u64, true, 0), 65);
        assert_eq!(log_bucket(-1i64 as u64, false, 0), 64);
        assert_eq!(log_buckets(0), 66);
    }

    #[test]
    fn every_number_is_in_the_bucket_whose_bounds_hold_it() {
        for resolution in 0..=5 {
            let numbers = (0..64).flat_map(|shift| {
                let low = 1u64 << shift;
                [low - 1, low, low + low / 3, low + low / 2, low + (low - 1)]
            });
            for number in numbers.chain([0, u64::MAX]) {
                let bucket = log_bucket(number, false, resolution);
                assert!(bucket < log_buckets(resolution) - 1, "{number}");
                assert!(log_bucket_low(bucket, resolution) <= number, "{number}");
                let next = bucket + 1;
                if next < log_buckets(resolution) - 1 {
                    assert!(number < log_bucket_low(next, resolution), "{number} at {resolution}");
                }
            }
        }
    }

    #[test]
    fn linear_buckets_are_half_open() {
        let bucket = |value: i64| linear_bucket(value as u64, true, -10, 25, 10);
        assert_eq!(linear_buckets(-10, 25, 10), 6);
        let expected =
            [(-11, 0), (-10, 1), (-1, 1), (0, 2), (9, 2), (10, 3), (20, 4), (24, 4), (25, 5), (99, 5)];
        for (value, number) in expected {
            assert_eq!(bucket(value), number, "{value}");
        }
        assert_eq!(linear_bucket(u64::MAX, false, 0, 10, 1), 11);
        assert_eq!(linear_bucket(i64::MIN as u64, true, 0, 10, 1), 0);
    }

    #[test]
    fn ordering_survives() {
        let numbers = [i64::MIN, -5, -1, 0, 1, 7, i64::MAX];
        assert!(numbers.map(|n| ordered(n as u64, true)).is_sorted());
    }
}
