//! Global data: which map holds it, and where.
//!
//! Constants share one map that is frozen before a program is loaded, variables another, each an array of one value, as
//! libbpf has them. Programs address them directly.

use nonna_bpf::{Map, MapExtra, MapFlags, MapIdx, MapType};
use nonna_ir::{Arena, DataDecl, DataId, Entity, MapId};

/// A map of global data.
pub struct Section {
    /// Its name, by libbpf's convention.
    pub name: &'static str,
    /// Data and offsets in the map's value.
    pub places: Vec<(DataId, u32)>,
    /// The value.
    pub bytes: Vec<u8>,
    /// Programs may write it.
    pub mutable: bool,
}

impl Section {
    /// The map, without types.
    pub fn map(&self) -> Map {
        let flags =
            if self.mutable { MapFlags::MMAPABLE } else { MapFlags::MMAPABLE | MapFlags::RDONLY_PROG };
        Map {
            name: self.name.to_owned(),
            map_type: MapType::Array,
            key_size: 4,
            value_size: u32::try_from(self.bytes.len()).expect("data of a script is small"),
            max_entries: 1,
            flags,
            inner: None,
            initial_value: Some(self.bytes.clone()),
            frozen: !self.mutable,
            btf_key_type_id: 0,
            btf_value_type_id: 0,
            extra: MapExtra::default(),
        }
    }
}

/// Where each piece of data is.
pub struct DataLayout {
    /// Maps in order; they come before those of the module.
    pub sections: Vec<Section>,
    /// For each piece, its section and offset.
    places: Vec<(usize, u32)>,
}

impl DataLayout {
    /// Lays data out in the order of its declaration.
    pub fn new(data: &Arena<DataId, DataDecl>) -> Self {
        let mut layout = DataLayout { sections: Vec::new(), places: vec![(0, 0); data.len()] };
        for (name, mutable) in [(".rodata", false), (".data", true)] {
            let mut section = Section { name, places: Vec::new(), bytes: Vec::new(), mutable };
            for (id, decl) in data.iter().filter(|(_, decl)| decl.mutable == mutable) {
                let at = section.bytes.len().next_multiple_of(decl.align.max(1) as usize);
                section.bytes.resize(at, 0);
                section.bytes.extend(&decl.bytes);
                let offset = u32::try_from(at).expect("data of a script is small");
                section.places.push((id, offset));
                layout.places[id.idx()] = (layout.sections.len(), offset);
            }
            if !section.bytes.is_empty() {
                layout.sections.push(section);
            }
        }
        layout
    }

    /// The map and offset of a piece of data.
    pub fn place(&self, data: DataId) -> (MapIdx, u32) {
        let (section, offset) = self.places[data.idx()];
        (MapIdx(u32::try_from(section).expect("two sections at most")), offset)
    }

    /// The map of the object for a map of the module.
    pub fn map(&self, map: MapId) -> MapIdx {
        MapIdx(u32::try_from(self.sections.len() + map.idx()).expect("few maps"))
    }
}
