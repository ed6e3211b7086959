//! Inline caches of the interpreter: parts of regions that an access is compared with first.
//!
//! A window is a place in memory and, for each size of access, how many addresses from there on one may start at. What no
//! window shows is looked up in the regions, which decide; a window never shows more than they allow. Frames have
//! windows of their own, since they open and close with every call.

use std::marker::PhantomData;

use super::{Access, AccessFault, FRAME_BYTES, MAX_FRAMES, Region, Regions};

/// Windows beside those of the frames.
const N_CACHED: usize = 8;
/// All windows: a power of two, so that a number cut to its bits always finds one.
const N_WINDOWS: usize = MAX_FRAMES + N_CACHED;
const _: () = assert!(N_WINDOWS.is_power_of_two() && MAX_FRAMES == 8);

/// A part of a region.
#[derive(Debug, Clone, Copy)]
struct Window {
    base: *mut u8,
    /// How many addresses a read of 1, 2, 4 and 8 bytes may start at.
    reads: [u32; 4],
    /// The same for writes.
    writes: [u32; 4],
}

impl Window {
    const CLOSED: Window = Window { base: std::ptr::dangling_mut(), reads: [0; 4], writes: [0; 4] };
    /// A frame, somewhere.
    const FRAME: Window = {
        let bytes = FRAME_BYTES as u32;
        let starts = [bytes, bytes - 1, bytes - 3, bytes - 7];
        Window { base: std::ptr::dangling_mut(), reads: starts, writes: starts }
    };

    /// The same window elsewhere.
    #[inline(always)]
    fn at(self, base: *mut u8) -> Window {
        Window { base, ..self }
    }

    /// Where an access of `N` bytes starts, if the window shows all of them.
    #[inline(always)]
    fn place<const N: usize>(&self, address: u64, access: Access) -> Option<*mut u8> {
        self.place_at::<N>(address.wrapping_sub(self.base.addr() as u64), access)
    }

    /// The same, by the distance from the window's first byte.
    #[inline(always)]
    fn place_at<const N: usize>(&self, offset: u64, access: Access) -> Option<*mut u8> {
        let starts = if access == Access::Read { self.reads } else { self.writes };
        let allowed = offset < u64::from(starts[N.trailing_zeros() as usize]);
        // `wrapping_add` keeps the provenance of the region; the offset is inside it.
        allowed.then(|| self.base.wrapping_add(offset as usize))
    }

    fn new(base: *mut u8, bytes: usize, readable: bool, writable: bool) -> Self {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let starts = |allowed: bool| {
            [1, 2, 4, 8].map(|size| if allowed { (bytes + 1).saturating_sub(size) } else { 0 })
        };
        Window { base, reads: starts(readable), writes: starts(writable) }
    }
}

/// The windows of one run of an interpreter.
pub(crate) struct Windows<'m> {
    windows: [Window; N_WINDOWS],
    /// The frame of the function that runs.
    frame: Window,
    /// The state of the regions that the cached windows show.
    version: u32,
    lent: PhantomData<&'m mut [u8]>,
}

impl<'m> Windows<'m> {
    /// No window at all.
    pub(crate) const CLOSED: Self = Windows {
        windows: [Window::CLOSED; N_WINDOWS],
        frame: Window::CLOSED,
        version: 0,
        lent: PhantomData,
    };

    /// Opens the first frame of a run, and windows onto it and onto those below, which belong to who called; yields the frame
    /// pointer, or `None` if `depth` frames are too many.
    pub(crate) fn open(&mut self, regions: &mut Regions<'m>, depth: usize) -> Option<u64> {
        for (window, region) in self.windows.iter_mut().zip(&regions.regions[..depth]) {
            *window = Window::FRAME.at(region.base);
        }
        self.version = regions.version;
        self.open_frame(regions, depth)
    }

    /// Opens the frame of a function, all zero; yields its frame pointer, or `None` if `depth` frames are too many.
    pub(crate) fn open_frame(&mut self, regions: &mut Regions<'m>, depth: usize) -> Option<u64> {
        let frame_pointer = regions.open_frame(depth)?;
        self.frame = Window::FRAME.at(regions.regions[depth].base);
        self.windows[depth] = self.frame;
        Some(frame_pointer)
    }

