//! Our verdicts beside a kernel's, and the list of what to work on.
//!
//! A program that the kernel refuses and we accept comes first: it may be a hole. What has no verdict of the kernel is not compared.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::ours::Ours;
use super::verdict::{Heard, Verdict};

/// One program with both verdicts.
#[derive(Debug, Clone)]
pub struct Compared {
    /// The kernel's.
    pub kernel: Heard,
    /// Whether the authors expect the kernel to accept it, where they say so.
    pub expected: Option<bool>,
    /// Ours.
    pub ours: Ours,
    /// How long ours took.
    pub took: Duration,
    /// Instructions of the program.
    pub n_insns: usize,
}

/// How two verdicts stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The kernel refuses, we accept.
    FalseAccept,
    /// Ours is none.
    Broken,
    /// The kernel accepts, we refuse.
    FalseRefusal,
    /// Both say the same.
    Agreed,
    /// The kernel gives no verdict.
    NoVerdict,
}

impl Outcome {
    /// Whether the verdicts differ.
    pub fn is_disagreement(self) -> bool {
        matches!(self, Self::FalseAccept | Self::Broken | Self::FalseRefusal)
    }
}

impl Compared {
    /// Object and program.
    pub fn name(&self) -> String {
        format!("{}/{}", self.kernel.object, self.kernel.program)
    }

    /// How the verdicts stand to each other.
    pub fn outcome(&self) -> Outcome {
        match (self.kernel.verdict, &self.ours) {
            (Verdict::None, _) => Outcome::NoVerdict,
            (_, Ours::Broken(_)) => Outcome::Broken,
            (Verdict::Accept, Ours::Accept) | (Verdict::Refuse, Ours::Refuse { .. }) => Outcome::Agreed,
            (Verdict::Refuse, Ours::Accept) => Outcome::FalseAccept,
            (Verdict::Accept, Ours::Refuse { .. }) => Outcome::FalseRefusal,
        }
    }

    /// Programs of one group have one cause, as far as the texts tell.
    pub fn group(&self) -> String {
        match (&self.ours, self.outcome()) {
            (Ours::Broken(why), _) => shape(why),
            (Ours::Refuse { slug, text }, Outcome::FalseRefusal) => {
                format!("{slug}: {}", shape(text.split("; ").next().unwrap_or(text)))
            }
            _ => shape(&self.kernel.reason),
        }
    }
}

/// A text with its numbers taken out, so that texts of one kind are equal.
fn shape(text: &str) -> String {
    let mut shape = String::new();
    let mut in_number = false;
    for c in text.chars() {
        if c.is_ascii_digit() {
            if !in_number {
                shape.push('N');
            }
            in_number = true;
        } else {
            in_number = in_number && c.is_ascii_hexdigit();
            if !in_number {
                shape.push(c);
            }
        }
    }
    shape
}

/// How many programs came out how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Both accept.
    pub both_accept: usize,
    /// Both refuse.
    pub both_refuse: usize,
    /// The kernel refuses, we accept.
    pub false_accepts: usize,
    /// The kernel accepts, we refuse.
    pub false_refusals: usize,
    /// Ours is none.
    pub broken: usize,
    /// The kernel gives no verdict.
    pub no_verdict: usize,
}

impl Counts {
    /// Counts a list.
    pub fn of(list: &[Compared]) -> Self {
        let mut counts = Self::default();
        for compared in list {
            *match compared.outcome() {
                Outcome::FalseAccept => &mut counts.false_accepts,
                Outcome::FalseRefusal => &mut counts.false_refusals,
                Outcome::Broken => &mut counts.broken,
                Outcome::NoVerdict => &mut counts.no_verdict,
                Outcome::Agreed if compared.ours == Ours::Accept => &mut counts.both_accept,
                Outcome::Agreed => &mut counts.both_refuse,
            } += 1;
        }
        counts
    }

    /// Programs with a verdict of the kernel's.
    pub fn judged(&self) -> usize {
        self.both_accept + self.both_refuse + self.false_accepts + self.false_refusals + self.broken
    }

    /// Of the programs with a verdict, how many hundredths of a per cent agree.
    pub fn agreement(&self) -> f64 {
        let agreed = self.both_accept + self.both_refuse;
        100.0 * agreed as f64 / self.judged().max(1) as f64
    }
}

/// The work list; of each group at most `n_shown` programs.
pub fn work_list(list: &[Compared], n_shown: usize) -> String {
    let mut text = String::new();
    for (outcome, title) in [
        (Outcome::FalseRefusal, "the kernel accepts, we refuse"),
        (Outcome::Broken, "ours fell over or did not end"),
        (Outcome::FalseAccept, "the kernel refuses, we accept"),
    ] {
        let mut groups: BTreeMap<String, Vec<&Compared>> = BTreeMap::new();
        for compared in list.iter().filter(|compared| compared.outcome() == outcome) {
            groups.entry(compared.group()).or_default().push(compared);
        }
        let n: usize = groups.values().map(Vec::len).sum();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\n== {title}: {n}");
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by_key(|(name, members)| (members.len(), name.clone()));
        for (name, members) in groups {
            let _ = writeln!(text, "{:>4}  {name}", members.len());
            for compared in members.iter().take(n_shown) {
                let Heard { object, program, reason, slot, .. } = &compared.kernel;
                let _ = write!(text, "        {object}/{program}");
                if compared.expected == Some(compared.kernel.verdict != Verdict::Accept) {
                    text.push_str(" (the authors expect otherwise of the kernel)");
                }
                match &compared.ours {
                    Ours::Refuse { text: ours, .. } => {
                        let _ = writeln!(text, "  [{ours}]");
                    }
                    Ours::Broken(_) => text.push('\n'),
                    Ours::Accept => {
                        let at = slot.map(|slot| format!("slot {slot}: ")).unwrap_or_default();
                        let _ = writeln!(text, "  [{at}{reason}]");
                    }
                }
            }
            if members.len() > n_shown {
                let _ = writeln!(text, "        … and {} more", members.len() - n_shown);
            }
        }
    }
    text
}

