//! What programs do with maps, through helpers: by address of the value where the kernel gives a pointer.
//!
//! Programs are bound by the flags for programs, not by those for hosts, nor by freezing. Reading keys and values from a
//! program's memory is the helpers' business.

use nonna_bpf::{MapFlags, MapType};

use super::error::MapError;
use super::hash::Table;
use super::{Body, Map, MapHandle, Maps, Update, array_index};
use crate::host::Host;
use crate::memory::{AccessFault, Regions};
use crate::run::{Processor, Run};

/// How machine code may look something up without a helper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectLookup {
    /// Entry `i` below `n` lies at `base + i * stride`; others are absent.
    Array {
        /// Address of entry 0.
        base: u64,
        /// Bytes from one entry to the next.
        stride: u64,
        /// Entries.
        n: u32,
    },
    /// [`lookup_number`] takes the key itself, a number of so many bytes (4 or 8).
    Number {
        /// Bytes of the key.
        key_bytes: u32,
    },
    /// Machine code searches the table itself.
    Table(Table),
    /// Only by the helper.
    No,
}

/// Looks a hash entry up by a key of at most 8 bytes that the caller has read: `r1` is the map's number, `r2` the key, the bytes beyond
/// its size 0. Yields the value's address, or 0.
pub extern "C" fn lookup_number(map: u64, key: u64, _: u64, _: u64, _: u64, run: &mut Run<'_, '_>) -> u64 {
    let Some(handle) = MapHandle::from_guest(map) else { return 0 };
    let Ok(Map { body: Body::Hash(hash), .. }) = run.maps.get_mut(handle) else { return 0 };
    if hash.key_bytes() > 8 {
        return 0;
    }
    let Some(slot) = hash.find_number(key) else { return 0 };
    hash.mark(slot);
    if !hash.is_per_cpu() {
        return hash.value_address(slot, 0);
    }
    let processor = run.processor();
    let Ok(Map { body: Body::Hash(hash), .. }) = run.maps.get(handle) else { return 0 };
    hash.value_address(slot, processor)
}

impl Maps {
    /// How machine code may look up in this map.
    pub fn direct_lookup(&self, map: MapHandle) -> DirectLookup {
        let Ok(map) = self.get(map) else { return DirectLookup::No };
        match &map.body {
            Body::Array(array) if !map.shape.map_type.is_per_cpu() => DirectLookup::Array {
                base: array.value_address(0, 0).unwrap_or(0),
                stride: array.entry_stride() as u64,
                n: array.len(),
            },
            Body::Hash(hash) if hash.table().is_some() => {
                hash.table().map_or(DirectLookup::No, DirectLookup::Table)
            }
            Body::Hash(hash)
                if matches!(hash.key_bytes(), 4 | 8) && map.shape.map_type != MapType::HashOfMaps =>
            {
                DirectLookup::Number { key_bytes: hash.key_bytes() as u32 }
            }
            _ => DirectLookup::No,
        }
    }

    /// Whether each processor has a value of its own in this map.
    pub(crate) fn is_per_cpu(&self, map: MapHandle) -> bool {
        self.get(map).is_ok_and(|map| map.shape.map_type.is_per_cpu())
    }

    /// As [`Maps::lookup_for`], for keys of 4 bytes in maps that most programs use: it reads the key itself. `None` for all other
    /// maps.
    #[inline]
    pub(crate) fn lookup_short(
        &mut self,
        map: MapHandle,
        key: u64,
        memory: &Regions<'_>,
        (processor, host): (&mut Processor, &mut dyn Host),
    ) -> Option<Result<u64, AccessFault>> {
        let read = || {
            let mut bytes = [0; 4];
            memory.read(key, &mut bytes).map(|()| u32::from_ne_bytes(bytes))
        };
        match &mut self.get_mut(map).ok()?.body {
            Body::Array(array) => Some(read().map(|index| {
                let processor = if array.is_per_cpu() { processor.number(host) } else { 0 };
                array.value_address(index, processor).unwrap_or(0)
            })),
            Body::Hash(hash) if hash.key_bytes() == 4 && !hash.holds_references() => {
                Some(read().map(|key| {
                    let Some(slot) = hash.find_number(u64::from(key.to_le())) else { return 0 };
                    hash.mark(slot);
                    let processor = if hash.is_per_cpu() { processor.number(host) } else { 0 };
                    hash.value_address(slot, processor)
                }))
            }
            _ => None,
        }
    }

