//! The agent at work: load, read, order, enrich, hand on.
//!
//! Reading threads fill channels; everything else runs on the calling thread, so that the inventory needs no lock and the
//! order of events is the order of decisions.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Select, TryRecvError};
use nonna_event::{DROPS_MAP_NAME, Decoder, DropReason, EventSchema, RawRecord, Ring};
use nonna_kernel::{Attached, Kernel, cgroup_root};
use nonna_verifier::Verified;

use crate::clock::BootClock;
use crate::container::Containers;
use crate::drops::{Drops, Stage};
use crate::enrich::Enricher;
use crate::error::AgentError;
use crate::observation::{Node, Observation};
use crate::pipeline::{Batch, Ordering, Reading, WINDOW_NS};
use crate::procfs::Procfs;
use crate::surroundings::Surroundings;

/// How often housekeeping runs: accounts that changed, processes to forget.
const HOUSEKEEPING: Duration = Duration::from_secs(5);

/// Where observations go.
pub trait Output {
    /// Takes the next observation and returns whether it is told; else it was left out on purpose.
    ///
    /// # Errors
    ///
    /// Where it cannot be written; that ends the run.
    fn take(&mut self, observation: &Observation) -> io::Result<bool>;

    /// Brings out what was taken: nothing more comes for a moment.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take).
    fn flush(&mut self) -> io::Result<()>;
}

/// Sensors that run, with what is needed to understand them.
pub struct Agent {
    attached: Attached,
    readings: Vec<Reading>,
    schemas: Vec<EventSchema>,
    decoder: Decoder,
    enricher: Enricher,
    ordering: Ordering,
    drops: Drops,
    n_told: u64,
    n_records: u64,
}

/// When a run ends by itself.
#[derive(Debug, Clone)]
pub struct Until {
    /// At this time.
    pub deadline: Option<Instant>,
    /// When something comes, or the channel closes.
    pub stop: Receiver<()>,
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Observations that were told.
    pub n_told: u64,
    /// Records that the kernel sent and that were read.
    pub n_records: u64,
    /// Records that came out of order; none of them was lost.
    pub n_late: u64,
    /// Events that only repeated what was told before: one more packet to the same peer.
    pub n_repeated: u64,
    /// What was lost.
    pub drops: Drops,
}

impl Summary {
    /// The last line of a run.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({ "event": "summary", "events": self.n_told, "records": self.n_records, "drops": self.drops.json() })
    }
}

impl Agent {
    /// Loads and attaches the sensors and begins to read. `schemas` are those of the object's module, in its order.
    ///
    /// # Errors
    ///
    /// [`AgentError`] where the kernel refuses; nothing stays loaded then.
    pub fn start(
        kernel: &Kernel,
        verified: &Verified,
        schemas: Vec<EventSchema>,
        node: Node,
    ) -> Result<Self, AgentError> {
        let loaded = kernel.load(verified)?;
        let rings = [Ring::Critical, Ring::Volume];
        let rings =
            rings.iter().filter_map(|ring| loaded.maps().iter().find(|m| m.name() == ring.map_name()));
        // Readers first: records must find somebody when the first program runs.
        let readings = rings.map(Reading::start).collect::<Result<Vec<_>, _>>()?;
        if readings.is_empty() {
            return Err(AgentError::NoRing);
        }
        let attached = loaded.attach_all(kernel)?;
        let containers = Containers::new(cgroup_root(), PathBuf::from("/"));
        let surroundings = Surroundings::new(Procfs::of_this_machine(), containers);
        Ok(Self {
            attached,
            readings,
            decoder: Decoder::new(schemas.clone()),
            enricher: Enricher::new(&schemas, BootClock::measure(), node, Some(surroundings)),
            schemas,
            ordering: Ordering::new(),
            drops: Drops::new(),
            n_told: 0,
            n_records: 0,
        })
    }

    /// Tells observations with all programs above theirs, as rules want them.
    pub fn add_ancestors(&mut self) {
        self.enricher.add_ancestors();
    }

    /// Number of programs that run.
    pub fn n_programs(&self) -> usize {
        self.attached.loaded().programs().len()
    }

    /// Number of processes in the inventory.
    pub fn n_processes(&self) -> usize {
        self.enricher.n_processes()
    }

