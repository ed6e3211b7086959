//! Reading a ring buffer: wake, drain, sleep, again.
//!
//! The reader blocks while the ring is empty. Once woken it drains and then sleeps for a moment before it asks again: records that
//! come meanwhile wake nobody, which spares the traced process about 2 µs each. Records are shown in place, not
//! copied. What they mean is not known here, and nothing waits for whoever consumes them.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nonna_bpf::MapType;
use rustix::event::{EventfdFlags, PollFd, PollFlags, epoll, eventfd};

use crate::error::{Context, Error};
use crate::map::KernelMap;
use crate::sys::{Drained, RawRing, Records};

/// How long the reader rests after a drain, unless told otherwise.
const REST: Duration = Duration::from_millis(1);

/// What has passed through a reader.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RingCounters {
    /// Records delivered.
    pub records: u64,
    /// Their bytes, without headers.
    pub bytes: u64,
    /// Reservations that programs gave up.
    pub discarded: u64,
    /// Batches delivered.
    pub batches: u64,
    /// Times that the reader was woken.
    pub wakeups: u64,
}

/// Why [`RingReader::wait`] returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// There may be records.
    Data,
    /// The reader was told to stop.
    Stopped,
    /// Neither happened in time.
    TimedOut,
}

/// Reads one ring.
#[derive(Debug)]
pub struct RingReader {
    ring: RawRing,
    /// Keeps the ring alive.
    map: OwnedFd,
    epoll: OwnedFd,
    stop: Arc<Stop>,
    counters: RingCounters,
    rest: Duration,
    batch_limit_bytes: u64,
}

#[derive(Debug)]
struct Stop {
    event: OwnedFd,
    asked: AtomicBool,
}

/// Ends a [`RingReader::run`] from another thread.
#[derive(Debug, Clone)]
pub struct StopHandle(Arc<Stop>);

impl StopHandle {
    /// Asks the reader to drain what is there and return. Asking again does nothing.
    pub fn stop(&self) {
        self.0.asked.store(true, Ordering::Release);
        // The counter cannot overflow by ones, so the write cannot fail; and if it did, the flag is seen after the next
        // wake.
        let _ = rustix::io::write(&self.0.event, &1_u64.to_ne_bytes());
    }

    /// Whether stopping was asked for.
    pub fn is_stopped(&self) -> bool {
        self.0.asked.load(Ordering::Acquire)
    }
}

impl RingReader {
    /// Opens a map of type [`MapType::Ringbuf`] for reading. A ring has one reader: two would tear it.
    ///
    /// # Errors
    ///
    /// [`Error::System`] where the map is no ring or cannot be mapped.
    pub fn open(map: &KernelMap) -> Result<Self, Error> {
        let made = if map.map_type() == Some(MapType::Ringbuf) {
            Self::new(map)
        } else {
            Err(io::Error::from_raw_os_error(libc::EINVAL))
        };
        made.context(|| format!("read the ring `{}`", map.name()))
    }

    fn new(map: &KernelMap) -> io::Result<Self> {
        let fd = map.as_fd().try_clone_to_owned()?;
        let ring = RawRing::open(fd.as_fd(), map.max_entries())?;
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &fd, epoll::EventData::new_u64(0), epoll::EventFlags::IN)?;
        epoll::add(&epoll, &event, epoll::EventData::new_u64(1), epoll::EventFlags::IN)?;
        let batch_limit_bytes = u64::from(map.max_entries() / 4).max(4096);
        Ok(Self {
            ring,
            map: fd,
            epoll,
            stop: Arc::new(Stop { event, asked: AtomicBool::new(false) }),
            counters: RingCounters::default(),
            rest: REST,
            batch_limit_bytes,
        })
    }

    /// Sets how long the reader rests after a drain (1 ms unless set). Zero means that each wake is paid by the traced process.
    pub fn set_rest(&mut self, rest: Duration) {
        self.rest = rest;
    }

    /// A handle that ends [`run`](Self::run).
    pub fn stop_handle(&self) -> StopHandle {
        StopHandle(Arc::clone(&self.stop))
    }

    /// What has passed so far.
    pub fn counters(&self) -> RingCounters {
        self.counters
    }

    /// Bytes that wait in the ring, headers and unfinished records included.
    pub fn pending_bytes(&self) -> u64 {
        self.ring.pending_bytes()
    }

    /// Blocks until there may be records, the reader is told to stop, or `timeout` has passed (`None`: never).
    ///
    /// # Errors
    ///
    /// [`Error::System`] where waiting fails as such.
    pub fn wait(&mut self, timeout: Option<Duration>) -> Result<Wake, Error> {
        let deadline = timeout.map(|t| Instant::now() + t);
        loop {
            if self.stop.asked.load(Ordering::Acquire) {
                return Ok(Wake::Stopped);
            }
            if self.ring.pending_bytes() > 0 {
                return Ok(Wake::Data);
            }
            let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(Wake::TimedOut);
            }
            // The time left is far below the range of a timespec.
            let left = left.and_then(|left| rustix::event::Timespec::try_from(left).ok());
            let mut events = [const { std::mem::MaybeUninit::uninit() }; 2];
            match epoll::wait(&self.epoll, &mut events, left.as_ref()) {
                Ok(_) => self.counters.wakeups += 1,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(io::Error::from(error)).context(|| "wait for a ring".to_owned()),
            }
        }
    }

    /// Shows `on_batch` what is there now, in batches of at most a quarter of the ring, and returns without waiting. Records that a
    /// callback does not take stay in the ring and end the drain. Returns the records delivered.
    pub fn drain(&mut self, mut on_batch: impl FnMut(&mut Records<'_>)) -> u64 {
        let before = self.counters.records;
        // What comes while draining is left for the next time, so that a flood cannot hold the caller.
        let mut left = self.ring.pending_bytes();
        while left > 0 {
            let ((), drained) = self.ring.batch(left.min(self.batch_limit_bytes), &mut on_batch);
            self.count(drained);
            if drained.freed_bytes == 0 {
                break;
            }
            left = left.saturating_sub(drained.freed_bytes);
        }
        self.counters.records - before
    }

    /// Delivers batches until told to stop, then what is left. Blocks the calling thread.
    ///
    /// # Errors
    ///
    /// [`Error::System`] where waiting fails as such.
    pub fn run(&mut self, mut on_batch: impl FnMut(&mut Records<'_>)) -> Result<RingCounters, Error> {
        while self.wait(None)? == Wake::Data {
            self.drain(&mut on_batch);
            if !self.rest.is_zero() {
                self.sleep();
            }
        }
        self.drain(&mut on_batch);
        Ok(self.counters)
    }

    /// Rests, unless told to stop meanwhile.
    fn sleep(&self) {
        let mut stop = [PollFd::new(&self.stop.event, PollFlags::IN)];
        let rest = rustix::event::Timespec::try_from(self.rest).ok();
        // An interrupted rest is a shorter one.
        let _ = rustix::event::poll(&mut stop, rest.as_ref());
    }

    fn count(&mut self, drained: Drained) {
        self.counters.records += drained.records;
        self.counters.bytes += drained.bytes;
        self.counters.discarded += drained.discarded;
        self.counters.batches += u64::from(drained.records > 0);
    }
}

impl AsFd for RingReader {
    /// Readable while the ring holds something.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.map.as_fd()
    }
}
