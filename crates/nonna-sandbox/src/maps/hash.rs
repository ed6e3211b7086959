//! Hashes: entries in slots that never move, with the kernel's order of reuse.
//!
//! A program that holds a pointer to a value sees what the kernel would show it: replacing an entry puts the new value into
//! another slot and leaves the old one as it was until the slot is used again, last out first in; per-processor values are
//! written in place. LRU hashes let [`Lru`] choose who goes. Keys lie in memory of their own, for callbacks that get them.

use nonna_bpf::{MapFlags, MapType};

use super::Update;
use super::error::MapError;
use super::fields::Fields;
use super::index::Index;
use super::lru::Lru;
use super::shape::Shape;
use crate::memory::Area;

/// Where unused slots come from.
#[derive(Debug)]
enum Supply {
    /// Slots that were given back, the last one first; beyond them those never used, from `next` on. `spare` are the slots
    /// that preallocated maps keep for each processor to replace an entry with.
    Slots { free: Vec<u32>, next: u32, end: u32, spare: Vec<Option<u32>> },
    /// Whoever was not used for a while.
    Lru(Box<Lru>),
}

/// A hash as machine code searches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// Bytes of a key: 4 or 8.
    pub(crate) key_bytes: u32,
    /// Address of two numbers: that of the places, and how many there are less one.
    pub(crate) head: u64,
    /// Secrets of the hash function.
    pub(crate) seeds: [u64; 2],
    /// Address of the value in slot 0.
    pub(crate) values: u64,
    /// Bytes from one slot's value to the next.
    pub(crate) stride: u64,
}

/// A hash of any kind.
#[derive(Debug)]
pub(super) struct Hash {
    key_bytes: usize,
    key_stride: usize,
    value_bytes: usize,
    /// From one processor's value to the next.
    value_stride: usize,
    /// Values of an entry: 1, or one for each processor.
    n_values: usize,
    /// From one entry's values to the next.
    entry_stride: usize,
    per_cpu: bool,
    holds_references: bool,
    max_entries: u32,
    n_used: u32,
    index: Index,
    /// Which slots hold an entry.
    live: Vec<bool>,
    supply: Supply,
    keys: Area,
    values: Area,
    fields: Fields,
}

impl Hash {
    /// An empty one.
    pub(super) fn new(shape: &Shape, n_processors: u32, fields: Fields) -> Result<Hash, MapError> {
        let is_lru = matches!(shape.map_type, MapType::LruHash | MapType::LruPercpuHash);
        let per_cpu = shape.map_type.is_per_cpu();
        let own_lists = shape.flags.contains(MapFlags::NO_COMMON_LRU);
        let mut max_entries = shape.max_entries;
        if own_lists {
            max_entries = max_entries.checked_next_multiple_of(n_processors).ok_or(MapError::TooBig)?;
        }
        // What replacing an entry takes beside the entries themselves.
        let preallocated = !shape.flags.contains(MapFlags::NO_PREALLOC);
        let n_spare = if is_lru || per_cpu { 0 } else { n_processors };
        let n_slots = max_entries.checked_add(n_spare).ok_or(MapError::TooBig)?;
        let supply = if is_lru {
            Supply::Lru(Box::new(Lru::new(max_entries, n_processors, !own_lists)))
        } else {
            let spare = if preallocated { vec![None; n_spare as usize] } else { Vec::new() };
            Supply::Slots { free: Vec::new(), next: 0, end: n_slots, spare }
        };
        let (key_bytes, value_bytes) = (shape.key_bytes as usize, shape.value_bytes as usize);
        let n_values = if per_cpu { n_processors as usize } else { 1 };
        let n_items = u64::from(n_slots) * n_values as u64;
        let readable = !shape.flags.contains(MapFlags::WRONLY_PROG);
        let writable = !shape.flags.contains(MapFlags::RDONLY_PROG) && !holds_references(shape.map_type);
        Ok(Hash {
            key_bytes,
            key_stride: key_bytes.next_multiple_of(8),
            value_bytes,
            value_stride: value_bytes.next_multiple_of(8),
            n_values,
            entry_stride: value_bytes.next_multiple_of(8) * n_values,
            per_cpu,
            holds_references: holds_references(shape.map_type),
            max_entries,
            n_used: 0,
            index: Index::new(key_bytes).ok_or(MapError::NoMemory)?,
            live: Vec::new(),
            supply,
            keys: Area::new(n_slots.into(), key_bytes).ok_or(MapError::NoMemory)?.allow(true, false),
            values: Area::new(n_items, value_bytes).ok_or(MapError::NoMemory)?.allow(readable, writable),
            fields,
        })
    }