    /// The address of the value of a key: the number of the inner map, in a map of maps; 0 where there is none.
    pub(crate) fn lookup_for(&mut self, map: MapHandle, key: &[u8], processor: u32) -> Result<u64, MapError> {
        let target = self.get_mut(map)?;
        let holds_maps = target.template.is_some();
        let found = match &mut target.body {
            Body::Array(array) => array.value_address(array_index(key), processor),
            Body::References(references) if holds_maps => {
                references.get(array_index(key)).map(|number| MapHandle(number).guest())
            }
            Body::References(references)
                if matches!(target.shape.map_type, MapType::Devmap | MapType::Cpumap) =>
            {
                references.value_address(array_index(key))
            }
            Body::Hash(hash) => match hash.find(key) {
                Some(slot) if holds_maps => Some(MapHandle(hash.reference(slot)).guest()),
                Some(slot) => {
                    hash.mark(slot);
                    Some(hash.value_address(slot, processor))
                }
                None => None,
            },
            Body::Trie(trie) => trie.find(key).map(|slot| trie.value_address(slot)),
            // The others have nothing that a program could point to.
            _ => None,
        };
        Ok(found.unwrap_or(0))
    }

    /// As [`Maps::lookup_for`], of another processor's value.
    pub(crate) fn lookup_other(
        &mut self,
        map: MapHandle,
        key: &[u8],
        processor: u64,
    ) -> Result<u64, MapError> {
        if !self.is_per_cpu(map) || processor >= u64::from(self.n_processors) {
            return Ok(0);
        }
        self.lookup_for(map, key, processor as u32)
    }

    /// Stores an entry for a program.
    pub(crate) fn update_for(
        &mut self,
        map: MapHandle,
        key: &[u8],
        value: &[u8],
        flags: u64,
        processor: u32,
    ) -> Result<(), MapError> {
        let target = self.program_may_write(map)?;
        let per_cpu = target.shape.map_type.is_per_cpu();
        let update = if per_cpu { Update::Processor(value) } else { Update::One(value) };
        match &mut target.body {
            Body::Array(array) => array.update(array_index(key), update, flags, processor),
            Body::Hash(hash) if target.shape.map_type != MapType::HashOfMaps => {
                hash.update(key, update, flags, processor)
            }
            Body::Trie(trie) => trie.update(key, value, flags),
            _ => Err(MapError::Invalid),
        }
    }

    /// Removes an entry for a program.
    pub(crate) fn delete_for(&mut self, map: MapHandle, key: &[u8]) -> Result<(), MapError> {
        let target = self.program_may_write(map)?;
        match &mut target.body {
            Body::Hash(hash) if target.shape.map_type != MapType::HashOfMaps => hash.delete(key),
            Body::Trie(trie) => trie.delete(key),
            Body::Bloom(_) => Err(MapError::Unsupported),
            _ => Err(MapError::Invalid),
        }
    }

    /// Adds a value to a queue, stack or bloom filter.
    pub(crate) fn push_for(&mut self, map: MapHandle, value: &[u8], flags: u64) -> Result<(), MapError> {
        match &mut self.program_may_write(map)?.body {
            Body::Queue(queue) => queue.push(value, flags),
            Body::Bloom(bloom) => bloom.push(value, flags),
            _ => Err(MapError::Invalid),
        }
    }

    /// The next value of a queue or stack, which is taken out if `take`; asks a bloom filter. Where there is none, `value` is
    /// zeros.
    pub(crate) fn next_for(&mut self, map: MapHandle, value: &mut [u8], take: bool) -> Result<(), MapError> {
        match &mut self.get_mut(map)?.body {
            Body::Queue(queue) if take => queue.pop(value),
            Body::Queue(queue) => queue.peek(value),
            Body::Bloom(bloom) if !take => bloom.peek(value),
            Body::Bloom(_) => Err(MapError::Unsupported),
            _ => Err(MapError::Invalid),
        }
    }

