//! Recordings: what the sensors saw, in a file.
//!
//! A recording holds observations, that is events joined with what was known of their process then. So replaying one asks nothing of the
//! machine that replays, and the same rules give the same alerts. `docs/recordings.md` describes the file for others.
//!
//! Numbered rules of the format:
//!
//! 1. Eight bytes of magic and four of version (little-endian) stand before a zstd stream of CBOR items.
//! 2. The first item is `start`. A schema and a process stand before the first observation that names them by number; numbers count from 0 in the
//!    order in which they come.
//! 3. After `forget` processes are numbered from 0 again: who reads needs no more memory than who wrote.
//! 4. The last item is `end`. Where it is missing the recorder was stopped hard; what comes before is whole.
//! 5. What a reader does not know inside an item, it skips; a version that it does not know, it refuses.

mod read;
mod write;

#[cfg(test)]
mod tests;

use std::io;

use nonna_event::{EventSchema, Value};
use serde::{Deserialize, Serialize};

use crate::process::Process;

pub use read::{Ended, Recording};
pub use write::Recorder;

/// The first bytes of every recording.
pub const MAGIC: [u8; 8] = *b"nonnarec";
/// The version that is written, and the newest that is read.
pub const VERSION: u32 = 1;

/// Why a recording cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// It begins with something else.
    #[error("this is no recording of nonna")]
    NotARecording,
    /// It was written by a newer nonna.
    #[error(
        "this recording has version {found}, and this nonna reads up to {VERSION}: it was made by a newer one"
    )]
    Version {
        /// Its version.
        found: u32,
    },
    /// The file cannot be read.
    #[error("cannot read the recording")]
    Io(#[from] io::Error),
    /// Its contents make no sense.
    #[error("the recording is damaged: {0}")]
    Damaged(String),
}

/// One item, as it is read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Item {
    Start(Start),
    Schema(EventSchema),
    Process(Box<Process>),
    Forget,
    Seen(Box<Seen>),
    End(End),
}

/// One item, as it is written.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum ItemRef<'a> {
    Start(&'a Start),
    Schema(&'a EventSchema),
    Process(&'a Process),
    Forget,
    Seen(&'a SeenRef<'a>),
    End(&'a End),
}

/// What holds for all of a recording.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// Name of the machine.
    pub node: String,
    /// Its boot.
    pub boot_id: String,
    /// The nonna that wrote it.
    pub written_by: String,
}

/// What was counted while it was recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Observations in it.
    pub n_seen: u64,
    /// Records that were lost before they could be written.
    pub n_lost: u64,
}

/// An observation, with numbers for its schema and processes.
#[derive(Debug, Deserialize)]
struct Seen {
    time_ns: i64,
    schema: u32,
    #[serde(default)]
    generation: u32,
    values: Vec<Value>,
    process: u32,
    #[serde(default)]
    parent: Option<u32>,
    #[serde(default)]
    ancestors: Vec<u32>,
    #[serde(default)]
    tid: Option<u32>,
    #[serde(default)]
    group: Option<String>,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    login_user: Option<String>,
}

#[derive(Debug, Serialize)]
struct SeenRef<'a> {
    time_ns: i64,
    schema: u32,
    generation: u32,
    values: &'a [Value],
    process: u32,
    parent: Option<u32>,
    ancestors: &'a [u32],
    tid: Option<u32>,
    group: Option<&'a str>,
    user: Option<&'a str>,
    login_user: Option<&'a str>,
}
