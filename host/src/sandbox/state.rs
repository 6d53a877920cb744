//! What a plugin keeps between its calls.

use std::collections::BTreeMap;

use super::limits::{NAME_BYTES, STATE_BYTES, STATE_KEYS};
use super::wit::Failure;

/// Keys and values, no more than a few kilobytes. A call works on a copy, which is kept if the call goes well.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct State {
    values: BTreeMap<String, Vec<u8>>,
    bytes: usize,
}

impl State {
    pub(super) fn load(&self, key: &str) -> Option<Vec<u8>> {
        self.values.get(key).cloned()
    }

    pub(super) fn store(&mut self, key: String, value: Vec<u8>) -> Result<(), Failure> {
        if key.len() > NAME_BYTES {
            return Err(Failure::new("too-large", format!("a key has no more than {NAME_BYTES} bytes")));
        }
        let (before, keys) = match self.values.get(&key) {
            Some(old) => (key.len() + old.len(), self.values.len()),
            None => (0, self.values.len() + 1),
        };
        let bytes = self.bytes - before + key.len() + value.len();
        if bytes > STATE_BYTES || keys > STATE_KEYS {
            let message = format!("the state has no more than {STATE_BYTES} bytes and {STATE_KEYS} keys");
            return Err(Failure::new("too-large", message));
        }
        self.bytes = bytes;
        self.values.insert(key, value);
        Ok(())
    }

    pub(super) fn remove(&mut self, key: &str) {
        if let Some(old) = self.values.remove(key) {
            self.bytes -= key.len() + old.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_removed_or_replaced_makes_room() {
        let mut state = State::default();
        let half = vec![1; STATE_BYTES / 2];
        state.store("a".to_owned(), half.clone()).unwrap();
        assert_eq!(state.store("b".to_owned(), half.clone()).unwrap_err().reason, "too-large");
        state.store("a".to_owned(), vec![1; STATE_BYTES - 1]).unwrap();
        state.remove("a");
        state.remove("a");
        assert_eq!(state, State::default());
        state.store("b".to_owned(), half.clone()).unwrap();
        assert_eq!(state.load("b"), Some(half));
        assert_eq!(state.load("a"), None);
    }

    #[test]
    fn keys_are_counted() {
        let mut state = State::default();
        let failed = (0..=STATE_KEYS).find_map(|key| state.store(key.to_string(), Vec::new()).err());
        assert_eq!(failed.unwrap().reason, "too-large");
    }
}
