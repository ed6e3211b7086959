//! Arrays mapped into this process: global data read and written without a system call.

use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

use nonna_bpf::{MapFlags, MapType};

use super::KernelMap;
use crate::error::{Context, Error};
use crate::sys::{Access, Mapping};

/// The values of an array made with [`MapFlags::MMAPABLE`], each padded to 8 bytes. Programs see writes at once.
#[derive(Debug)]
pub struct MapMemory {
    mapping: Mapping,
    len: usize,
    /// A write through a mapping made without the right to would end this process, so it is checked here.
    writable: bool,
}

impl KernelMap {
    /// Maps the values of an array.
    ///
    /// # Errors
    ///
    /// [`Error::System`] where the map is no array, was not made for it, or is frozen and `writable` is asked for.
    pub fn map_memory(&self, writable: bool) -> Result<MapMemory, Error> {
        let fits = self.map_type == Some(MapType::Array) && self.flags & MapFlags::MMAPABLE.bits() != 0;
        let stride = (self.value_size as usize).next_multiple_of(8);
        let len = stride * self.max_entries as usize;
        let access = if writable { Access::ReadWrite } else { Access::Read };
        let mapping = if fits {
            Mapping::shared(self.as_fd(), len.next_multiple_of(rustix::param::page_size()), 0, access)
        } else {
            Err(std::io::Error::from_raw_os_error(libc::EINVAL))
        };
        Ok(MapMemory {
            mapping: mapping.context(|| format!("map the memory of `{}`", self.name()))?,
            len,
            writable,
        })
    }
}

impl MapMemory {
    /// Bytes, all values and their padding together.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The 8 bytes at `offset`, a multiple of 8; `None` outside.
    pub fn load_u64(&self, offset: usize) -> Option<u64> {
        Some(self.mapping.double_word(offset)?.load(Ordering::Acquire))
    }

    /// The 4 bytes at `offset`, a multiple of 4; `None` outside.
    pub fn load_u32(&self, offset: usize) -> Option<u32> {
        Some(self.mapping.word(offset)?.load(Ordering::Acquire))
    }

    /// Copies `to.len()` bytes from `offset`, byte by byte: not as one moment's view. `false` outside.
    pub fn read(&self, offset: usize, to: &mut [u8]) -> bool {
        to.iter_mut().enumerate().all(|(i, to)| match self.mapping.byte(offset.saturating_add(i)) {
            Some(byte) => {
                *to = byte.load(Ordering::Relaxed);
                true
            }
            None => false,
        })
    }

    /// Writes 8 bytes at `offset`, a multiple of 8, in one piece; `false` outside or where it is not writable.
    pub fn store_u64(&self, offset: usize, value: u64) -> bool {
        match self.mapping.double_word(offset) {
            Some(place) if self.writable => {
                place.store(value, Ordering::Release);
                true
            }
            _ => false,
        }
    }

    /// Writes 4 bytes at `offset`, a multiple of 4, in one piece; `false` outside or where it is not writable.
    pub fn store_u32(&self, offset: usize, value: u32) -> bool {
        match self.mapping.word(offset) {
            Some(place) if self.writable => {
                place.store(value, Ordering::Release);
                true
            }
            _ => false,
        }
    }
}
