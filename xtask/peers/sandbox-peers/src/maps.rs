//! The maps and helpers that the peers' programs call, since no peer has maps: an open-addressed hash and an array, as plain and fast as a
//! host would write them.
//!
//! They are filled as the benchmark fills the maps of every other engine. Nothing is ever added or taken away, so that no peer pays
//! for locks.

use std::sync::OnceLock;

/// Slots of the hash: its 64 entries fill an eighth.
const SLOTS: usize = 512;
/// Entries of the array.
const ENTRIES: usize = 256;
/// Number of the hash, as programs see it.
const HASH: u64 = 1;
/// A key that no entry has.
const EMPTY: u32 = u32::MAX;

/// Keys and values of both maps.
#[derive(Debug)]
pub struct Tables {
    keys: [u32; SLOTS],
    hash: [u64; SLOTS],
    array: [u64; ENTRIES],
}

static TABLES: OnceLock<Tables> = OnceLock::new();

/// The maps.
#[inline(always)]
pub fn tables() -> &'static Tables {
    TABLES.get_or_init(|| {
        let mut tables = Tables { keys: [EMPTY; SLOTS], hash: [0; SLOTS], array: [0; ENTRIES] };
        for number in 0..64 {
            let key = number * 3;
            let mut slot = first_slot(key);
            while tables.keys[slot] != EMPTY {
                slot = (slot + 1) % SLOTS;
            }
            (tables.keys[slot], tables.hash[slot]) = (key, u64::from(number) + 1);
            tables.array[key as usize] = u64::from(number) + 1;
        }
        tables
    })
}

#[inline(always)]
fn first_slot(key: u32) -> usize {
    (key.wrapping_mul(0x9e37_79b1) >> 23) as usize
}

impl Tables {
    /// The value of a key in the map of this number.
    #[inline(always)]
    pub fn find(&self, map: u64, key: u32) -> Option<&u64> {
        if map != HASH {
            return self.array.get(key as usize);
        }
        let mut slot = first_slot(key);
        loop {
            match self.keys[slot] {
                found if found == key => return Some(&self.hash[slot]),
                EMPTY => return None,
                _ => slot = (slot + 1) % SLOTS,
            }
        }
    }

    /// Where the values lie, as bytes.
    pub fn values(&self) -> [&[u64]; 2] {
        [&self.hash, &self.array]
    }
}

/// `bpf_map_lookup_elem` over addresses of this process.
///
/// The C form of the programs calls it by name.
#[unsafe(no_mangle)]
pub extern "C" fn peer_lookup(map: u64, key: u64, _: u64, _: u64, _: u64) -> u64 {
    // SAFETY: the programs of the benchmark, which are the only callers, pass the address of a key on their stack.
    let key = unsafe { std::ptr::with_exposed_provenance::<u32>(key as usize).read_unaligned() };
    tables().find(map, key).map_or(0, |value| std::ptr::from_ref(value).expose_provenance() as u64)
}

/// `bpf_get_smp_processor_id`, which is always 0 here.
#[unsafe(no_mangle)]
pub extern "C" fn peer_processor(_: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    0
}
