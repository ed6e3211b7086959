//! Counters of records that were lost before they reached a ring.
//!
//! Code generation gives every object with events one per-CPU array of `u64` counters; the agent adds them up over
//! the processors. The layout is fixed here, so that neither side guesses.

/// Name of the counters' map: a per-CPU array, key `u32`, value `u64`.
pub const DROPS_MAP_NAME: &str = "drops";

/// Why a record was lost in the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DropReason {
    /// Its ring had no room; counted for each event.
    RingFull {
        /// Position of the event among those of its module, from 0 (not the schema's id).
        event_idx: u32,
    },
    /// A program was interrupted by itself so often that no scratch memory was left; it then does nothing at all, so
    /// one counter serves all programs of the object.
    ScratchBusy,
}

impl DropReason {
    /// Key of the reason's counter in an object of `n_events` events.
    pub const fn counter(self, n_events: u32) -> u32 {
        match self {
            DropReason::RingFull { event_idx } => event_idx,
            DropReason::ScratchBusy => n_events,
        }
    }

    /// The reason that a key stands for in an object of `n_events` events; `None` past the last.
    pub const fn from_counter(counter: u32, n_events: u32) -> Option<Self> {
        if counter < n_events {
            Some(DropReason::RingFull { event_idx: counter })
        } else if counter == n_events {
            Some(DropReason::ScratchBusy)
        } else {
            None
        }
    }

    /// Number of counters in an object of `n_events` events.
    pub const fn n_counters(n_events: u32) -> u32 {
        n_events + 1
    }

    /// Name in the summary of drops, in kebab case.
    pub const fn name(self) -> &'static str {
        match self {
            DropReason::RingFull { .. } => "ring-full",
            DropReason::ScratchBusy => "scratch-busy",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_counter_stands_for_one_reason() {
        for n_events in [0, 1, 30] {
            for counter in 0..DropReason::n_counters(n_events) {
                let reason = DropReason::from_counter(counter, n_events).unwrap();
                assert_eq!(reason.counter(n_events), counter);
            }
            assert_eq!(DropReason::from_counter(DropReason::n_counters(n_events), n_events), None);
        }
    }
}
