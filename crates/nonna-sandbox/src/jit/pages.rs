//! Pages of machine code: the place where it lies and the only door into it.
//!
//! The pages are writable while the code is put there and executable from then until its program is gone, never both (W^X),
//! and the code starts at a random multiple of 64 in a mapping whose own place the kernel draws. That is the defence chosen against
//! code that is smuggled in as constants, not blinding: whoever sprays constants must know where they come to lie, and here the
//! start is drawn anew for each program, the rest of the pages are traps, and nothing can be written meanwhile; blinding would make every instruction with a constant three, which is where sbpf's machine code loses a quarter of its speed. This
//! module and `memory` are all of the room that may say `unsafe`.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

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
    /// Pages for so many bytes of code, which `write` puts there.
    ///
    /// # Errors
    ///
    /// What the system says when it has no memory, or forbids code that was made at run time.
    pub(super) fn new(code_bytes: usize, write: impl FnOnce(&mut [u8])) -> io::Result<Self> {
        let random = RandomState::new().build_hasher().finish() as usize;
        let start = random % (PAGE_BYTES / START_BYTES) * START_BYTES;
        let mapped_bytes = (start + code_bytes).next_multiple_of(PAGE_BYTES);
        let mapping = match Spare::take(mapped_bytes, random) {
            Some(mapping) => mapping,
            None => map(mapped_bytes)?,
        };
        let pages = CodePages { mapping, mapped_bytes, start, code_bytes };
        // SAFETY: the mapping has so many bytes, is writable, and nobody else knows it.
        let bytes = unsafe { std::slice::from_raw_parts_mut(mapping.as_ptr(), mapped_bytes) };
        bytes[..start].fill(TRAP);
        write(&mut bytes[start..start + code_bytes]);
        bytes[start + code_bytes..].fill(TRAP);
        protect(mapping, mapped_bytes, MprotectFlags::READ | MprotectFlags::EXEC)?;
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
        let flags = MprotectFlags::READ | MprotectFlags::WRITE;
        let is_small = self.mapped_bytes <= MAX_SPARE_BYTES;
        if is_small && protect(self.mapping, self.mapped_bytes, flags).is_ok() {
            Spare::keep(self.mapping, self.mapped_bytes);
        } else {
            unmap(self.mapping, self.mapped_bytes);
        }
    }
}

/// A writable mapping of so many bytes that no code lies in.
#[derive(Debug)]
struct Spare {
    mapping: NonNull<u8>,
    mapped_bytes: usize,
}

// SAFETY: whoever takes it out of the list is the only one who knows it.
unsafe impl Send for Spare {}

/// Mappings that code has left, for the next program: asking the system for pages takes longer than compiling a small program.
static SPARE: Mutex<Vec<Spare>> = Mutex::new(Vec::new());
/// How many of them are kept.
const MAX_SPARE: usize = 16;
/// The largest that is kept.
const MAX_SPARE_BYTES: usize = 4 * PAGE_BYTES;

impl Spare {
    fn take(mapped_bytes: usize, random: usize) -> Option<NonNull<u8>> {
        let mut list = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        let n = list.len();
        let fits = |at: &usize| list[*at].mapped_bytes == mapped_bytes;
        let at = (0..n).map(|at| (at + random / PAGE_BYTES) % n).find(fits)?;
        Some(list.swap_remove(at).mapping)
    }

    fn keep(mapping: NonNull<u8>, mapped_bytes: usize) {
        let mut list = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        if list.len() < MAX_SPARE {
            list.push(Spare { mapping, mapped_bytes });
        } else {
            drop(list);
            unmap(mapping, mapped_bytes);
        }
    }
}

/// New writable pages.
fn map(bytes: usize) -> io::Result<NonNull<u8>> {
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // They are written at once, so let them be there.
    let flags = MapFlags::PRIVATE | MapFlags::POPULATE;
    // SAFETY: a new private mapping at an address of the kernel's choice touches no memory that there is.
    let mapping = unsafe { mmap_anonymous(std::ptr::null_mut(), bytes, protection, flags) }?;
    Ok(NonNull::new(mapping.cast::<u8>()).expect("the kernel maps nothing at address 0"))
}

fn protect(mapping: NonNull<u8>, bytes: usize, flags: MprotectFlags) -> io::Result<()> {
    // SAFETY: the mapping is ours; no slice of it is in use, and none of its code runs: it is new, or its owner goes.
    Ok(unsafe { mprotect(mapping.as_ptr().cast(), bytes, flags) }?)
}

fn unmap(mapping: NonNull<u8>, bytes: usize) {
    // SAFETY: the mapping is ours, and with the caller goes the last that knows it.
    let unmapped = unsafe { munmap(mapping.as_ptr().cast(), bytes) };
    debug_assert!(unmapped.is_ok(), "a mapping of ours can be given back");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_never_writable_and_executable_at_once_and_starts_differ() {
        let all: Vec<CodePages> =
            (0..16).map(|_| CodePages::new(100, |code| code.fill(0xc3)).unwrap()).collect();
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
        let before: std::collections::BTreeSet<u64> = all.iter().map(|p| p.address(0) & !4095).collect();
        let starts: std::collections::BTreeSet<u64> = all.iter().map(|p| p.address(0) % 4096).collect();
        assert!(starts.len() > 4, "{starts:?}");
        // Pages that are used again hold nothing of the code that was there.
        drop(all);
        let again: Vec<CodePages> =
            (0..16).map(|_| CodePages::new(10, |code| code.fill(0x90)).unwrap()).collect();
        assert!(again.iter().any(|pages| before.contains(&(pages.address(0) & !4095))));
        for pages in &again {
            // SAFETY: the mapping has so many bytes, which nobody writes.
            let all = unsafe { std::slice::from_raw_parts(pages.mapping.as_ptr(), pages.mapped_bytes) };
            assert_eq!(all.iter().filter(|byte| **byte != TRAP).count(), 10);
        }
    }
}