    /// Keys and values, to be lent to programs.
    pub(super) fn areas(&self) -> [&Area; 2] {
        [&self.values, &self.keys]
    }

    /// The slot of a key.
    pub(super) fn find(&self, key: &[u8]) -> Option<u32> {
        let tag = self.index.tag(key);
        if self.key_bytes <= 8 { self.find_number(tag) } else { self.find_long(tag, key) }
    }

    fn find_long(&self, tag: u64, key: &[u8]) -> Option<u32> {
        self.index.find(tag, |slot| self.keys.equals(slot as usize * self.key_stride, key))
    }

    /// The slot of a key of at most 8 bytes, given as a number.
    #[inline(always)]
    pub(super) fn find_number(&self, key: u64) -> Option<u32> {
        self.index.find(key, |_| true)
    }

    /// How machine code may search it for keys of 4 or 8 bytes; `None` where a lookup does more than that.
    pub(super) fn table(&self) -> Option<Table> {
        let is_plain = matches!(self.supply, Supply::Slots { .. }) && !self.per_cpu && !self.holds_references;
        if !is_plain || !matches!(self.key_bytes, 4 | 8) {
            return None;
        }
        let (head, seeds) = self.index.for_machine_code();
        let (key_bytes, values) = (self.key_bytes as u32, self.values.address(0));
        Some(Table { key_bytes, head, seeds, values, stride: self.entry_stride as u64 })
    }

    /// Whether values mean something that programs may not change.
    #[inline(always)]
    pub(super) fn holds_references(&self) -> bool {
        self.holds_references
    }

    /// Whether each processor has a value of its own.
    #[inline(always)]
    pub(super) fn is_per_cpu(&self) -> bool {
        self.per_cpu
    }

    /// Bytes of a key.
    #[inline(always)]
    pub(super) fn key_bytes(&self) -> usize {
        self.key_bytes
    }

    /// A program looked the entry up.
    #[inline(always)]
    pub(super) fn mark(&mut self, slot: u32) {
        if let Supply::Lru(lru) = &mut self.supply {
            lru.mark(slot);
        }
    }

    /// Where a processor's value of an entry lies.
    #[inline(always)]
    pub(super) fn value_address(&self, slot: u32, processor: u32) -> u64 {
        self.values.address(self.value_offset(slot, processor))
    }

    /// Where the key of an entry lies.
    pub(super) fn key_address(&self, slot: u32) -> u64 {
        self.keys.address(slot as usize * self.key_stride)
    }

    #[inline(always)]
    fn value_offset(&self, slot: u32, processor: u32) -> usize {
        // A host that counts too many processors gets the last one.
        let processor = (processor as usize).min(self.n_values - 1);
        slot as usize * self.entry_stride + processor * self.value_stride
    }

    /// The next entry from a slot on.
    pub(super) fn next_live(&self, from: u32) -> Option<u32> {
        let rest = self.live.get(from as usize..)?;
        Some(from + rest.iter().position(|live| *live)? as u32)
    }

    /// The key of an entry.
    pub(super) fn key(&self, slot: u32) -> Vec<u8> {
        self.keys.bytes(slot as usize * self.key_stride, self.key_bytes)
    }

    /// What hosts see of an entry's value: all processors', each padded to 8 bytes, in per-processor maps.
    pub(super) fn value(&self, slot: u32) -> Vec<u8> {
        let mut value = Vec::new();
        for processor in 0..self.n_values as u32 {
            let mut one = self.values.bytes(self.value_offset(slot, processor), self.value_bytes);
            self.fields.hide(&mut one);
            value.extend_from_slice(&one);
            if self.per_cpu {
                value.resize(value.len().next_multiple_of(8), 0);
            }
        }
        value
    }

