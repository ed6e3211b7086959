//! Mappings: pages of the system that are given back when nobody wants them any more.
//!
//! What lies in them is not known here.

use std::io;
use std::os::fd::AsFd;
use std::ptr::{NonNull, null_mut};

use rustix::mm::{
    Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap, mmap_anonymous, mprotect, munmap,
};

/// Pages.
#[derive(Debug)]
pub(super) struct Mapping {
    first: NonNull<u8>,
    n_bytes: usize,
}

// SAFETY: it is an address that one value owns; what is done with it is said where it is done.
unsafe impl Send for Mapping {}
// SAFETY: shared, it gives nothing but addresses.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(first: *mut std::ffi::c_void, n_bytes: usize) -> Self {
        let first = NonNull::new(first.cast::<u8>()).expect("the kernel maps nothing at address 0");
        Mapping { first, n_bytes }
    }

    /// New writable pages of nobody else.
    pub(super) fn writable(n_bytes: usize) -> io::Result<Self> {
        // They are written at once, so let them be there.
        let flags = MapFlags::PRIVATE | MapFlags::POPULATE;
        // SAFETY: a new private mapping at an address of the kernel's choice touches no memory that there is.
        let first =
            unsafe { mmap_anonymous(null_mut(), n_bytes, ProtFlags::READ | ProtFlags::WRITE, flags) }?;
        Ok(Mapping::new(first, n_bytes))
    }

    /// A view of a file from its beginning; a process that is forked off does not have it.
    pub(super) fn view(file: impl AsFd, n_bytes: usize, protection: ProtFlags) -> io::Result<Self> {
        let flags = MapFlags::SHARED | MapFlags::POPULATE;
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory that there is.
        let first = unsafe { mmap(null_mut(), n_bytes, protection, flags, file, 0) }?;
        let view = Mapping::new(first, n_bytes);
        // SAFETY: the mapping is ours, and the advice changes nothing in this process.
        unsafe { madvise(first, n_bytes, Advice::LinuxDontFork) }?;
        Ok(view)
    }

    /// A page that says whether this is the process that made it: see [`Mapping::is_ours`].
    pub(super) fn mark() -> io::Result<Self> {
        let mut page = Mapping::writable(1)?;
        page.bytes_mut()[0] = 1;
        // SAFETY: the mapping is ours, and the advice changes nothing in this process.
        unsafe { madvise(page.first.as_ptr().cast(), page.n_bytes, Advice::LinuxWipeOnFork) }?;
        Ok(page)
    }

    /// Whether a mark was made by this process: in one that is forked off the kernel empties it, which takes no call to find out.
    pub(super) fn is_ours(&self) -> bool {
        // SAFETY: the page is readable; nobody writes it but the kernel, between two instructions of this process.
        unsafe { self.first.read_volatile() != 0 }
    }

    /// Makes the pages executable, and not writable any more.
    pub(super) fn into_executable(self) -> io::Result<Self> {
        let flags = MprotectFlags::READ | MprotectFlags::EXEC;
        // SAFETY: the mapping is ours alone, and no slice of it is in use.
        unsafe { mprotect(self.first.as_ptr().cast(), self.n_bytes, flags) }?;
        Ok(self)
    }

    /// The address of a byte.
    pub(super) fn at(&self, offset: usize) -> NonNull<u8> {
        assert!(offset <= self.n_bytes, "it lies in the mapping");
        // SAFETY: the byte lies in the mapping, or just behind it.
        unsafe { self.first.add(offset) }
    }

    /// The bytes of a writable mapping.
    ///
    /// # Panics
    ///
    /// Never, but the process ends if the mapping is not writable: only those that are call this.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: the mapping has so many bytes, is writable, and is borrowed as a whole; whoever looks at them by another view
        // looks at bytes that nobody writes any more.
        unsafe { std::slice::from_raw_parts_mut(self.first.as_ptr(), self.n_bytes) }
    }

    /// Leaves the address to others without giving pages back.
    pub(super) fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and with its owner goes the last that knows it.
        let unmapped = unsafe { munmap(self.first.as_ptr().cast(), self.n_bytes) };
        debug_assert!(unmapped.is_ok(), "a mapping of ours can be given back");
    }
}
