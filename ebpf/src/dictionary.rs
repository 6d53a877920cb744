//! Dense ids for keys and for buckets, given out by the programs themselves.

use core::sync::atomic::AtomicU64;

use weir_abi::{KEY_WORDS, pack_spare};

use crate::atomic;
use crate::maps::{self, AnyMap, Inserted};
use crate::plan::plan;
use crate::stack::{self, Stacks};

/// Gives a new key a row; 0 if there is none left. Out of line: it runs once for each key, and its registers are
/// not the hot path's.
#[inline(never)]
pub fn admit_row(key: *const u64, stacks: Stacks, generation: u32) -> u32 {
    let next = &maps::control().next_row[generation as usize & 1];
    let Some(spare) = maps::spare(0) else { return 0 };
    let id = take_id(spare, next, generation, 1 << (plan!(capacity_shift) & 31));
    if id == 0 {
        return 0;
    }
    let place = maps::of_generation(generation, id);
    let Some(stored) = maps::key(place) else { return 0 };
    macro_rules! store {
        ($($index:literal)+) => {
            $(if plan!(key_words) > $index {
                // SAFETY: a stored key has the plan's words, as the one on the stack has.
                unsafe { stored.as_ptr().add($index).write_volatile(key.add($index).read()) };
            })+
        };
    }
    store!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    stack::keep(stacks, place);
    // Looked up again, for a function's stack is short where another one has called it.
    let Some(rows) = maps::rows(generation) else { return 0 };
    insert(rows, key, id, spare, generation)
}

/// Gives a new bucket a cell; 0 if there is none left.
#[inline(never)]
pub fn admit_bucket(buckets: AnyMap, key: *const u64, generation: u32) -> u32 {
    let next = &maps::control().next_bucket[generation as usize & 1];
    let Some(spare) = maps::spare(1) else { return 0 };
    let shift = plan!(bucket_shift) & 31;
    let id = take_id(spare, next, generation, 1 << shift);
    if id == 0 {
        return 0;
    }
    let Some(stored) = maps::bucket_key((generation & 1) << shift | id) else { return 0 };
    // SAFETY: the verifier checked that both are there.
    unsafe { stored.as_ptr().write_volatile(key.read()) };
    insert(buckets, key, id, spare, generation)
}

/// Enters an id whose key is stored. The id that the key has after that: another CPU may have been faster, and
/// then the id is put aside.
#[inline(always)]
fn insert<K>(map: AnyMap, key: *const K, id: u32, spare: &AtomicU64, generation: u32) -> u32 {
    let inserted = map.insert(key, &id);
    if inserted == Inserted::New {
        return id;
    }
    atomic::store(spare, pack_spare(generation, id));
    if inserted == Inserted::Exists { find(map, key).unwrap_or(0) } else { 0 }
}

/// The id of a key.
#[inline(always)]
pub fn find<K>(map: AnyMap, key: *const K) -> Option<u32> {
    // SAFETY: the verifier checked that the value is there.
    map.get::<u32, _>(key).map(|id| unsafe { id.as_ptr().read_volatile() })
}

/// A spare id of this generation, or the next one; 0 if there is none.
#[inline(always)]
fn take_id(spare: &AtomicU64, next: &AtomicU64, generation: u32, capacity: u64) -> u32 {
    if (atomic::load(spare) >> 32) as u32 == generation {
        // Exchanged, so that a program which interrupts this one cannot take the same id.
        let found = atomic::swap(spare, 0);
        if (found >> 32) as u32 == generation && found as u32 != 0 {
            return found as u32;
        }
    }
    // Looked at first, so that a full table does not count on for ever.
    if atomic::load(next) >= capacity {
        return 0;
    }
    let id = atomic::fetch_add(next, 1);
    if id >= capacity { 0 } else { id as u32 }
}

const _: () = assert!(KEY_WORDS == 16, "admit_row stores so many words");
