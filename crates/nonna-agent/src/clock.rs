//! From the kernel's clock to the wall clock.

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// Turns nanoseconds since boot into points in time.
///
/// The offset is measured once; a later step of the wall clock does not reorder events.
#[derive(Debug, Clone, Copy)]
pub struct BootClock {
    /// Unix time of the boot, in nanoseconds.
    boot_unix_ns: i128,
}

impl BootClock {
    /// Measures the offset between the wall clock and the boot clock.
    pub fn measure() -> Self {
        let nanoseconds = |clock| {
            let time = clock_gettime(clock);
            i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
        };
        // Read between two readings of the other, the wall clock meets their middle.
        let before = nanoseconds(ClockId::Boottime);
        let wall = nanoseconds(ClockId::Realtime);
        let after = nanoseconds(ClockId::Boottime);
        Self { boot_unix_ns: wall - i128::midpoint(before, after) }
    }

    /// A clock whose boot was at this Unix time, for replays and tests.
    pub const fn at_boot(boot_unix_ns: i128) -> Self {
        Self { boot_unix_ns }
    }

    /// The wall-clock time of a moment after boot.
    pub fn time(self, since_boot_ns: u64) -> Timestamp {
        Timestamp::from_nanosecond(self.boot_unix_ns + i128::from(since_boot_ns)).unwrap_or(Timestamp::MAX)
    }

    /// Nanoseconds since boot, now.
    pub fn now_ns() -> u64 {
        let time = clock_gettime(ClockId::Boottime);
        time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
    }
}
