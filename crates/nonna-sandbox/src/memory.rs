//! Guest memory: what a program may touch, and the only code that touches it.
//!
//! Guest pointers are addresses of this process. [`Regions`] lists the bytes that are lent to a run, and no access is made
//! that does not lie in one region as a whole. The bytes are borrowed for as long as the list lives and are lent to
//! one run at a time, so an atomic instruction needs no atomic access here. Beside `jit::pages` this is the only module that
//! may say `unsafe`.

mod area;
mod low;
mod windows;

use std::fmt;
use std::marker::PhantomData;

pub use area::Values;
pub(crate) use area::{Area, Areas};
pub use low::{LowPages, Pages, Window};
pub(crate) use windows::Windows;

/// Bytes of the stack frame of each function (RFC 9669 leaves it to the platform; 512 in the kernel).
pub const FRAME_BYTES: usize = 512;
/// Functions that may be active at once, as in the kernel (`MAX_CALL_FRAMES`).
pub const MAX_FRAMES: usize = 8;
/// From one frame to the next: a gap of a frame's size lies between, so that an overrun meets no other frame.
pub(crate) const FRAME_STRIDE_BYTES: usize = 2 * FRAME_BYTES;
/// Stack memory in all.
const STACK_BYTES: usize = MAX_FRAMES * FRAME_STRIDE_BYTES;

/// Memory for the frames of one run; one can serve many runs, one after the other.
pub struct Stack(Box<Frames>);

/// Aligned so that every frame pointer is a multiple of 16, as compilers of programs expect.
#[repr(align(16))]
struct Frames([u8; STACK_BYTES]);

impl Stack {
    /// An empty stack, 8 KiB.
    pub fn new() -> Self {
        Stack(Box::new(Frames([0; STACK_BYTES])))
    }
}

impl Default for Stack {
    fn default() -> Self {
        Stack::new()
    }
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stack")
    }
}

/// What a program wanted to do to memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read it.
    Read,
    /// Write it, or read and write it at once.
    Write,
}

/// An access to memory that the program was not lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{} of {bytes} bytes at {address:#x}, outside its memory", match .access { Access::Read => "a read", Access::Write => "a write" })]
pub struct AccessFault {
    /// First byte.
    pub address: u64,
    /// How many bytes.
    pub bytes: usize,
    /// Which way.
    pub access: Access,
}

/// Bytes that are lent to a program.
#[derive(Debug, Clone, Copy)]
struct Region {
    base: *mut u8,
    bytes: usize,
    readable: bool,
    writable: bool,
    /// From one item to the next, where the region is a row of items.
    stride: usize,
    /// What divides by `stride`: 2^64 / `stride`, rounded up; 0 where the region is one piece.
    reciprocal: u64,
    /// Bytes of an item that may be touched.
    item_bytes: usize,
}

impl Region {
    /// Nothing.
    const CLOSED: Region = Region::plain(std::ptr::dangling_mut(), 0, false);

    /// One piece.
    const fn plain(base: *mut u8, bytes: usize, writable: bool) -> Region {
        Region { base, bytes, readable: true, writable, stride: 0, reciprocal: 0, item_bytes: 0 }
    }

    /// Where `bytes` bytes at `address` start, if all of them lie in this region and it allows the access.
    #[inline]
    fn place(&self, address: u64, bytes: usize, access: Access) -> Option<*mut u8> {
        let offset = address.wrapping_sub(self.base.addr() as u64);
        let last = self.bytes.checked_sub(bytes)?;
        let permitted = if access == Access::Read { self.readable } else { self.writable };
        // `wrapping_add` keeps the provenance of the slice; the offset is inside it.
        (offset <= last as u64 && permitted && (self.reciprocal == 0 || self.inside_item(offset, bytes)))
            .then(|| self.base.wrapping_add(offset as usize))
    }

    /// Whether the bytes lie in one item of a row.
    #[inline]
    fn inside_item(&self, offset: u64, bytes: usize) -> bool {
        offset as usize - self.item(offset) + bytes <= self.item_bytes
    }

