//! Reading a recording: bounded in memory, whatever the bytes are.

use std::io::{self, BufRead, Read};
use std::rc::Rc;
use std::sync::Arc;

use jiff::Timestamp;
use nonna_event::{Event, EventSchema};

use super::{End, Item, MAGIC, RecordingError, Seen, Start, VERSION};
use crate::observation::{Node, Observation};
use crate::process::Process;

/// Bytes of one item at most: an event has at most 16 KiB, a process some more.
const MAX_ITEM_BYTES: u64 = 1 << 20;
/// How deep values may stand in values.
const MAX_DEPTH: usize = 16;
/// Bytes that zstd may look back, as a power of two.
const MAX_WINDOW_LOG: u32 = 23;
/// Schemas and processes that may be known by number at once.
const MAX_KNOWN: usize = 1 << 16;

/// How a recording ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// As it should.
    Whole(End),
    /// In the middle: the recorder was killed, or the file was cut.
    Cut,
}

/// A recording that is being read.
pub struct Recording<R: BufRead> {
    items: Limited<zstd::Decoder<'static, R>>,
    start: Start,
    node: Arc<Node>,
    schemas: Vec<Arc<EventSchema>>,
    processes: Vec<Rc<Process>>,
    ended: Option<Ended>,
}

impl<R: BufRead> Recording<R> {
    /// Begins to read.
    ///
    /// # Errors
    ///
    /// [`RecordingError`] where this is no recording, or one of a newer version.
    pub fn open(mut input: R) -> Result<Self, RecordingError> {
        let (mut magic, mut version) = ([0; 8], [0; 4]);
        if input.read_exact(&mut magic).is_err() || magic != MAGIC || input.read_exact(&mut version).is_err()
        {
            return Err(RecordingError::NotARecording);
        }
        let found = u32::from_le_bytes(version);
        if found == 0 || found > VERSION {
            return Err(RecordingError::Version { found });
        }
        let mut decoder = zstd::Decoder::with_buffer(input)?;
        decoder.window_log_max(MAX_WINDOW_LOG)?;
        let mut recording = Self {
            items: Limited { inner: decoder, left: 0 },
            start: Start::default(),
            node: Arc::new(Node { name: String::new(), boot_id: String::new() }),
            schemas: Vec::new(),
            processes: Vec::new(),
            ended: None,
        };
        match recording.item()? {
            Some(Item::Start(start)) => {
                recording.node = Arc::new(Node { name: start.node.clone(), boot_id: start.boot_id.clone() });
                recording.start = start;
                Ok(recording)
            }
            Some(_) => Err(damaged("it does not begin with its start")),
            None => Err(damaged("it ends before it began")),
        }
    }

    /// What holds for all of it.
    pub fn start(&self) -> &Start {
        &self.start
    }

    /// How it ended; `None` where it was not read to its end.
    pub fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// The next observation; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`RecordingError`] where the file cannot be read, or what comes makes no sense. After that nothing more can be read.
    pub fn next_observation(&mut self) -> Result<Option<Observation>, RecordingError> {
        while self.ended.is_none() {
            match self.item()? {
                None => self.ended = Some(Ended::Cut),
                Some(Item::End(end)) => self.ended = Some(Ended::Whole(end)),
                Some(Item::Start(_)) => return Err(damaged("it begins twice")),
                Some(Item::Schema(schema)) => push(&mut self.schemas, Arc::new(schema))?,
                Some(Item::Process(process)) => push(&mut self.processes, Rc::new(*process))?,
                Some(Item::Forget) => self.processes.clear(),
                Some(Item::Seen(seen)) => return self.observation(*seen).map(Some),
            }
        }
        Ok(None)
    }

    fn observation(&self, seen: Seen) -> Result<Observation, RecordingError> {
        let schema = self.schemas.get(seen.schema as usize).ok_or_else(|| damaged("an unknown event"))?;
        if schema.fields.len() != seen.values.len() {
            return Err(damaged("an event with other fields than its kind has"));
        }
        let process = |number: u32| {
            let found = self.processes.get(number as usize).cloned();
            found.ok_or_else(|| damaged("an unknown process"))
        };
        let ancestors: Result<_, _> = seen.ancestors.iter().map(|number| process(*number)).collect();
        Ok(Observation {
            node: Arc::clone(&self.node),
            time: Timestamp::from_nanosecond(seen.time_ns.into())
                .map_err(|_| damaged("an impossible time"))?,
            event: Event { schema: Arc::clone(schema), generation: seen.generation, values: seen.values },
            process: process(seen.process)?,
            tid: seen.tid,
            parent: seen.parent.map(process).transpose()?,
            ancestors: ancestors?,
            group: seen.group.map(Into::into),
            user: seen.user.map(Into::into),
            login_user: seen.login_user.map(Into::into),
        })
    }

    /// The next item; `None` where the file ends, be it in the middle of one.
    fn item(&mut self) -> Result<Option<Item>, RecordingError> {
        self.items.left = MAX_ITEM_BYTES;
        match ciborium::de::from_reader_with_recursion_limit(&mut self.items, MAX_DEPTH) {
            Ok(item) => Ok(Some(item)),
            Err(ciborium::de::Error::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(ciborium::de::Error::Io(error)) if error.kind() == io::ErrorKind::FileTooLarge => {
                Err(damaged("an item that is too long"))
            }
            Err(ciborium::de::Error::Io(error)) => Err(damaged(&error.to_string())),
            Err(ciborium::de::Error::RecursionLimitExceeded) => Err(damaged("values too deep in values")),
            Err(other) => Err(damaged(&other.to_string())),
        }
    }
}

fn damaged(what: &str) -> RecordingError {
    RecordingError::Damaged(what.to_owned())
}

fn push<T>(known: &mut Vec<T>, new: T) -> Result<(), RecordingError> {
    if known.len() >= MAX_KNOWN {
        return Err(damaged("more kinds of events or processes than there can be"));
    }
    known.push(new);
    Ok(())
}

/// Yields so many bytes for an item and no more: a few bytes of compressed data can mean a great many.
struct Limited<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 && !buffer.is_empty() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let n = self.inner.read(&mut buffer[..most])?;
        self.left -= n as u64;
        Ok(n)
    }
}
