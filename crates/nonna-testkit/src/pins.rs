//! Expected skips, pinned per kernel: `tests/kernel/expected-skips/<kernel>.toml`.
//!
//! A skip that is not pinned, and a pin whose test ran, are both drift, and drift fails. `NONNA_BLESS=1` writes what happened;
//! the diff is then for a person to judge.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::verdict::{Skipped, Verdict};

/// The pins of one kernel.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinFile {
    /// Patterns of `uname -r`, with `*`, that this file is for.
    pub releases: Vec<String>,
    /// Suites that skip something, by name.
    #[serde(default)]
    pub suite: BTreeMap<String, SuitePins>,
}

/// The pins of one suite on one kernel.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuitePins {
    /// How many tests are skipped.
    pub count: usize,
    /// Their names, with the need that is not met.
    pub skips: BTreeMap<String, String>,
}

/// The pins for the running kernel.
#[derive(Debug, Clone)]
pub struct Pins {
    path: PathBuf,
    file: PinFile,
}

/// A pin and the truth differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drift {
    /// Skipped, but nothing says that it should be.
    Unexpected(Skipped),
    /// Pinned as skipped, but it ran.
    Ran(String),
    /// Skipped for another need than the pinned one.
    OtherNeed {
        /// The test.
        test: String,
        /// What the pin says.
        pinned: String,
        /// What is missing.
        need: String,
    },
    /// The pinned count is not the number of pinned names.
    Count {
        /// What the pin says.
        pinned: usize,
        /// How many names there are.
        names: usize,
    },
    /// Pinned, but the suite has no such test.
    Gone(String),
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Drift::Unexpected(skip) => write!(
                f,
                "{}: skipped (needs {}, found: {}), but its skip is not pinned for this kernel",
                skip.test, skip.need, skip.found
            ),
            Drift::Ran(test) => write!(f, "{test}: its skip is pinned for this kernel, but it ran"),
            Drift::OtherNeed { test, pinned, need } => {
                write!(f, "{test}: its skip is pinned for want of {pinned}, but it is {need} that is missing")
            }
            Drift::Count { pinned, names } => {
                write!(f, "the pinned count is {pinned}, but {names} names are pinned")
            }
            Drift::Gone(test) => write!(f, "{test}: its skip is pinned, but there is no such test"),
        }
    }
}

impl Pins {
    /// The pins in this folder for a kernel release, if any file is for it.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or is wrong.
    pub fn find(folder: &Path, release: &str) -> Result<Option<Self>> {
        let mut paths: Vec<PathBuf> = match std::fs::read_dir(folder) {
            Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("list {}", folder.display())),
        };
        paths.retain(|path| path.extension().is_some_and(|e| e == "toml"));
        paths.sort();
        for path in paths {
            let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
            let file: PinFile = toml::from_str(&text).with_context(|| format!("parse {}", path.display()))?;
            if file.releases.iter().any(|pattern| matches(pattern, release)) {
                return Ok(Some(Self { path, file }));
            }
        }
        Ok(None)
    }

    /// Where they are kept.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Holds a verdict against the pins. `all` are the suite's tests, `ran` those that were selected to run.
    pub fn drift(&self, verdict: &Verdict, all: &[String], ran: &[String]) -> Vec<Drift> {
        let none = SuitePins::default();
        let pins = self.file.suite.get(&verdict.suite).unwrap_or(&none);
        let mut drift = Vec::new();
        if pins.count != pins.skips.len() {
            drift.push(Drift::Count { pinned: pins.count, names: pins.skips.len() });
        }
        for skip in &verdict.skips {
            match pins.skips.get(&skip.test) {
                None => drift.push(Drift::Unexpected(skip.clone())),
                Some(pinned) if *pinned != skip.need => drift.push(Drift::OtherNeed {
                    test: skip.test.clone(),
                    pinned: pinned.clone(),
                    need: skip.need.clone(),
                }),
                Some(_) => {}
            }
        }
        for test in pins.skips.keys() {
            if !all.contains(test) {
                drift.push(Drift::Gone(test.clone()));
            } else if ran.contains(test) && !verdict.skips.iter().any(|s| s.test == *test) {
                drift.push(Drift::Ran(test.clone()));
            }
        }
        drift
    }

    /// Replaces the pins of the verdict's suite by what it says, and writes the file.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn bless(&mut self, verdict: &Verdict) -> Result<()> {
        let skips: BTreeMap<_, _> = verdict.skips.iter().map(|s| (s.test.clone(), s.need.clone())).collect();
        if skips.is_empty() {
            self.file.suite.remove(&verdict.suite);
        } else {
            self.file.suite.insert(verdict.suite.clone(), SuitePins { count: skips.len(), skips });
        }
        let text = toml::to_string_pretty(&self.file).context("write pins as TOML")?;
        std::fs::write(&self.path, text).with_context(|| format!("write {}", self.path.display()))
    }
}

/// `uname -r` of the running kernel.
pub fn running_release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// Whether a text fits a pattern in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(skips: &[(&str, &str)]) -> Verdict {
        let skip = |(test, need): &(&str, &str)| Skipped {
            test: (*test).to_owned(),
            need: (*need).to_owned(),
            found: "nothing".to_owned(),
        };
        Verdict { suite: "s".to_owned(), skips: skips.iter().map(skip).collect(), ..Verdict::default() }
    }

    #[test]
    fn patterns_match_releases() {
        assert!(matches("6.1.*-cloud-amd64", "6.1.0-56-cloud-amd64"));
        assert!(!matches("6.1.*-cloud-amd64", "6.12.117+deb12-cloud-amd64"));
        assert!(matches("6.12.*+deb12-*", "6.12.117+deb12-cloud-amd64"));
        assert!(matches("6.1", "6.1") && !matches("6.1", "6.12") && matches("*", "") && matches("*", "x"));
    }

    #[test]
    fn drift_is_found_both_ways() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k.toml");
        std::fs::write(&path, "releases = [\"6.1*\"]\n").unwrap();
        assert!(Pins::find(folder.path(), "5.10").unwrap().is_none());
        let mut pins = Pins::find(folder.path(), "6.1.2").unwrap().unwrap();
        let all: Vec<String> = ["a", "b", "c"].map(str::to_owned).into();

        let found = verdict(&[("a", "feature lsm"), ("b", "root")]);
        assert_eq!(pins.drift(&found, &all, &all).len(), 2);
        pins.bless(&found).unwrap();
        let pins = Pins::find(folder.path(), "6.1.2").unwrap().unwrap();
        assert_eq!(pins.drift(&found, &all, &all), []);

        let ran = pins.drift(&verdict(&[("a", "feature lsm")]), &all, &all);
        assert_eq!(ran, [Drift::Ran("b".to_owned())]);
        assert_eq!(pins.drift(&verdict(&[("a", "feature lsm")]), &all, &all[..1]), []);
        let other = pins.drift(&verdict(&[("a", "module veth"), ("b", "root")]), &all, &all);
        assert!(matches!(&other[..], [Drift::OtherNeed { test, .. }] if test == "a"));
        assert_eq!(pins.drift(&found, &all[..1], &all[..1]), [Drift::Gone("b".to_owned())]);
    }
}
