//! The kernel as one of the two runtimes.

use nonna_bpf::{MapIdx, ProgramIdx};
use nonna_verifier::{MapDelta, MapEntry, Runtime, Verified};

use crate::attach::Attached;
use crate::error::Error;
use crate::kernel::Kernel;
use crate::load::LoadError;
use crate::map::KernelMap;

impl Runtime for Kernel {
    type Attached = Attached;
    type Error = LoadError;

    fn attach(&self, verified: &Verified) -> Result<Attached, LoadError> {
        Ok(self.load(verified)?.attach_all(self)?)
    }
}

impl nonna_verifier::Attached for Attached {
    type Error = LoadError;

    fn map_lookup(&self, map: MapIdx, key: &[u8]) -> Result<Option<Vec<u8>>, LoadError> {
        Ok(self.loaded().map(map).get(key)?)
    }

    fn map_entries(&self, map: MapIdx) -> Result<Vec<MapEntry>, LoadError> {
        let entries = self.loaded().map(map).entries()?;
        Ok(entries.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect())
    }

    fn map_apply(&self, map: MapIdx, delta: &MapDelta) -> Result<(), LoadError> {
        Ok(self.loaded().map(map).apply(delta)?)
    }

    fn run_once(&self, program: ProgramIdx) -> Result<u32, LoadError> {
        Ok(self.loaded().program(program).run_once()?)
    }
}

impl KernelMap {
    /// Changes the map's contents: stores first, so that an entry that moves between keys is never missing, then removes.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] where a key or value does not fit; what the kernel says otherwise, with what came before stored.
    pub fn apply(&self, delta: &MapDelta) -> Result<(), Error> {
        let keys = delta.upserts.iter().flat_map(|(key, _)| key).copied().collect::<Vec<u8>>();
        let values = delta.upserts.iter().flat_map(|(_, value)| value).copied().collect::<Vec<u8>>();
        for (key, value) in &delta.upserts {
            self.check(key.len(), Some(value.len()))?;
        }
        for key in &delta.removals {
            self.check(key.len(), None)?;
        }
        self.update_many(&keys, &values)?;
        self.delete_many(&delta.removals.concat()).map(drop)
    }
}
