//! Pages of machine code: the place where it lies and the only door into it.
//!
//! No address is ever writable and executable (W^X). Pages of a program's own are writable while the code is put there and executable
//! from then until the program is gone; memory that an embedder keeps for many programs has two views ([`bank`]), since switching pages to
//! and fro takes longer than compiling a small program. The code starts at a random multiple of 64 in a mapping whose own place the
//! kernel draws. That is the defence chosen against
//! code that is smuggled in as constants, not blinding: whoever sprays constants must know where they come to lie, and here the
//! start is drawn anew for each program, what is around it is traps or other code, and its addresses cannot be written; blinding would make every instruction with a constant three, which is where sbpf's machine code loses a quarter of its speed. This
//! module and `memory` are all of the room that may say `unsafe`.

mod bank;
mod mapping;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::ptr::NonNull;

use crate::run::Run;

pub use bank::CodeMemory;
use bank::Room;
use mapping::Mapping;

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

/// Executable memory that holds code whose first bytes are its entrance.
#[derive(Debug)]
pub(super) struct CodePages {
    start: NonNull<u8>,
    code_bytes: usize,
    _place: Place,
}

/// Whose memory the code lies in; what is its own goes with it, what was lent goes back.
#[derive(Debug)]
enum Place {
    Own { _pages: Mapping },
    Lent { _room: Room },
}

// SAFETY: nothing writes the code once it lies there, so any thread may read and run it.
unsafe impl Send for CodePages {}
// SAFETY: as for `Send`.
unsafe impl Sync for CodePages {}

impl CodePages {
    /// A place for so many bytes of code, which `write` puts there: in this memory, or in pages of its own.
    ///
    /// # Errors
    ///
    /// What the system says when it has no memory, or forbids code that was made at run time.
    pub(super) fn new(
        memory: Option<&CodeMemory>,
        code_bytes: usize,
        write: impl FnOnce(&mut [u8]),
    ) -> io::Result<Self> {
        if let Some(memory) = memory {
            let room = memory.take(code_bytes, write)?;
            return Ok(CodePages { start: room.start(), code_bytes, _place: Place::Lent { _room: room } });
        }
        let start = random_start();
        let mut pages = Mapping::writable((start + code_bytes).next_multiple_of(PAGE_BYTES))?;
        let bytes = pages.bytes_mut();
        bytes[..start].fill(TRAP);
        write(&mut bytes[start..start + code_bytes]);
        bytes[start + code_bytes..].fill(TRAP);
        let pages = pages.into_executable()?;
        Ok(CodePages { start: pages.at(start), code_bytes, _place: Place::Own { _pages: pages } })
    }

    /// Address of the byte at an offset into the code.
    pub(super) fn address(&self, offset: u32) -> u64 {
        self.start.as_ptr().addr() as u64 + u64::from(offset)
    }

    /// The code as it lies in memory.
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: these bytes hold the code, are readable, and are not written again as long as `self` lives.
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

/// Where code starts in the memory that it may lie in: a multiple of a cache line below a page.
fn random_start() -> usize {
    let random = RandomState::new().build_hasher().finish() as usize;
    random % (PAGE_BYTES / START_BYTES) * START_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line_of(address: u64) -> String {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let line = maps.lines().find(|line| {
            let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
            let number = |text| u64::from_str_radix(text, 16).unwrap();
            (number(from)..number(to)).contains(&address)
        });
        line.unwrap().to_owned()
    }

    #[test]
    fn no_address_is_writable_and_executable_and_starts_differ() {
        let memory = CodeMemory::default();
        for place in [None, Some(&memory)] {
            let all: Vec<CodePages> =
                (0..16).map(|_| CodePages::new(place, 100, |code| code.fill(0xc3)).unwrap()).collect();
            for pages in &all {
                assert!(line_of(pages.address(0)).contains(" r-x"), "{}", line_of(pages.address(0)));
                assert_eq!(pages.bytes(), [0xc3; 100]);
            }
            let starts: std::collections::BTreeSet<u64> = all.iter().map(|p| p.address(0) % 4096).collect();
            assert!(starts.len() > 4, "{starts:?}");
        }
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        assert!(!maps.contains(" rwx"), "{maps}");
    }
}
