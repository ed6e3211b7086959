//! Maps of the running kernel: making, reading and writing them.
//!
//! Keys and values are bytes in the kernel's layout; what they mean is the business of whoever made the map.

mod bulk;
mod create;
mod memory;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nonna_bpf::MapType;

pub use bulk::Entries;
pub(crate) use create::create_maps;
pub use memory::MapMemory;

use crate::cpus::n_possible_cpus;
use crate::error::{Context, Error};
use crate::load::KernelProgram;
use crate::pin::Pinned;
use crate::sys::{self, ObjectKind, RawMap, UpdateMode};

/// A map in the kernel, closed when dropped. The kernel frees it when no program and no pin holds it either.
#[derive(Debug)]
pub struct KernelMap {
    raw: RawMap,
    name: String,
    map_type: Option<MapType>,
    value_size: u32,
    max_entries: u32,
    flags: u32,
}

impl KernelMap {
    /// The map with this id, or `None` where there is none.
    ///
    /// # Errors
    ///
    /// [`Error::NotPermitted`] without `CAP_SYS_ADMIN`.
    pub fn from_id(id: u32) -> Result<Option<Self>, Error> {
        match sys::fd_by_id(ObjectKind::Map, id).context(|| format!("open map {id}"))? {
            Some(fd) => Self::from_fd(fd).map(Some),
            None => Ok(None),
        }
    }

    /// The map pinned at `path`.
    ///
    /// # Errors
    ///
    /// [`Error::System`] where nothing is pinned there, or something other than a map.
    pub fn open_pinned(path: &Path) -> Result<Self, Error> {
        Self::from_fd(crate::pin::open(path, Pinned::Map)?)
    }

    fn from_fd(fd: OwnedFd) -> Result<Self, Error> {
        let mut cpus = Ok(0);
        let (raw, info) = RawMap::from_fd(fd, |map_type| {
            MapType::from_number(map_type).is_some_and(MapType::is_per_cpu).then(|| {
                cpus = n_possible_cpus();
                *cpus.as_ref().unwrap_or(&0)
            })
        })
        .context(|| "ask what a map is like".to_owned())?;
        cpus?;
        Ok(Self {
            raw,
            name: name_of(&info.name),
            map_type: MapType::from_number(info.map_type),
            value_size: info.value_size,
            max_entries: info.max_entries,
            flags: info.map_flags,
        })
    }

    /// Name; what the kernel keeps of it is 15 bytes.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Type; `None` for one that is newer than this program.
    pub fn map_type(&self) -> Option<MapType> {
        self.map_type
    }

    /// Bytes of a key.
    pub fn key_bytes(&self) -> usize {
        self.raw.key_bytes()
    }

    /// Bytes of one value: one processor's, in per-CPU maps.
    pub fn value_size(&self) -> u32 {
        self.value_size
    }

    /// Bytes that a lookup gives: in per-CPU maps one value for each possible processor, each padded to 8 bytes.
    pub fn value_bytes(&self) -> usize {
        self.raw.value_bytes()
    }

    /// Entries that fit, or bytes of a ring.
    pub fn max_entries(&self) -> u32 {
        self.max_entries
    }

