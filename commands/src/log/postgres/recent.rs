//! A bounded memory of what was used last.

use std::{collections::HashMap, hash::Hash};

/// A map that forgets what has not been touched for a while: when the young generation is full it becomes the old
/// one, and the old one is dropped. Holds at most two generations.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    generation: usize,
}

impl<K: Eq + Hash + Clone, V: Clone> Recent<K, V> {
    /// A memory of `generation` to twice as many entries.
    pub(super) fn new(generation: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), generation }
    }

    /// What is remembered of `key`; it stays remembered.
    pub(super) fn get(&mut self, key: &K) -> Option<V> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let (key, value) = self.old.remove_entry(key)?;
        self.insert(key, value.clone());
        Some(value)
    }

    /// What is remembered of `key`.
    pub(super) fn peek(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// Remembers.
    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.generation {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    /// Forgets.
    pub(super) fn forget(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::Recent;

    #[test]
    fn what_is_used_stays_and_the_rest_goes() {
        let mut recent = Recent::new(2);
        recent.insert("kept", 1);
        for other in ["a", "b", "c", "d", "e"] {
            recent.insert(other, 0);
            assert_eq!(recent.get(&"kept"), Some(1));
        }
        assert_eq!(recent.get(&"a"), None);
        assert!(recent.young.len() + recent.old.len() <= 4);
    }

    #[test]
    fn the_newest_value_counts() {
        let mut recent = Recent::new(1);
        recent.insert("x", 1);
        recent.insert("y", 1);
        recent.insert("x", 2);
        assert_eq!(recent.get(&"x"), Some(2));
        recent.forget(&"x");
        assert_eq!(recent.peek(&"x"), None);
    }
}
