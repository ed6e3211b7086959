//! Arrays: every key below the end has a value from the start.
//!
//! Also those whose entries are references that the host puts in (programs, maps, devices, sockets): there an entry may be
//! missing. What a reference means is the business of whoever reads it.

use nonna_bpf::{MapFlags, MapType};

use super::Update;
use super::error::MapError;
use super::fields::Fields;
use super::shape::Shape;
use crate::memory::Area;

/// An array of values.
#[derive(Debug)]
pub(super) struct Array {
    n: u32,
    value_bytes: usize,
    value_stride: usize,
    /// Values of an entry: 1, or one for each processor.
    n_values: usize,
    per_cpu: bool,
    values: Area,
    fields: Fields,
    /// The keys of callbacks.
    keys: Area,
}

impl Array {
    /// All zeros.
    pub(super) fn new(shape: &Shape, n_processors: u32, fields: Fields) -> Result<Array, MapError> {
        let value_bytes = shape.value_bytes as usize;
        let per_cpu = shape.map_type.is_per_cpu();
        let n_values = if per_cpu { n_processors as usize } else { 1 };
        let n_items = u64::from(shape.max_entries) * n_values as u64;
        let values = Area::new(n_items, value_bytes).ok_or(MapError::NoMemory)?;
        Ok(Array {
            n: shape.max_entries,
            value_bytes,
            value_stride: value_bytes.next_multiple_of(8),
            n_values,
            per_cpu,
            values: values.allow(
                !shape.flags.contains(MapFlags::WRONLY_PROG),
                !shape.flags.contains(MapFlags::RDONLY_PROG),
            ),
            fields,
            keys: Area::new(1, 4).ok_or(MapError::NoMemory)?.allow(true, false),
        })
    }

    /// Values, and the place for a key, to be lent to programs.
    pub(super) fn areas(&self) -> [&Area; 2] {
        [&self.values, &self.keys]
    }

    /// Entries.
    #[inline(always)]
    pub(super) fn len(&self) -> u32 {
        self.n
    }

    /// Whether each processor has a value of its own.
    #[inline(always)]
    pub(super) fn is_per_cpu(&self) -> bool {
        self.per_cpu
    }

    /// Bytes from one entry to the next.
    pub(super) fn entry_stride(&self) -> usize {
        self.value_stride * self.n_values
    }

    /// Where a processor's value lies.
    #[inline(always)]
    pub(super) fn value_address(&self, index: u32, processor: u32) -> Option<u64> {
        (index < self.n).then(|| self.values.address(self.offset(index, processor)))
    }

    /// Puts a key where a callback can read it.
    pub(super) fn key_address(&mut self, index: u32) -> u64 {
        self.keys.write(0, &index.to_ne_bytes());
        self.keys.address(0)
    }

    #[inline(always)]
    fn offset(&self, index: u32, processor: u32) -> usize {
        // A host that counts too many processors gets the last one.
        let processor = (processor as usize).min(self.n_values - 1);
        (index as usize * self.n_values + processor) * self.value_stride
    }

    /// What hosts see of a value.
    pub(super) fn value(&self, index: u32) -> Result<Vec<u8>, MapError> {
        if index >= self.n {
            return Err(MapError::Absent);
        }
        let mut value = Vec::new();
        for processor in 0..self.n_values as u32 {
            let mut one = self.values.bytes(self.offset(index, processor), self.value_bytes);
            self.fields.hide(&mut one);
            value.extend_from_slice(&one);
            if self.per_cpu {
                value.resize(value.len().next_multiple_of(8), 0);
            }
        }
        Ok(value)
    }

    /// Writes a value.
    pub(super) fn update(
        &mut self,
        index: u32,
        value: Update<'_>,
        flags: u64,
        processor: u32,
    ) -> Result<(), MapError> {
        let locked = flags & super::LOCK != 0;
        if flags & !super::LOCK > super::EXIST || self.per_cpu && locked {
            return Err(MapError::Invalid);
        }
        if index >= self.n {
            return Err(MapError::TooBig);
        }
        if flags & super::NOEXIST != 0 {
            return Err(MapError::Exists);
        }
        if locked && !self.fields.has_lock() {
            return Err(MapError::Invalid);
        }
        match value {
            Update::One(bytes) => {
                let offset = self.offset(index, 0);
                self.fields.write(&mut self.values, offset, bytes);
            }
            Update::Processor(bytes) => {
                let offset = self.offset(index, processor);
                self.fields.write(&mut self.values, offset, bytes);
            }
            Update::All(bytes) => {
                for (at, one) in (0u32..).zip(bytes.chunks_exact(self.value_stride)) {
                    let offset = self.offset(index, at);
                    self.fields.write(&mut self.values, offset, &one[..self.value_bytes]);
                }
            }
        }
        Ok(())
    }

