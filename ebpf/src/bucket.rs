//! Histograms: from a value to the count of its bucket.

use core::arch::asm;

use weir_abi::{DIRECT_ROWS, bucket_key, linear_bucket, log_bucket};

use crate::dictionary::{self, find};
use crate::maps;
use crate::plan::plan;
use crate::table::{Row, add};

/// Counts a value in the histogram that is the table's measure of this number. The word at `unplaced` counts what
/// finds no bucket; in a table without a key, the buckets follow it.
#[inline(always)]
pub fn count<const INDEX: usize>(value: u64, unplaced: u64, row: &Row) {
    let bucket = bucket::<INDEX>(value);
    // Never so, but the verifier does not know it.
    if bucket >= u64::from(plan!(measures[INDEX].buckets)) {
        return;
    }
    if plan!(key_words) == 0 {
        add(row.cell, unplaced + 1 + bucket, 1);
    } else if !place::<INDEX>(bucket as u32, row) {
        add(row.cell, unplaced, 1);
    }
}

#[inline(always)]
fn bucket<const INDEX: usize>(value: u64) -> u64 {
    let signed = plan!(measures[INDEX].signed) != 0;
    let step = plan!(measures[INDEX].step);
    let mut bucket = if step == 0 {
        log_bucket(value, signed, plan!(measures[INDEX].resolution), log2)
    } else {
        linear_bucket(value, signed, plan!(measures[INDEX].low), plan!(measures[INDEX].high), step).into()
    };
    // SAFETY: it changes nothing. The compiler may not know what is here, or it would check another number than it uses.
    unsafe { asm!("{0} = {0}", inout(reg) bucket, options(pure, nomem, nostack, preserves_flags)) };
    bucket
}

/// The exponent of the greatest power of two that a number, which is not 0, is not below. eBPF has no instruction that
/// counts zeros; the compiler makes a long sequence of multiplications of one, and two branches for each half of a
/// search.
#[inline(always)]
fn log2(mut value: u64) -> u64 {
    let mut exponent = 0u64;
    macro_rules! halves {
        ($($bits:literal)+) => {
            $(
                // SAFETY: it works on these three registers.
                unsafe {
                    asm!(
                        "{half} = {value}",
                        "{half} >>= {bits}",
                        "if {half} == 0 goto +2",
                        "{value} = {half}",
                        "{exponent} += {bits}",
                        half = out(reg) _,
                        value = inout(reg) value,
                        exponent = inout(reg) exponent,
                        bits = const $bits,
                        options(pure, nomem, nostack),
                    );
                };
            )+
        };
    }
    halves!(32 16 8 4 2 1);
    let _ = value;
    exponent
}

/// Counts in a bucket of a row; false if there is no room for the bucket.
#[inline(always)]
fn place<const INDEX: usize>(bucket: u32, row: &Row) -> bool {
    // The overflow row has its buckets from the start, for it must always be able to count.
    let id = if row.id < DIRECT_ROWS {
        row.id * plan!(direct_buckets) + plan!(measures[INDEX].first_bucket) + bucket
    } else {
        let Some(buckets) = maps::buckets(row.generation) else { return false };
        let key = bucket_key(row.id, plan!(measures[INDEX].histogram), bucket);
        match find(buckets, &key) {
            Some(id) => id,
            None => dictionary::admit_bucket(buckets, &key, row.generation),
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
