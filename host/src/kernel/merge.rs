//! Merging a closed bank: one value for each word of each row, from all shards, which are zeroed on the way.
//!
//! No program writes a closed bank, so each word is loaded and zeroed as it stands.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use super::plan::Law;

/// Merges `shards` shards of `1 << shift` cells each, of which the first `used` can hold something. What is
/// returned has `used` cells; a row exists if its word 0 is above 0.
pub(super) fn drain(bank: &[AtomicU64], shards: usize, shift: u32, used: usize, laws: &[Law]) -> Vec<u64> {
    let words = laws.len();
    let mut merged = vec![0; used * words];
    for shard in bank.chunks_exact(words << shift).take(shards) {
        let cells = &shard[..used * words];
        if let [_] = laws {
            for (into, word) in merged.iter_mut().zip(cells) {
                *into += take(word);
            }
            continue;
        }
        for (into, cell) in merged.chunks_exact_mut(words).zip(cells.chunks_exact(words)) {
            // Word 0 counts the cell's events: without one, nothing else was written.
            if cell[0].load(Relaxed) == 0 {
                continue;
            }
            for ((into, word), law) in into.iter_mut().zip(cell).zip(laws) {
                *into = law.merge(*into, take(word));
            }
        }
    }
    merged
}

fn take(word: &AtomicU64) -> u64 {
    let value = word.load(Relaxed);
    if value != 0 {
        word.store(0, Relaxed);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LAWS: [Law; 3] = [Law::Add, Law::Add, Law::Max];

    proptest! {
        /// However events are spread over shards, the merged cells are those of one shard that saw them all,
        /// and the bank is left empty.
        #[test]
        fn merging_is_independent_of_the_shard(
            events in proptest::collection::vec((0usize..4, 0usize..8, any::<u64>()), 0..200)
        ) {
            let bank: Vec<AtomicU64> = (0..4 * 8 * 3).map(|_| AtomicU64::new(0)).collect();
            let mut expected = vec![0u64; 8 * 3];
            for (shard, id, value) in events {
                let cell = &bank[(shard * 8 + id) * 3..][..3];
                cell[0].fetch_add(1, Relaxed);
                cell[1].fetch_add(value, Relaxed);
                cell[2].fetch_max(value, Relaxed);
                let row = &mut expected[id * 3..][..3];
                row[0] += 1;
                row[1] = row[1].wrapping_add(value);
                row[2] = row[2].max(value);
            }
            prop_assert_eq!(drain(&bank, 4, 3, 8, &LAWS), expected);
            prop_assert!(bank.iter().all(|word| word.load(Relaxed) == 0));
        }
    }

    #[test]
    fn a_cell_of_one_word_is_a_count() {
        let bank: Vec<AtomicU64> = (0..8).map(AtomicU64::new).collect();
        assert_eq!(drain(&bank, 2, 2, 4, &[Law::Add]), [4, 6, 8, 10]);
        assert!(bank.iter().all(|word| word.load(Relaxed) == 0));
    }
}
