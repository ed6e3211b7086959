//! The traits that the kernel and the sandbox share, and the change of a map.

use nonna_bpf::{MapIdx, ProgramIdx};

use crate::verified::Verified;

/// The bytes of a key and of its value.
pub type MapEntry = (Vec<u8>, Vec<u8>);

/// A desired change of one map's contents: the only lane that goes back down the street.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MapDelta {
    /// Keys and values to store.
    pub upserts: Vec<MapEntry>,
    /// Keys to remove; a key that is not there is no error.
    pub removals: Vec<Vec<u8>>,
}

impl MapDelta {
    /// What turns `current` into `desired`.
    pub fn between(
        current: &std::collections::BTreeMap<Vec<u8>, Vec<u8>>,
        desired: &std::collections::BTreeMap<Vec<u8>, Vec<u8>>,
    ) -> Self {
        let changed = desired.iter().filter(|(key, value)| current.get(*key) != Some(value));
        let gone = current.keys().filter(|key| !desired.contains_key(*key));
        Self {
            upserts: changed.map(|(key, value)| (key.clone(), value.clone())).collect(),
            removals: gone.cloned().collect(),
        }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.upserts.is_empty() && self.removals.is_empty()
    }
}

/// Runs verified objects: the kernel, or the sandbox.
pub trait Runtime {
    /// What runs.
    type Attached: Attached<Error = Self::Error>;
    /// What can go wrong.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Loads an object's maps and programs and attaches every program to its hook.
    ///
    /// # Errors
    ///
    /// Where the runtime refuses; nothing stays loaded then.
    fn attach(&self, verified: &Verified) -> Result<Self::Attached, Self::Error>;
}

/// A running object. Dropping it detaches.
pub trait Attached {
    /// What can go wrong.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The value of a key, or `None`; per-CPU maps give the values of all processors one after the other, each
    /// padded to 8 bytes.
    ///
    /// # Errors
    ///
    /// Where the map cannot be read.
    fn map_lookup(&self, map: MapIdx, key: &[u8]) -> Result<Option<Vec<u8>>, Self::Error>;

    /// All keys and values, in no order.
    ///
    /// # Errors
    ///
    /// Where the map cannot be read.
    fn map_entries(&self, map: MapIdx) -> Result<Vec<MapEntry>, Self::Error>;

    /// Changes a map.
    ///
    /// # Errors
    ///
    /// Where an entry cannot be stored; what came before it is stored.
    fn map_apply(&self, map: MapIdx, delta: &MapDelta) -> Result<(), Self::Error>;

    /// Runs a program once without its hook, for `BEGIN` and `END`; returns what it returned.
    ///
    /// # Errors
    ///
    /// Where the runtime cannot run this type of program on demand.
    fn run_once(&self, program: ProgramIdx) -> Result<u32, Self::Error>;
}

#[cfg(test)]
mod tests {
    use super::MapDelta;
    use std::collections::BTreeMap;

    #[test]
    fn a_delta_holds_only_what_differs() {
        let current = BTreeMap::from([(vec![1], vec![1]), (vec![2], vec![2]), (vec![3], vec![3])]);
        let desired = BTreeMap::from([(vec![1], vec![1]), (vec![2], vec![9]), (vec![4], vec![4])]);
        let delta = MapDelta::between(&current, &desired);
        assert_eq!(delta.upserts, [(vec![2], vec![9]), (vec![4], vec![4])]);
        assert_eq!(delta.removals, [vec![3]]);
        assert!(MapDelta::between(&desired, &desired).is_empty());
    }
}
