//! The page that shows where our verdicts stand: made from recorded verdicts, so that it is the same wherever it is made.

use std::fmt::Write as _;

use super::compare::{Compared, Counts, Outcome};
use super::explained::{Explanations, reason_of};
use super::ours::Ours;
use super::verdict::Verdict;

/// Where the page lies in the workspace.
pub const PATH: &str = "docs/verifier-parity.md";

/// What is told.
pub struct Contents<'c> {
    /// The recorded kernel.
    pub release: &'c str,
    /// The kernel's own tests of its verifier.
    pub selftests: &'c [Compared],
    /// Programs that could not be read at all, with the reasons.
    pub unread: &'c [(String, String)],
    /// Programs as people write them.
    pub real: &'c [Compared],
    /// Random programs.
    pub generated: &'c [Compared],
    /// Types and reasons of disagreements.
    pub explanations: &'c Explanations,
}

const INTRODUCTION: &str = "\
# Our verdicts beside the kernel's

The kernel is the judge of what it loads. This page compares our verifier with it, program by program. `cargo xtask parity --write` makes it
from verdicts that the kernel gave under QEMU (`tests/parity`); `cargo xtask parity` without options shows the present state.

- **unsafe accepts**: the kernel refuses for a reason of safety, and we accept without being shown right.
- **refused only by us**: we are stricter, or do not know something.
- **accepted only by us**: these, what we know better (`more exact`), and what the kernel refuses for its own convenience, such as code that no
  path reaches.
- **no verdict**: the kernel could not be asked, as where a program extends another.
";

/// The whole page.
pub fn text(contents: &Contents<'_>) -> String {
    let mut text = INTRODUCTION.to_owned();
    let mut line = |added: String| {
        text.push_str(&added);
        text.push('\n');
    };
    line(String::new());
    line("## Numbers".to_owned());
    line(String::new());
    line(format!("Judge: Linux {}.", contents.release));
    line(String::new());
    line(
        "| programs | judged | both accept | both refuse | agreement | unsafe accepts | accepted only by us | refused only by us | no verdict |"
            .to_owned(),
    );
    line("|---|---|---|---|---|---|---|---|---|".to_owned());
    for (name, list) in [
        ("the kernel's tests of its verifier", contents.selftests),
        ("programs as people write them", contents.real),
        ("random programs", contents.generated),
    ] {
        let counts = Counts::of(list);
        let is_hole = |one: &&Compared| contents.explanations.is_hole(one);
        let n_unsafe = list.iter().filter(is_hole).count();
        line(format!(
            "| {name} | {} | {} | {} | {:.1} % | {n_unsafe} | {} | {} | {} |",
            counts.judged(),
            counts.both_accept,
            counts.both_refuse,
            counts.agreement(),
            counts.false_accepts,
            counts.false_refusals + counts.broken,
            counts.no_verdict
        ));
    }
    for added in disagreements(contents) {
        line(added);
    }
    for added in real(contents.real) {
        line(added);
    }
    text
}

fn disagreements(contents: &Contents<'_>) -> Vec<String> {
    let mut lines = vec![String::new(), "## Disagreements".to_owned(), String::new()];
    lines.push("| program | kernel | ours | type | where it comes from |".to_owned());
    lines.push("|---|---|---|---|---|".to_owned());
    let all = [contents.selftests, contents.real, contents.generated].into_iter().flatten();
    let mut found: Vec<&Compared> = all.filter(|one| one.outcome().is_disagreement()).collect();
    found.sort_by_key(|one| (!contents.explanations.is_hole(one), one.outcome(), one.name()));
    for one in found {
        let explained = contents.explanations.of(one);
        let kernel = match one.kernel.verdict {
            Verdict::Refuse => format!("refuses: {}", reason_of(one).word),
            _ => "accepts".to_owned(),
        };
        let ours = match &one.ours {
            Ours::Accept => "accepts".to_owned(),
            Ours::Refuse { slug, .. } => format!("refuses: {slug}"),
            Ours::Broken(_) => "none".to_owned(),
        };
        lines.push(format!(
            "| {} | {kernel} | {ours} | {} | {} |",
            one.name(),
            explained.kind,
            cell(&explained.why)
        ));
    }
    if !contents.unread.is_empty() {
        lines.extend([String::new(), "## Not compared".to_owned(), String::new()]);
        lines.push(
            "These programs are refused when the file is read, before there is anything to verify or load."
                .to_owned(),
        );
        lines.extend([String::new(), "| program | why |".to_owned(), "|---|---|".to_owned()]);
        lines.extend(contents.unread.iter().map(|(program, why)| format!("| {program} | {} |", cell(why))));
    }
    lines
}

fn real(list: &[Compared]) -> Vec<String> {
    let mut lines = vec![String::new(), "## Programs as people write them".to_owned(), String::new()];
    lines.push(
        "Load balancers, packet filters, profilers and programs made to be large, from the kernel's tests."
            .to_owned(),
    );
    lines.extend([
        String::new(),
        "| program | instructions | kernel | ours |".to_owned(),
        "|---|---|---|---|".to_owned(),
    ]);
    for one in list {
        let kernel = match one.kernel.verdict {
            Verdict::Accept => "accepts".to_owned(),
            Verdict::Refuse => format!("refuses: {}", reason_of(one).word),
            Verdict::None => "no verdict".to_owned(),
        };
        let ours = match (&one.ours, one.outcome()) {
            (Ours::Accept, _) => "accepts".to_owned(),
            (Ours::Refuse { slug, .. }, Outcome::Agreed | Outcome::FalseRefusal | Outcome::NoVerdict) => {
                format!("refuses: {slug}")
            }
            _ => "none".to_owned(),
        };
        lines.push(format!("| {} | {} | {kernel} | {ours} |", one.name(), one.n_insns));
    }
    lines
}

/// A text that does not break a table.
fn cell(text: &str) -> String {
    let mut cell = String::new();
    for c in text.chars() {
        // Writing to a string cannot fail.
        let _ = match c {
            '|' => write!(cell, "\\|"),
            '\n' => write!(cell, " "),
            c => write!(cell, "{c}"),
        };
    }
    cell
}
