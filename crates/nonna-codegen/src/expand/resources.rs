//! Maps and data that expansions need, made on first use and shared by the whole module.

use nonna_bpf::{MapFlags, MapType};
use nonna_event::{DROPS_MAP_NAME, DropReason, Ring};
use nonna_ir::{DataDecl, DataId, FuncId, MapDecl, MapId, Module};

use super::Expander;

/// Name of the global variable that every record carries in its header; user space may set it before and after load.
const GENERATION_NAME: &str = "generation";

/// What was made so far.
#[derive(Default)]
pub struct Resources {
    critical_ring: Option<MapId>,
    volume_ring: Option<MapId>,
    generation: Option<DataId>,
    /// The subprogram that walks paths.
    pub path_walk: Option<FuncId>,
    /// The steps of searches for environment variables, by name.
    pub env_steps: Vec<(Vec<u8>, FuncId)>,
    /// Functions that the kernel proves by themselves.
    pub shared: Vec<Shared>,
}

/// A function that the kernel proves once by itself, whoever calls it (`BTF_FUNC_GLOBAL`). It takes nothing but memory, and
/// it tests the address against 0, since the kernel takes it for one that may be absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shared {
    /// The function.
    pub function: FuncId,
    /// Bytes of the memory that its first argument points to.
    pub memory_bytes: u32,
}

impl Expander<'_> {
    /// The ring buffer map.
    pub fn ring(&mut self, ring: Ring) -> MapId {
        let made = match ring {
            Ring::Critical => &mut self.resources.critical_ring,
            Ring::Volume => &mut self.resources.volume_ring,
        };
        *made.get_or_insert_with(|| {
            self.module.maps.push(MapDecl {
                name: ring.map_name().to_owned(),
                map_type: MapType::Ringbuf,
                key_bytes: 0,
                value_bytes: 0,
                max_entries: self.options.ring_bytes(ring),
                flags: MapFlags::empty(),
            })
        })
    }

    /// The variable that holds the generation of the programs.
    pub fn generation(&mut self) -> DataId {
        *self.resources.generation.get_or_insert_with(|| {
            self.module.data.push(DataDecl {
                name: GENERATION_NAME.to_owned(),
                bytes: vec![0; 4],
                align: 4,
                mutable: true,
            })
        })
    }
}

/// The counters of lost records; made where the module has none yet. Whoever claims scratch memory counts here too.
pub fn drops_map(module: &mut Module) -> MapId {
    if let Some((id, _)) = module.maps.iter().find(|(_, map)| map.name == DROPS_MAP_NAME) {
        return id;
    }
    let n_events = u32::try_from(module.events.len()).expect("fewer than 2^32 events");
    module.maps.push(MapDecl {
        name: DROPS_MAP_NAME.to_owned(),
        map_type: MapType::PercpuArray,
        key_bytes: 4,
        value_bytes: 8,
        max_entries: DropReason::n_counters(n_events),
        flags: MapFlags::empty(),
    })
}
