//! From an object to maps and programs in the kernel.
//!
//! Maps are made, relocations filled in with their descriptors and with ids from the running kernel's BTF, and programs loaded. What
//! the kernel's verifier says of a program it refuses is turned back into the user's source. Attaching comes
//! later, and nothing here changes what a program does.

mod error;
mod explain;
mod judge;
mod object_btf;
mod program;
mod refused;
mod resolve;

use nonna_bpf::{MapIdx, MapSlot, Object, ProgramIdx, SlotTarget};
use nonna_verifier::Verified;

pub use error::LoadError;
pub use program::KernelProgram;
pub use refused::Refused;

use crate::kernel::Kernel;
use crate::map::{KernelMap, create_maps};

/// An object's maps and programs in the kernel, attached to nothing. Dropping it frees what is not attached or pinned.
#[derive(Debug)]
pub struct Loaded {
    maps: Vec<KernelMap>,
    programs: Vec<KernelProgram>,
}

impl Loaded {
    /// The map at this index of the object.
    ///
    /// # Panics
    ///
    /// If the index is not one of this object's.
    pub fn map(&self, MapIdx(idx): MapIdx) -> &KernelMap {
        &self.maps[idx as usize]
    }

    /// All maps, in the object's order.
    pub fn maps(&self) -> &[KernelMap] {
        &self.maps
    }

    /// The program at this index of the object.
    ///
    /// # Panics
    ///
    /// If the index is not one of this object's.
    pub fn program(&self, ProgramIdx(idx): ProgramIdx) -> &KernelProgram {
        &self.programs[idx as usize]
    }

    /// All programs, in the object's order.
    pub fn programs(&self) -> &[KernelProgram] {
        &self.programs
    }
}

impl Loaded {
    /// Puts maps into maps of maps and programs into program arrays, where the object says so.
    fn fill_slots(&self, object: &Object) -> Result<(), LoadError> {
        for (made, map) in self.maps.iter().zip(&object.maps) {
            for MapSlot { key, target } in &map.extra.slots {
                let (key, absent) = (key.to_ne_bytes(), || LoadError::Slot { map: map.name.clone() });
                match target {
                    SlotTarget::Map(MapIdx(inner)) => {
                        made.update_inner(&key, self.maps.get(*inner as usize).ok_or_else(absent)?)?;
                    }
                    SlotTarget::Program(ProgramIdx(program)) => {
                        made.update_program(&key, self.programs.get(*program as usize).ok_or_else(absent)?)?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Kernel {
    /// Loads a verified object: one that is proved, or one of sound structure whose proof is left to the kernel.
    ///
    /// # Errors
    ///
    /// [`LoadError::Refused`] where the kernel's verifier refuses a program, [`LoadError::NotPermitted`] where the kernel gives no
    /// verdict at all, and the other variants for what is missing in the object or in the kernel.
    pub fn load(&self, verified: &Verified) -> Result<Loaded, LoadError> {
        self.load_object(verified.object())
    }

    fn load_object(&self, object: &Object) -> Result<Loaded, LoadError> {
        let btf = object_btf::load(&object.btf)?;
        let btf = btf.as_ref().map(std::os::fd::AsFd::as_fd);
        let maps = create_maps(self, &object.maps, btf)?;
        let mut resolver = resolve::Resolver::new(self, &maps);
        resolver.look_up(object)?;
        let programs = object
            .programs
            .iter()
            .map(|program| program::load(object, program, btf, &resolver, program::LOG_BYTES_MAX))
            .collect::<Result<_, _>>()?;
        let loaded = Loaded { maps, programs };
        loaded.fill_slots(object)?;
        Ok(loaded)
    }
}
