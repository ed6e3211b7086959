//! Pages below 4 GiB, and windows onto them that move while a program runs.
//!
//! `struct xdp_md` and `struct __sk_buff` hold the packet's place in 32 bits; the kernel widens such a load, here the packet
//! simply lies where 32 bits reach. A helper that makes the packet longer or shorter moves the window through which
//! the program sees the pages. What a window does not show can only be touched by the host.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::ops::Range;
use std::ptr::NonNull;

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use super::{Access, AccessFault, Region, Regions};

/// Where pages are looked for: above what programs are loaded at, below 4 GiB.
const LOWEST: usize = 0x1000_0000;
const HIGHEST: usize = 0xf000_0000;
/// From one try to the next.
const STEP: usize = 0x0040_0000;

/// Zeroed pages below 4 GiB, unmapped when dropped.
#[derive(Debug)]
pub struct LowPages {
    base: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the pages belong to the process, not to a thread, and are reached through `&mut` or `Regions` only.
unsafe impl Send for LowPages {}

impl LowPages {
    /// Maps `bytes` bytes, rounded up to whole pages by the system, at a place that differs from run to run.
    ///
    /// # Errors
    ///
    /// Where the system has no room below 4 GiB.
    pub fn new(bytes: usize) -> io::Result<LowPages> {
        let bytes = bytes.max(1);
        let places = (HIGHEST - LOWEST) / STEP;
        let first = RandomState::new().hash_one(bytes) as usize % places;
        for round in 0..places {
            let address = LOWEST + (first + round) % places * STEP;
            if address + bytes > u32::MAX as usize {
                continue;
            }
            let wanted = std::ptr::without_provenance_mut(address);
            let flags = MapFlags::PRIVATE | MapFlags::FIXED_NOREPLACE;
            // SAFETY: with FIXED_NOREPLACE nothing that exists is replaced, so no memory of anybody changes.
            match unsafe { mmap_anonymous(wanted, bytes, ProtFlags::READ | ProtFlags::WRITE, flags) } {
                Ok(base) => {
                    let base = NonNull::new(base.cast::<u8>()).expect("a mapping is never at address 0");
                    let pages = LowPages { base, bytes };
                    // A system that does not know the flag takes the address for a wish.
                    if pages.base.addr().get() + bytes <= u32::MAX as usize {
                        return Ok(pages);
                    }
                }
                Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::ErrorKind::OutOfMemory.into())
    }

    /// How many.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for LowPages {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and whoever borrowed it is gone.
        let unmapped = unsafe { munmap(self.base.as_ptr().cast(), self.bytes) };
        debug_assert_eq!(unmapped, Ok(()));
    }
}

/// Pages that are lent to a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backing {
    base: *mut u8,
    bytes: usize,
}

/// Which pages of a run, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pages(u8);

/// What a program sees of pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pages: Pages,
    region: usize,
}

impl<'m> Regions<'m> {
    /// Lends pages to the run; the program sees nothing of them until a window is opened.
    ///
    /// # Panics
    ///
    /// If 256 other pages are lent.
    pub fn lend_pages(&mut self, pages: &'m mut LowPages) -> Pages {
        let number = u8::try_from(self.backings.len()).expect("a run has few pages");
        self.backings.push(Backing { base: pages.base.as_ptr(), bytes: pages.bytes });
        Pages(number)
    }

    /// Opens a window onto pages.
    ///
    /// # Panics
    ///
    /// If the range is not inside the pages.
    pub fn open_window(&mut self, pages: Pages, range: Range<usize>, writable: bool) -> Window {
        let window = Window { pages, region: self.regions.len() };
        let base = self.backing(pages, &range);
        self.push(Region::plain(base, range.len(), writable));
        window
    }

    /// Shows another part of the same pages through a window.
    ///
    /// # Panics
    ///
    /// If the range is not inside the pages.
    pub fn move_window(&mut self, window: Window, range: Range<usize>) {
        let base = self.backing(window.pages, &range);
        let region = &mut self.regions[window.region];
        region.base = base;
        region.bytes = range.len();
        self.version = self.version.wrapping_add(1);
    }

    /// The address under which a program finds this byte of the pages, when a window shows it. Below 4 GiB.
    pub fn page_address(&self, pages: Pages, offset: usize) -> u32 {
        let address = self.backings[usize::from(pages.0)].base.expose_provenance() + offset;
        u32::try_from(address).expect("the pages lie below 4 GiB")
    }

