//! Typed indexes and the arenas they index.
//!
//! Every reference inside a module is a small number with its own type, so that a block can never be taken for a
//! value and a module can be copied, printed and compared.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

/// A typed index.
pub trait Entity: Copy + Eq {
    /// The index `idx`.
    fn from_idx(idx: usize) -> Self;
    /// Its number.
    fn idx(self) -> usize;
}

macro_rules! entities {
    ($($(#[$doc:meta])* $name:ident, $prefix:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(u32);

        impl Entity for $name {
            fn from_idx(idx: usize) -> Self {
                $name(u32::try_from(idx).expect("a module has fewer than 2^32 entities"))
            }
            fn idx(self) -> usize {
                self.0 as usize
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    )+};
}

entities! {
    /// A function of a module.
    FuncId, "func";
    /// A map of a module.
    MapId, "map";
    /// Global data of a module.
    DataId, "data";
    /// An event schema of a module.
    EventId, "event";
    /// A basic block of a function.
    Block, "block";
    /// An SSA value of a function.
    Value, "v";
    /// An instruction of a function.
    InstId, "inst";
    /// A piece of private memory of a function.
    Slot, "slot";
}

/// A vector indexed by an entity.
#[derive(Clone, PartialEq, Eq)]
pub struct Arena<K, V> {
    items: Vec<V>,
    key: PhantomData<K>,
}

impl<K: Entity, V> Arena<K, V> {
    /// An empty arena.
    pub const fn new() -> Self {
        Self { items: Vec::new(), key: PhantomData }
    }

    /// Appends an item and returns its index.
    pub fn push(&mut self, item: V) -> K {
        self.items.push(item);
        K::from_idx(self.items.len() - 1)
    }

    /// The item, if the index is of this arena.
    pub fn get(&self, key: K) -> Option<&V> {
        self.items.get(key.idx())
    }

    /// Drops the items behind the first `len`.
    pub fn truncate(&mut self, len: usize) {
        self.items.truncate(len);
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are no items.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Indexes in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = K> + ExactSizeIterator + use<K, V> {
        (0..self.items.len()).map(K::from_idx)
    }

    /// Indexes and items in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (K, &V)> {
        self.items.iter().enumerate().map(|(i, v)| (K::from_idx(i), v))
    }

    /// Items in order.
    pub fn values(&self) -> std::slice::Iter<'_, V> {
        self.items.iter()
    }

    /// Items in order, to change.
    pub fn values_mut(&mut self) -> std::slice::IterMut<'_, V> {
        self.items.iter_mut()
    }
}

impl<K: Entity, V> Default for Arena<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Entity, V> Index<K> for Arena<K, V> {
    type Output = V;
    fn index(&self, key: K) -> &V {
        &self.items[key.idx()]
    }
}

impl<K: Entity, V> IndexMut<K> for Arena<K, V> {
    fn index_mut(&mut self, key: K) -> &mut V {
        &mut self.items[key.idx()]
    }
}

impl<K: Entity + fmt::Debug, V: fmt::Debug> fmt::Debug for Arena<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
