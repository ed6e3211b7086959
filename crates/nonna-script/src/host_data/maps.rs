//! How maps are laid out and shown.
//!
//! A key is a tuple of its parts; a scalar map has none. Values of aggregations are per processor and are joined by user
//! space as [`MapValue`] says.

use super::types::{HostType, Member};

/// A map of the script.
#[derive(Debug, Clone, PartialEq)]
pub struct HostMap {
    /// As in the text, with `@`.
    pub name: String,
    /// Name of the map in the module and the object.
    pub map_name: String,
    /// Parts of the key with their offsets; empty for a scalar map, whose only entry has index 0 (`u32`).
    pub key: Vec<Member>,
    /// Bytes of a key in the kernel's map. Histograms of keyed maps hold the bucket (`u64`) in the last 8.
    pub key_bytes: u32,
    /// Bytes of a value (of one processor) in the kernel's map.
    pub value_bytes: u32,
    /// What values are and how to join those of several processors.
    pub value: MapValue,
    /// Each processor has values of its own.
    pub per_cpu: bool,
    /// Entries at most.
    pub max_entries: u32,
    /// Which entries count as set.
    pub presence: Presence,
}

impl HostMap {
    /// Whether the map has no key.
    pub fn is_scalar(&self) -> bool {
        self.key.is_empty()
    }

    /// Whether each bucket of a histogram is an entry of its own: under its bucket number as the index (`u32`) in a
    /// scalar map, else with the bucket (`u64`) at the end of the key.
    pub fn has_buckets(&self) -> bool {
        matches!(self.value, MapValue::Hist { .. } | MapValue::Lhist { .. })
    }
}

/// Which entries of a map count as set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Every entry that the map holds.
    Entry,
    /// Array entries exist always: set where the `u64` at this offset in the value is not 0 on any processor.
    NonZero {
        /// Bytes from the start of the value.
        offset: u32,
    },
}

/// What the values of a map are. Offsets are in bytes from the start of a value; all numbers take 8 bytes.
#[derive(Debug, Clone, PartialEq)]
pub enum MapValue {
    /// A plain value at offset 0.
    Plain(HostType),
    /// `count()`: unsigned number of calls; add.
    Count,
    /// `sum(n)`: add.
    Sum {
        /// Signed numbers.
        signed: bool,
    },
    /// `min(n)`: the number at 0; only where the number at 8 is not 0; take the least.
    Min {
        /// Signed numbers.
        signed: bool,
    },
    /// `max(n)`: the number at 0; only where the number at 8 is not 0; take the greatest.
    Max {
        /// Signed numbers.
        signed: bool,
    },
    /// `avg(n)`: total at 0, unsigned count at 8; add both, then divide.
    Avg {
        /// Signed numbers.
        signed: bool,
    },
    /// `stats(n)`: as `avg`, showing count, average and total.
    Stats {
        /// Signed numbers.
        signed: bool,
    },
    /// `hist(n, k)`: unsigned counts; add. Bucket 0: negative; else with `n < 2^k`: `n + 1`; else
    /// `((log2(n) - k + 1) << k | next k bits) + 1`.
    Hist {
        /// Bits of precision within a power of two, 0 to 5.
        bits: u32,
    },
    /// `lhist(n, min, max, step)`: unsigned counts; add. Bucket 0: below `min`; then one for each step; the last: `max` and
    /// above.
    Lhist {
        /// Lower end.
        min: i64,
        /// Upper end.
        max: i64,
        /// Width of a bucket.
        step: i64,
    },
}

impl MapValue {
    /// Number of buckets of a histogram; 0 for other values.
    pub fn n_buckets(&self) -> u32 {
        match *self {
            // Bucket numbers run to those of log2 = 63 with all `bits` set, plus the negative one.
            MapValue::Hist { bits } => ((64 - bits) << bits) + (1 << bits) + 1,
            MapValue::Lhist { min, max, step } if step > 0 && max > min => {
                let steps = max.abs_diff(min).div_ceil(step.unsigned_abs());
                u32::try_from(steps.saturating_add(2)).unwrap_or(u32::MAX)
            }
            _ => 0,
        }
    }
}