    /// Reads bytes of the pages, whether a window shows them or not.
    ///
    /// # Panics
    ///
    /// If they are not inside the pages.
    pub fn peek(&self, pages: Pages, offset: usize, into: &mut [u8]) {
        let from = self.backing(pages, &(offset..offset + into.len()));
        // SAFETY: `backing` found the range inside pages that are borrowed for `'m`; `into` is no part of them, since nobody has a
        // reference into lent memory.
        unsafe { into.as_mut_ptr().copy_from_nonoverlapping(from, into.len()) };
    }

    /// Writes bytes of the pages, whether a window shows them or not.
    ///
    /// # Panics
    ///
    /// If they are not inside the pages.
    pub fn poke(&mut self, pages: Pages, offset: usize, from: &[u8]) {
        let to = self.backing(pages, &(offset..offset + from.len()));
        // SAFETY: as in `peek`; the pages are borrowed exclusively for `'m`.
        unsafe { to.copy_from_nonoverlapping(from.as_ptr(), from.len()) };
    }

    /// Fills bytes of the pages with zeros.
    ///
    /// # Panics
    ///
    /// If they are not inside the pages.
    pub fn clear(&mut self, pages: Pages, range: Range<usize>) {
        let to = self.backing(pages, &range);
        // SAFETY: as in `poke`.
        unsafe { to.write_bytes(0, range.len()) };
    }

    /// Moves bytes inside the pages; the ranges may overlap.
    ///
    /// # Panics
    ///
    /// If one of them is not inside the pages.
    pub fn shift(&mut self, pages: Pages, from: Range<usize>, to: usize) {
        let source = self.backing(pages, &from);
        let target = self.backing(pages, &(to..to + from.len()));
        // SAFETY: both ranges lie in pages that are borrowed exclusively for `'m`; `copy_from` allows overlap.
        unsafe { target.copy_from(source, from.len()) };
    }

    /// Checks that a helper may read, or write, `bytes` bytes that the program points to.
    ///
    /// # Errors
    ///
    /// [`AccessFault`] unless all of them lie in one region that allows it.
    pub fn check(&self, address: u64, bytes: usize, access: Access) -> Result<(), AccessFault> {
        self.find(address, bytes, access).map(|_| ())
    }

    fn backing(&self, pages: Pages, range: &Range<usize>) -> *mut u8 {
        let backing = &self.backings[usize::from(pages.0)];
        assert!(range.start <= range.end && range.end <= backing.bytes, "{range:?} is outside the pages");
        // `wrapping_add` keeps the provenance of the mapping; the offset is inside it.
        backing.base.wrapping_add(range.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Stack;

    #[test]
    fn a_window_shows_a_part_of_pages_that_32_bits_reach() {
        let (mut stack, mut low) = (Stack::new(), LowPages::new(8192).unwrap());
        let mut regions = Regions::new(&mut stack);
        let pages = regions.lend_pages(&mut low);
        let window = regions.open_window(pages, 256..264, true);
        let at = u64::from(regions.page_address(pages, 256));
        regions.write(at, &[7; 8]).unwrap();
        let mut byte = [0];
        assert!(regions.read(at + 8, &mut byte).is_err() && regions.read(at - 1, &mut byte).is_err());
        regions.move_window(window, 252..260);
        let mut bytes = [0; 8];
        regions.read(at - 4, &mut bytes).unwrap();
        assert_eq!(bytes, [0, 0, 0, 0, 7, 7, 7, 7]);
        assert!(regions.read(at + 4, &mut byte).is_err());
        regions.shift(pages, 256..264, 252);
        let mut bytes = [0; 12];
        regions.peek(pages, 252, &mut bytes);
        assert_eq!(bytes, [7; 12]);
        regions.clear(pages, 253..255);
        regions.poke(pages, 8190, &[1, 2]);
        assert!(regions.check(at, 4, Access::Write).is_ok() && regions.check(at, 5, Access::Read).is_err());
    }

    #[test]
    fn many_pages_find_room_beside_each_other() {
        let all: Vec<LowPages> = (0..40).map(|_| LowPages::new(1 << 20).unwrap()).collect();
        assert!(all.iter().all(|pages| pages.base.addr().get() + pages.bytes() <= 1 << 32));
    }
}