    /// The values of the single processors in what a lookup of a per-CPU map gave.
    pub fn per_cpu<'v>(&self, value: &'v [u8]) -> impl Iterator<Item = &'v [u8]> {
        let size = self.value_size as usize;
        value.chunks_exact(size.next_multiple_of(8).max(8)).map(move |padded| &padded[..size])
    }

    /// Reads the value of `key` into `value`; `false` where there is none.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] where a length is wrong; what the kernel says otherwise.
    pub fn lookup(&self, key: &[u8], value: &mut [u8]) -> Result<bool, Error> {
        self.check(key.len(), Some(value.len()))?;
        present(self.raw.lookup(key, value)).context(|| format!("read map `{}`", self.name))
    }

    /// The value of `key`, or `None` where there is none.
    ///
    /// # Errors
    ///
    /// As for [`lookup`](Self::lookup).
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let mut value = vec![0; self.value_bytes()];
        Ok(self.lookup(key, &mut value)?.then_some(value))
    }

    /// Writes an entry.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] where a length is wrong; [`Error::System`] where the map is full, frozen, or `mode` forbids it.
    pub fn update(&self, key: &[u8], value: &[u8], mode: UpdateMode) -> Result<(), Error> {
        self.check(key.len(), Some(value.len()))?;
        self.raw.update(key, value, mode).context(|| format!("write map `{}`", self.name))
    }

    /// Puts a map into a map of maps.
    ///
    /// # Errors
    ///
    /// What the kernel says, such as that the inner map does not fit the template.
    pub fn update_inner(&self, key: &[u8], inner: &KernelMap) -> Result<(), Error> {
        self.check(key.len(), None)?;
        self.raw
            .update_fd(key, inner.as_fd())
            .context(|| format!("put map `{}` into map `{}`", inner.name, self.name))
    }

    /// Puts a program into a program array.
    ///
    /// # Errors
    ///
    /// What the kernel says, such as that the program is of another type than those already there.
    pub fn update_program(&self, key: &[u8], program: &KernelProgram) -> Result<(), Error> {
        self.check(key.len(), None)?;
        self.raw
            .update_fd(key, program.as_fd())
            .context(|| format!("put program `{}` into map `{}`", program.name(), self.name))
    }

    /// Deletes an entry; `false` where there was none.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] where the key's length is wrong; what the kernel says otherwise.
    pub fn delete(&self, key: &[u8]) -> Result<bool, Error> {
        self.check(key.len(), None)?;
        present(self.raw.delete(key)).context(|| format!("delete from map `{}`", self.name))
    }

    /// Reads the key after `key` (the first for `None`) into `next`; `false` at the end. Where `key` is gone the kernel starts
    /// over.
    ///
    /// # Errors
    ///
    /// As for [`lookup`](Self::lookup).
    pub fn next_key(&self, key: Option<&[u8]>, next: &mut [u8]) -> Result<bool, Error> {
        self.check(next.len(), None)?;
        present(self.raw.next_key(key, next)).context(|| format!("walk map `{}`", self.name))
    }

    /// Forbids user space to write from now on; programs still may, unless the map was made otherwise.
    ///
    /// # Errors
    ///
    /// What the kernel says, such as that the map is mapped writable.
    pub fn freeze(&self) -> Result<(), Error> {
        self.raw.freeze().context(|| format!("freeze map `{}`", self.name))
    }

    /// Pins the map: it outlives this process until the file is removed.
    ///
    /// # Errors
    ///
    /// What the kernel says, such as that `path` is not on a bpffs.
    pub fn pin(&self, path: &Path) -> Result<(), Error> {
        crate::pin::pin(self.as_fd(), path)
    }

    pub(crate) fn check(&self, key_len: usize, value_len: Option<usize>) -> Result<(), Error> {
        let wrong =
            |what, expected, found| Err(Error::Length { map: self.name.clone(), what, expected, found });
        if key_len != self.key_bytes() {
            return wrong("keys", self.key_bytes(), key_len);
        }
        match value_len {
            Some(len) if len != self.value_bytes() => wrong("values", self.value_bytes(), len),
            _ => Ok(()),
        }
    }
}

impl AsFd for KernelMap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.raw.as_fd()
    }
}

/// `ENOENT` as an answer rather than a failure.
fn present(result: std::io::Result<()>) -> std::io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// A name in the kernel's form: up to the first zero.
pub(crate) fn name_of(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// What the kernel accepts as a name: at most 15 of `[A-Za-z0-9_.]` (`bpf_obj_name_cpy`).
pub(crate) fn kernel_name(name: &str) -> [u8; sys::NAME_LEN] {
    let mut out = [0; sys::NAME_LEN];
    for (to, from) in out[..sys::NAME_LEN - 1].iter_mut().zip(name.bytes()) {
        *to = if from.is_ascii_alphanumeric() || matches!(from, b'_' | b'.') { from } else { b'_' };
    }
    out
}
