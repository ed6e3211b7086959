//! Memory that is shared with the kernel.
//!
//! A mapping is read and written through atomics, since the kernel and programs change it meanwhile; plain slices are only handed
//! out where the contract of the mapped file says that nobody writes.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64};

use super::invalid;

/// A mapping, unmapped when dropped.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and is reached only through atomics or read-only.
unsafe impl Send for Mapping {}
// SAFETY: as above; no method gives exclusive access to the memory.
unsafe impl Sync for Mapping {}

/// What a mapping may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    ReadWrite,
}

impl Mapping {
    /// Maps `len` bytes of a descriptor, shared, from `offset` (a multiple of the page size).
    pub fn shared(fd: BorrowedFd<'_>, len: usize, offset: usize, access: Access) -> io::Result<Self> {
        let protection = match access {
            Access::Read => libc::PROT_READ,
            Access::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
        };
        Self::new(fd, len, offset, protection, libc::MAP_SHARED)
    }

    fn new(fd: BorrowedFd<'_>, len: usize, offset: usize, protection: i32, flags: i32) -> io::Result<Self> {
        let Ok(offset) = libc::off_t::try_from(offset) else { return invalid() };
        // SAFETY: no address is asked for, so nothing that exists is replaced; the kernel checks the rest.
        let base =
            unsafe { libc::mmap(std::ptr::null_mut(), len, protection, flags, fd.as_raw_fd(), offset) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let Some(base) = NonNull::new(base.cast::<u8>()) else { return invalid() };
        Ok(Self { base, len })
    }

    /// The address of `size` bytes at `offset`, if they lie in the mapping and are aligned to their size.
    fn place(&self, offset: usize, size: usize) -> Option<*mut u8> {
        let end = offset.checked_add(size)?;
        if end > self.len || !offset.is_multiple_of(size) {
            return None;
        }
        // SAFETY: `offset` lies inside the mapping.
        Some(unsafe { self.base.as_ptr().add(offset) })
    }

    /// A byte of the mapping.
    pub fn byte(&self, offset: usize) -> Option<&AtomicU8> {
        let place = self.place(offset, 1)?;
        // SAFETY: in bounds, aligned, alive as long as `self`, and everyone here reaches it by atomics.
        Some(unsafe { AtomicU8::from_ptr(place) })
    }

    /// 4 bytes of the mapping; `offset` is a multiple of 4.
    pub fn word(&self, offset: usize) -> Option<&AtomicU32> {
        let place = self.place(offset, 4)?;
        // SAFETY: in bounds, aligned (mappings start on a page), alive as long as `self`, reached by atomics only.
        Some(unsafe { AtomicU32::from_ptr(place.cast()) })
    }

    /// 8 bytes of the mapping; `offset` is a multiple of 8.
    pub fn double_word(&self, offset: usize) -> Option<&AtomicU64> {
        let place = self.place(offset, 8)?;
        // SAFETY: in bounds, aligned (mappings start on a page), alive as long as `self`, reached by atomics only.
        Some(unsafe { AtomicU64::from_ptr(place.cast()) })
    }

    /// A slice of the mapping.
    ///
    /// # Safety
    ///
    /// Nobody may write these bytes while the slice lives.
    ///
    /// # Panics
    ///
    /// If the range is not inside the mapping.
    pub unsafe fn bytes(&self, offset: usize, len: usize) -> &[u8] {
        assert!(offset.checked_add(len).is_some_and(|end| end <= self.len), "range outside the mapping");
        // SAFETY: just checked.
        let start = unsafe { self.base.as_ptr().add(offset) };
        // SAFETY: in bounds, mapped as long as `self` lives; the caller promises that nobody writes.
        unsafe { std::slice::from_raw_parts(start, len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: base and length are those of our own mapping; no borrow of it outlives `self`.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// A file of the kernel's own that nobody can write (`/sys/kernel/btf/*`), mapped.
#[derive(Debug)]
pub(crate) struct KernelFile {
    mapping: Mapping,
}

impl KernelFile {
    /// Maps a file of sysfs that the kernel exposes read-only and never changes.
    ///
    /// Fails with `ENODEV` where the kernel cannot map it, and with `EINVAL` where the path lies elsewhere than in
    /// `/sys/kernel/btf`.
    pub fn map(path: &std::path::Path) -> io::Result<Self> {
        if !path.starts_with("/sys/kernel/btf") {
            return invalid();
        }
        let file = File::open(path)?;
        if !is_sysfs(file.as_fd())? {
            return invalid();
        }
        let Ok(len) = usize::try_from(file.metadata()?.len()) else { return invalid() };
        let mapping = Mapping::new(file.as_fd(), len, 0, libc::PROT_READ, libc::MAP_PRIVATE)?;
        Ok(Self { mapping })
    }
}

impl AsRef<[u8]> for KernelFile {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the file is sysfs's view of the kernel's read-only BTF (checked at opening): nobody writes it.
        unsafe { self.mapping.bytes(0, self.mapping.len) }
    }
}

/// Whether a descriptor lies on sysfs.
fn is_sysfs(fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(rustix::fs::fstatfs(fd)?.f_type == libc::SYSFS_MAGIC)
}
