//! Timers of values: what is due when, and which function of the program comes then.
//!
//! A timer belongs to a value. Its bytes there hold a mark that goes with the value, since the machine's parts of a value become zeros
//! when it goes; a timer without its mark is gone. Time itself is the host's.

use super::{Body, MapHandle, Maps};
use crate::host::Clock;

/// The upper half of a mark.
const MARK: u64 = 0x6e74_696d_0000_0000;

/// A timer that a program made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timer {
    /// Where it lies.
    pub(crate) address: u64,
    /// The map whose value it is part of.
    pub(crate) map: MapHandle,
    /// What its time counts by.
    pub(crate) clock: Clock,
    /// The function that it calls.
    pub(crate) function: Option<u64>,
    /// When; `None` while it does not run.
    pub(crate) due_ns: Option<u64>,
    number: u32,
}

impl Timer {
    /// What lies in its first 8 bytes as long as it is there.
    pub(crate) fn mark(&self) -> [u8; 8] {
        (MARK | u64::from(self.number)).to_ne_bytes()
    }
}

impl Maps {
    /// The timers there are; some may have lost their value.
    pub(crate) fn timers(&mut self) -> &mut Vec<Timer> {
        &mut self.timers
    }

    /// A new timer, which does not run yet; its mark must be written.
    pub(crate) fn add_timer(&mut self, map: MapHandle, address: u64, clock: Clock) -> Timer {
        self.timers.retain(|timer| timer.address != address);
        self.n_timers = self.n_timers.wrapping_add(1);
        let timer = Timer { address, map, clock, function: None, due_ns: None, number: self.n_timers };
        self.timers.push(timer);
        timer
    }

    /// Takes the timer that is due first, if one is: its function, and its map, key and value for it. `now` reads clocks.
    pub(crate) fn take_due(&mut self, mut now: impl FnMut(Clock) -> u64) -> Option<(u64, [u64; 3])> {
        loop {
            let due =
                self.timers.iter_mut().filter(|timer| timer.due_ns.is_some_and(|at| at <= now(timer.clock)));
            let timer = due.min_by_key(|timer| timer.due_ns)?;
            timer.due_ns = None;
            let timer = *timer;
            let found = self.value_of(&timer);
            match (timer.function, found) {
                (Some(function), Some([key, value])) => {
                    return Some((function, [timer.map.guest(), key, value]));
                }
                // The value is gone, and the timer with it.
                _ => self.timers.retain(|other| other.address != timer.address),
            }
        }
    }

    /// Where key and value of a timer lie, if it still has its mark.
    fn value_of(&mut self, timer: &Timer) -> Option<[u64; 2]> {
        match &mut self.get_mut(timer.map).ok()?.body {
            Body::Array(array) => {
                let index = array.index_of(timer.address, timer.mark())?;
                Some([array.key_address(index), array.value_address(index, 0)?])
            }
            Body::Hash(hash) => {
                let slot = hash.slot_of(timer.address, timer.mark())?;
                Some([hash.key_address(slot), hash.value_address(slot, 0)])
            }
            _ => None,
        }
    }
}
