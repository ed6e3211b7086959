//! Perf event arrays and stack traces: what programs leave for the host to read.
//!
//! A perf event array is taken to be open on every processor, as tracing tools open them; records wait until the host takes them, and
//! what does not fit is counted as lost.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use super::error::MapError;

/// Bytes of records that wait for the host, at most: what tools usually give one processor's buffer.
const MAX_WAITING_BYTES: usize = 1 << 20;
/// The longest record (the kernel's records count their bytes in 16 bits).
const MAX_RECORD_BYTES: usize = 65_535 - 24;

/// A record that a program wrote with `bpf_perf_event_output`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PerfRecord {
    /// The processor whose buffer it went to.
    pub processor: u32,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A perf event array.
#[derive(Debug)]
pub(super) struct PerfEvents {
    /// Whether somebody reads, by index.
    open: Vec<bool>,
    waiting: VecDeque<PerfRecord>,
    waiting_bytes: usize,
    n_lost: u64,
}

impl PerfEvents {
    /// Open on all processors.
    pub(super) fn new(max_entries: u32, n_processors: u32) -> PerfEvents {
        let open = (0..max_entries.min(n_processors)).map(|_| true).collect();
        PerfEvents { open, waiting: VecDeque::new(), waiting_bytes: 0, n_lost: 0 }
    }

    /// Opens or closes an index.
    pub(super) fn set(&mut self, index: u32, open: bool) -> Result<(), MapError> {
        match self.open.get_mut(index as usize) {
            Some(entry) if *entry || open => *entry = open,
            Some(_) => return Err(MapError::Absent),
            None => return Err(MapError::TooBig),
        }
        Ok(())
    }

    /// Takes a record of a program.
    pub(super) fn output(&mut self, index: u32, processor: u32, bytes: Vec<u8>) -> Result<(), MapError> {
        match self.open.get(index as usize) {
            None => return Err(MapError::TooBig),
            Some(false) => return Err(MapError::Absent),
            Some(true) => {}
        }
        if index != processor {
            return Err(MapError::Unsupported);
        }
        if bytes.len() > MAX_RECORD_BYTES {
            return Err(MapError::TooBig);
        }
        if self.waiting_bytes + bytes.len() > MAX_WAITING_BYTES {
            self.n_lost += 1;
            return Err(MapError::NoSpace);
        }
        self.waiting_bytes += bytes.len();
        self.waiting.push_back(PerfRecord { processor, bytes });
        Ok(())
    }

    /// The records that wait, in the order in which they were written, and how many were lost since the last time.
    pub(super) fn take(&mut self) -> (Vec<PerfRecord>, u64) {
        self.waiting_bytes = 0;
        (self.waiting.drain(..).collect(), std::mem::take(&mut self.n_lost))
    }
}

/// A stack trace map: traces by a number that is made from them.
#[derive(Debug)]
pub(super) struct StackTraces {
    traces: BTreeMap<u32, Vec<u64>>,
    /// A power of two minus 1.
    mask: u32,
    max_depth: usize,
    hasher: RandomState,
}

/// Compare traces by their hash alone.
const FAST_COMPARE: u64 = 1 << 9;
/// A new trace takes the number of an old one.
const REUSE: u64 = 1 << 10;

impl StackTraces {
    /// An empty one.
    pub(super) fn new(max_entries: u32, value_bytes: u32) -> StackTraces {
        StackTraces {
            traces: BTreeMap::new(),
            mask: max_entries.next_power_of_two() - 1,
            max_depth: value_bytes as usize / 8,
            hasher: RandomState::new(),
        }
    }

    /// Keeps a trace; yields its number.
    pub(super) fn keep(&mut self, addresses: &[u64], flags: u64) -> Result<u32, MapError> {
        let trace = &addresses[..addresses.len().min(self.max_depth)];
        let hash = self.hasher.hash_one(trace);
        let id = hash as u32 & self.mask;
        let same = |old: &Vec<u64>| match flags & FAST_COMPARE {
            0 => old == trace,
            _ => self.hasher.hash_one(old.as_slice()) as u32 == hash as u32,
        };
        match self.traces.get(&id) {
            Some(old) if same(old) => return Ok(id),
            Some(_) if flags & REUSE == 0 => return Err(MapError::Exists),
            _ => {}
        }
        self.traces.insert(id, trace.to_vec());
        Ok(id)
    }

    /// A trace, padded with zeros.
    pub(super) fn value(&self, id: u32) -> Result<Vec<u8>, MapError> {
        let trace = self.traces.get(&id).ok_or(MapError::Absent)?;
        let mut bytes: Vec<u8> = trace.iter().flat_map(|address| address.to_ne_bytes()).collect();
        bytes.resize(self.max_depth * 8, 0);
        Ok(bytes)
    }

    /// Forgets a trace.
    pub(super) fn delete(&mut self, id: u32) -> Result<(), MapError> {
        if id > self.mask {
            return Err(MapError::TooBig);
        }
        self.traces.remove(&id).map(|_| ()).ok_or(MapError::Absent)
    }

    /// The numbers that are taken.
    pub(super) fn ids(&self) -> Vec<u32> {
        self.traces.keys().copied().collect()
    }
}
