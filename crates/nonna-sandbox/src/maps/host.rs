//! What hosts do with maps: the operations that user space has on the kernel's maps, with the same errors.

use nonna_bpf::{MapFlags, MapType};
use nonna_verifier::MapEntry;

use super::error::MapError;
use super::events::PerfRecord;
use super::{Body, EXIST, Map, MapHandle, Maps, NOEXIST, Shape, Update, array_index};

/// What an update wants to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum UpdateMode {
    /// Whatever there is (`BPF_ANY`).
    #[default]
    Any,
    /// No entry of this key (`BPF_NOEXIST`).
    Absent,
    /// An entry of this key (`BPF_EXIST`).
    Present,
}

impl UpdateMode {
    fn flags(self) -> u64 {
        match self {
            UpdateMode::Any => 0,
            UpdateMode::Absent => NOEXIST,
            UpdateMode::Present => EXIST,
        }
    }
}

impl Shape {
    /// Bytes of a key as hosts give it: objects that storage hangs on have numbers of 8 bytes.
    pub fn host_key_bytes(&self) -> usize {
        if self.is_storage() { 8 } else { self.key_bytes as usize }
    }

    /// Bytes of a value as hosts see it: in the per-processor kinds all processors' values, each padded to 8 bytes.
    pub fn host_value_bytes(&self, n_processors: u32) -> usize {
        match self.map_type.is_per_cpu() {
            true => (self.value_bytes as usize).next_multiple_of(8) * n_processors as usize,
            false => self.value_bytes as usize,
        }
    }

    /// Whether values hang on objects.
    fn is_storage(&self) -> bool {
        matches!(
            self.map_type,
            MapType::SkStorage
                | MapType::InodeStorage
                | MapType::TaskStorage
                | MapType::CgrpStorage
                | MapType::CgroupStorage
                | MapType::PercpuCgroupStorage
        )
    }
}

impl Map {
    fn check(&self, key: &[u8]) -> Result<(), MapError> {
        if key.len() == self.shape.host_key_bytes() { Ok(()) } else { Err(MapError::Invalid) }
    }

    fn check_read(&self) -> Result<(), MapError> {
        if self.shape.flags.contains(MapFlags::WRONLY) { Err(MapError::NotPermitted) } else { Ok(()) }
    }

    fn check_write(&self) -> Result<(), MapError> {
        let forbidden = self.frozen || self.shape.flags.contains(MapFlags::RDONLY);
        if forbidden { Err(MapError::NotPermitted) } else { Ok(()) }
    }
}

