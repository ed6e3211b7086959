//! How many alerts of one rule are told: so many a second, and after a quiet time some more at once.
//!
//! Time is that of the events, so that a recording is told as it was the first time. What is held back is counted for each rule; nothing
//! here decides what a rule fits.

use jiff::Timestamp;

/// So many alerts of each rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// Alerts a second in the long run.
    pub per_second: f64,
    /// Alerts that may come at once after a quiet time.
    pub burst: f64,
}

/// What one rule may still tell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowance {
    left: f64,
    since: Timestamp,
    /// Alerts that were held back, all in all.
    pub(super) n_held_back: u64,
    /// Those that nobody was told about yet.
    pub(super) n_untold: u64,
}

impl Allowance {
    /// A whole burst.
    pub(super) fn new(limit: Limit) -> Self {
        Self { left: limit.burst, since: Timestamp::MIN, n_held_back: 0, n_untold: 0 }
    }

    /// Whether one more may be told at this time; counts it where not.
    pub(super) fn take(&mut self, limit: Limit, now: Timestamp) -> bool {
        let passed = now.duration_since(self.since).as_secs_f64().max(0.0);
        self.left = (self.left + passed * limit.per_second).min(limit.burst);
        // Events of other processors may be a little older.
        self.since = self.since.max(now);
        if self.left >= 1.0 {
            self.left -= 1.0;
            return true;
        }
        self.n_held_back += 1;
        self.n_untold += 1;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_so_many_a_second() {
        let limit = Limit { per_second: 2.0, burst: 3.0 };
        let mut allowance = Allowance::new(limit);
        let mut told = |ms: i64| allowance.take(limit, Timestamp::from_millisecond(ms).unwrap());
        let now = 1_800_000_000_000;
        assert_eq!([told(now), told(now), told(now), told(now)], [true, true, true, false]);
        assert_eq!([told(now + 400), told(now + 500), told(now + 600)], [false, true, false]);
        // An older event changes nothing.
        assert_eq!([told(now + 100), told(now + 1_000)], [false, true]);
        assert_eq!([0, 1, 2, 3].map(|ms| told(now + 60_000 + ms)), [true, true, true, false]);
        assert_eq!(allowance.n_held_back, 5);
    }
}
