//! Pages of machine code: the place where it lies and the only door into it.
//!
//! No page of code is writable and executable at once (W^X): pages are writable while the code is put there and executable from then
//! on. Code starts at a random multiple of 64 bytes in a mapping whose place is drawn too. That is the defence chosen against code
//! that is smuggled in as constants, not blinding: whoever sprays constants must know where they come to lie, and here the start
//! is drawn anew for each program, what lies around are traps, and nothing can be written meanwhile; blinding would make every
//! instruction with a constant three, which is where sbpf's machine code loses a quarter of its speed. This module and
//! `memory` are all of the room that may say `unsafe`.

use std::ffi::c_void;
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

/// Mappings lie at most this far below the text of this program: processors follow calls and returns faster where the upper halves of both
/// addresses are the same (a third of what a helper call costs). The system would put them beside its other mappings, whose
/// distances are no secret; so many places keep them as hard to guess as those.
const NEAR_PAGES: usize = 1 << 23;
/// What lies nearer is left to the program.
const NEAREST_BYTES: usize = 64 << 20;

/// Executable memory that holds code whose first bytes are its entrance.
#[derive(Debug)]
pub(super) struct CodePages {
    start: NonNull<u8>,
    code_bytes: usize,
    /// Keeps the code there.
    _mapping: Mapping,
}

// SAFETY: nothing writes the code once it is there, so any thread may read and run it.
unsafe impl Send for CodePages {}
// SAFETY: as for `Send`.
unsafe impl Sync for CodePages {}

impl CodePages {
    /// Memory for so many bytes of code, which `write` puts there.
    ///
    /// # Errors
    ///
    /// What the system says when it has no memory, or forbids code that was made at run time.
    pub(super) fn new(code_bytes: usize, write: impl Fn(&mut [u8])) -> io::Result<Self> {
        let random = RandomState::new().build_hasher().finish() as usize;
        let (mapping, start) = put(code_bytes, random, write)?;
        let start = mapping.at.as_ptr().wrapping_add(start);
        let start = NonNull::new(start).expect("no mapping begins or ends at address 0");
        Ok(CodePages { start, code_bytes, _mapping: mapping })
    }

    /// Address of the byte at an offset into the code.
    pub(super) fn address(&self, offset: u32) -> u64 {
        self.start.as_ptr().addr() as u64 + u64::from(offset)
    }

    /// The code as it lies in memory.
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: these bytes of the mapping hold the code, are readable, and are never written again.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.code_bytes) }
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
        // SAFETY: the compiler of this room put an entrance of this type there; the pages are executable and live as long as
        // `self`.
        let entrance = unsafe { std::mem::transmute::<*mut u8, Entrance>(self.start.as_ptr()) };
        let [a, b, c, d, e] = arguments;
        // SAFETY: the code touches its own stack, `run` as the compiler laid it out, and guest memory: what a proof covers,
        // or what the run's regions allow. It keeps the calling convention.
        unsafe { entrance(a, b, c, d, e, run, function, frame_pointer) }
    }

    /// Runs code that looks at no run.
    #[inline]
    pub(super) fn enter_quietly(&self, arguments: [u64; 5], function: u64, frame_pointer: u64) -> u64 {
        let offset = (function as usize).wrapping_sub(self.start.as_ptr().addr());
        let start = self.start.as_ptr().wrapping_add(offset);
        // SAFETY: the compiler of this room put a function of this type there, which touches its own stack and guest memory that a
        // proof covers; the pages are executable and live as long as `self`.
        let entrance = unsafe { std::mem::transmute::<*mut u8, QuietEntrance>(start) };
        let [a, b, c, d, e] = arguments;
        entrance(a, b, c, d, e, frame_pointer)
    }
}

/// A mapping, which goes when nobody needs it.
#[derive(Debug)]
struct Mapping {
    at: NonNull<u8>,
    bytes: usize,
}

