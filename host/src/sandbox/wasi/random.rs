//! Numbers that nobody can guess who does not know the interval, and that are the same whenever it is replayed: SHA-256
//! of a seed and a counter. They are no secrets.

use sha2::{Digest, Sha256};

use crate::sandbox::wire::IntervalOrder;

type Block = [u8; 32];

#[derive(Debug)]
pub(super) struct Random {
    seed: Block,
    /// How many blocks were used.
    blocks: u64,
}

impl Random {
    /// From what a recording has: the interval, and the names of the tables that were granted.
    pub(super) fn seeded(interval: &IntervalOrder, tables: &[String]) -> Self {
        let mut seed = Sha256::new();
        seed.update(b"weir wasi random\n");
        seed.update(interval.number.to_le_bytes());
        seed.update(interval.began_seconds.to_le_bytes());
        seed.update(interval.began_nanoseconds.to_le_bytes());
        for table in tables {
            // With its length, so that no two lists of names are the same bytes.
            seed.update((table.len() as u64).to_le_bytes());
            seed.update(table);
        }
        Self { seed: seed.finalize().into(), blocks: 0 }
    }

    fn block(&mut self) -> Block {
        let mut block = Sha256::new();
        block.update(self.seed);
        block.update(self.blocks.to_le_bytes());
        self.blocks = self.blocks.wrapping_add(1);
        block.finalize().into()
    }

    pub(super) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        for part in bytes.chunks_mut(size_of::<Block>()) {
            part.copy_from_slice(&self.block()[..part.len()]);
        }
        bytes
    }

    pub(super) fn number(&mut self) -> u64 {
        self.block().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(number: u64, began_nanoseconds: u32, tables: &[&str]) -> Random {
        let interval = IntervalOrder { number, began_nanoseconds, ..IntervalOrder::default() };
        Random::seeded(&interval, &tables.iter().map(|&table| table.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn the_same_interval_gives_the_same_bytes_and_no_other_does() {
        let bytes = |number, began, tables: &[&str]| random(number, began, tables).bytes(100);
        let first = bytes(1, 2, &["ab", "c"]);
        assert_eq!(first, bytes(1, 2, &["ab", "c"]));
        for other in [bytes(2, 2, &["ab", "c"]), bytes(1, 3, &["ab", "c"]), bytes(1, 2, &["a", "bc"])] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn no_bytes_come_twice() {
        let mut random = random(0, 0, &[]);
        let (a, b) = (random.bytes(64), random.bytes(33));
        assert_eq!((a.len(), b.len(), random.bytes(0).len()), (64, 33, 0));
        assert_ne!(a[..32], a[32..]);
        assert_ne!(a[..32], b[..32]);
        assert_ne!(random.number(), random.number());
    }
}
