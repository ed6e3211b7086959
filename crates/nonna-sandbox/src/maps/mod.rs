//! Maps as a program sees them: handles, and addresses of values.
//!
//! A program knows a map by a number in which no memory lies ([`MapHandle::guest`]); helpers turn it back.

/// What programs see of map 0; no processor has an address there.
const MAP_BASE: u64 = 0xba00_0000_0000_0000;

/// A map of a sandbox, by the order in which they were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MapHandle(pub u32);

impl MapHandle {
    /// The number under which programs know it.
    pub const fn guest(self) -> u64 {
        MAP_BASE + self.0 as u64
    }

    /// The map that programs know under this number.
    pub fn from_guest(number: u64) -> Option<MapHandle> {
        Some(MapHandle(u32::try_from(number.checked_sub(MAP_BASE)?).ok()?))
    }
}

/// The maps of a sandbox.
#[derive(Debug)]
pub struct Maps {
    n_processors: u32,
}

impl Maps {
    /// No maps, for so many processors (at least 1): maps of the per-processor kinds hold a value for each.
    pub fn new(n_processors: u32) -> Self {
        Maps { n_processors: n_processors.max(1) }
    }

    /// Processors.
    pub fn n_processors(&self) -> u32 {
        self.n_processors
    }

    /// Where `offset` bytes into the first value of a map lie, for maps whose values programs may address directly (arrays).
    pub fn value_address(&self, map: MapHandle, offset: u32) -> Option<u64> {
        let _ = (map, offset);
        None
    }
}