    fn program_may_write(&mut self, map: MapHandle) -> Result<&mut Map, MapError> {
        let target = self.get_mut(map)?;
        match target.shape.flags.contains(MapFlags::RDONLY_PROG) {
            true => Err(MapError::NotPermitted),
            false => Ok(target),
        }
    }

    /// Bytes of a key and of a value as programs hand them in.
    pub(crate) fn sizes(&self, map: MapHandle) -> Result<(usize, usize), MapError> {
        let map = self.get(map)?;
        Ok((map.shape.key_bytes as usize, map.shape.value_bytes as usize))
    }

    /// The entry at or after a place, for callbacks: addresses of key and value, and the place after it. `None` at the end;
    /// [`MapError::Invalid`] for maps that cannot be walked.
    pub(crate) fn walk_for(
        &mut self,
        map: MapHandle,
        place: u32,
        processor: u32,
    ) -> Result<Option<(u64, u64, u32)>, MapError> {
        let target = self.get_mut(map)?;
        match &mut target.body {
            Body::Array(array) => Ok(array
                .value_address(place, processor)
                .map(|value| (array.key_address(place), value, place.saturating_add(1)))),
            Body::Hash(hash) if target.template.is_none() => Ok(hash
                .next_live(place)
                .map(|slot| (hash.key_address(slot), hash.value_address(slot, processor), slot + 1))),
            _ => Err(MapError::Invalid),
        }
    }

    /// What the host put under a number into an array of references: a program, a device, a processor, a socket.
    pub(crate) fn reference(&self, map: MapHandle, index: u32) -> Result<Option<u32>, MapError> {
        match &self.get(map)?.body {
            Body::References(references) => Ok(references.get(index)),
            Body::Hash(hash) if hash.holds_references() => {
                let found = hash.find(&index.to_ne_bytes());
                Ok(found.map(|slot| hash.reference(slot)))
            }
            _ => Err(MapError::Invalid),
        }
    }

    /// The map's type.
    pub(crate) fn map_type(&self, map: MapHandle) -> Result<MapType, MapError> {
        Ok(self.get(map)?.shape.map_type)
    }

    /// The address of the value that hangs on an object; where there is none, one is made if `create`, of `first` or zeros.
    pub(crate) fn storage_for(
        &mut self,
        map: MapHandle,
        object: u64,
        create: bool,
        first: Option<&[u8]>,
        processor: u32,
    ) -> Result<u64, MapError> {
        let target = self.get_mut(map)?;
        let size = target.shape.value_bytes as usize;
        let Body::Storage(hash) = &mut target.body else { return Err(MapError::Invalid) };
        let key = object.to_ne_bytes();
        if hash.find(&key).is_none() && create {
            let zeros;
            let value = match first {
                Some(value) => value,
                None => {
                    zeros = vec![0; size];
                    &zeros
                }
            };
            let per_cpu = target.shape.map_type.is_per_cpu();
            let update = if per_cpu { Update::Processor(value) } else { Update::One(value) };
            hash.update(&key, update, 0, processor)?;
        }
        Ok(hash.find(&key).map_or(0, |slot| hash.value_address(slot, processor)))
    }

    /// Removes the value that hangs on an object.
    pub(crate) fn forget_storage(&mut self, map: MapHandle, object: u64) -> Result<(), MapError> {
        match &mut self.get_mut(map)?.body {
            Body::Storage(hash) => hash.delete(&object.to_ne_bytes()),
            _ => Err(MapError::Invalid),
        }
    }

    /// Keeps a stack trace; yields its number.
    pub(crate) fn keep_stack(
        &mut self,
        map: MapHandle,
        addresses: &[u64],
        flags: u64,
    ) -> Result<u32, MapError> {
        match &mut self.get_mut(map)?.body {
            Body::StackTraces(traces) => traces.keep(addresses, flags),
            _ => Err(MapError::Invalid),
        }
    }

    /// Takes a program's record into a perf event array.
    pub(crate) fn perf_output(
        &mut self,
        map: MapHandle,
        index: u32,
        processor: u32,
        bytes: Vec<u8>,
    ) -> Result<(), MapError> {
        match &mut self.get_mut(map)?.body {
            Body::PerfEvents(events) => events.output(index, processor, bytes),
            _ => Err(MapError::Invalid),
        }
    }
}