    /// Stores an entry.
    pub(super) fn update(
        &mut self,
        key: &[u8],
        value: Update<'_>,
        flags: u64,
        processor: u32,
    ) -> Result<(), MapError> {
        match &self.supply {
            Supply::Lru(_) if !self.per_cpu => self.update_lru(key, value, flags, processor),
            Supply::Lru(_) => self.update_lru_in_place(key, value, flags, processor),
            Supply::Slots { .. } => self.update_slots(key, value, flags, processor),
        }
    }

    fn update_slots(
        &mut self,
        key: &[u8],
        value: Update<'_>,
        flags: u64,
        processor: u32,
    ) -> Result<(), MapError> {
        let (locked, mode) = (flags & super::LOCK != 0, flags & !super::LOCK);
        if mode > super::EXIST || locked && !self.fields.has_lock() {
            return Err(MapError::Invalid);
        }
        let (tag, old) = (self.index.tag(key), self.find(key));
        check_mode(old, mode)?;
        let in_place = locked || self.per_cpu;
        match old {
            Some(slot) if in_place => self.write(slot, value, processor, false),
            Some(slot) => {
                let fresh = self.exchange(slot, processor).ok_or(MapError::NoMemory)?;
                self.fill(fresh, key, value, processor);
                self.index.replace(tag, slot, fresh);
                self.live[slot as usize] = false;
                self.fields_gone(slot);
            }
            None => {
                if self.n_used >= self.max_entries {
                    return Err(MapError::TooBig);
                }
                let slot = self.take_slot().ok_or(MapError::TooBig)?;
                self.fill(slot, key, value, processor);
                self.index.insert(tag, slot);
                self.n_used += 1;
            }
        }
        Ok(())
    }

    /// As the kernel does it: first an element is taken, and somebody may have to go for it even if the update fails then.
    fn update_lru(
        &mut self,
        key: &[u8],
        value: Update<'_>,
        flags: u64,
        processor: u32,
    ) -> Result<(), MapError> {
        if flags > super::EXIST {
            return Err(MapError::Invalid);
        }
        let fresh = self.take_lru(processor)?;
        let (tag, old) = (self.index.tag(key), self.find(key));
        if let Err(error) = check_mode(old, flags) {
            self.give_back(fresh);
            return Err(error);
        }
        self.fill(fresh, key, value, processor);
        match old {
            Some(slot) => {
                self.index.replace(tag, slot, fresh);
                self.mark(fresh);
                self.live[slot as usize] = false;
                self.fields_gone(slot);
                self.give_back(slot);
            }
            None => {
                self.index.insert(tag, fresh);
                self.n_used += 1;
            }
        }
        Ok(())
    }

    fn update_lru_in_place(
        &mut self,
        key: &[u8],
        value: Update<'_>,
        flags: u64,
        processor: u32,
    ) -> Result<(), MapError> {
        if flags > super::EXIST {
            return Err(MapError::Invalid);
        }
        let fresh = if flags == super::EXIST { None } else { Some(self.take_lru(processor)?) };
        let (tag, old) = (self.index.tag(key), self.find(key));
        let checked = check_mode(old, flags);
        match (checked, old, fresh) {
            (Ok(()), Some(slot), _) => {
                self.mark(slot);
                self.write(slot, value, processor, false);
            }
            (Ok(()), None, Some(slot)) => {
                self.fill(slot, key, value, processor);
                self.index.insert(tag, slot);
                self.n_used += 1;
                return Ok(());
            }
            _ => {}
        }
        if let Some(slot) = fresh {
            self.give_back(slot);
        }
        checked
    }

    /// Removes an entry.
    pub(super) fn delete(&mut self, key: &[u8]) -> Result<(), MapError> {
        let slot = self.find(key).ok_or(MapError::Absent)?;
        self.index.remove(self.index.tag(key), slot);
        self.leave(slot);
        self.give_back(slot);
        Ok(())
    }

