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
    /// First byte of the frame of the function that runs; a frame that is open.
    frame: *mut u8,
    /// The state of the regions that the cached windows show.
    version: u32,
    lent: PhantomData<&'m mut [u8]>,
}

impl<'m> Windows<'m> {
    /// Opens the frame at `depth`, all zero, and windows onto it and onto those below, which are open; yields the frame
    /// pointer too, or `None` if `depth` frames are too many.
    pub(crate) fn open(regions: &mut Regions<'m>, depth: usize) -> Option<(Self, u64)> {
        let mut windows = Windows {
            windows: [Window::CLOSED; N_WINDOWS],
            frame: std::ptr::dangling_mut(),
            version: regions.version,
            lent: PhantomData,
        };
        let frame_pointer = windows.open_frame(regions, depth)?;
        for (window, region) in windows.windows.iter_mut().zip(&regions.regions[..depth]) {
            *window = Window::new(region.base, FRAME_BYTES, true, true);
        }
        Some((windows, frame_pointer))
    }

    /// Opens the frame of a function, all zero; yields its frame pointer, or `None` if `depth` frames are too many.
    pub(crate) fn open_frame(&mut self, regions: &mut Regions<'m>, depth: usize) -> Option<u64> {
        let frame_pointer = regions.open_frame(depth)?;
        self.frame = regions.regions[depth].base;
        self.windows[depth] = Window::new(self.frame, FRAME_BYTES, true, true);
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
        self.frame = regions.regions[depth - 1].base;
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

    /// Where an access of `N` bytes starts, if the window shows all of them.
    #[inline(always)]
    fn place<const N: usize>(&self, address: u64, number: u8, access: Access) -> Option<*mut u8> {
        let window = self.window(number);
        let offset = address.wrapping_sub(window.base.addr() as u64);
        let starts = if access == Access::Read { window.reads } else { window.writes };
        let allowed = offset < u64::from(starts[N.trailing_zeros() as usize]);
        // `wrapping_add` keeps the provenance of the region; the offset is inside it.
        allowed.then(|| window.base.wrapping_add(offset as usize))
    }

    /// `N` bytes at `address`, if the window shows them.
    #[inline(always)]
    pub(crate) fn load<const N: usize>(&self, address: u64, number: u8) -> Option<[u8; N]> {
        let place = self.place::<N>(address, number, Access::Read)?;
        // SAFETY: the window shows N bytes there, so they lie in a region: memory that is borrowed, or owned by the
        // regions, for `'m`. Arrays of bytes have no alignment.
        Some(unsafe { place.cast::<[u8; N]>().read() })
    }

    /// Writes `N` bytes at `address`, if the window shows them; yields whether it does.
    #[inline(always)]
    pub(crate) fn store<const N: usize>(&mut self, address: u64, value: [u8; N], number: u8) -> bool {
        let Some(place) = self.place::<N>(address, number, Access::Write) else { return false };
        // SAFETY: as in `load`; the region is writable, so nobody else reads or writes it meanwhile, and no reference into it
        // lives while this runs.
        unsafe { place.cast::<[u8; N]>().write(value) };
        true
    }

    /// `N` bytes at this distance from the frame pointer, if they lie in the frame.
    #[inline(always)]
    pub(crate) fn load_frame<const N: usize>(&self, displacement: i16) -> Option<[u8; N]> {
        let place = self.place_in_frame::<N>(displacement)?;
        // SAFETY: as in `load`: `frame` is an open frame, of `FRAME_BYTES` bytes.
        Some(unsafe { place.cast::<[u8; N]>().read() })
    }

    /// Writes `N` bytes at this distance from the frame pointer, if they lie in the frame; yields whether they do.
    #[inline(always)]
    pub(crate) fn store_frame<const N: usize>(&mut self, displacement: i16, value: [u8; N]) -> bool {
        let Some(place) = self.place_in_frame::<N>(displacement) else { return false };
        // SAFETY: as in `store` and `load_frame`.
        unsafe { place.cast::<[u8; N]>().write(value) };
        true
    }

    #[inline(always)]
    fn place_in_frame<const N: usize>(&self, displacement: i16) -> Option<*mut u8> {
        let offset = i64::from(displacement).wrapping_add(FRAME_BYTES as i64) as u64;
        (offset <= (FRAME_BYTES - N) as u64).then(|| self.frame.wrapping_add(offset as usize))
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

/// What a window shows of a region: the piece around an address that lies in it.
fn shown(region: &Region, address: u64) -> Window {
    let offset = address.wrapping_sub(region.base.addr() as u64) as usize;
    // A region that is longer than 32 bits count is shown from the address on.
    let from = if region.bytes > u32::MAX as usize { offset } else { 0 };
    Window::new(region.base.wrapping_add(from), region.bytes - from, true, region.writable)
}