// SAFETY: it only says where memory is; whoever touches that has to say why they may.
unsafe impl Send for Mapping {}
// SAFETY: as for `Send`.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// What the kernel has just mapped.
    fn new(at: *mut c_void, bytes: usize) -> Self {
        Mapping { at: NonNull::new(at.cast::<u8>()).expect("the kernel maps nothing at address 0"), bytes }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and with it goes the last that knows it.
        let unmapped = unsafe { munmap(self.at.as_ptr().cast(), self.bytes) };
        debug_assert!(unmapped.is_ok(), "a mapping of ours can be given back");
    }
}

/// A random place near this program's text, where the system may put a mapping; none where there is nothing below.
fn near(random: usize) -> *mut c_void {
    let text = (put::<fn(&mut [u8])> as *const ()).addr() & !(PAGE_BYTES - 1);
    let distance = NEAREST_BYTES + (random >> 8) % NEAR_PAGES * PAGE_BYTES;
    std::ptr::without_provenance_mut(text.saturating_sub(distance))
}

/// Puts code into new pages; yields them, and where it starts in them.
fn put<W: Fn(&mut [u8])>(code_bytes: usize, random: usize, write: W) -> io::Result<(Mapping, usize)> {
    let start = random % (PAGE_BYTES / START_BYTES) * START_BYTES;
    let bytes = (start + code_bytes).next_multiple_of(PAGE_BYTES);
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // They are written at once, so let them be there.
    let flags = MapFlags::PRIVATE | MapFlags::POPULATE;
    // SAFETY: a new private mapping where nothing is touches no memory that there is; `near` is but a wish.
    let at = unsafe { mmap_anonymous(near(random), bytes, protection, flags) }?;
    let mapping = Mapping::new(at, bytes);
    // SAFETY: the mapping has so many bytes, is writable, and nobody else knows it.
    let memory = unsafe { std::slice::from_raw_parts_mut(mapping.at.as_ptr(), bytes) };
    memory[..start].fill(TRAP);
    write(&mut memory[start..start + code_bytes]);
    memory[start + code_bytes..].fill(TRAP);
    // SAFETY: the mapping is ours, and the slice of it is used no more.
    unsafe { mprotect(at, bytes, MprotectFlags::READ | MprotectFlags::EXEC) }?;
    Ok((mapping, start))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Start, end, permissions of all mappings of this process.
    fn mappings() -> Vec<(u64, u64, String)> {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let number = |text: &str| u64::from_str_radix(text, 16).unwrap();
        let mapping = |line: &str| {
            let mut fields = line.split_whitespace();
            let (from, to) = fields.next().unwrap().split_once('-').unwrap();
            (number(from), number(to), fields.next().unwrap().to_owned() + line)
        };
        maps.lines().map(mapping).collect()
    }

    #[test]
    fn pages_are_never_writable_and_executable_at_once_and_starts_differ() {
        let lengths = (0..16).map(|n| if n % 4 == 3 { 100_000 } else { 100 });
        let all: Vec<CodePages> =
            lengths.map(|bytes| CodePages::new(bytes, |code| code.fill(0xc3)).unwrap()).collect();
        let maps = mappings();
        assert!(maps.iter().all(|(.., line)| !line.starts_with("rwx")));
        for pages in &all {
            let address = pages.address(0);
            let (.., line) = maps.iter().find(|(from, to, _)| (*from..*to).contains(&address)).unwrap();
            assert!(line.starts_with("r-x"), "{line:?}");
            assert!(pages.bytes().iter().all(|byte| *byte == 0xc3));
        }
        let starts: std::collections::BTreeSet<u64> = all.iter().map(|p| p.address(0) % 4096).collect();
        assert!(starts.len() > 4, "{starts:?}");
    }

    #[test]
    fn mappings_lie_near_the_text_at_places_that_differ() {
        let text = (put::<fn(&mut [u8])> as *const ()).addr() as u64;
        let all: Vec<CodePages> =
            (0..8).map(|_| CodePages::new(100_000, |code| code.fill(0x90)).unwrap()).collect();
        let pages: std::collections::BTreeSet<u64> = all.iter().map(|p| p.address(0) & !4095).collect();
        assert_eq!(pages.len(), 8);
        let reach = (NEAREST_BYTES + (NEAR_PAGES + 1) * PAGE_BYTES) as u64;
        assert!(text < reach || pages.iter().all(|page| text - page <= reach), "{pages:x?} {text:x}");
    }
}
