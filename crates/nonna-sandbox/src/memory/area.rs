//! Memory of maps: values that never move while their map lives, lent to a run for as long as it runs.
//!
//! An area is a row of items at equal distances. What lies between them is no memory for programs: an access must lie inside
//! one item. Large areas are reserved and cost nothing until they are touched. Only maps own areas, and only [`Regions`]
//! shows them to programs; which item belongs to which key is the maps' business.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use super::{Region, Regions};

/// Areas from this size on are pages of their own, which the system provides one by one when they are touched.
const MAPPED_BYTES: usize = 64 << 10;
/// Every item starts at a multiple of this, as in the kernel.
const ALIGN_BYTES: usize = 8;

/// Zeroed memory, freed when dropped. It offers no access: that is for whoever holds the area or the regions.
struct Block {
    base: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the memory belongs to the process, not to a thread, and the type offers no way to touch it.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

impl Block {
    fn new(bytes: usize) -> Option<Block> {
        let bytes = bytes.max(ALIGN_BYTES);
        let base = if bytes < MAPPED_BYTES {
            // SAFETY: the layout is not of size 0.
            NonNull::new(unsafe { alloc_zeroed(Block::layout(bytes)) })?
        } else {
            let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
            // SAFETY: without an address the system chooses one where nothing is.
            let made = unsafe {
                mmap_anonymous(std::ptr::null_mut(), bytes, ProtFlags::READ | ProtFlags::WRITE, flags)
            };
            NonNull::new(made.ok()?.cast::<u8>())?
        };
        Some(Block { base, bytes })
    }

    fn layout(bytes: usize) -> Layout {
        Layout::from_size_align(bytes, ALIGN_BYTES).expect("a few bytes, and a power of two")
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if self.bytes < MAPPED_BYTES {
            // SAFETY: it was allocated with this layout, and whoever borrowed it is gone.
            unsafe { dealloc(self.base.as_ptr(), Block::layout(self.bytes)) };
        } else {
            // SAFETY: the mapping is this value's own, and whoever borrowed it is gone.
            let unmapped = unsafe { munmap(self.base.as_ptr().cast(), self.bytes) };
            debug_assert_eq!(unmapped, Ok(()));
        }
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes)
    }
}

/// A row of items of equal size.
///
/// The bytes change under a run while nobody holds the area, so nothing here hands out references into it.
#[derive(Debug)]
pub(crate) struct Area {
    block: Arc<Block>,
    region: Region,
}

impl Area {
    /// Zeroed items of `item_bytes` bytes (at least 1), each at the next multiple of 8. `None` where there is no room.
    pub(crate) fn new(n_items: u64, item_bytes: usize) -> Option<Area> {
        Area::with_stride(n_items, item_bytes, item_bytes.checked_next_multiple_of(ALIGN_BYTES)?)
    }

    /// Items that programs see the first `item_bytes` bytes of, each `stride` bytes after the one before.
    pub(crate) fn with_stride(n_items: u64, item_bytes: usize, stride: usize) -> Option<Area> {
        debug_assert!(stride >= item_bytes && stride.is_multiple_of(ALIGN_BYTES));
        let bytes = usize::try_from(n_items).ok()?.checked_mul(stride)?;
        // Beyond that the reciprocal does not divide exactly; no machine has so much.
        bytes.checked_mul(stride)?;
        isize::try_from(bytes).ok()?;
        let block = Block::new(bytes)?;
        let mut region = Region::plain(block.base.as_ptr(), bytes, true);
        if n_items > 1 {
            region.stride = stride;
            region.reciprocal = (u64::MAX / stride as u64).wrapping_add(1);
        }
        region.item_bytes = item_bytes;
        if n_items == 1 {
            region.bytes = item_bytes;
        }
        Some(Area { block: Arc::new(block), region })
    }

    /// As programs may use it.
    pub(crate) fn allow(mut self, readable: bool, writable: bool) -> Area {
        self.region.readable = readable;
        self.region.writable = writable;
        self
    }

    /// The address under which programs find this byte.
    #[inline]
    pub(crate) fn address(&self, offset: usize) -> u64 {
        (self.region.base.expose_provenance() + offset) as u64
    }

    /// Which bytes a program's address means, if all of them are in the area.
    pub(crate) fn offset(&self, address: u64, bytes: usize) -> Option<usize> {
        let offset = usize::try_from(address.checked_sub(self.address(0))?).ok()?;
        (offset <= self.block.bytes.checked_sub(bytes)?).then_some(offset)
    }

    /// A copy of bytes.
    pub(crate) fn bytes(&self, offset: usize, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.read(offset, &mut bytes);
        bytes
    }

    /// Reads bytes.
    ///
    /// # Panics
    ///
    /// If they are not inside the area; so with all others here.
    pub(crate) fn read(&self, offset: usize, into: &mut [u8]) {
        let from = self.place(offset, into.len());
        // SAFETY: `place` found the range inside the block; `into` is no part of it, since nobody has a reference into it.
        unsafe { into.as_mut_ptr().copy_from_nonoverlapping(from, into.len()) };
    }

