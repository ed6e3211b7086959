//! The house rules that a machine can hold: `cargo xtask tidy`, and the same as a test.
//!
//! Each file here checks one family of rules and returns [`Violation`]s; nothing is printed and nothing stops at the
//! first one. Exceptions live in `tidy.toml` with a reason, and one that is no longer needed is a violation too.

mod dependencies;
mod exceptions;
mod layers;
mod lexer;
mod manifests;
mod pages;
mod slugs;
mod sources;

use std::fmt;
use std::process::ExitCode;

use anyhow::Result;

use crate::workspace::Workspace;

/// A rule that does not hold somewhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// File, relative to the root.
    pub path: String,
    /// Line from 1.
    pub line: usize,
    /// Name of the rule.
    pub rule: &'static str,
    /// What is wrong, and why that matters.
    pub why: String,
    /// What to do.
    pub fix: String,
}

impl Violation {
    fn new(
        path: impl Into<String>,
        line: usize,
        rule: &'static str,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { path: path.into(), line, rule, why: why.into(), fix: fix.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}\n  do: {}", self.path, self.line, self.rule, self.why, self.fix)
    }
}

/// Runs every check; the result is sorted by place.
pub fn check(workspace: &Workspace) -> Result<Vec<Violation>> {
    let exceptions = exceptions::Exceptions::load(workspace)?;
    let mut violations = Vec::new();
    violations.extend(layers::check(workspace)?);
    violations.extend(dependencies::check(workspace)?);
    violations.extend(manifests::check(workspace, &exceptions)?);
    violations.extend(sources::check(workspace, &exceptions)?);
    violations.extend(slugs::check(workspace)?);
    violations.extend(pages::check(workspace)?);
    violations.sort();
    violations.dedup();
    Ok(violations)
}

/// `cargo xtask tidy`: prints what does not hold; the exit code is 1 if there is any.
pub fn command(workspace: &Workspace) -> Result<ExitCode> {
    let violations = check(workspace)?;
    for violation in &violations {
        println!("{violation}");
    }
    if violations.is_empty() {
        println!("tidy: every rule holds");
        return Ok(ExitCode::SUCCESS);
    }
    println!("tidy: {} violations", violations.len());
    Ok(ExitCode::FAILURE)
}

/// The line, from 1, of the first occurrence of `needle`; 1 where there is none.
fn line_of(text: &str, needle: &str) -> usize {
    text.lines().position(|line| line.contains(needle)).map_or(1, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_tidy() {
        let violations = check(&Workspace::load().unwrap()).unwrap();
        let report: Vec<String> = violations.iter().map(ToString::to_string).collect();
        assert!(violations.is_empty(), "{}", report.join("\n"));
    }
}
