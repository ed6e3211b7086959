//! Maps: every kind that programs use, with the kernel's rules for making, changing and reading them.
//!
//! A program knows a map by a number in which no memory lies ([`MapHandle::guest`]); helpers turn it back. Values lie in memory that
//! never moves while the map lives, and a run is lent them value by value. Hosts work on maps through the same rules and get the
//! same errors as user space gets from the kernel. How engines reach helpers is no business of this module.

mod array;
mod bloom;
mod create;
mod error;
mod events;
mod fields;
mod guest;
mod hash;
mod host;
mod index;
mod lru;
mod queue;
mod ring;
mod rings;
mod shape;
mod timers;
mod trie;

use array::{Array, References};
use bloom::Bloom;
use events::{PerfEvents, StackTraces};
use hash::Hash;
use queue::Queue;
use ring::Ring;
use trie::Trie;

pub use create::CreateError;
pub use error::MapError;
pub use events::PerfRecord;
pub use host::UpdateMode;
pub use shape::Shape;

pub use guest::{DirectLookup, lookup_number};
pub use hash::Table;
#[cfg(target_arch = "x86_64")]
pub(crate) use index::{EMPTY as ABSENT_SLOT, Entry as TableEntry};
pub(crate) use rings::Reserved;
pub(crate) use timers::Timer;

use crate::memory::{Areas, Values};

/// What programs see of map 0; no processor has an address there.
const MAP_BASE: u64 = 0xba00_0000_0000_0000;

/// `BPF_NOEXIST`: only if there is no such entry.
const NOEXIST: u64 = 1;
/// `BPF_EXIST`: only if there is one.
const EXIST: u64 = 2;
/// `BPF_F_LOCK`: under the value's lock.
const LOCK: u64 = 4;

/// A map of a sandbox, by the order in which they were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MapHandle(pub u32);

impl MapHandle {
    /// The number under which programs know it.
    pub const fn guest(self) -> u64 {
        MAP_BASE + self.0 as u64
    }

    /// The map that programs know under this number.
    #[inline]
    pub fn from_guest(number: u64) -> Option<MapHandle> {
        Some(MapHandle(u32::try_from(number.checked_sub(MAP_BASE)?).ok()?))
    }
}

/// A value that is stored.
#[derive(Debug, Clone, Copy)]
enum Update<'v> {
    /// The value of an entry.
    One(&'v [u8]),
    /// The present processor's value.
    Processor(&'v [u8]),
    /// All processors' values, each padded to 8 bytes.
    All(&'v [u8]),
}

/// A map.
#[derive(Debug)]
struct Map {
    shape: Shape,
    name: String,
    frozen: bool,
    /// What maps in it must be like.
    template: Option<Shape>,
    body: Body,
}

/// What a map holds.
#[derive(Debug)]
enum Body {
    Array(Array),
    References(References),
    Hash(Hash),
    Trie(Trie),
    Queue(Queue),
    Bloom(Bloom),
    Ring(Ring),
    PerfEvents(PerfEvents),
    StackTraces(StackTraces),
    /// Values that hang on objects, by the objects' numbers.
    Storage(Hash),
}

/// The maps of a sandbox. They stay on the thread that made them, since programs reach their memory by address.
#[derive(Debug)]
pub struct Maps {
    n_processors: u32,
    maps: Vec<Map>,
    areas: Areas,
    /// Ring buffer records that the present run reserved and has not submitted.
    reserved: Vec<Reserved>,
    timers: Vec<Timer>,
    n_timers: u32,
}

impl Maps {
    /// No maps, for so many processors (at least 1): maps of the per-processor kinds hold a value for each.
    pub fn new(n_processors: u32) -> Self {
        Maps {
            n_processors: n_processors.max(1),
            maps: Vec::new(),
            areas: Areas::default(),
            reserved: Vec::new(),
            timers: Vec::new(),
            n_timers: 0,
        }
    }

    /// Processors.
    pub fn n_processors(&self) -> u32 {
        self.n_processors
    }

    /// The maps there are, in the order in which they were made.
    pub fn handles(&self) -> impl Iterator<Item = MapHandle> + use<> {
        (0..self.maps.len() as u32).map(MapHandle)
    }

    /// Type, sizes and flags of a map.
    pub fn shape(&self, map: MapHandle) -> Option<&Shape> {
        self.maps.get(map.0 as usize).map(|map| &map.shape)
    }

    /// The map's name.
    pub fn name(&self, map: MapHandle) -> Option<&str> {
        self.maps.get(map.0 as usize).map(|map| map.name.as_str())
    }

    /// Where `offset` bytes into the first value of a map lie, for maps whose value programs may address directly: arrays of
    /// one entry (`array_map_direct_value_addr`).
    pub fn value_address(&self, map: MapHandle, offset: u32) -> Option<u64> {
        match self.maps.get(map.0 as usize) {
            Some(Map { body: Body::Array(array), shape, .. })
                if array.len() == 1 && offset < shape.value_bytes && !shape.map_type.is_per_cpu() =>
            {
                Some(array.value_address(0, 0)? + u64::from(offset))
            }
            _ => None,
        }
    }

    /// What runs are lent of the maps.
    pub(crate) fn areas(&self) -> &Areas {
        &self.areas
    }

    /// Keeps the values where they are for as long as the answer lives, for who has addresses of them.
    pub(crate) fn hold(&self) -> Values {
        self.areas.hold()
    }

    #[inline(always)]
    fn get(&self, map: MapHandle) -> Result<&Map, MapError> {
        self.maps.get(map.0 as usize).ok_or(MapError::NoMap)
    }

    #[inline(always)]
    fn get_mut(&mut self, map: MapHandle) -> Result<&mut Map, MapError> {
        self.maps.get_mut(map.0 as usize).ok_or(MapError::NoMap)
    }
}

/// The first 4 bytes of a key, as arrays take them.
fn array_index(key: &[u8]) -> u32 {
    key.first_chunk::<4>().map_or(u32::MAX, |bytes| u32::from_ne_bytes(*bytes))
}
