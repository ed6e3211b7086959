//! What a suite says when it is done, for the machine that sums up.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Starts the line of a suite's output that holds its verdict as JSON.
pub const VERDICT_LINE: &str = "nonna-verdict ";

/// A test that did not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Its name.
    pub test: String,
    /// The need that is not met.
    pub need: String,
    /// What was found.
    pub found: String,
}

/// The outcome of one suite on one kernel.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Verdict {
    /// The suite.
    pub suite: String,
    /// `uname -r`.
    pub release: String,
    /// Tests that passed.
    pub passed: usize,
    /// Tests that failed, by name, and broken promises about skips.
    pub failures: Vec<String>,
    /// Tests that did not run.
    pub skips: Vec<Skipped>,
}

impl Verdict {
    /// The line that a reader of the output looks for.
    pub fn to_line(&self) -> String {
        let json = serde_json::to_string(self).expect("strings and numbers always serialize");
        format!("{VERDICT_LINE}{json}")
    }

    /// Every verdict in an output.
    pub fn find_all(output: &str) -> Vec<Self> {
        output
            .lines()
            .filter_map(|line| line.strip_prefix(VERDICT_LINE))
            .filter_map(|json| serde_json::from_str(json.trim()).ok())
            .collect()
    }

    /// What the output of a binary says that uses Rust's own test harness; `None` where it does not end with a result.
    pub fn from_libtest(suite: &str, release: &str, output: &str) -> Option<Self> {
        let mut verdict = Self { suite: suite.to_owned(), release: release.to_owned(), ..Self::default() };
        let mut ended = false;
        for line in output.lines().map(str::trim_end) {
            if let Some(counts) = line.strip_prefix("test result: ") {
                verdict.passed += counted(counts, "passed")?;
                ended = true;
            } else if let Some((test, outcome)) =
                line.strip_prefix("test ").and_then(|l| l.split_once(" ... "))
            {
                let test = test.trim_end().to_owned();
                if outcome == "FAILED" {
                    verdict.failures.push(test);
                } else if let Some(reason) = outcome.strip_prefix("ignored") {
                    let found = reason.trim_start_matches([',', ' ']).to_owned();
                    verdict.skips.push(Skipped { test, need: "being asked for".to_owned(), found });
                }
            }
        }
        ended.then_some(verdict)
    }

    /// How many tests failed, broken promises included.
    pub fn failed(&self) -> usize {
        self.failures.len()
    }

    /// Skips by need, the most frequent first.
    pub fn reasons(&self) -> Vec<(usize, &str, &str)> {
        let mut reasons: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for skip in &self.skips {
            *reasons.entry((&skip.need, &skip.found)).or_default() += 1;
        }
        let mut reasons: Vec<_> = reasons.into_iter().map(|((need, found), n)| (n, need, found)).collect();
        reasons.sort_by_key(|(n, ..)| std::cmp::Reverse(*n));
        reasons
    }
}

/// The number before a word in `ok. 3 passed; 0 failed; …`.
fn counted(counts: &str, word: &str) -> Option<usize> {
    let words: Vec<&str> = counts.split([' ', ';']).filter(|w| !w.is_empty()).collect();
    let at = words.iter().position(|w| *w == word)?;
    words.get(at.checked_sub(1)?)?.parse().ok()
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed(), self.skips.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_harness_is_understood() {
        let output = "running 3 tests\ntest a ... ok\r\ntest b::c ... FAILED\ntest d ... ignored, slow\n\n\
                      test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s\n";
        let verdict = Verdict::from_libtest("s", "6.1", output).unwrap();
        assert_eq!(verdict.to_string(), "1 passed, 1 failed, 1 skipped");
        assert_eq!((verdict.failures[0].as_str(), verdict.skips[0].found.as_str()), ("b::c", "slow"));
        assert_eq!(Verdict::from_libtest("s", "6.1", "running 3 tests\ntest a ... ok\n"), None);
    }

    #[test]
    fn a_verdict_survives_its_line() {
        let skip = |test: &str| Skipped {
            test: test.to_owned(),
            need: "feature lsm".to_owned(),
            found: "EPERM \"here\"".to_owned(),
        };
        let verdict = Verdict {
            suite: "load".to_owned(),
            release: "6.1".to_owned(),
            passed: 3,
            failures: vec!["x".to_owned()],
            skips: vec![skip("a"), skip("b")],
        };
        let output = format!("noise\n{}\r\nnonna-verdict broken\n", verdict.to_line());
        assert_eq!(Verdict::find_all(&output), std::slice::from_ref(&verdict));
        assert_eq!(verdict.to_string(), "3 passed, 1 failed, 2 skipped");
        assert_eq!(verdict.reasons(), [(2, "feature lsm", "EPERM \"here\"")]);
    }
}
