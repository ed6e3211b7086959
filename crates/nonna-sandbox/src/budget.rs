//! How long a run may take, and the meter that both engines count it with.
//!
//! An engine counts down one number and asks [`Meter::look`] when it is used up; only then the clock is read. What a
//! program does with its time is no business of this module.

use std::time::{Duration, Instant};

use crate::fault::FaultKind;

/// How often a run looks at the clock, in instructions.
const CLOCK_INTERVAL: i64 = 1 << 16;
/// The most instructions that a meter counts: so many that none of its sums overflows.
const MAX_INSTRUCTIONS: u64 = i64::MAX as u64 / 2;

/// How long a run may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Instructions. A run may exceed them by the straight piece of code that it is in.
    pub instructions: u64,
    /// Time on the clock; `None` for no limit. It is looked at every 65,536 instructions, and counts from the first look: a shorter
    /// run never asks what time it is.
    pub time: Option<Duration>,
}

impl Default for Budget {
    /// A thousand million instructions and ten seconds.
    fn default() -> Self {
        Budget { instructions: 1_000_000_000, time: Some(Duration::from_secs(10)) }
    }
}

/// Counts instructions, and says when a run must stop.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct Meter {
    /// Instructions until the next look; below 0 it is due. Engines count this down.
    pub(crate) until_look: i64,
    /// Instructions of the budget beyond that.
    beyond: i64,
    /// All instructions of the budget.
    total: i64,
    time: Option<Duration>,
    /// When the time is over; known from the first look on.
    deadline: Option<Instant>,
}

impl Meter {
    /// A meter that starts now.
    #[inline]
    pub(crate) fn new(budget: Budget) -> Self {
        let total = budget.instructions.min(MAX_INSTRUCTIONS) as i64;
        let mut meter = Meter { until_look: total, beyond: 0, total, time: budget.time, deadline: None };
        meter.arrange();
        meter
    }

    /// Divides what is left into the part until the next look and the rest.
    #[inline]
    fn arrange(&mut self) {
        let left = self.until_look + self.beyond;
        self.until_look = if self.time.is_some() { left.min(CLOCK_INTERVAL) } else { left };
        self.beyond = left - self.until_look;
    }

    /// Stops a run that is beyond its budget; otherwise it may go on until the next look.
    ///
    /// # Errors
    ///
    /// [`FaultKind::Instructions`] or [`FaultKind::Time`].
    #[cold]
    pub(crate) fn look(&mut self) -> Result<(), FaultKind> {
        if self.until_look + self.beyond <= 0 {
            return Err(FaultKind::Instructions);
        }
        if let Some(time) = self.time {
            let now = Instant::now();
            // A time too far for the clock is no limit.
            self.deadline = self.deadline.or_else(|| now.checked_add(time));
            if self.deadline.is_some_and(|deadline| now >= deadline) {
                return Err(FaultKind::Time);
            }
        }
        self.arrange();
        Ok(())
    }

    /// Instructions that ran.
    #[inline]
    pub(crate) fn spent(&self) -> u64 {
        (self.total - self.until_look - self.beyond) as u64
    }
}
