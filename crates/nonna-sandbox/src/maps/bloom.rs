//! Bloom filters: whether a value was certainly never added.
//!
//! As many bits as the kernel takes for the same sizes (`kernel/bpf/bloom_filter.c`), so that errors are as likely. Which bits a value
//! sets is secret there and here.

use std::hash::{BuildHasher, RandomState};

use super::error::MapError;
use crate::memory::Area;

/// Hash functions where the creator does not say.
const DEFAULT_HASHES: u32 = 5;

/// A bloom filter.
#[derive(Debug)]
pub(super) struct Bloom {
    /// A power of two minus 1.
    mask: u64,
    n_hashes: u32,
    hasher: RandomState,
    /// Never lent; an area because it costs nothing until it is touched.
    bits: Area,
}

impl Bloom {
    /// One without values.
    pub(super) fn new(max_entries: u32, extra: u64) -> Result<Bloom, MapError> {
        let n_hashes = if extra == 0 { DEFAULT_HASHES } else { extra as u32 };
        // Entries times functions divided by ln 2, which 7/5 comes close to, in 32 bits.
        let n_bits = max_entries.checked_mul(n_hashes).and_then(|product| (product / 5).checked_mul(7));
        let n_bits = match n_bits {
            Some(n) if n <= 1 << 31 => u64::from(n.max(64).next_power_of_two()),
            _ => 1 << 32,
        };
        let bits = Area::new(1, (n_bits / 8) as usize).ok_or(MapError::NoMemory)?;
        Ok(Bloom { mask: n_bits - 1, n_hashes, hasher: RandomState::new(), bits })
    }

    /// Adds a value.
    pub(super) fn push(&mut self, value: &[u8], flags: u64) -> Result<(), MapError> {
        if flags != 0 {
            return Err(MapError::Invalid);
        }
        for number in 0..self.n_hashes {
            let (byte, bit) = self.place(value, number);
            let [before] = self.bits.load::<1>(byte);
            self.bits.write(byte, &[before | bit]);
        }
        Ok(())
    }

    /// Whether a value may have been added.
    pub(super) fn peek(&self, value: &[u8]) -> Result<(), MapError> {
        let set = |number| {
            let (byte, bit) = self.place(value, number);
            self.bits.load::<1>(byte)[0] & bit != 0
        };
        if (0..self.n_hashes).all(set) { Ok(()) } else { Err(MapError::Absent) }
    }

    fn place(&self, value: &[u8], number: u32) -> (usize, u8) {
        let bit = self.hasher.hash_one((value, number)) & self.mask;
        ((bit / 8) as usize, 1 << (bit % 8))
    }
}