    /// Hands every observation to `output` until it is time to end; then reads what is left, detaches and sums up.
    ///
    /// # Errors
    ///
    /// [`AgentError`] where a ring cannot be read or the output fails; a pipe whose reader went away ends the run
    /// without an error.
    pub fn run(mut self, until: &Until, output: &mut dyn Output) -> Result<Summary, AgentError> {
        let outcome = self.follow(until, output);
        for reading in &self.readings {
            reading.stop();
        }
        let outcome = outcome.and_then(|()| self.finish(output));
        match outcome {
            Err(AgentError::Output { source }) if source.kind() == io::ErrorKind::BrokenPipe => {}
            other => other?,
        }
        self.count_kernel_drops()?;
        self.drops.add_all(&self.enricher.drops);
        let summary = Summary {
            n_told: self.n_told,
            n_records: self.n_records,
            n_late: self.ordering.n_late,
            n_repeated: self.enricher.n_repeated,
            drops: self.drops,
        };
        self.attached.detach_in_child()?;
        Ok(summary)
    }

    fn follow(&mut self, until: &Until, output: &mut dyn Output) -> Result<(), AgentError> {
        let mut housekeeping = Instant::now() + HOUSEKEEPING;
        loop {
            let now = Instant::now();
            if until.deadline.is_some_and(|deadline| now >= deadline) {
                return Ok(());
            }
            if now >= housekeeping {
                self.enricher.refresh();
                housekeeping = now + HOUSEKEEPING;
            }
            // While events wait for their window the loop turns by itself, else it sleeps until something comes.
            let pause = if self.ordering.is_empty() {
                until.deadline.map_or(HOUSEKEEPING, |deadline| (deadline - now).min(HOUSEKEEPING))
            } else {
                Duration::from_nanos(WINDOW_NS)
            };
            if self.wait(until, pause) {
                return Ok(());
            }
            self.take_batches();
            self.release(BootClock::now_ns().saturating_sub(WINDOW_NS), output)?;
        }
    }

    /// Waits for records; true where it is time to stop.
    fn wait(&self, until: &Until, pause: Duration) -> bool {
        let mut select = Select::new();
        for reading in &self.readings {
            select.recv(&reading.batches);
        }
        let stop = select.recv(&until.stop);
        match select.ready_timeout(pause) {
            Ok(ready) if ready == stop => !matches!(until.stop.try_recv(), Err(TryRecvError::Empty)),
            _ => false,
        }
    }

    /// Takes what the first ring (the critical one) has, and one batch of each other: a flood there waits.
    fn take_batches(&mut self) {
        let mut batches: Vec<Batch> = Vec::new();
        for (n, reading) in self.readings.iter().enumerate() {
            let most = if n == 0 { usize::MAX } else { 1 };
            batches.extend(reading.batches.try_iter().take(most));
        }
        for batch in &batches {
            self.decode(batch);
        }
    }

    fn decode(&mut self, batch: &Batch) {
        for record in batch.records() {
            self.n_records += 1;
            match self.decoder.decode(RawRecord::new(record)) {
                Ok(event) => self.ordering.push(event),
                Err(error) => self.drops.add(Stage::Decode, &error.to_string(), "", 1),
            }
        }
    }

    fn release(&mut self, until_ns: u64, output: &mut dyn Output) -> Result<(), AgentError> {
        let before = self.n_told;
        let mut observations = Vec::new();
        while let Some(event) = self.ordering.pop(until_ns) {
            self.enricher.take(event, &mut observations);
            for observation in observations.drain(..) {
                let told = output.take(&observation).map_err(|source| AgentError::Output { source })?;
                self.n_told += u64::from(told);
            }
        }
        if self.n_told > before {
            output.flush().map_err(|source| AgentError::Output { source })?;
        }
        Ok(())
    }

    fn finish(&mut self, output: &mut dyn Output) -> Result<(), AgentError> {
        for reading in std::mem::take(&mut self.readings) {
            while let Ok(batch) = reading.batches.recv() {
                self.decode(&batch);
            }
            reading.join()?;
        }
        self.release(u64::MAX, output)
    }

    /// Adds what the programs counted as lost, and the runs that they missed.
    fn count_kernel_drops(&mut self) -> Result<(), AgentError> {
        let loaded = self.attached.loaded();
        let n_events = u32::try_from(self.schemas.len()).unwrap_or(u32::MAX);
        if let Some(map) = loaded.maps().iter().find(|map| map.name() == DROPS_MAP_NAME) {
            for counter in 0..DropReason::n_counters(n_events) {
                let Some(value) = map.get(&counter.to_ne_bytes())? else { continue };
                let one = |bytes: &[u8]| bytes.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
                let count: u64 = map.per_cpu(&value).map(one).sum();
                let Some(reason) = DropReason::from_counter(counter, n_events) else { continue };
                let what = match reason {
                    DropReason::RingFull { event_idx } => self.schemas[event_idx as usize].name.as_str(),
                    DropReason::ScratchBusy => "",
                };
                self.drops.add(Stage::Kernel, reason.name(), what, count);
            }
        }
        for program in loaded.programs() {
            let status = program.status()?;
            self.drops.add(Stage::Program, "recursion", &status.name, status.recursion_misses);
        }
        Ok(())
    }
}
