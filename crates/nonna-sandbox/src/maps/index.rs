//! Which slot a key has: an open-addressing table under a hash with a random seed, since attackers choose keys.
//!
//! Keys of up to 8 bytes stand in the table themselves, so that finding one touches one cache line; of longer keys it holds
//! 64 bits of hash, and the owner compares the rest. It grows with what it holds, and deleting leaves no gaps behind.

use std::hash::{BuildHasher, RandomState};

use crate::memory::Area;

/// No slot.
pub(crate) const EMPTY: u32 = u32::MAX;
/// Places of the smallest table.
const MIN_PLACES: usize = 8;

/// A place in the table, as machine code finds it too.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct Entry {
    /// The key, if it fits; else its hash.
    pub(crate) tag: u64,
    /// [`EMPTY`] where nothing is.
    pub(crate) slot: u32,
}

/// Tags and their slots.
#[derive(Debug)]
pub(super) struct Index {
    /// A power of two of them, at most half in use.
    entries: Box<[Entry]>,
    n_used: usize,
    seeds: [u64; 2],
    /// Whether tags are keys.
    tags_are_keys: bool,
    /// Where the entries are, and their number less one: two numbers that stay where they are while the entries move.
    head: Area,
}

impl Index {
    /// An empty one, for keys of this size. `None` where there is no room.
    pub(super) fn new(key_bytes: usize) -> Option<Index> {
        let random = RandomState::new();
        let mut index = Index {
            entries: vec![Entry { tag: 0, slot: EMPTY }; MIN_PLACES].into(),
            n_used: 0,
            seeds: [random.hash_one(0), random.hash_one(1) | 1],
            tags_are_keys: key_bytes <= 8,
            head: Area::new(1, 16)?,
        };
        index.write_head();
        Some(index)
    }

    fn write_head(&mut self) {
        self.head.write(0, &(self.entries.as_ptr().expose_provenance() as u64).to_ne_bytes());
        self.head.write(8, &(self.entries.len() as u64 - 1).to_ne_bytes());
    }

    /// For machine code: where the head lies, and the seeds. The place of a key is the two halves, exclusive-ored, of the product of the
    /// second seed and of the key exclusive-ored with the first; from there on, places are looked at until an empty one.
    pub(super) fn for_machine_code(&self) -> (u64, [u64; 2]) {
        (self.head.address(0), self.seeds)
    }

    /// What stands for a key in the table.
    #[inline]
    pub(super) fn tag(&self, key: &[u8]) -> u64 {
        if self.tags_are_keys { number(key) } else { self.hash(key) }
    }

    /// A keyed hash: each step multiplies to 128 bits and folds them.
    fn hash(&self, key: &[u8]) -> u64 {
        let mut state = self.seeds[0] ^ key.len() as u64;
        for chunk in key.chunks(8) {
            state = fold(state ^ number(chunk), self.seeds[1]).wrapping_add(self.seeds[0]);
        }
        state
    }

    #[inline(always)]
    fn place(&self, tag: u64) -> usize {
        let hash = if self.tags_are_keys { fold(tag ^ self.seeds[0], self.seeds[1]) } else { tag };
        hash as usize & (self.entries.len() - 1)
    }

    /// The slot of a tag, of which `is_it` says whether the key is the right one.
    #[inline(always)]
    pub(super) fn find(&self, tag: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.entries.len() - 1;
        let mut at = self.place(tag);
        loop {
            let entry = self.entries[at & mask];
            if entry.slot == EMPTY {
                return None;
            }
            if entry.tag == tag && is_it(entry.slot) {
                return Some(entry.slot);
            }
            at += 1;
        }
    }

    /// Adds a slot; the key must not be there.
    pub(super) fn insert(&mut self, tag: u64, slot: u32) {
        if (self.n_used + 1) * 2 > self.entries.len() {
            let twice = vec![Entry { tag: 0, slot: EMPTY }; self.entries.len() * 2].into();
            let old = std::mem::replace(&mut self.entries, twice);
            for entry in old.iter().filter(|entry| entry.slot != EMPTY) {
                self.put(*entry);
            }
            self.write_head();
        }
        self.put(Entry { tag, slot });
        self.n_used += 1;
    }

    fn put(&mut self, entry: Entry) {
        let mask = self.entries.len() - 1;
        let mut at = self.place(entry.tag);
        while self.entries[at].slot != EMPTY {
            at = (at + 1) & mask;
        }
        self.entries[at] = entry;
    }

    /// Another slot for a key that is there.
    pub(super) fn replace(&mut self, tag: u64, old: u32, new: u32) {
        if let Some(at) = self.position(tag, old) {
            self.entries[at].slot = new;
        }
    }

    /// Removes a slot that is there.
    pub(super) fn remove(&mut self, tag: u64, slot: u32) {
        let Some(mut gap) = self.position(tag, slot) else { return };
        self.n_used -= 1;
        let mask = self.entries.len() - 1;
        let mut at = gap;
        loop {
            at = (at + 1) & mask;
            let entry = self.entries[at];
            if entry.slot == EMPTY {
                break;
            }
            // An entry may move into the gap if the gap is no further from its place than it is.
            let (home, distance) =
                (self.place(entry.tag), |to: usize, from: usize| to.wrapping_sub(from) & mask);
            if distance(at, home) >= distance(at, gap) {
                self.entries[gap] = entry;
                gap = at;
            }
        }
        self.entries[gap].slot = EMPTY;
    }

    fn position(&self, tag: u64, slot: u32) -> Option<usize> {
        let mask = self.entries.len() - 1;
        let mut at = self.place(tag);
        while self.entries[at].slot != EMPTY {
            if self.entries[at].slot == slot {
                return Some(at);
            }
            at = (at + 1) & mask;
        }
        None
    }
}

/// Up to 8 bytes as a number.
#[inline]
fn number(bytes: &[u8]) -> u64 {
    match *bytes {
        [a, b, c, d] => u64::from(u32::from_le_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        _ => bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)),
    }
}

#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_a_map_holds(steps in prop::collection::vec((any::<bool>(), 0u32..60), 0..300)) {
            for key_bytes in [4usize, 12] {
                let mut index = Index::new(key_bytes).unwrap();
                let mut model: BTreeMap<u32, u32> = BTreeMap::new();
                let tag = |index: &Index, key: u32| index.tag(&[&key.to_le_bytes()[..], &[7; 8]].concat()[..key_bytes]);
                for (slot, (insert, key)) in (0u32..).zip(&steps) {
                    let there = model.get(key).copied();
                    prop_assert_eq!(index.find(tag(&index, *key), |slot| Some(slot) == there), there);
                    let tag = tag(&index, *key);
                    match (insert, there) {
                        (true, None) => index.insert(tag, slot),
                        (true, Some(old)) => index.replace(tag, old, slot),
                        (false, Some(old)) => index.remove(tag, old),
                        (false, None) => {}
                    }
                    if *insert { model.insert(*key, slot) } else { model.remove(key) };
                }
                for (key, slot) in &model {
                    prop_assert_eq!(index.find(tag(&index, *key), |found| found == *slot), Some(*slot));
                }
                prop_assert_eq!(index.n_used, model.len());
            }
        }
    }
}
