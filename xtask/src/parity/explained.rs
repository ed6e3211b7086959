//! Why a verdict of ours differs from the kernel's: a type for each disagreement, and what it comes from.
//!
//! Some types can be told from the two verdicts. The others are written down by people in a table; what is neither counts as
//! unexplained, and the check of the page fails.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result};

use super::compare::{Compared, Outcome};
use super::corpus::{GENERATED, HINTED};
use super::ours::Ours;
use super::reason;
use super::verdict::{Table, Verdict};

/// Where the table lies in the workspace.
pub const PATH: &str = "tests/parity/explained.tsv";

/// The first line of the table.
const HEADING: &str = "# object/program, type, and where the disagreement comes from, separated by tabs.\n";

/// The type of a disagreement, and what it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// Its type, in a word or two.
    pub kind: String,
    /// What it comes from.
    pub why: String,
}

/// We know more about the program than the kernel does.
const MORE_EXACT: &str = "more exact";
/// Another release of the kernel accepts it.
const RELEASE: &str = "release";
/// What is not explained.
pub const UNEXPLAINED: &str = "unexplained";

/// Explanations by `object/program`.
#[derive(Debug, Clone, Default)]
pub struct Explanations {
    by_program: BTreeMap<String, Explained>,
    /// Random programs that the kernel accepts once they say what a quotient or remainder is.
    hinted: BTreeSet<String>,
}

impl Explanations {
    /// Reads the table of explanations, and what can be told from a kernel's verdicts: program, type and explanation, separated by tabs.
    pub fn read(path: &Path, verdicts: &Table) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        let mut found = BTreeMap::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let mut fields = line.splitn(3, '\t');
            let (Some(program), Some(kind), Some(why)) = (fields.next(), fields.next(), fields.next()) else {
                anyhow::bail!("{}: a line without three fields: {line}", path.display());
            };
            found.insert(program.to_owned(), Explained { kind: kind.to_owned(), why: why.to_owned() });
        }
        let hinted = verdicts
            .by_program
            .values()
            .filter(|heard| heard.object == HINTED && heard.verdict == Verdict::Accept);
        let hinted = hinted.map(|heard| format!("{GENERATED}/{}", heard.program)).collect();
        Ok(Self { by_program: found, hinted })
    }

    /// The explanation of a disagreement.
    pub fn of(&self, compared: &Compared) -> Explained {
        let program = compared.name();
        if let Some(known) = self.by_program.get(&program) {
            return known.clone();
        }
        let explained = |kind: &str, why: String| Explained { kind: kind.to_owned(), why };
        match (compared.outcome(), &compared.ours) {
            (Outcome::FalseRefusal, Ours::Refuse { slug, text }) if slug.contains("not-modelled") => {
                explained("not modelled", text.split("; ").next().unwrap_or_default().to_owned())
            }
            (Outcome::FalseAccept, _) if self.hinted.contains(&program) => explained(
                MORE_EXACT,
                "the kernel forgets what a quotient or remainder can be, and accepts once the program says it".to_owned(),
            ),
            (Outcome::FalseAccept, _) if !is_unsafe(compared) => {
                let word = reason_of(compared).word;
                explained("by taste", format!("the kernel refuses for its own convenience (`{word}`)"))
            }
            (Outcome::Broken, Ours::Broken(why)) => explained("fault of ours", why.clone()),
            (_, Ours::Refuse { text, .. }) => {
                explained("stricter", text.split("; ").next().unwrap_or_default().to_owned())
            }
            _ => explained(UNEXPLAINED, format!("the kernel's reason: `{}`", reason_of(compared).word)),
        }
    }

    /// Whether the kernel refuses for safety what we accept, and nothing shows that we are right.
    pub fn is_hole(&self, compared: &Compared) -> bool {
        is_unsafe(compared) && !matches!(self.of(compared).kind.as_str(), MORE_EXACT | RELEASE)
    }

    /// Programs of the table that agree by now, or are gone.
    pub fn stale(&self, list: &[Compared]) -> Vec<String> {
        let agrees = |program: &&String| {
            !list.iter().any(|one| one.name() == **program && one.outcome().is_disagreement())
        };
        self.by_program.keys().filter(agrees).cloned().collect()
    }

    /// The table without these programs.
    pub fn without(&self, programs: &[String]) -> String {
        let mut text = HEADING.to_owned();
        for (program, Explained { kind, why }) in &self.by_program {
            if !programs.contains(program) {
                text.push_str(&format!("{program}\t{kind}\t{why}\n"));
            }
        }
        text
    }
}

/// The kernel's kind of reason, whether its sentence is known or only the kind.
pub fn reason_of(compared: &Compared) -> reason::Reason {
    reason::named(&compared.kernel.reason).unwrap_or_else(|| reason::of(&compared.kernel.reason))
}

/// Whether the kernel refuses for safety what we accept.
pub fn is_unsafe(compared: &Compared) -> bool {
    compared.outcome() == Outcome::FalseAccept && reason_of(compared).is_safety
}

#[cfg(test)]
mod tests {
    use super::super::compare::tests::compared;
    use super::*;

    #[test]
    fn what_is_told_by_the_verdicts_needs_no_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("explained.tsv");
        std::fs::write(&path, "# note\no/known\tstricter\tbecause\n").unwrap();
        let explanations = Explanations::read(&path, &Table::default()).unwrap();
        let kind = |one: &Compared| explanations.of(one).kind;
        assert_eq!(kind(&compared(Verdict::Refuse, "unreachable insn 3", Ours::Accept)), "by taste");
        assert_eq!(kind(&compared(Verdict::Refuse, "R1 !read_ok", Ours::Accept)), UNEXPLAINED);
        assert!(is_unsafe(&compared(Verdict::Refuse, "uninitialized", Ours::Accept)));
        assert!(!is_unsafe(&compared(Verdict::Refuse, "too-complex", Ours::Accept)));
        let mut known = compared(Verdict::Refuse, "R1 !read_ok", Ours::Accept);
        "known".clone_into(&mut known.kernel.program);
        assert_eq!(kind(&known), "stricter");
        assert!(explanations.stale(&[known]).is_empty());
        let stale = explanations.stale(&[]);
        assert_eq!(stale, ["o/known"]);
        assert_eq!(explanations.without(&stale), HEADING);
        assert_eq!(explanations.without(&[]), format!("{HEADING}o/known\tstricter\tbecause\n"));
        std::fs::write(&path, "one field\n").unwrap();
        assert!(Explanations::read(&path, &Table::default()).is_err());
    }
}
