//! Pages of machine code: the place where it lies and the only door into it.
//!
//! The pages are writable while the code is copied in and executable ever after, never both (W^X), and the code starts at
//! a random multiple of 64 in a mapping whose own place the kernel draws. That is the defence chosen against code that
//! is smuggled in as constants, not blinding: whoever sprays constants must know where they come to lie, and here the page and
//! the start in it are drawn anew for each program, the rest of the pages are traps, and nothing can be written later;
//! blinding would make every instruction with a constant three, which is where sbpf's machine code loses a quarter of its speed. This
//! module and `memory` are all of the room that may say `unsafe`.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::ptr::NonNull;

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};

use crate::run::Run;

/// Bytes of a page.
const PAGE_BYTES: usize = 4096;
/// Where code may start: multiples of a cache line.
const START_BYTES: usize = 64;
/// An instruction that traps.
const TRAP: u8 = 0xcc;

/// The entrance of compiled code: `r1` to `r5`, the run, the function to run, its frame pointer; yields `r0`.
type Entrance = unsafe extern "C" fn(u64, u64, u64, u64, u64, &mut Run<'_, '_>, u64, u64) -> u64;

/// The main function of code that looks at no run: `r1` to `r5` and its frame pointer; yields `r0`.
type QuietEntrance = extern "C" fn(u64, u64, u64, u64, u64, u64) -> u64;

/// Executable pages that hold code whose first bytes are its entrance.
#[derive(Debug)]
pub(super) struct CodePages {
    mapping: NonNull<u8>,
    mapped_bytes: usize,
    start: usize,
    code_bytes: usize,
}

// SAFETY: nothing writes the pages once they exist, so any thread may read and run them.
unsafe impl Send for CodePages {}
// SAFETY: as for `Send`.
unsafe impl Sync for CodePages {}

impl CodePages {
    /// Copies code to where it can run.
    ///
    /// # Errors
    ///
    /// What the system says when it has no memory, or forbids code that was made at run time.
    pub(super) fn new(code: &[u8]) -> io::Result<Self> {
        let random = RandomState::new().build_hasher().finish() as usize;
        let start = random % (PAGE_BYTES / START_BYTES) * START_BYTES;
        let mapped_bytes = (start + code.len()).next_multiple_of(PAGE_BYTES);
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new private mapping at an address of the kernel's choice touches no memory that there is.
        let mapping =
            unsafe { mmap_anonymous(std::ptr::null_mut(), mapped_bytes, protection, MapFlags::PRIVATE) }?;
        let mapping = NonNull::new(mapping.cast::<u8>()).expect("the kernel maps nothing at address 0");
        let pages = CodePages { mapping, mapped_bytes, start, code_bytes: code.len() };
        // SAFETY: the mapping has so many bytes, is writable, and nobody else knows it.
        let bytes = unsafe { std::slice::from_raw_parts_mut(mapping.as_ptr(), mapped_bytes) };
        bytes[..start].fill(TRAP);
        bytes[start..start + code.len()].copy_from_slice(code);
        bytes[start + code.len()..].fill(TRAP);
        // SAFETY: the mapping is ours, and the slice that wrote it is used no more.
        unsafe {
            mprotect(mapping.as_ptr().cast(), mapped_bytes, MprotectFlags::READ | MprotectFlags::EXEC)
        }?;
        Ok(pages)
    }

    /// Address of the byte at an offset into the code.
    pub(super) fn address(&self, offset: u32) -> u64 {
        (self.mapping.as_ptr().addr() + self.start) as u64 + u64::from(offset)
    }

    /// The code as it lies in memory.
    pub(super) fn bytes(&self) -> &[u8] {
        let start = self.mapping.as_ptr().wrapping_add(self.start);
        // SAFETY: these bytes of the mapping hold the code, are readable, and are never written again.
        unsafe { std::slice::from_raw_parts(start, self.code_bytes) }
    }

    /// Runs the function at an address in the code.
    #[inline]
    pub(super) fn enter(
        &self,
        arguments: [u64; 5],
        run: &mut Run<'_, '_>,
        function: u64,
        frame_pointer: u64,
    ) -> u64 {
        let start = self.mapping.as_ptr().wrapping_add(self.start);
        // SAFETY: the compiler of this room put an entrance of this type there; the pages are executable and live as long as
        // `self`.
        let entrance = unsafe { std::mem::transmute::<*mut u8, Entrance>(start) };
        let [a, b, c, d, e] = arguments;
        // SAFETY: the code touches its own stack, `run` as the compiler laid it out, and guest memory: what a proof covers,
        // or what the run's regions allow. It keeps the calling convention.
        unsafe { entrance(a, b, c, d, e, run, function, frame_pointer) }
    }

    /// Runs code that looks at no run.
    #[inline]
    pub(super) fn enter_quietly(&self, arguments: [u64; 5], function: u64, frame_pointer: u64) -> u64 {
        let offset = (function as usize).wrapping_sub(self.mapping.as_ptr().addr());
        let start = self.mapping.as_ptr().wrapping_add(offset);
        // SAFETY: the compiler of this room put a function of this type there, which touches its own stack and guest memory that a
        // proof covers; the pages are executable and live as long as `self`.
        let entrance = unsafe { std::mem::transmute::<*mut u8, QuietEntrance>(start) };
        let [a, b, c, d, e] = arguments;
        entrance(a, b, c, d, e, frame_pointer)
    }
}

impl Drop for CodePages {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and with `self` goes the last that knows it.
        let unmapped = unsafe { munmap(self.mapping.as_ptr().cast(), self.mapped_bytes) };
        debug_assert!(unmapped.is_ok(), "a mapping of ours can be given back");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_never_writable_and_executable_at_once_and_starts_differ() {
        let all: Vec<CodePages> = (0..16).map(|_| CodePages::new(&[0xc3; 100]).unwrap()).collect();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        for pages in &all {
            let address = pages.address(0);
            let line = maps.lines().find(|line| {
                let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
                let number = |text| u64::from_str_radix(text, 16).unwrap();
                (number(from)..number(to)).contains(&address)
            });
            assert!(line.unwrap().contains(" r-xp "), "{line:?}");
            assert_eq!(pages.bytes(), [0xc3; 100]);
        }
        let starts: std::collections::BTreeSet<u64> = all.iter().map(|p| p.address(0) % 4096).collect();
        assert!(starts.len() > 4, "{starts:?}");
    }
}
