//! The bytes of a packet: head room, metadata, the packet itself, tail room.
//!
//! They lie in pages below 4 GiB; the program sees metadata and packet through one window. This file moves the ends and
//! copies bytes; what a helper allows and how fields follow is said where the contexts are.

use crate::memory::{Pages, Regions, Window};

/// A packet in its pages. Offsets are bytes from the start of the pages.
#[derive(Debug)]
pub(super) struct Packet {
    pages: Pages,
    window: Window,
    /// Room begins.
    start: usize,
    meta: usize,
    data: usize,
    end: usize,
    /// Room ends.
    limit: usize,
}

impl Packet {
    /// Bytes of pages that a packet needs at most, from `start` on.
    pub(super) fn room(head_bytes: usize, packet_bytes: usize, tail_bytes: usize) -> usize {
        head_bytes + packet_bytes + tail_bytes
    }

    /// Puts metadata and packet into the pages, with head room before them, and shows them to the program.
    pub(super) fn place(
        regions: &mut Regions<'_>,
        pages: Pages,
        (start, limit): (usize, usize),
        head_bytes: usize,
        (metadata, bytes): (&[u8], &[u8]),
        writable: bool,
    ) -> Packet {
        let meta = start + head_bytes - metadata.len();
        let data = start + head_bytes;
        let end = data + bytes.len();
        regions.clear(pages, start..meta);
        regions.poke(pages, meta, metadata);
        regions.poke(pages, data, bytes);
        regions.clear(pages, end..limit);
        let window = regions.open_window(pages, meta..end, writable);
        Packet { pages, window, start, meta, data, end, limit }
    }

    /// Bytes of the packet, without metadata.
    pub(super) fn len(&self) -> usize {
        self.end - self.data
    }

    /// Bytes of metadata.
    pub(super) fn meta_len(&self) -> usize {
        self.data - self.meta
    }

    /// Bytes before the metadata.
    pub(super) fn head_room(&self) -> usize {
        self.meta - self.start
    }

    /// Bytes behind the packet.
    pub(super) fn tail_room(&self) -> usize {
        self.limit - self.end
    }

    /// Pointers as the program has them: metadata, packet, end.
    pub(super) fn pointers(&self, regions: &Regions<'_>) -> [u32; 3] {
        [self.meta, self.data, self.end].map(|offset| regions.page_address(self.pages, offset))
    }

    /// The packet's bytes.
    pub(super) fn bytes(&self, regions: &Regions<'_>) -> Vec<u8> {
        self.copy(regions, self.data, self.end)
    }

    /// The metadata's bytes.
    pub(super) fn metadata(&self, regions: &Regions<'_>) -> Vec<u8> {
        self.copy(regions, self.meta, self.data)
    }

    fn copy(&self, regions: &Regions<'_>, from: usize, to: usize) -> Vec<u8> {
        let mut bytes = vec![0; to - from];
        regions.peek(self.pages, from, &mut bytes);
        bytes
    }

    /// Reads bytes at `offset` from the packet's first; negative ones are before it, in the room that it once had. `None`
    /// outside.
    pub(super) fn read(&self, regions: &Regions<'_>, offset: i64, into: &mut [u8]) -> Option<()> {
        let at = self.inside(offset, into.len())?;
        regions.peek(self.pages, at, into);
        Some(())
    }

    /// `N` bytes at `offset`, as [`Packet::read`].
    pub(super) fn array<const N: usize>(&self, regions: &Regions<'_>, offset: i64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.read(regions, offset, &mut bytes)?;
        Some(bytes)
    }

    /// Writes bytes at `offset` of the packet; `None` outside.
    pub(super) fn write(&self, regions: &mut Regions<'_>, offset: i64, from: &[u8]) -> Option<()> {
        let at = self.inside(offset, from.len())?;
        regions.poke(self.pages, at, from);
        Some(())
    }

    fn inside(&self, offset: i64, bytes: usize) -> Option<usize> {
        let at = i64::try_from(self.data).ok()?.checked_add(offset)?;
        let at = usize::try_from(at).ok().filter(|at| *at >= self.start)?;
        (at.checked_add(bytes)? <= self.end).then_some(at)
    }

    /// Moves the packet's first byte by `delta` bytes, negative ones towards the head; metadata moves along.
    ///
    /// # Panics
    ///
    /// If that leaves the room; the caller has compared with [`Packet::head_room`] and [`Packet::len`].
    pub(super) fn move_start(&mut self, regions: &mut Regions<'_>, delta: i64) {
        let moved = |at: usize| at.checked_add_signed(delta as isize).expect("the caller knows the room");
        let (meta, data) = (moved(self.meta), moved(self.data));
        assert!(meta >= self.start && data <= self.end, "the caller knows the room");
        regions.shift(self.pages, self.meta..self.data, meta);
        (self.meta, self.data) = (meta, data);
        self.show(regions);
    }

    /// Moves the metadata's first byte.
    ///
    /// # Panics
    ///
    /// If there is not so much head room.
    pub(super) fn set_meta_len(&mut self, regions: &mut Regions<'_>, bytes: usize) {
        let meta = self.data.checked_sub(bytes).filter(|meta| *meta >= self.start);
        self.meta = meta.expect("the caller knows the room");
        self.show(regions);
    }

    /// Moves the end; what is new is zero.
    ///
    /// # Panics
    ///
    /// If there is not so much room.
    pub(super) fn set_len(&mut self, regions: &mut Regions<'_>, bytes: usize) {
        let end = self.data + bytes;
        assert!(end <= self.limit, "the caller knows the room");
        if end > self.end {
            regions.clear(self.pages, self.end..end);
        }
        self.end = end;
        self.show(regions);
    }

    /// Makes `bytes` of zeros at `offset` of the packet; what was before them moves towards the head. Without enough head room, all moves
    /// towards the tail first. `None` where there is no room at all.
    pub(super) fn insert(&mut self, regions: &mut Regions<'_>, offset: usize, bytes: usize) -> Option<()> {
        if bytes > self.head_room() {
            self.make_head_room(regions, bytes)?;
        }
        self.move_start(regions, -(bytes as i64));
        let data = self.data;
        regions.shift(self.pages, data + bytes..data + bytes + offset, data);
        regions.clear(self.pages, data + offset..data + offset + bytes);
        Some(())
    }

    /// Removes `bytes` at `offset` of the packet; what was before them moves towards the tail. `None` where there are not so
    /// many.
    pub(super) fn remove(&mut self, regions: &mut Regions<'_>, offset: usize, bytes: usize) -> Option<()> {
        if offset.checked_add(bytes)? > self.len() {
            return None;
        }
        regions.shift(self.pages, self.data..self.data + offset, self.data + bytes);
        self.move_start(regions, bytes as i64);
        Some(())
    }

    /// Moves everything towards the tail, so that `bytes` of head room are free.
    fn make_head_room(&mut self, regions: &mut Regions<'_>, bytes: usize) -> Option<()> {
        let by = bytes - self.head_room();
        if by > self.tail_room() {
            return None;
        }
        regions.shift(self.pages, self.meta..self.end, self.meta + by);
        self.meta += by;
        self.data += by;
        self.end += by;
        self.show(regions);
        Some(())
    }

    fn show(&self, regions: &mut Regions<'_>) {
        regions.move_window(self.window, self.meta..self.end);
    }
}
