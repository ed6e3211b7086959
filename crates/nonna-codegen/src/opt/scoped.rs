//! A map whose entries last as long as the block that made them dominates what is looked at.

use std::hash::Hash;

use rustc_hash::{FxBuildHasher, FxHashMap};

/// A map that can be set back to what it was.
pub(super) struct ScopedMap<K, V> {
    entries: FxHashMap<K, V>,
    /// What each insertion replaced, in order.
    replaced: Vec<(K, Option<V>)>,
}

impl<K: Hash + Eq + Clone, V: Copy> ScopedMap<K, V> {
    /// An empty map with room for this many entries.
    pub(super) fn with_capacity(n: usize) -> Self {
        let entries = FxHashMap::with_capacity_and_hasher(n, FxBuildHasher);
        Self { entries, replaced: Vec::with_capacity(n) }
    }

    pub(super) fn get(&self, key: &K) -> Option<V> {
        self.entries.get(key).copied()
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        let before = self.entries.insert(key.clone(), value);
        self.replaced.push((key, before));
    }

    /// The state to come back to.
    pub(super) fn mark(&self) -> usize {
        self.replaced.len()
    }

    /// Forgets what was inserted since the mark.
    pub(super) fn reset(&mut self, mark: usize) {
        while self.replaced.len() > mark
            && let Some((key, before)) = self.replaced.pop()
        {
            match before {
                Some(value) => self.entries.insert(key, value),
                None => self.entries.remove(&key),
            };
        }
    }
}