    /// An entry is gone; its bytes stay until the slot is used again.
    fn leave(&mut self, slot: u32) {
        self.live[slot as usize] = false;
        self.n_used -= 1;
        self.fields_gone(slot);
    }

    fn fields_gone(&mut self, slot: u32) {
        for processor in 0..self.n_values as u32 {
            let offset = self.value_offset(slot, processor);
            self.fields.clear(&mut self.values, offset);
        }
    }

    fn take_lru(&mut self, processor: u32) -> Result<u32, MapError> {
        let Supply::Lru(lru) = &mut self.supply else { return Err(MapError::Invalid) };
        let taken = lru.take(processor);
        for slot in lru.evicted() {
            // With short keys the tag is the key; with long ones its hash.
            let tag = self.index.tag(&self.key(slot));
            self.index.remove(tag, slot);
            self.leave(slot);
        }
        taken.ok_or(MapError::NoMemory)
    }

    fn take_slot(&mut self) -> Option<u32> {
        let Supply::Slots { free, next, end, .. } = &mut self.supply else { return None };
        free.pop().or_else(|| {
            let slot = *next;
            (slot < *end).then(|| *next += 1).map(|()| slot)
        })
    }

    /// A slot for the new value of an entry whose old slot becomes free.
    fn exchange(&mut self, old: u32, processor: u32) -> Option<u32> {
        if let Supply::Slots { spare, .. } = &mut self.supply
            && !spare.is_empty()
        {
            let n = spare.len();
            let before = spare[processor as usize % n].replace(old);
            return before.or_else(|| self.take_slot());
        }
        let fresh = self.take_slot();
        self.give_back(old);
        fresh
    }

    fn give_back(&mut self, slot: u32) {
        match &mut self.supply {
            Supply::Slots { free, .. } => free.push(slot),
            Supply::Lru(lru) => lru.give_back(slot),
        }
    }

    /// Makes an unused slot an entry.
    fn fill(&mut self, slot: u32, key: &[u8], value: Update<'_>, processor: u32) {
        self.keys.write(slot as usize * self.key_stride, key);
        self.write(slot, value, processor, true);
        if self.live.len() <= slot as usize {
            self.live.resize(slot as usize + 1, false);
        }
        self.live[slot as usize] = true;
    }

    /// Writes a value; for a new entry the other processors' values become zeros.
    fn write(&mut self, slot: u32, value: Update<'_>, processor: u32, is_new: bool) {
        for at in 0..self.n_values as u32 {
            let offset = self.value_offset(slot, at);
            match value {
                Update::One(bytes) => self.fields.write(&mut self.values, offset, bytes),
                Update::Processor(bytes) if at == processor => {
                    self.fields.write(&mut self.values, offset, bytes);
                }
                Update::Processor(_) if is_new => self.values.clear(offset, self.value_stride),
                Update::Processor(_) => {}
                Update::All(bytes) => {
                    let start = at as usize * self.value_stride;
                    let one = &bytes[start..start + self.value_bytes];
                    self.fields.write(&mut self.values, offset, one);
                }
            }
        }
    }

    /// The reference that a host put in, 4 bytes.
    pub(super) fn reference(&self, slot: u32) -> u32 {
        u32::from_ne_bytes(self.values.load(self.value_offset(slot, 0)))
    }

    /// Which entry an address belongs to, if these bytes lie there.
    pub(super) fn slot_of(&self, address: u64, bytes: [u8; 8]) -> Option<u32> {
        let offset = self.values.offset(address, 8)?;
        let slot = u32::try_from(offset / self.entry_stride).ok()?;
        (self.values.load(offset) == bytes).then_some(slot)
    }
}

/// Maps whose values mean something that programs may not change.
fn holds_references(map_type: MapType) -> bool {
    matches!(map_type, MapType::HashOfMaps | MapType::DevmapHash | MapType::Sockhash)
}

/// `BPF_NOEXIST` wants no entry, `BPF_EXIST` one.
fn check_mode(old: Option<u32>, mode: u64) -> Result<(), MapError> {
    match (old, mode) {
        (Some(_), super::NOEXIST) => Err(MapError::Exists),
        (None, super::EXIST) => Err(MapError::Absent),
        _ => Ok(()),
    }
}
