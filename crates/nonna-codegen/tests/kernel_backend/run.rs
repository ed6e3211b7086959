//! Loads objects into the running kernel and looks at what they left.

use nonna_bpf::{IsaLevel, Object, Target};
use nonna_kernel::{Kernel, KernelMap, Loaded};

use crate::kit;

/// The running kernel's types and its instruction set.
pub fn target() -> Target {
    Target { isa: Kernel::new().target(&[]).expect("Linux with BTF").isa, ..kit::target() }
}

/// Whether the kernel takes the newest instructions.
pub fn has_newest_instructions() -> Result<(), String> {
    match target().isa {
        IsaLevel::V4 => Ok(()),
        older => Err(format!("{older:?}")),
    }
}

/// Loads an object, or says why not.
pub fn try_load(object: &Object) -> Result<Loaded, String> {
    let text = || kit::print(object);
    let verified = nonna_verifier::verify_structure(object.clone())
        .map_err(|refused| format!("{refused:?}\n{}", text()))?;
    Kernel::new().load(&verified).map_err(|error| format!("{error:?}\n{}", text()))
}

/// Loads an object.
pub fn load(object: &Object) -> Loaded {
    match try_load(object) {
        Ok(loaded) => loaded,
        Err(why) => panic!("{why}"),
    }
}

/// A map by name.
pub fn map<'l>(loaded: &'l Loaded, name: &str) -> &'l KernelMap {
    loaded.maps().iter().find(|map| map.name() == name).expect("the map is there")
}

/// The words of a map's value; of a per-CPU map, those of every processor one after the other.
pub fn words(loaded: &Loaded, name: &str, key: u32) -> Vec<u64> {
    let value = map(loaded, name).get(&key.to_ne_bytes()).expect("it can be read").expect("the key is there");
    value.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().expect("eight bytes"))).collect()
}