    /// Closes the frame at `depth`, above which none is open, and goes back to the one below it.
    ///
    /// # Panics
    ///
    /// If there is none below it.
    pub(crate) fn close_frame(&mut self, regions: &mut Regions<'m>, depth: usize) {
        regions.close_frames(depth);
        self.windows[depth] = Window::CLOSED;
        self.frame = self.windows[depth - 1];
    }

    /// Forgets what it shows of regions that have changed since.
    #[inline]
    pub(crate) fn refresh(&mut self, regions: &Regions<'m>) {
        if self.version != regions.version {
            self.version = regions.version;
            self.windows[MAX_FRAMES..].fill(Window::CLOSED);
        }
    }

    /// The window that a number names.
    #[inline(always)]
    fn window(&self, number: u8) -> &Window {
        &self.windows[usize::from(number) % N_WINDOWS]
    }

    /// `N` bytes at `address`, if the window shows them.
    #[inline(always)]
    pub(crate) fn load<const N: usize>(&self, address: u64, number: u8) -> Option<[u8; N]> {
        let place = self.window(number).place::<N>(address, Access::Read)?;
        // SAFETY: the window shows N bytes there, so they lie in a region: memory that is borrowed, or owned by the
        // regions, for `'m`. Arrays of bytes have no alignment.
        Some(unsafe { place.cast::<[u8; N]>().read() })
    }

    /// Writes `N` bytes at `address`, if the window shows them; yields whether it does.
    #[inline(always)]
    pub(crate) fn store<const N: usize>(&mut self, address: u64, value: [u8; N], number: u8) -> bool {
        let Some(place) = self.window(number).place::<N>(address, Access::Write) else { return false };
        // SAFETY: as in `load`; the region is writable, so nobody else reads or writes it meanwhile, and no reference into it
        // lives while this runs.
        unsafe { place.cast::<[u8; N]>().write(value) };
        true
    }

    /// `N` bytes at this distance from the frame pointer, if they lie in the frame.
    #[inline(always)]
    pub(crate) fn load_frame<const N: usize>(&self, displacement: i16) -> Option<[u8; N]> {
        let place = self.frame.place_at::<N>(from_frame(displacement), Access::Read)?;
        // SAFETY: as in `load`.
        Some(unsafe { place.cast::<[u8; N]>().read() })
    }

    /// Writes `N` bytes at this distance from the frame pointer, if they lie in the frame; yields whether they do.
    #[inline(always)]
    pub(crate) fn store_frame<const N: usize>(&mut self, displacement: i16, value: [u8; N]) -> bool {
        let Some(place) = self.frame.place_at::<N>(from_frame(displacement), Access::Write) else {
            return false;
        };
        // SAFETY: as in `store`.
        unsafe { place.cast::<[u8; N]>().write(value) };
        true
    }

    /// Opens a window that shows these bytes, and yields its number.
    ///
    /// # Errors
    ///
    /// [`AccessFault`] if no region has them all and allows the access.
    #[cold]
    pub(crate) fn look_up(
        &mut self,
        regions: &Regions<'m>,
        address: u64,
        bytes: usize,
        access: Access,
    ) -> Result<u8, AccessFault> {
        let found = regions.regions.iter().position(|region| region.place(address, bytes, access).is_some());
        let index = found.ok_or(AccessFault { address, bytes, access })?;
        if index < MAX_FRAMES {
            return Ok(index as u8);
        }
        // Two runs with the same regions give each of them the same number, so that they do not take turns in correcting
        // the numbers that instructions remember.
        let number = MAX_FRAMES + index % N_CACHED;
        self.windows[number] = shown(&regions.regions[index], address);
        Ok(number as u8)
    }
}

/// The distance from the first byte of a frame, given that from the frame pointer.
#[inline(always)]
fn from_frame(displacement: i16) -> u64 {
    (i64::from(displacement) + FRAME_BYTES as i64) as u64
}

/// What a window shows of a region: the item around an address, or all of a region that is one piece.
fn shown(region: &Region, address: u64) -> Window {
    let offset = address.wrapping_sub(region.base.addr() as u64);
    let (from, bytes) = if region.reciprocal != 0 {
        (region.item(offset), region.item_bytes)
    } else if region.bytes > u32::MAX as usize {
        // A region that is longer than 32 bits count is shown from the address on.
        (offset as usize, region.bytes - offset as usize)
    } else {
        (0, region.bytes)
    };
    Window::new(region.base.wrapping_add(from), bytes, region.readable, region.writable)
}
