//! Making maps: one at a time, or all of an object with their first contents.

use nonna_bpf::{MapFlags, MapIdx, MapType, Object, SlotTarget};
use nonna_btf::{Btf, TypeId};

use super::array::{Array, References};
use super::bloom::Bloom;
use super::error::MapError;
use super::events::{PerfEvents, StackTraces};
use super::fields::Fields;
use super::hash::Hash;
use super::queue::Queue;
use super::ring::Ring;
use super::shape::Shape;
use super::trie::Trie;
use super::{Body, Map, MapHandle, Maps};

/// Objects that one storage map can hang values on; the kernel's limit is its memory.
const MAX_OBJECTS: u32 = 1 << 16;
/// Bytes of an object's number.
const OBJECT_BYTES: u32 = 8;

/// A map of an object that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("map `{name}`: {error}")]
pub struct CreateError {
    /// Which map.
    pub map: MapIdx,
    /// Its name.
    pub name: String,
    /// Why.
    pub error: MapError,
}

impl Maps {
    /// Makes a map by its description alone. A map of maps needs a template: [`Maps::create_with`].
    ///
    /// # Errors
    ///
    /// [`MapError`] where the kernel would refuse the sizes or flags, or memory is used up.
    pub fn create(&mut self, map: &nonna_bpf::Map) -> Result<MapHandle, MapError> {
        self.create_with(map, None, None)
    }

    /// Makes a map. `template` is what a map of maps holds; `btf` is where the map's type ids count, which say where a value has
    /// locks, timers and kernel pointers.
    ///
    /// # Errors
    ///
    /// As [`Maps::create`].
    pub fn create_with(
        &mut self,
        map: &nonna_bpf::Map,
        template: Option<MapHandle>,
        btf: Option<&Btf>,
    ) -> Result<MapHandle, MapError> {
        let template = template.map(|inner| self.get(inner).map(|inner| inner.shape)).transpose()?;
        self.make(map, template, btf)
    }

    fn make(
        &mut self,
        map: &nonna_bpf::Map,
        template: Option<Shape>,
        btf: Option<&Btf>,
    ) -> Result<MapHandle, MapError> {
        let shape = Shape::of(map, self.n_processors)?;
        let template = match (holds_maps(map.map_type), template) {
            (false, _) => None,
            (true, None) => return Err(MapError::NoMap),
            (true, Some(inner)) => Some(template_of(inner)?),
        };
        let fields = match btf {
            Some(btf) if map.btf_value_type_id != 0 => {
                Fields::of(btf, TypeId(map.btf_value_type_id), shape.value_bytes as usize)
            }
            _ => Fields::default(),
        };
        let body = self.body(&shape, fields, map.extra.map_extra)?;
        let mut made = Map { shape, name: map.name.clone(), frozen: false, template, body };
        if let Some(first) = &map.initial_value {
            let bytes = first.get(..shape.value_bytes as usize).unwrap_or(first);
            if let Body::Array(array) = &mut made.body {
                array.initialize(bytes);
            }
        }
        made.frozen = map.frozen;
        match &made.body {
            Body::Array(array) => array.areas().into_iter().for_each(|area| self.areas.add(area)),
            Body::Hash(hash) | Body::Storage(hash) => {
                hash.areas().into_iter().for_each(|area| self.areas.add(area));
            }
            Body::References(references) => self.areas.add(references.area()),
            Body::Trie(trie) => self.areas.add(trie.area()),
            // Programs see records of a ring one by one, and of the others copies only.
            Body::Ring(_) | Body::Queue(_) | Body::Bloom(_) | Body::PerfEvents(_) | Body::StackTraces(_) => {}
        }
        let handle = MapHandle(u32::try_from(self.maps.len()).map_err(|_| MapError::NoMemory)?);
        self.maps.push(made);
        Ok(handle)
    }

