//! Map commands of bpf(2) over a descriptor that knows its sizes.
//!
//! The kernel copies as many bytes as the map's key and value have, whatever the caller's buffer holds; so the sizes are
//! part of [`RawMap`] and every buffer is checked against them.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::abi::{Command, MapBatch, MapCreate, MapElem, MapInfo};
use super::object::{object_info, raw};
use super::{address, address_mut, bpf, bpf_fd, invalid, len_u32};

/// `BPF_ANY`, `BPF_NOEXIST` and `BPF_EXIST` of `BPF_MAP_UPDATE_ELEM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u64)]
pub enum UpdateMode {
    /// Make a new entry or replace one.
    #[default]
    Any = 0,
    /// Only make a new entry.
    NoExist = 1,
    /// Only replace an entry.
    Exist = 2,
}

/// A map's descriptor with the lengths that its commands copy.
#[derive(Debug)]
pub(crate) struct RawMap {
    fd: OwnedFd,
    key_bytes: usize,
    value_bytes: usize,
}

/// Entries that a batch command copied, and where to go on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchStep {
    /// Entries copied.
    pub count: usize,
    /// Whether the end of the map was reached.
    pub done: bool,
}

/// Which batch command reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BatchRead {
    Keep,
    Delete,
}

impl RawMap {
    /// Makes a map; `n_possible_cpus` is given where each processor has a value of its own.
    pub fn create(attr: &MapCreate, n_possible_cpus: Option<u32>) -> io::Result<Self> {
        let mut attr = *attr;
        // SAFETY: the structure holds no address.
        let fd = unsafe { bpf_fd(Command::MapCreate, &mut attr) }?;
        Ok(Self::with_sizes(fd, attr.key_size, attr.value_size, n_possible_cpus))
    }

    /// Takes over a map's descriptor and asks the kernel for its sizes.
    pub fn from_fd(
        fd: OwnedFd,
        n_possible_cpus: impl FnOnce(u32) -> Option<u32>,
    ) -> io::Result<(Self, MapInfo)> {
        let info: MapInfo = object_info(fd.as_fd())?;
        let cpus = n_possible_cpus(info.map_type);
        Ok((Self::with_sizes(fd, info.key_size, info.value_size, cpus), info))
    }

    fn with_sizes(fd: OwnedFd, key_size: u32, value_size: u32, n_possible_cpus: Option<u32>) -> Self {
        let value_bytes = match n_possible_cpus {
            Some(n) => (value_size as usize).next_multiple_of(8) * n as usize,
            None => value_size as usize,
        };
        Self { fd, key_bytes: key_size as usize, value_bytes }
    }

    /// Bytes of a key.
    pub fn key_bytes(&self) -> usize {
        self.key_bytes
    }

    /// Bytes that a lookup copies: all processors' values, each padded to 8 bytes, in per-CPU maps.
    pub fn value_bytes(&self) -> usize {
        self.value_bytes
    }

    fn elem(&self, key: &[u8], value: u64, flags: u64) -> io::Result<MapElem> {
        if key.len() != self.key_bytes {
            return invalid();
        }
        Ok(MapElem { map_fd: raw(&self.fd), pad: 0, key: address(key), value, flags })
    }

    /// `BPF_MAP_LOOKUP_ELEM`.
    pub fn lookup(&self, key: &[u8], value: &mut [u8]) -> io::Result<()> {
        if value.len() != self.value_bytes {
            return invalid();
        }
        let mut attr = self.elem(key, address_mut(value), 0)?;
        // SAFETY: key and value are live and as long as the map's.
        unsafe { bpf(Command::MapLookupElem, &mut attr) }.map(drop)
    }

    /// `BPF_MAP_UPDATE_ELEM`.
    pub fn update(&self, key: &[u8], value: &[u8], mode: UpdateMode) -> io::Result<()> {
        if value.len() != self.value_bytes {
            return invalid();
        }
        let mut attr = self.elem(key, address(value), mode as u64)?;
        // SAFETY: key and value are live and as long as the map's; the kernel only reads them.
        unsafe { bpf(Command::MapUpdateElem, &mut attr) }.map(drop)
    }

    /// `BPF_MAP_UPDATE_ELEM` of a map that holds descriptors: the value is one.
    pub fn update_fd(&self, key: &[u8], value: BorrowedFd<'_>) -> io::Result<()> {
        if self.value_bytes != 4 {
            return invalid();
        }
        self.update(key, &value.as_raw_fd().to_ne_bytes(), UpdateMode::Any)
    }

    /// `BPF_MAP_DELETE_ELEM`.
    pub fn delete(&self, key: &[u8]) -> io::Result<()> {
        let mut attr = self.elem(key, 0, 0)?;
        // SAFETY: the key is live and as long as the map's.
        unsafe { bpf(Command::MapDeleteElem, &mut attr) }.map(drop)
    }