/// The programs over which our verifier sat longest.
pub fn slowest(list: &[Compared], n_shown: usize) -> String {
    let mut by_time: Vec<&Compared> = list.iter().collect();
    by_time.sort_by_key(|compared| std::cmp::Reverse(compared.took));
    let total: Duration = list.iter().map(|compared| compared.took).sum();
    let one = |compared: &&Compared| {
        let Heard { object, program, .. } = &compared.kernel;
        format!("{object}/{program} {:.1}", compared.took.as_secs_f64() * 1e3)
    };
    let slowest: Vec<String> = by_time.iter().take(n_shown).map(one).collect();
    format!(
        "ours took {:.1} ms in all; the slowest, in ms: {}",
        total.as_secs_f64() * 1e3,
        slowest.join(", ")
    )
}

/// Instructions, the kernel's time, ours, and both verdicts, program by program.
pub fn times(list: &[Compared]) -> String {
    let mut text = String::from("instructions   kernel ms   ours ms  program\n");
    for compared in list {
        let kernel_ms =
            compared.kernel.took_us.map_or("-".to_owned(), |us| format!("{:.2}", us as f64 / 1e3));
        let ours_ms = compared.took.as_secs_f64() * 1e3;
        let outcome = compared.outcome();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:>12} {kernel_ms:>11} {ours_ms:>9.2}  {} (kernel: {:?}; {outcome:?})",
            compared.n_insns,
            compared.name(),
            compared.kernel.verdict
        );
    }
    if let Some(ratio) = ratio(list) {
        let _ = write!(text, "ours by the kernel's, geometric mean where both accept: {ratio:.3}");
    }
    text
}

/// Our time by the kernel's whole load, as the geometric mean over what both accept.
fn ratio(list: &[Compared]) -> Option<f64> {
    let logs: Vec<f64> = list
        .iter()
        .filter(|one| one.outcome() == Outcome::Agreed && one.ours == Ours::Accept)
        .filter_map(|one| {
            Some((one.took.as_secs_f64() * 1e6 / one.kernel.took_us.filter(|us| *us > 0)? as f64).ln())
        })
        .collect();
    (!logs.is_empty()).then(|| (logs.iter().sum::<f64>() / logs.len() as f64).exp())
}

/// One line that says it all.
pub fn summary(counts: &Counts) -> String {
    format!(
        "agreement {:.2} % of {} judged: both accept {}, both refuse {}; FALSE ACCEPTS {}, false refusals {}, broken {}; no verdict of the \
         kernel {}",
        counts.agreement(),
        counts.judged(),
        counts.both_accept,
        counts.both_refuse,
        counts.false_accepts,
        counts.false_refusals,
        counts.broken,
        counts.no_verdict
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A program with these verdicts.
    pub fn compared(verdict: Verdict, reason: &str, ours: Ours) -> Compared {
        let kernel = Heard {
            object: "o".to_owned(),
            program: "p".to_owned(),
            verdict,
            reason: reason.to_owned(),
            slot: Some(3),
            took_us: None,
        };
        Compared { kernel, expected: None, ours, took: Duration::ZERO, n_insns: 1 }
    }

    fn refusal() -> Ours {
        Ours::Refuse { slug: "out-of-bounds".to_owned(), text: "at byte 48; more".to_owned() }
    }

    #[test]
    fn verdicts_are_counted_by_how_they_stand() {
        let list = [
            compared(Verdict::Accept, "", Ours::Accept),
            compared(Verdict::Refuse, "R1 !read_ok", refusal()),
            compared(Verdict::Refuse, "R1 !read_ok", Ours::Accept),
            compared(Verdict::Accept, "", refusal()),
            compared(Verdict::Accept, "", Ours::Broken("panic".to_owned())),
            compared(Verdict::None, "", refusal()),
        ];
        let counts = Counts::of(&list);
        let expected = Counts {
            both_accept: 1,
            both_refuse: 1,
            false_accepts: 1,
            false_refusals: 1,
            broken: 1,
            no_verdict: 1,
        };
        assert_eq!(counts, expected);
        assert_eq!((counts.judged(), counts.agreement()), (5, 40.0));
        let text = work_list(&list, 4);
        assert!(text.contains("1  out-of-bounds: at byte N\n        o/p  [at byte 48; more]"), "{text}");
        assert!(text.contains("        o/p  [slot 3: R1 !read_ok]"), "{text}");
    }

    #[test]
    fn texts_of_one_kind_have_one_shape() {
        assert_eq!(shape("R7 at byte 12 of 0x1f"), "RN at byte N of NxN");
        assert_eq!(shape("no number"), "no number");
    }
}
