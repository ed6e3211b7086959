//! The verdicts of a packaged kernel as they are committed: facts of running, in our words.
//!
//! One line a program: object, program, verdict and the kind of reason, separated by tabs. Whoever has the objects can compare with it in
//! seconds, without a guest.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::corpus::GENERATED;
use super::generated;
use super::reason;
use super::verdict::{Heard, Table, Verdict};

/// Where the table lies in the workspace.
pub const PATH: &str = "tests/parity/linux-6.12.tsv";
/// Begins the line with the fingerprint of the random programs.
const GENERATOR: &str = "# random programs ";
/// Begins the line with the kernel's release.
const RELEASE: &str = "# Linux ";

/// A recorded table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// What `uname -r` says of the kernel.
    pub release: String,
    /// Verdict and kind of reason, by object and program.
    pub by_program: BTreeMap<(String, String), (Verdict, String)>,
    /// What the random programs were like; see [`generated::fingerprint`].
    pub generator: u64,
}

impl Record {
    /// The record of a table that a kernel gave.
    pub fn of(table: &Table, release: &str) -> Self {
        let one = |heard: &Heard| {
            let word = match heard.verdict {
                Verdict::Refuse => reason::of(&heard.reason).word.to_owned(),
                _ => String::new(),
            };
            ((heard.object.clone(), heard.program.clone()), (heard.verdict, word))
        };
        let by_program = table.by_program.values().map(one).collect();
        let mut record = Self { release: release.to_owned(), by_program, generator: 0 };
        record.generator = generated::fingerprint(record.n_generated());
        record
    }

    /// How many random programs it knows, from seed 0 on.
    pub fn n_generated(&self) -> u64 {
        self.by_program.keys().filter(|(object, _)| object == GENERATED).count() as u64
    }

    /// The table that it stands for; the kinds of reasons take the place of the kernel's sentences.
    pub fn table(&self) -> Table {
        let mut table = Table::default();
        for ((object, program), (verdict, word)) in &self.by_program {
            table.insert(Heard {
                object: object.clone(),
                program: program.clone(),
                verdict: *verdict,
                reason: word.clone(),
                slot: None,
                took_us: None,
            });
        }
        table
    }

    /// Its text.
    pub fn to_text(&self) -> String {
        let mut text = format!("{RELEASE}{}\n{GENERATOR}{:016x}\n", self.release, self.generator);
        for ((object, program), (verdict, word)) in &self.by_program {
            let verdict = match verdict {
                Verdict::Accept => "accept",
                Verdict::Refuse => "refuse",
                Verdict::None => "none",
            };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}", format!("{object}\t{program}\t{verdict}\t{word}").trim_end());
        }
        text
    }

    /// Reads what [`to_text`](Self::to_text) writes.
    pub fn parse(text: &str) -> Result<Self> {
        let mut record = Self::default();
        for line in text.lines() {
            if let Some(release) = line.strip_prefix(RELEASE) {
                release.clone_into(&mut record.release);
                continue;
            }
            if let Some(hash) = line.strip_prefix(GENERATOR) {
                record.generator =
                    u64::from_str_radix(hash, 16).context("the random programs' fingerprint")?;
                continue;
            }
            let mut fields = line.split('\t');
            let mut field = || fields.next().unwrap_or_default().to_owned();
            let (object, program, verdict, word) = (field(), field(), field(), field());
            let verdict = match verdict.as_str() {
                "accept" => Verdict::Accept,
                "refuse" if reason::named(&word).is_some() => Verdict::Refuse,
                "none" => Verdict::None,
                _ => anyhow::bail!("a line of the record says nothing: {line}"),
            };
            record.by_program.insert((object, program), (verdict, word));
        }
        Ok(record)
    }

    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("read {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_the_same() {
        let mut table = Table::default();
        for (program, verdict, reason) in [
            ("a", Verdict::Accept, ""),
            ("b", Verdict::Refuse, "R1 !read_ok"),
            ("c", Verdict::None, "Operation not permitted"),
        ] {
            table.insert(Heard {
                object: "o".to_owned(),
                program: program.to_owned(),
                verdict,
                reason: reason.to_owned(),
                slot: None,
                took_us: None,
            });
        }
        let record = Record::of(&table, "6.12.1");
        let text = record.to_text();
        assert_eq!(
            text,
            "# Linux 6.12.1\n# random programs cbf29ce484222325\no\ta\taccept\no\tb\trefuse\tuninitialized\no\tc\tnone\n"
        );
        assert_eq!(Record::parse(&text).unwrap(), record);
        assert!(Record::parse("o\ta\tmaybe\n").is_err());
    }
}