    /// Writes the first bytes of the first value, whatever the flags.
    pub(super) fn initialize(&mut self, bytes: &[u8]) {
        self.values.write(0, bytes);
    }

    /// Which entry an address belongs to, if these bytes lie there.
    pub(super) fn index_of(&self, address: u64, bytes: [u8; 8]) -> Option<u32> {
        let offset = self.values.offset(address, 8)?;
        let index = u32::try_from(offset / self.entry_stride()).ok()?;
        (self.values.load(offset) == bytes).then_some(index)
    }
}

/// An array of references.
#[derive(Debug)]
pub(super) struct References {
    n: u32,
    value_bytes: usize,
    /// Which entries there are, as far as there ever was one.
    present: Vec<bool>,
    values: Area,
    map_type: MapType,
}

impl References {
    /// No entries.
    pub(super) fn new(shape: &Shape) -> Result<References, MapError> {
        let value_bytes = shape.value_bytes as usize;
        let values = Area::new(shape.max_entries.into(), value_bytes).ok_or(MapError::NoMemory)?;
        // Programs may read which device stands there, and nothing else.
        let readable = matches!(shape.map_type, MapType::Devmap | MapType::Cpumap);
        Ok(References {
            n: shape.max_entries,
            value_bytes,
            present: Vec::new(),
            values: values.allow(readable, false),
            map_type: shape.map_type,
        })
    }

    /// To be lent to programs.
    pub(super) fn area(&self) -> &Area {
        &self.values
    }

    /// Entries that fit.
    pub(super) fn len(&self) -> u32 {
        self.n
    }

    /// Whether there is an entry.
    #[inline]
    pub(super) fn has(&self, index: u32) -> bool {
        self.present.get(index as usize).is_some_and(|present| *present)
    }

    fn offset(&self, index: u32) -> usize {
        index as usize * self.value_bytes.next_multiple_of(8)
    }

    /// Where an entry lies.
    pub(super) fn value_address(&self, index: u32) -> Option<u64> {
        self.has(index).then(|| self.values.address(self.offset(index)))
    }

    /// The reference.
    #[inline]
    pub(super) fn get(&self, index: u32) -> Option<u32> {
        self.has(index).then(|| u32::from_ne_bytes(self.values.load(self.offset(index))))
    }

    /// The entry's bytes.
    pub(super) fn value(&self, index: u32) -> Result<Vec<u8>, MapError> {
        if !self.has(index) {
            return Err(MapError::Absent);
        }
        Ok(self.values.bytes(self.offset(index), self.value_bytes))
    }

    /// Puts an entry in.
    pub(super) fn update(&mut self, index: u32, value: &[u8], flags: u64) -> Result<(), MapError> {
        // Device and socket maps know the flags, the others none.
        let knows_flags = matches!(
            self.map_type,
            MapType::Devmap
                | MapType::Cpumap
                | MapType::Xskmap
                | MapType::Sockmap
                | MapType::ReuseportSockarray
        );
        if flags > if knows_flags { super::EXIST } else { 0 } {
            return Err(MapError::Invalid);
        }
        if index >= self.n {
            return Err(MapError::TooBig);
        }
        let there = self.has(index);
        match flags {
            super::NOEXIST if there || matches!(self.map_type, MapType::Devmap | MapType::Cpumap) => {
                return Err(MapError::Exists);
            }
            super::EXIST if !there && !matches!(self.map_type, MapType::Devmap | MapType::Cpumap) => {
                return Err(MapError::Absent);
            }
            _ => {}
        }
        if self.present.len() <= index as usize {
            self.present.resize(index as usize + 1, false);
        }
        self.present[index as usize] = true;
        let offset = self.offset(index);
        self.values.write(offset, value);
        Ok(())
    }

    /// Takes an entry out.
    pub(super) fn delete(&mut self, index: u32) -> Result<(), MapError> {
        // The kernel's device and processor maps say nothing where there was none.
        let silent = matches!(self.map_type, MapType::Devmap | MapType::Cpumap | MapType::Xskmap);
        if index >= self.n {
            return Err(match self.map_type {
                MapType::Devmap | MapType::Cpumap | MapType::Xskmap | MapType::Sockmap => MapError::Invalid,
                _ => MapError::TooBig,
            });
        }
        match self.present.get_mut(index as usize) {
            Some(present) if *present => *present = false,
            _ if silent => {}
            _ if self.map_type == MapType::Sockmap => return Err(MapError::Invalid),
            _ => return Err(MapError::Absent),
        }
        Ok(())
    }
}