    /// Where the item begins that an offset lies in. The quotient is exact as long as the offset times the stride fits 64 bits, which
    /// whoever makes a row sees to.
    #[inline]
    fn item(&self, offset: u64) -> usize {
        let number = (u128::from(offset) * u128::from(self.reciprocal)) >> 64;
        number as usize * self.stride
    }
}

/// The memory that a program may touch: its stack frames, and what the caller lends it.
///
/// The caller's slices stay borrowed as long as the list lives, so nobody else reads or writes them meanwhile.
#[derive(Debug)]
pub struct Regions<'m> {
    /// The frames first, of zero bytes while no function uses them.
    regions: Vec<Region>,
    /// All frames from this depth on are closed.
    closed_from: usize,
    /// Pages that windows show parts of.
    backings: Vec<low::Backing>,
    /// Counts changes of the regions, but for frames.
    version: u32,
    /// Memory of maps.
    lent: area::Lent,
    borrowed: PhantomData<&'m mut [u8]>,
}

impl<'m> Regions<'m> {
    /// Nothing but a stack.
    pub fn new(stack: &'m mut Stack) -> Self {
        let base = stack.0.0.as_mut_ptr();
        let frame = |depth: usize| {
            Region::plain(base.wrapping_add((MAX_FRAMES - 1 - depth) * FRAME_STRIDE_BYTES), 0, true)
        };
        Regions {
            regions: (0..MAX_FRAMES).map(frame).collect(),
            closed_from: 0,
            backings: Vec::new(),
            version: 0,
            lent: area::Lent::default(),
            borrowed: PhantomData,
        }
    }

    /// Lends bytes for reading and writing; yields the address under which the program finds them.
    pub fn lend(&mut self, memory: &'m mut [u8]) -> u64 {
        self.push(Region::plain(memory.as_mut_ptr(), memory.len(), true))
    }

    /// Lends bytes for reading only; yields the address under which the program finds them.
    pub fn lend_for_reading(&mut self, memory: &'m [u8]) -> u64 {
        self.push(Region::plain(memory.as_ptr().cast_mut(), memory.len(), false))
    }

    fn push(&mut self, region: Region) -> u64 {
        self.regions.push(region);
        self.version = self.version.wrapping_add(1);
        region.base.expose_provenance() as u64
    }

    /// Opens the frame of a function, all zero; yields its frame pointer, or `None` if `depth` frames are too many.
    pub(crate) fn open_frame(&mut self, depth: usize) -> Option<u64> {
        let frame_pointer = self.show_frame(depth)?;
        let frame = &self.regions[depth];
        // SAFETY: the frame's 512 bytes lie in the stack, which is borrowed exclusively for `'m`, and no reference to it exists.
        unsafe { frame.base.write_bytes(0, FRAME_BYTES) };
        Some(frame_pointer)
    }

    /// As [`Regions::open_frame`], but what was in the frame stays there: for functions that were proved to read no byte of it
    /// before it is written.
    #[inline]
    pub(crate) fn show_frame(&mut self, depth: usize) -> Option<u64> {
        let frame = self.regions[..MAX_FRAMES].get_mut(depth)?;
        frame.bytes = FRAME_BYTES;
        self.closed_from = self.closed_from.max(depth + 1);
        Some((frame.base.expose_provenance() + FRAME_BYTES) as u64)
    }

    /// The frame pointer of the function at `depth`, whose frame stays as it is: for code that was proved to read no byte of it
    /// before it writes it, and that calls nobody who asks what is open.
    ///
    /// # Panics
    ///
    /// If there is no such frame.
    #[inline]
    pub(crate) fn frame_pointer(&self, depth: usize) -> u64 {
        (self.regions[..MAX_FRAMES][depth].base.expose_provenance() + FRAME_BYTES) as u64
    }

    /// Closes frames from `depth` on: their bytes can no longer be touched.
    #[inline]
    pub(crate) fn close_frames(&mut self, depth: usize) {
        while self.closed_from > depth {
            self.closed_from -= 1;
            self.regions[self.closed_from].bytes = 0;
        }
    }

    /// Where an access starts, if it lies in one region.
    fn find(&self, address: u64, bytes: usize, access: Access) -> Result<*mut u8, AccessFault> {
        let place = self.regions.iter().find_map(|region| region.place(address, bytes, access));
        place.ok_or(AccessFault { address, bytes, access })
    }