    /// A number at a multiple of 8.
    #[inline]
    pub(crate) fn load<const N: usize>(&self, offset: usize) -> [u8; N] {
        let from = self.place(offset, N);
        // SAFETY: `place` found the range inside the block; arrays of bytes have no alignment.
        unsafe { from.cast::<[u8; N]>().read() }
    }

    /// Whether the bytes are these.
    #[inline]
    pub(crate) fn equals(&self, offset: usize, other: &[u8]) -> bool {
        let mut at = offset;
        for chunk in other.chunks(8) {
            let equal = match <[u8; 8]>::try_from(chunk) {
                Ok(eight) => self.load::<8>(at) == eight,
                Err(_) => chunk.iter().enumerate().all(|(i, byte)| self.load::<1>(at + i) == [*byte]),
            };
            if !equal {
                return false;
            }
            at += chunk.len();
        }
        true
    }

    /// Writes bytes.
    #[inline]
    pub(crate) fn write(&mut self, offset: usize, from: &[u8]) {
        let to = self.place(offset, from.len());
        // SAFETY: as in `read`; the area is borrowed exclusively, and a run that shows it to a program makes no access meanwhile.
        unsafe { to.copy_from_nonoverlapping(from.as_ptr(), from.len()) };
    }

    /// Fills bytes with zeros.
    pub(crate) fn clear(&mut self, offset: usize, len: usize) {
        let to = self.place(offset, len);
        // SAFETY: as in `write`.
        unsafe { to.write_bytes(0, len) };
    }

    #[inline]
    fn place(&self, offset: usize, len: usize) -> *mut u8 {
        let fits = self.block.bytes.checked_sub(len).is_some_and(|last| offset <= last);
        assert!(fits, "{len} bytes at {offset} are outside the area");
        // `wrapping_add` keeps the provenance of the block; the offset is inside it.
        self.region.base.wrapping_add(offset)
    }
}

/// The areas of some maps, ready to be lent.
#[derive(Debug, Default)]
pub(crate) struct Areas {
    regions: Vec<Region>,
    /// Shared with whoever still has addresses in them.
    blocks: Arc<Vec<Arc<Block>>>,
    /// Tells these maps from others.
    identity: Arc<()>,
}

/// The values of some maps, for whoever has their addresses: a linked program. They stay where they are as long as this lives, whatever
/// becomes of the maps.
#[derive(Debug, Clone, Default)]
pub struct Values {
    /// Whose they are; `None` if there are no addresses.
    owner: Option<Arc<()>>,
    _blocks: Arc<Vec<Arc<Block>>>,
}

impl Areas {
    /// Adds one.
    pub(crate) fn add(&mut self, area: &Area) {
        self.regions.push(area.region);
        Arc::make_mut(&mut self.blocks).push(Arc::clone(&area.block));
    }

    /// For who stores addresses in them, such as a linked program.
    pub(crate) fn hold(&self) -> Values {
        Values { owner: Some(Arc::clone(&self.identity)), _blocks: Arc::clone(&self.blocks) }
    }

    /// Whether these are the maps that the values belong to.
    #[inline]
    pub(crate) fn own(&self, values: &Values) -> bool {
        values.owner.as_ref().is_none_or(|owner| Arc::ptr_eq(owner, &self.identity))
    }
}

/// Areas that a run is lent.
#[derive(Debug, Default)]
pub(super) struct Lent {
    /// Which regions are theirs; closed between runs.
    places: std::ops::Range<usize>,
    /// Regions of single records that come and go, with what keeps their memory there.
    records: Vec<(usize, Option<Arc<Block>>)>,
    blocks: Arc<Vec<Arc<Block>>>,
}