    /// `BPF_MAP_GET_NEXT_KEY`; `None` asks for the first key. `ENOENT` means that there is none.
    pub fn next_key(&self, key: Option<&[u8]>, next: &mut [u8]) -> io::Result<()> {
        if next.len() != self.key_bytes || key.is_some_and(|k| k.len() != self.key_bytes) {
            return invalid();
        }
        let mut attr = MapElem {
            map_fd: raw(&self.fd),
            key: key.map_or(0, address),
            value: address_mut(next),
            ..MapElem::default()
        };
        // SAFETY: both keys are live and as long as the map's; an absent one is the null that the command allows.
        unsafe { bpf(Command::MapGetNextKey, &mut attr) }.map(drop)
    }

    /// `BPF_MAP_FREEZE`: user space may not write any more.
    pub fn freeze(&self) -> io::Result<()> {
        let mut attr = MapElem { map_fd: raw(&self.fd), ..MapElem::default() };
        // SAFETY: the command reads the descriptor only.
        unsafe { bpf(Command::MapFreeze, &mut attr) }.map(drop)
    }

    /// `BPF_MAP_LOOKUP_BATCH` or `BPF_MAP_LOOKUP_AND_DELETE_BATCH`. `cursor` is where the last step ended; `started` says
    /// whether there was one. Room for `keys.len() / key_bytes` entries.
    ///
    /// `ENOSPC` with 0 entries means that one bucket holds more than fit: try again with more room.
    pub fn read_batch(
        &self,
        read: BatchRead,
        cursor: &mut [u8],
        started: bool,
        keys: &mut [u8],
        values: &mut [u8],
    ) -> io::Result<BatchStep> {
        let room = self.batch_room(keys.len(), values.len())?;
        // Hash maps keep a u32 in the cursor, others a key.
        if cursor.len() < self.key_bytes.max(4) {
            return invalid();
        }
        let mut attr = MapBatch {
            in_batch: if started { address(cursor) } else { 0 },
            out_batch: address_mut(cursor),
            keys: address_mut(keys),
            values: address_mut(values),
            count: room,
            map_fd: raw(&self.fd),
            ..MapBatch::default()
        };
        let command = match read {
            BatchRead::Keep => Command::MapLookupBatch,
            BatchRead::Delete => Command::MapLookupAndDeleteBatch,
        };
        // SAFETY: keys and values have room for `count` entries, the cursor for the longest that maps keep there.
        let result = unsafe { bpf(command, &mut attr) };
        let count = attr.count as usize;
        match result {
            Ok(_) => Ok(BatchStep { count, done: false }),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(BatchStep { count, done: true }),
            Err(error) => Err(error),
        }
    }

    /// `BPF_MAP_UPDATE_BATCH`: how many were written; the error that stopped it, if any.
    pub fn update_batch(&self, keys: &[u8], values: &[u8]) -> io::Result<(usize, Option<io::Error>)> {
        let count = self.batch_room(keys.len(), values.len())?;
        self.write_batch(Command::MapUpdateBatch, keys, address(values), count)
    }

    /// `BPF_MAP_DELETE_BATCH`: how many were deleted; the error that stopped it, if any.
    pub fn delete_batch(&self, keys: &[u8]) -> io::Result<(usize, Option<io::Error>)> {
        let count = self.batch_room(keys.len(), keys.len() / self.key_bytes.max(1) * self.value_bytes)?;
        self.write_batch(Command::MapDeleteBatch, keys, 0, count)
    }

    fn write_batch(
        &self,
        command: Command,
        keys: &[u8],
        values: u64,
        count: u32,
    ) -> io::Result<(usize, Option<io::Error>)> {
        let map_fd = raw(&self.fd);
        let mut attr = MapBatch { keys: address(keys), values, count, map_fd, ..MapBatch::default() };
        // SAFETY: keys, and values where the command reads them, hold `count` entries (`batch_room`).
        match unsafe { bpf(command, &mut attr) } {
            Ok(_) => Ok((attr.count as usize, None)),
            // The kernel reports how far it came, except where it refuses the command as such.
            Err(error) if attr.count < count => Ok((attr.count as usize, Some(error))),
            Err(error) => Err(error),
        }
    }

    /// Entries for which both buffers are exactly right.
    fn batch_room(&self, keys_len: usize, values_len: usize) -> io::Result<u32> {
        if self.key_bytes == 0 || !keys_len.is_multiple_of(self.key_bytes) {
            return invalid();
        }
        let count = keys_len / self.key_bytes;
        if values_len != count * self.value_bytes {
            return invalid();
        }
        len_u32(count)
    }
}

impl AsFd for RawMap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
