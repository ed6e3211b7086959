//! Writing a recording.

use std::io::{self, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nonna_event::EventSchema;
use rustc_hash::FxHashMap;

use super::{End, ItemRef, MAGIC, SeenRef, Start, VERSION};
use crate::observation::{Node, Observation};
use crate::process::Process;

/// How hard zstd tries: its own default, which keeps up with every flood of events.
const LEVEL: i32 = 3;
/// Processes that are known by number at most.
const MAX_PROCESSES: usize = 16_384;
/// How often what was written is pushed out, so that little is missing where the recorder is killed.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// Writes observations into a recording.
pub struct Recorder<W: Write> {
    out: zstd::Encoder<'static, W>,
    schemas: FxHashMap<*const EventSchema, (Arc<EventSchema>, u32)>,
    /// By address; each is kept alive, so that no other can come to its address.
    processes: FxHashMap<*const Process, (Rc<Process>, u32)>,
    ancestors: Vec<u32>,
    n_seen: u64,
    flushed: Instant,
}

impl<W: Write> Recorder<W> {
    /// Begins a recording of this machine.
    ///
    /// # Errors
    ///
    /// What writing says.
    pub fn new(mut out: W, node: &Node) -> io::Result<Self> {
        out.write_all(&MAGIC)?;
        out.write_all(&VERSION.to_le_bytes())?;
        let mut recorder = Self {
            out: zstd::Encoder::new(out, LEVEL)?,
            schemas: FxHashMap::default(),
            processes: FxHashMap::default(),
            ancestors: Vec::new(),
            n_seen: 0,
            flushed: Instant::now(),
        };
        let start = Start {
            node: node.name.clone(),
            boot_id: node.boot_id.clone(),
            written_by: env!("CARGO_PKG_VERSION").to_owned(),
        };
        recorder.item(&ItemRef::Start(&start))?;
        Ok(recorder)
    }

    /// Adds an observation.
    ///
    /// # Errors
    ///
    /// What writing says.
    pub fn add(&mut self, observation: &Observation) -> io::Result<()> {
        if self.processes.len() >= MAX_PROCESSES {
            self.processes.clear();
            self.item(&ItemRef::Forget)?;
        }
        let schema = self.schema(&observation.event.schema)?;
        let process = self.process(&observation.process)?;
        let parent = observation.parent.as_ref().map(|parent| self.process(parent)).transpose()?;
        let mut ancestors = std::mem::take(&mut self.ancestors);
        ancestors.clear();
        for ancestor in &observation.ancestors {
            ancestors.push(self.process(ancestor)?);
        }
        let time_ns = observation.time.as_nanosecond();
        let seen = SeenRef {
            time_ns: i64::try_from(time_ns).unwrap_or(i64::MAX),
            schema,
            generation: observation.event.generation,
            values: &observation.event.values,
            process,
            parent,
            ancestors: &ancestors,
            tid: observation.tid,
            group: observation.group.as_deref(),
            user: observation.user.as_deref(),
            login_user: observation.login_user.as_deref(),
        };
        self.item(&ItemRef::Seen(&seen))?;
        self.ancestors = ancestors;
        self.n_seen += 1;
        Ok(())
    }

    /// Pushes out what was written. Each time costs some compression.
    ///
    /// # Errors
    ///
    /// What writing says.
    pub fn flush(&mut self) -> io::Result<()> {
        self.flushed = Instant::now();
        self.out.flush()
    }

    /// The same, once a second and not more often.
    ///
    /// # Errors
    ///
    /// What writing says.
    pub fn flush_when_due(&mut self) -> io::Result<()> {
        if self.flushed.elapsed() >= FLUSH_EVERY { self.flush() } else { Ok(()) }
    }

    /// Observations so far.
    pub fn n_seen(&self) -> u64 {
        self.n_seen
    }

    /// Ends the recording; `n_lost` is what was lost on the way to it.
    ///
    /// # Errors
    ///
    /// What writing says.
    pub fn end(mut self, n_lost: u64) -> io::Result<W> {
        let end = End { n_seen: self.n_seen, n_lost };
        self.item(&ItemRef::End(&end))?;
        let mut out = self.out.finish()?;
        out.flush()?;
        Ok(out)
    }

    fn schema(&mut self, schema: &Arc<EventSchema>) -> io::Result<u32> {
        let key = Arc::as_ptr(schema);
        if let Some((_, number)) = self.schemas.get(&key) {
            return Ok(*number);
        }
        self.item(&ItemRef::Schema(schema))?;
        let number = u32::try_from(self.schemas.len()).unwrap_or(u32::MAX);
        self.schemas.insert(key, (Arc::clone(schema), number));
        Ok(number)
    }

    fn process(&mut self, process: &Rc<Process>) -> io::Result<u32> {
        let key = Rc::as_ptr(process);
        if let Some((_, number)) = self.processes.get(&key) {
            return Ok(*number);
        }
        self.item(&ItemRef::Process(process))?;
        let number = u32::try_from(self.processes.len()).unwrap_or(u32::MAX);
        self.processes.insert(key, (Rc::clone(process), number));
        Ok(number)
    }

    fn item(&mut self, item: &ItemRef<'_>) -> io::Result<()> {
        ciborium::into_writer(item, &mut self.out).map_err(|error| match error {
            ciborium::ser::Error::Io(error) => error,
            ciborium::ser::Error::Value(what) => io::Error::other(what),
        })
    }
}
