//! What was lost, where and why. Nothing is lost silently.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// A place on the way from the kernel to the outputs where records can be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// In the kernel, before the record was in a ring.
    Kernel,
    /// In the kernel: the program did not run, since it was running on that processor already.
    Program,
    /// In the agent: the record did not fit its schema.
    Decode,
    /// On the way out: whoever reads the output did not keep up or went away.
    Output,
}

impl Stage {
    /// Name in the summary.
    pub const fn name(self) -> &'static str {
        match self {
            Stage::Kernel => "kernel",
            Stage::Program => "program",
            Stage::Decode => "decode",
            Stage::Output => "output",
        }
    }
}

/// Losses by stage, reason and what was lost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drops {
    counts: BTreeMap<(Stage, String, String), u64>,
}

impl Drops {
    /// Nothing lost.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds to what was lost at a stage; `what` is the event or the program, or empty.
    pub fn add(&mut self, stage: Stage, reason: &str, what: &str, count: u64) {
        if count > 0 {
            *self.counts.entry((stage, reason.to_owned(), what.to_owned())).or_default() += count;
        }
    }

    /// Adds what another count holds.
    pub fn add_all(&mut self, other: &Drops) {
        for ((stage, reason, what), count) in &other.counts {
            self.add(*stage, reason, what, *count);
        }
    }

    /// All that was lost.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// What was lost before it could be looked at: events, programs, or empty where nobody knew its name yet.
    pub fn lost(&self) -> impl Iterator<Item = &str> {
        self.counts.keys().filter(|(stage, ..)| *stage != Stage::Output).map(|(_, _, what)| what.as_str())
    }

    /// `[{stage, count, reason, what}]`, as the last line of a run has it.
    pub fn json(&self) -> Value {
        let drop = |((stage, reason, what), count): (&(Stage, String, String), &u64)| json!({ "stage": stage.name(), "count": count, "reason": reason, "what": what });
        self.counts.iter().map(drop).collect()
    }

    /// One line for each loss, in plain words.
    pub fn sentences(&self) -> impl Iterator<Item = String> {
        self.counts.iter().map(|((stage, reason, what), count)| {
            let what = if what.is_empty() { "records" } else { what.as_str() };
            match (stage, reason.as_str()) {
                (Stage::Kernel, "ring-full") => {
                    format!("{count} {what} were lost: they came faster than they could be read.")
                }
                (Stage::Program, _) => {
                    format!("{count} events were not seen by {what}: it was busy with another one.")
                }
                (Stage::Output, reason) => format!("{count} alerts did not get to {what}: {reason}."),
                _ => format!("{count} {what} were lost: {reason}."),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_add_up_and_none_is_no_line() {
        let mut drops = Drops::new();
        drops.add(Stage::Kernel, "ring-full", "file_open", 3);
        drops.add(Stage::Kernel, "ring-full", "file_open", 4);
        drops.add(Stage::Decode, "short", "", 0);
        assert_eq!(drops.total(), 7);
        assert_eq!(
            drops.json().to_string(),
            r#"[{"stage":"kernel","count":7,"reason":"ring-full","what":"file_open"}]"#
        );
        assert_eq!(
            drops.sentences().collect::<Vec<_>>(),
            ["7 file_open were lost: they came faster than they could be read."]
        );
    }
}