impl Maps {
    /// The value of a key, or `None`; per-processor maps give all processors' values, each padded to 8 bytes. Maps of maps and program
    /// arrays give the 4 bytes of the reference. A queue or stack, which has no keys, gives its next value.
    ///
    /// # Errors
    ///
    /// [`MapError`] with the kernel's error number, but for `ENOENT`, which is `None`.
    pub fn lookup(&self, map: MapHandle, key: &[u8]) -> Result<Option<Vec<u8>>, MapError> {
        let map = self.get(map)?;
        map.check_read()?;
        map.check(key)?;
        let found = match &map.body {
            Body::Array(array) => array.value(array_index(key)),
            Body::References(references) => match map.shape.map_type {
                MapType::CgroupArray => Err(MapError::Impossible),
                MapType::Xskmap => Err(MapError::Unsupported),
                _ => references.value(array_index(key)),
            },
            Body::Hash(hash) | Body::Storage(hash) => {
                hash.find(key).map(|slot| hash.value(slot)).ok_or(MapError::Absent)
            }
            Body::Trie(trie) => trie.find(key).map(|slot| trie.value(slot)).ok_or(MapError::Absent),
            Body::Queue(queue) => {
                let mut value = vec![0; map.shape.value_bytes as usize];
                queue.peek(&mut value).map(|()| value)
            }
            Body::StackTraces(traces) => traces.value(array_index(key)),
            Body::Bloom(_) => Err(MapError::Invalid),
            Body::Ring(_) | Body::PerfEvents(_) => Err(MapError::Impossible),
        };
        match found {
            Ok(value) => Ok(Some(value)),
            Err(MapError::Absent) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Stores an entry; into queues, stacks and bloom filters, with an empty key, a value. Maps of maps take the handle of the inner
    /// map, program arrays the program's number, 4 bytes each.
    ///
    /// # Errors
    ///
    /// [`MapError`] with the kernel's error number.
    pub fn update(
        &mut self,
        map: MapHandle,
        key: &[u8],
        value: &[u8],
        mode: UpdateMode,
    ) -> Result<(), MapError> {
        let n_processors = self.n_processors;
        let target = self.get(map)?;
        target.check_write()?;
        target.check(key)?;
        if value.len() != target.shape.host_value_bytes(n_processors) {
            return Err(MapError::Invalid);
        }
        if let Some(template) = target.template {
            let number = u32::from_ne_bytes(value.try_into().map_err(|_| MapError::Invalid)?);
            let inner = self.get(MapHandle(number))?;
            if !fits(&template, &inner.shape) || inner.template.is_some() {
                return Err(MapError::Invalid);
            }
        }
        let target = self.get_mut(map)?;
        let update = if target.shape.map_type.is_per_cpu() { Update::All(value) } else { Update::One(value) };
        let flags = mode.flags();
        match &mut target.body {
            Body::Array(array) => array.update(array_index(key), update, flags, 0),
            Body::References(references) => references.update(array_index(key), value, flags),
            Body::Hash(hash) | Body::Storage(hash) => hash.update(key, update, flags, 0),
            Body::Trie(trie) => trie.update(key, value, flags),
            Body::Queue(queue) => queue.push(value, flags),
            Body::Bloom(bloom) => bloom.push(value, flags),
            Body::PerfEvents(events) => events.set(array_index(key), true),
            Body::StackTraces(_) => Err(MapError::Invalid),
            Body::Ring(_) => Err(MapError::Impossible),
        }
    }

    /// Removes an entry.
    ///
    /// # Errors
    ///
    /// [`MapError`] with the kernel's error number: [`MapError::Absent`] where there is none.
    pub fn delete(&mut self, map: MapHandle, key: &[u8]) -> Result<(), MapError> {
        let target = self.get_mut(map)?;
        target.check_write()?;
        target.check(key)?;
        match &mut target.body {
            Body::Array(_) | Body::Queue(_) => Err(MapError::Invalid),
            Body::References(references) => references.delete(array_index(key)),
            Body::Hash(hash) | Body::Storage(hash) => hash.delete(key),
            Body::Trie(trie) => trie.delete(key),
            Body::PerfEvents(events) => events.set(array_index(key), false),
            Body::StackTraces(traces) => traces.delete(array_index(key)),
            Body::Bloom(_) => Err(MapError::Unsupported),
            Body::Ring(_) => Err(MapError::Impossible),
        }
    }

    /// Takes an entry out, or the next value of a queue or stack.
    ///
    /// # Errors
    ///
    /// As [`Maps::delete`].
    pub fn take(&mut self, map: MapHandle, key: &[u8]) -> Result<Option<Vec<u8>>, MapError> {
        let target = self.get_mut(map)?;
        target.check_write()?;
        target.check_read()?;
        let size = target.shape.value_bytes as usize;
        match &mut target.body {
            Body::Queue(queue) => {
                let mut value = vec![0; size];
                Ok(queue.pop(&mut value).is_ok().then_some(value))
            }
            Body::Hash(_) => {
                let value = self.lookup(map, key)?;
                if value.is_some() {
                    self.delete(map, key)?;
                }
                Ok(value)
            }
            _ => Err(MapError::Impossible),
        }
    }

    /// Whether a bloom filter may hold a value; `false` is certain.
    ///
    /// # Errors
    ///
    /// [`MapError::Invalid`] for other maps, and for values of another size.
    pub fn may_contain(&self, map: MapHandle, value: &[u8]) -> Result<bool, MapError> {
        let map = self.get(map)?;
        map.check_read()?;
        match &map.body {
            Body::Bloom(bloom) if value.len() == map.shape.value_bytes as usize => {
                Ok(bloom.peek(value).is_ok())
            }
            _ => Err(MapError::Invalid),
        }
    }

    /// The keys, in the order in which a walk shows them.
    ///
    /// # Errors
    ///
    /// [`MapError`] for maps without keys.
    pub fn keys(&self, map: MapHandle) -> Result<Vec<Vec<u8>>, MapError> {
        let map = self.get(map)?;
        let numbers = |numbers: Vec<u32>| numbers.iter().map(|n| n.to_ne_bytes().to_vec()).collect();
        Ok(match &map.body {
            Body::Array(array) => numbers((0..array.len()).collect()),
            Body::References(references) => {
                numbers((0..references.len()).filter(|index| references.has(*index)).collect())
            }
            Body::Hash(hash) | Body::Storage(hash) => {
                let slots = std::iter::successors(hash.next_live(0), |slot| hash.next_live(slot + 1));
                slots.map(|slot| hash.key(slot)).collect()
            }
            Body::Trie(trie) => trie.entries().into_iter().map(|(key, _)| key).collect(),
            Body::StackTraces(traces) => numbers(traces.ids()),
            Body::Queue(_) => return Err(MapError::Invalid),
            Body::Bloom(_) => return Err(MapError::Unsupported),
            Body::Ring(_) | Body::PerfEvents(_) => return Err(MapError::Impossible),
        })
    }

    /// All keys and values; queues and stacks give their values under empty keys, in the order in which they would come out.
    ///
    /// # Errors
    ///
    /// As [`Maps::keys`].
    pub fn entries(&self, map: MapHandle) -> Result<Vec<MapEntry>, MapError> {
        match &self.get(map)?.body {
            Body::Queue(queue) => Ok(queue.values().into_iter().map(|value| (Vec::new(), value)).collect()),
            Body::Trie(trie) => {
                Ok(trie.entries().into_iter().map(|(key, slot)| (key, trie.value(slot))).collect())
            }
            _ => {
                let keys = self.keys(map)?.into_iter();
                keys.filter_map(|key| Some(self.lookup(map, &key).transpose()?.map(|value| (key, value))))
                    .collect()
            }
        }
    }

    /// Stores entries until one cannot be stored; answers how many were, and why not more.
    pub fn update_batch<'e>(
        &mut self,
        map: MapHandle,
        entries: impl IntoIterator<Item = (&'e [u8], &'e [u8])>,
        mode: UpdateMode,
    ) -> (usize, Option<MapError>) {
        let mut n_done = 0;
        for (key, value) in entries {
            if let Err(error) = self.update(map, key, value, mode) {
                return (n_done, Some(error));
            }
            n_done += 1;
        }
        (n_done, None)
    }

    /// Forbids the host to change the map from now on; programs still may, unless its flags say otherwise.
    ///
    /// # Errors
    ///
    /// [`MapError::Busy`] if it is frozen already; [`MapError::NoMap`].
    pub fn freeze(&mut self, map: MapHandle) -> Result<(), MapError> {
        let map = self.get_mut(map)?;
        if std::mem::replace(&mut map.frozen, true) { Err(MapError::Busy) } else { Ok(()) }
    }

    /// Takes the records of a perf event array, and how many were lost.
    ///
    /// # Errors
    ///
    /// [`MapError::Invalid`] for other maps.
    pub fn take_perf_records(&mut self, map: MapHandle) -> Result<(Vec<PerfRecord>, u64), MapError> {
        match &mut self.get_mut(map)?.body {
            Body::PerfEvents(events) => Ok(events.take()),
            _ => Err(MapError::Invalid),
        }
    }
}

/// Whether a map may stand in a map of maps (`bpf_map_meta_equal`).
fn fits(template: &Shape, inner: &Shape) -> bool {
    let alike = |shape: &Shape| (shape.map_type, shape.key_bytes, shape.value_bytes, shape.flags);
    let any_size = template.map_type != MapType::Array || template.flags.contains(MapFlags::INNER_MAP);
    alike(template) == alike(inner) && (any_size || template.max_entries == inner.max_entries)
}