    /// Reads as many bytes as `into` holds, for a helper.
    ///
    /// # Errors
    ///
    /// [`AccessFault`] unless all of them lie in one region; nothing has been read then.
    pub fn read(&self, address: u64, into: &mut [u8]) -> Result<(), AccessFault> {
        let place = self.find(address, into.len(), Access::Read)?;
        // SAFETY: `find` found so many bytes inside a slice that is borrowed for `'m`, and `into` cannot overlap it: a
        // reference into memory that is lent cannot exist.
        unsafe { into.as_mut_ptr().copy_from_nonoverlapping(place, into.len()) };
        Ok(())
    }

    /// Writes these bytes, for a helper.
    ///
    /// # Errors
    ///
    /// [`AccessFault`] unless all of them lie in one writable region; nothing has been written then.
    pub fn write(&mut self, address: u64, from: &[u8]) -> Result<(), AccessFault> {
        let place = self.find(address, from.len(), Access::Write)?;
        // SAFETY: `find` found so many bytes inside a slice that is borrowed exclusively for `'m`, so `from` cannot overlap it.
        unsafe { place.copy_from_nonoverlapping(from.as_ptr(), from.len()) };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<const N: usize>(regions: &Regions<'_>, address: u64) -> Result<[u8; N], AccessFault> {
        let mut bytes = [0; N];
        regions.read(address, &mut bytes).map(|()| bytes)
    }

    #[test]
    fn an_access_is_checked_to_the_byte_on_both_sides() {
        let (mut stack, mut memory) = (Stack::new(), [1u8, 2, 3, 4, 5, 6, 7, 8]);
        let mut regions = Regions::new(&mut stack);
        let at = regions.lend(&mut memory);
        assert_eq!(read::<8>(&regions, at), Ok([1, 2, 3, 4, 5, 6, 7, 8]));
        assert_eq!(read::<1>(&regions, at + 7), Ok([8]));
        for (address, bytes) in [(at + 1, 8), (at.wrapping_sub(1), 8), (at + 8, 8), (u64::MAX, 8), (0, 8)] {
            let fault = AccessFault { address, bytes, access: Access::Read };
            assert_eq!(read::<8>(&regions, address), Err(fault));
        }
        assert_eq!(read::<1>(&regions, at + 8).unwrap_err().address, at + 8);
        assert!(regions.write(at + 4, &[9; 5]).is_err());
        assert_eq!(read::<8>(&regions, at), Ok([1, 2, 3, 4, 5, 6, 7, 8]));
        regions.write(at + 4, &[9; 4]).unwrap();
        drop(regions);
        assert_eq!(memory, [1, 2, 3, 4, 9, 9, 9, 9]);
    }

    #[test]
    fn memory_for_reading_is_not_written() {
        let (mut stack, memory) = (Stack::new(), [5u8; 8]);
        let mut regions = Regions::new(&mut stack);
        let at = regions.lend_for_reading(&memory);
        assert_eq!(read::<8>(&regions, at), Ok([5; 8]));
        assert!(regions.write(at, &[1]).is_err());
        assert_eq!(memory, [5; 8]);
    }

    #[test]
    fn frames_open_empty_apart_from_each_other_and_close() {
        let mut stack = Stack::new();
        let mut regions = Regions::new(&mut stack);
        let pointers: Vec<u64> = (0..MAX_FRAMES).map(|depth| regions.open_frame(depth).unwrap()).collect();
        assert_eq!(regions.open_frame(MAX_FRAMES), None);
        for pointer in &pointers {
            assert_eq!(pointer % 16, 0);
            regions.write(pointer - 8, &[7; 8]).unwrap();
            assert!(read::<1>(&regions, *pointer).is_err());
            assert!(read::<1>(&regions, pointer - 513).is_err());
            assert_eq!(read::<1>(&regions, pointer - 512), Ok([0]));
        }
        regions.close_frames(1);
        assert!(read::<8>(&regions, pointers[1] - 8).is_err());
        assert_eq!(read::<8>(&regions, pointers[0] - 8), Ok([7; 8]));
        regions.open_frame(1).unwrap();
        assert_eq!(read::<8>(&regions, pointers[1] - 8), Ok([0; 8]));
    }
}