impl Regions<'_> {
    /// Lends the areas to the run that begins; [`Regions::take_back_areas`] must follow.
    #[inline]
    pub(crate) fn lend_areas(&mut self, areas: &Areas) {
        if !areas.regions.is_empty() {
            self.lend_some(areas);
        }
    }

    fn lend_some(&mut self, areas: &Areas) {
        self.version = self.version.wrapping_add(1);
        // Whoever adds an area makes a new list, since this one is held.
        if !Arc::ptr_eq(&self.lent.blocks, &areas.blocks) {
            self.lend_others(areas);
        }
        let start = self.lent.places.start;
        let places = &mut self.regions[start..start + areas.regions.len()];
        for (index, area) in areas.regions.iter().enumerate() {
            places[index].bytes = area.bytes;
        }
    }

    /// Makes places for areas that were not lent before.
    #[cold]
    fn lend_others(&mut self, areas: &Areas) {
        self.lent.blocks = Arc::clone(&areas.blocks);
        let n = areas.regions.len();
        if self.lent.places.len() < n {
            let start = self.regions.len();
            self.regions.resize(start + n, Region::CLOSED);
            self.lent.places = start..start + n;
        }
        let start = self.lent.places.start;
        self.regions[start..start + n].copy_from_slice(&areas.regions);
    }

    /// Closes them, and all records with them.
    #[inline]
    pub(crate) fn take_back_areas(&mut self) {
        if !(self.lent.places.is_empty() && self.lent.records.is_empty()) {
            self.take_back_some();
        }
    }

    fn take_back_some(&mut self) {
        self.version = self.version.wrapping_add(1);
        for region in &mut self.regions[self.lent.places.clone()] {
            region.bytes = 0;
        }
        for (region, block) in &mut self.lent.records {
            self.regions[*region] = Region::CLOSED;
            *block = None;
        }
    }

    /// Shows one piece of an area that is otherwise not lent; yields its address.
    pub(crate) fn open_record(&mut self, area: &Area, offset: usize, bytes: usize, writable: bool) -> u64 {
        self.version = self.version.wrapping_add(1);
        let region = Region::plain(area.place(offset, bytes), bytes, writable);
        let block = Some(Arc::clone(&area.block));
        match self.lent.records.iter_mut().find(|(_, block)| block.is_none()) {
            Some(record) => {
                self.regions[record.0] = region;
                record.1 = block;
            }
            None => {
                self.lent.records.push((self.regions.len(), block));
                self.regions.push(region);
            }
        }
        area.address(offset)
    }

    /// Hides it again.
    pub(crate) fn close_record(&mut self, address: u64) {
        self.version = self.version.wrapping_add(1);
        for (region, block) in &mut self.lent.records {
            if block.is_some() && self.regions[*region].base.addr() as u64 == address {
                self.regions[*region] = Region::CLOSED;
                *block = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Access, Stack};

    fn read<const N: usize>(regions: &Regions<'_>, address: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        regions.read(address, &mut bytes).is_ok().then_some(bytes)
    }

    #[test]
    fn an_access_lies_inside_one_item() {
        for (item, n) in [(1usize, 3u64), (4, 2), (8, 5), (12, 1000), (24, 7), (100, 4000), (7, 1)] {
            let area = Area::new(n, item).unwrap();
            let mut areas = Areas::default();
            areas.add(&area);
            let mut stack = Stack::new();
            let mut regions = Regions::new(&mut stack);
            let first = area.address(0);
            assert!(read::<1>(&regions, first).is_none());
            regions.lend_areas(&areas);
            let stride = item.next_multiple_of(8) as u64;
            for index in [0, 1, n / 2, n - 1].into_iter().filter(|index| *index < n) {
                let at = first + index * stride;
                assert!(regions.check(at, item, Access::Write).is_ok(), "{item} {index}");
                assert!(regions.check(at, item + 1, Access::Read).is_err(), "{item} {index}");
                assert!(regions.check(at + item as u64, 1, Access::Read).is_err() || item % 8 == 0);
                assert!(read::<1>(&regions, at + item as u64 - 1).is_some());
                if item > 1 {
                    assert!(read::<2>(&regions, at + item as u64 - 1).is_none());
                }
            }
            assert!(regions.check(first + n * stride, 1, Access::Read).is_err());
            assert!(regions.check(first - 1, 1, Access::Read).is_err());
            regions.take_back_areas();
            assert!(read::<1>(&regions, first).is_none());
        }
    }

    #[test]
    fn areas_are_lent_again_beside_what_came_meanwhile() {
        let mut area = Area::new(2, 8).unwrap();
        area.write(8, &[3; 8]);
        let mut areas = Areas::default();
        areas.add(&area);
        let (mut stack, mut other) = (Stack::new(), [9u8; 8]);
        let mut regions = Regions::new(&mut stack);
        regions.lend_areas(&areas);
        let at = regions.lend(&mut other);
        regions.take_back_areas();
        regions.lend_areas(&areas);
        assert_eq!(read::<8>(&regions, area.address(8)), Some([3; 8]));
        assert_eq!(read::<8>(&regions, at), Some([9; 8]));
        assert!(read::<8>(&regions, area.address(4)).is_none());
    }

    #[test]
    fn records_open_and_close_to_the_byte() {
        let area = Area::new(1, 64).unwrap();
        let mut stack = Stack::new();
        let mut regions = Regions::new(&mut stack);
        let at = regions.open_record(&area, 8, 5, true);
        assert_eq!(at, area.address(8));
        assert!(regions.check(at, 5, Access::Write).is_ok() && regions.check(at, 6, Access::Read).is_err());
        regions.close_record(at);
        assert!(regions.check(at, 1, Access::Read).is_err());
    }

    #[test]
    fn a_large_area_costs_nothing_until_it_is_touched() {
        let mut area = Area::new(1 << 32, 64).unwrap();
        area.write(64 * ((1 << 32) - 1), &[1; 64]);
        assert_eq!(area.bytes(64 * ((1 << 32) - 1), 2), [1, 1]);
        assert!(Area::new(1 << 40, 1 << 30).is_none());
    }
}
