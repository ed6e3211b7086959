//! The pages at the root that everybody looks for, and their limits.

use anyhow::Result;

use super::Violation;
use crate::workspace::Workspace;

/// Page, most lines it may have, and what it is for.
const PAGES: &[(&str, usize, &str)] = &[
    ("ARCHITECTURE.md", 250, "where to change what, and what never happens"),
    ("STYLE.md", 120, "how code, names, words and tests are written here"),
    ("README.md", 400, "the first two commands, and what they show"),
    ("LICENSE-MIT", 40, "one of the two licences"),
    ("LICENSE-APACHE", 250, "one of the two licences"),
];

/// Checks that each page is there and short enough to be read.
pub fn check(workspace: &Workspace) -> Result<Vec<Violation>> {
    let mut violations = Vec::new();
    for (page, limit, purpose) in PAGES {
        match workspace.read(page)? {
            None => violations.push(Violation::new(
                *page,
                1,
                "pages",
                "the page is missing",
                format!("write it: {purpose}"),
            )),
            Some(text) if text.lines().count() > *limit => violations.push(Violation::new(
                *page,
                limit + 1,
                "pages",
                format!("more than {limit} lines: a page that nobody finishes"),
                "say it shorter, or move detail next to the code",
            )),
            Some(_) => {}
        }
    }
    Ok(violations)
}
