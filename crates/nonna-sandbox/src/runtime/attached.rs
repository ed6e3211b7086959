//! The sandbox as one of the two runtimes.
//!
//! Nothing calls the programs of an attached object by itself: no hook exists here. Its maps are read and changed, and its programs
//! run on demand, as whoever drives the kernel's runtime does it.

use std::cell::RefCell;

use nonna_bpf::{MapIdx, ProgramIdx};
use nonna_verifier::{MapDelta, MapEntry, Runtime, Verified};

use super::{LoadError, Loaded, RunError, Sandbox};
use crate::context::{Input, Word};
use crate::host::{Host, NoHelpers};
use crate::maps::{MapError, MapHandle, Maps, UpdateMode};

/// Arguments that a program may look at (`MAX_BPF_FUNC_ARGS`).
const ARGUMENTS_MAX: usize = 12;

/// Why the sandbox could not do what a runtime does.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The object cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A program did not come to its end.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A map refused.
    #[error("map {}: {source}", .map.0)]
    Map {
        /// Which.
        map: MapIdx,
        /// Why.
        source: MapError,
    },
}

/// An object in the sandbox, with the host that its programs see.
pub struct Attached {
    loaded: RefCell<Loaded>,
    host: RefCell<Box<dyn Host>>,
}

impl std::fmt::Debug for Attached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attached").field("loaded", &self.loaded).finish_non_exhaustive()
    }
}

impl Attached {
    /// An object, and the host that its programs see.
    pub fn new(loaded: Loaded, host: Box<dyn Host>) -> Attached {
        Attached { loaded: RefCell::new(loaded), host: RefCell::new(host) }
    }

    /// The object back, for running its programs on contexts.
    pub fn into_loaded(self) -> Loaded {
        self.loaded.into_inner()
    }

    fn with_map<T>(
        &self,
        map: MapIdx,
        body: impl FnOnce(&mut Maps, MapHandle) -> Result<T, MapError>,
    ) -> Result<T, RuntimeError> {
        let mut loaded = self.loaded.borrow_mut();
        let (maps, handles) = loaded.maps();
        let handle = handles.get(map.0 as usize).copied();
        let done = handle.ok_or(MapError::NoMap).and_then(|handle| body(maps, handle));
        done.map_err(|source| RuntimeError::Map { map, source })
    }
}

impl Runtime for Sandbox {
    type Attached = Attached;
    type Error = RuntimeError;

    fn attach(&self, verified: &Verified) -> Result<Attached, RuntimeError> {
        Ok(Attached::new(self.load(verified)?, Box::new(NoHelpers)))
    }
}

impl nonna_verifier::Attached for Attached {
    type Error = RuntimeError;

    fn map_lookup(&self, map: MapIdx, key: &[u8]) -> Result<Option<Vec<u8>>, RuntimeError> {
        self.with_map(map, |maps, handle| maps.lookup(handle, key))
    }

    fn map_entries(&self, map: MapIdx) -> Result<Vec<MapEntry>, RuntimeError> {
        self.with_map(map, |maps, handle| maps.entries(handle))
    }

    /// Stores first, so that an entry that moves between keys is never missing, then removes.
    fn map_apply(&self, map: MapIdx, delta: &MapDelta) -> Result<(), RuntimeError> {
        self.with_map(map, |maps, handle| {
            for (key, value) in &delta.upserts {
                maps.update(handle, key, value, UpdateMode::Any)?;
            }
            for key in &delta.removals {
                match maps.delete(handle, key) {
                    Ok(()) | Err(MapError::Absent) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        })
    }

    fn run_once(&self, program: ProgramIdx) -> Result<u32, RuntimeError> {
        let mut loaded = self.loaded.borrow_mut();
        let attach_type = loaded.object().programs[program.0 as usize].attach_type;
        let arguments = vec![Word::Number(0); ARGUMENTS_MAX];
        let input = Input { attach_type, arguments, ..Input::default() };
        let outcome = loaded.run(program, &input, self.host.borrow_mut().as_mut())?;
        Ok(outcome.result as u32)
    }
}