    fn body(&self, shape: &Shape, fields: Fields, extra: u64) -> Result<Body, MapError> {
        let n = self.n_processors;
        Ok(match shape.map_type {
            MapType::Array | MapType::PercpuArray => Body::Array(Array::new(shape, n, fields)?),
            MapType::ProgArray
            | MapType::CgroupArray
            | MapType::ArrayOfMaps
            | MapType::Devmap
            | MapType::Cpumap
            | MapType::Xskmap
            | MapType::Sockmap
            | MapType::ReuseportSockarray => Body::References(References::new(shape)?),
            MapType::LpmTrie => Body::Trie(Trie::new(shape)?),
            MapType::Queue | MapType::Stack => {
                let newest_first = shape.map_type == MapType::Stack;
                Body::Queue(Queue::new(shape.value_bytes, shape.max_entries, newest_first))
            }
            MapType::BloomFilter => Body::Bloom(Bloom::new(shape.max_entries, extra)?),
            MapType::Ringbuf | MapType::UserRingbuf => Body::Ring(Ring::new(shape.max_entries)?),
            MapType::PerfEventArray => Body::PerfEvents(PerfEvents::new(shape.max_entries, n)),
            MapType::StackTrace => Body::StackTraces(StackTraces::new(shape.max_entries, shape.value_bytes)),
            MapType::SkStorage
            | MapType::InodeStorage
            | MapType::TaskStorage
            | MapType::CgrpStorage
            | MapType::CgroupStorage
            | MapType::PercpuCgroupStorage => {
                let map_type = match shape.map_type {
                    MapType::PercpuCgroupStorage => MapType::PercpuHash,
                    _ => MapType::Hash,
                };
                let by_object = Shape {
                    map_type,
                    key_bytes: OBJECT_BYTES,
                    max_entries: MAX_OBJECTS,
                    flags: shape.flags | MapFlags::NO_PREALLOC,
                    ..*shape
                };
                Body::Storage(Hash::new(&by_object, n, fields)?)
            }
            // What is left are hashes; `Shape` has refused the rest.
            _ => Body::Hash(Hash::new(shape, n, fields)?),
        })
    }

    /// Makes all maps of an object with what they hold at first; answers their handles by index. Programs in program arrays are known
    /// by their index in the object.
    ///
    /// # Errors
    ///
    /// [`CreateError`] for the first map that cannot be made; those before it stay.
    pub fn create_all(&mut self, object: &Object) -> Result<Vec<MapHandle>, CreateError> {
        let btf = Btf::parse(object.btf.clone()).ok();
        let mut handles: Vec<MapHandle> = Vec::with_capacity(object.maps.len());
        let failed = |index: usize, error| CreateError {
            map: MapIdx(index as u32),
            name: object.maps[index].name.clone(),
            error,
        };
        for (index, map) in object.maps.iter().enumerate() {
            let template = match map.inner {
                Some(MapIdx(inner)) => {
                    let inner = object.maps.get(inner as usize).filter(|inner| inner.inner.is_none());
                    let inner = inner.ok_or_else(|| failed(index, MapError::Invalid))?;
                    Some(Shape::of(inner, self.n_processors).map_err(|error| failed(index, error))?)
                }
                None => None,
            };
            let made = self.make(map, template, btf.as_ref());
            handles.push(made.map_err(|error| failed(index, error))?);
        }
        for (index, map) in object.maps.iter().enumerate() {
            for slot in &map.extra.slots {
                let number = match slot.target {
                    SlotTarget::Map(MapIdx(inner)) => {
                        handles.get(inner as usize).map_or(u32::MAX, |handle| handle.0)
                    }
                    SlotTarget::Program(program) => program.0,
                };
                self.update(
                    handles[index],
                    &slot.key.to_ne_bytes(),
                    &number.to_ne_bytes(),
                    super::UpdateMode::Any,
                )
                .map_err(|error| failed(index, error))?;
            }
        }
        Ok(handles)
    }
}

fn holds_maps(map_type: MapType) -> bool {
    matches!(map_type, MapType::ArrayOfMaps | MapType::HashOfMaps)
}

/// What a map must be like to stand beside one of this shape in a map of maps (`bpf_map_meta_alloc`).
fn template_of(inner: Shape) -> Result<Shape, MapError> {
    match inner.map_type {
        inner if holds_maps(inner) => Err(MapError::Invalid),
        MapType::ProgArray | MapType::CgroupStorage | MapType::PercpuCgroupStorage => {
            Err(MapError::Impossible)
        }
        _ => Ok(inner),
    }
}
