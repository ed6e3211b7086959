//! Repeats: a program that works through many files of one folder is told by its first few, and by one sentence about the rest.
//!
//! A compiler opens, links and removes thousands of files in a second; nobody reads that many lines, and what matters drowns in
//! them. Only the plain output is folded: who reads JSON gets everything. What is counted is bounded, since processes whose end
//! was lost would be counted for ever.

use std::mem;

use nonna_event::Value;
use rustc_hash::FxHashMap;

use crate::observation::Observation;
use crate::output::sentence::FOLDED;
use crate::process::ProcessId;

/// Files of one folder that are told one by one.
const TOLD_FIRST: u64 = 3;
/// Most processes that are counted at a time; beyond, all that was counted is told and the count begins again.
const MOST_PROCESSES: usize = 4096;

/// What a process does to the files of a folder, by the event's name.
type Key = (&'static str, Vec<u8>);

/// A count with the latest of what was counted.
#[derive(Debug, Default)]
struct Count {
    n: u64,
    latest: Option<Observation>,
}

/// Many files of one folder, told at once.
#[derive(Debug)]
pub struct Repeated {
    /// The latest of them.
    pub observation: Observation,
    /// How many were not told one by one.
    pub n: u64,
    /// Their folder.
    pub folder: Vec<u8>,
}

/// Counts per process.
#[derive(Debug, Default)]
pub struct Repeats {
    counts: FxHashMap<ProcessId, FxHashMap<Key, Count>>,
}

impl Repeats {
    /// Nothing was told yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether to tell this one by itself; else it is counted.
    pub fn is_told(&mut self, observation: &Observation) -> bool {
        let Some(&(event, _)) = FOLDED.iter().find(|(event, _)| *event == observation.name()) else {
            return true;
        };
        let Some(Value::Text(path)) = observation.event.get("file.path") else { return true };
        let Some(slash) = path.bytes.iter().rposition(|byte| *byte == b'/') else { return true };
        let key = (event, path.bytes[..slash.max(1)].to_vec());
        let process = observation.process.exec_id.process;
        let count = self.counts.entry(process).or_default().entry(key).or_default();
        count.n += 1;
        if count.n <= TOLD_FIRST {
            return true;
        }
        count.latest = Some(observation.clone());
        false
    }

    /// What was counted and not told of the process that an observation tells the end of, or of all where they are too many.
    pub fn ended(&mut self, observation: &Observation) -> Vec<Repeated> {
        if self.counts.len() > MOST_PROCESSES {
            return self.rest();
        }
        if observation.name() != "process_exit" {
            return Vec::new();
        }
        let process = observation.process.exec_id.process;
        self.counts.remove(&process).map(|counts| repeated([counts])).unwrap_or_default()
    }

    /// What was counted and not told of all processes.
    pub fn rest(&mut self) -> Vec<Repeated> {
        repeated(mem::take(&mut self.counts).into_values())
    }
}

/// In the order of the latest of each.
fn repeated(counts: impl IntoIterator<Item = FxHashMap<Key, Count>>) -> Vec<Repeated> {
    let of = |((_, folder), count): (Key, Count)| {
        let n = count.n.saturating_sub(TOLD_FIRST);
        count.latest.map(|observation| Repeated { observation, n, folder })
    };
    let mut all: Vec<Repeated> = counts.into_iter().flatten().filter_map(of).collect();
    all.sort_by(|a, b| (a.observation.time, &a.folder).cmp(&(b.observation.time, &b.folder)));
    all
}

#[cfg(test)]
mod tests {
    use nonna_event::{EventSchema, Field, FieldType, Ring, Text};

    use super::*;
    use crate::output::sentence::repeats;
    use crate::sample;

    fn about(event: &str, path: &str) -> Observation {
        let field =
            |name: &str, field_type| Field { name: name.to_owned(), field_type, description: String::new() };
        let fields =
            vec![field("file.path", FieldType::Path), field("file.access", FieldType::Unsigned { bytes: 4 })];
        let schema = EventSchema { id: 1, name: event.to_owned(), fields, ring: Ring::Volume };
        let mut observation = sample::observation(&schema, ("", ""));
        observation.event.values[0] =
            Value::Text(Text { bytes: path.as_bytes().to_vec(), ..Text::default() });
        observation
    }

    #[test]
    fn many_files_of_a_folder_are_told_by_the_first_and_a_count() {
        let mut repeats_seen = Repeats::new();
        let told = (0..10).filter(|n| repeats_seen.is_told(&about("file_open", &format!("/a/{n}")))).count();
        assert_eq!(told, 3);
        assert!(repeats_seen.is_told(&about("file_open", "/b/1")));
        assert!(repeats_seen.is_told(&about("file_delete", "/a/1")));
        assert!((0..10).all(|_| repeats_seen.is_told(&about("connect", "/a/1"))));
        let end = about("process_exit", "");
        assert!(repeats_seen.ended(&about("file_open", "/a/1")).is_empty());
        let rest = repeats_seen.ended(&end);
        assert_eq!(rest.len(), 1);
        assert_eq!(
            repeats(&rest[0].observation, rest[0].n, &rest[0].folder),
            "bash (pid 812, started by sshd) opened 7 more files for writing in /a."
        );
        assert!(repeats_seen.ended(&end).is_empty() && repeats_seen.rest().is_empty());
    }

    #[test]
    fn what_is_counted_is_bounded() {
        let mut repeats = Repeats::new();
        let mut told = 0;
        for pid in 0..10_000 {
            let mut one = about("file_open", "/a/1");
            let mut process = (*one.process).clone();
            process.exec_id.process.pid = pid;
            one.process = process.into();
            for _ in 0..4 {
                repeats.is_told(&one);
            }
            told += repeats.ended(&one).len();
            assert!(repeats.counts.len() <= MOST_PROCESSES);
        }
        assert_eq!(told + repeats.rest().len(), 10_000);
    }
}
