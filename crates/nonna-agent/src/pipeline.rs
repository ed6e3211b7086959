//! From rings to ordered events: one reading thread per ring, one ordering point.
//!
//! A reading thread copies records out of its ring into a bounded channel. Where the channel is full the records stay in
//! the ring, which is the larger buffer, and what no longer fits there is counted by the programs in the kernel: losses
//! happen in one place only. The ordering point holds records for a window, so that those of different rings come out by the
//! kernel's clock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use nonna_event::Event;
use nonna_kernel::{KernelMap, Records, RingReader, StopHandle};

use crate::error::AgentError;
use crate::inventory::time_ns;

/// How long an event waits for older ones from another ring.
pub const WINDOW_NS: u64 = 5_000_000;
/// Batches that wait between a reading thread and the ordering point.
const CHANNEL_BATCHES: usize = 16;
/// Most bytes of a batch.
const BATCH_BYTES: usize = 256 * 1024;

/// Records one after the other.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Batch {
    /// Takes records until the batch is full; the others stay in the ring.
    fn fill(records: &mut Records<'_>) -> Self {
        let mut batch = Self::default();
        while batch.bytes.len() < BATCH_BYTES {
            let Some(record) = records.next() else { break };
            batch.bytes.extend_from_slice(record);
            batch.ends.push(batch.bytes.len());
        }
        batch
    }

    /// The records in order.
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end])
    }
}

/// A thread that reads one ring.
#[derive(Debug)]
pub struct Reading {
    /// What it read.
    pub batches: Receiver<Batch>,
    stop: StopHandle,
    thread: Option<JoinHandle<Result<(), nonna_kernel::Error>>>,
}

impl Reading {
    /// Starts to read a ring.
    ///
    /// # Errors
    ///
    /// Where the ring cannot be opened or no thread can be started.
    pub fn start(ring: &KernelMap) -> Result<Self, AgentError> {
        let mut reader = RingReader::open(ring)?;
        let stop = reader.stop_handle();
        let (sender, batches) = bounded(CHANNEL_BATCHES);
        let read = move || {
            reader.run(|records| forward(records, &sender)).map(|_| ())?;
            // What is there when the reader is told to stop is delivered, if need be slowly; what comes after that is
            // not waited for, since programs run until they are detached.
            reader.drain(|records| {
                // A closed channel means that nobody listens any more.
                let _ = sender.send(Batch::fill(records));
            });
            Ok(())
        };
        let thread = std::thread::Builder::new()
            .name(format!("read {}", ring.name()))
            .spawn(read)
            .map_err(|source| AgentError::Thread { source })?;
        Ok(Self { batches, stop, thread: Some(thread) })
    }

    /// Tells the thread to read what is left and end; its channel closes then.
    pub fn stop(&self) {
        self.stop.stop();
    }

    /// Waits for the thread to end.
    ///
    /// # Errors
    ///
    /// What ended it early.
    pub fn join(mut self) -> Result<(), AgentError> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(outcome)) => Ok(outcome?),
            Some(Err(_)) => Err(AgentError::ReaderPanicked),
            None => Ok(()),
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

/// Sends what fits; a full channel leaves the rest in the ring for the next time.
fn forward(records: &mut Records<'_>, sender: &Sender<Batch>) {
    while !sender.is_full() {
        let batch = Batch::fill(records);
        if batch.ends.is_empty() || sender.send(batch).is_err() {
            break;
        }
    }
}

/// Puts events in the order of the kernel's clock.
#[derive(Debug, Default)]
pub struct Ordering {
    waiting: BinaryHeap<Reverse<Waiting>>,
    n_pushed: u64,
    released_ns: u64,
    /// Events that came after a younger one had been released; they are handed on all the same.
    pub n_late: u64,
}

#[derive(Debug)]
struct Waiting {
    time_ns: u64,
    sequence: u64,
    event: Event,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.time_ns, self.sequence).cmp(&(other.time_ns, other.sequence))
    }
}

impl Ordering {
    /// Nothing waits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes an event in.
    pub fn push(&mut self, event: Event) {
        let time_ns = time_ns(&event);
        self.n_late += u64::from(time_ns < self.released_ns);
        self.n_pushed += 1;
        self.waiting.push(Reverse(Waiting { time_ns, sequence: self.n_pushed, event }));
    }

    /// The oldest event, if it happened at or before `until_ns`.
    pub fn pop(&mut self, until_ns: u64) -> Option<Event> {
        if self.waiting.peek()?.0.time_ns > until_ns {
            return None;
        }
        let Reverse(waiting) = self.waiting.pop()?;
        self.released_ns = self.released_ns.max(waiting.time_ns);
        Some(waiting.event)
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nonna_event::{EventSchema, Field, FieldType, Ring, Value};

    use super::*;

    fn at(time: u64) -> Event {
        let field = Field {
            name: "time_ns".to_owned(),
            field_type: FieldType::Unsigned { bytes: 8 },
            description: String::new(),
        };
        let schema = EventSchema { id: 1, name: "x".to_owned(), fields: vec![field], ring: Ring::Volume };
        Event { schema: Arc::new(schema), generation: 0, values: vec![Value::Unsigned(time)] }
    }

    #[test]
    fn events_come_out_by_time_and_not_before_it() {
        let mut ordering = Ordering::new();
        for time in [30, 10, 20] {
            ordering.push(at(time));
        }
        let mut times = Vec::new();
        while let Some(event) = ordering.pop(20) {
            times.push(time_ns(&event));
        }
        assert_eq!(times, [10, 20]);
        ordering.push(at(15));
        assert_eq!(ordering.n_late, 1);
        assert_eq!(ordering.pop(u64::MAX).map(|e| time_ns(&e)), Some(15));
        assert_eq!(ordering.pop(u64::MAX).map(|e| time_ns(&e)), Some(30));
        assert!(ordering.is_empty());
    }
}
