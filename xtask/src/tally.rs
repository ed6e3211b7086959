//! Counts what passed, failed and was skipped, over everything that ran.

use std::fmt;
use std::process::ExitCode;

use anyhow::Result;
use nonna_testkit::{Skip, Verdict};

/// Sums, with a line for each failure and each reason to skip.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// What passed.
    pub passed: usize,
    /// What failed: one line each.
    pub failures: Vec<String>,
    /// What was skipped: one line each.
    pub skips: Vec<String>,
    /// Skips of whole parts: what the machine lacks. They are failures where `CI=true`.
    pub missing: Vec<String>,
}

impl Tally {
    /// Counts one success.
    pub fn pass(&mut self) {
        self.passed += 1;
    }

    /// Counts one failure.
    pub fn fail(&mut self, what: &str) {
        self.failures.push(what.to_owned());
    }

    /// Counts a part that this machine cannot run.
    pub fn skip(&mut self, what: &str, skip: Skip) {
        let line = format!("{what}: {skip}");
        self.missing.push(line.clone());
        self.skips.push(line);
    }

    /// Counts what a suite says.
    pub fn add_verdict(&mut self, verdict: &Verdict, place: &str) {
        self.passed += verdict.passed;
        self.failures.extend(verdict.failures.iter().map(|f| format!("{place}: {}: {f}", verdict.suite)));
        let line = |s: &nonna_testkit::Skipped| {
            format!("{place}: {}: {}: needs {}, found: {}", verdict.suite, s.test, s.need, s.found)
        };
        self.skips.extend(verdict.skips.iter().map(line));
    }

    /// Adds another tally.
    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failures.extend(other.failures);
        self.skips.extend(other.skips);
        self.missing.extend(other.missing);
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.passed == 0 && self.failures.is_empty() && self.skips.is_empty()
    }

    /// Whether anything failed.
    pub fn has_failed(&self) -> bool {
        !self.failures.is_empty()
    }

    /// Prints failures, skips, and the sum as the last line; where `CI=true` a part that the machine lacks is a failure.
    ///
    /// # Errors
    ///
    /// Never; the type fits the commands.
    pub fn conclude(mut self) -> Result<ExitCode> {
        if std::env::var("CI").is_ok_and(|ci| ci == "true") {
            let lacking = self.missing.iter().map(|line| format!("{line} (CI=true allows no such skip)"));
            self.failures.extend(lacking.collect::<Vec<_>>());
        }
        for line in &self.skips {
            println!("skipped: {line}");
        }
        for line in &self.failures {
            println!("FAILED: {line}");
        }
        println!("{self}");
        Ok(if self.has_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failures.len(), self.skips.len())
    }
}
