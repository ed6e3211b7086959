//! Numbers of one pair held against the goal.

use std::fmt;

use crate::bench::measure::Series;

/// At most so many times what clang's takes.
const MAX_RATIO: f64 = 1.1;
/// Or so much more, in nanoseconds.
const MAX_MORE_NS: f64 = 5.0;

/// One row of the table.
#[derive(Debug, Clone)]
pub struct Row {
    /// Name of the case.
    pub name: &'static str,
    /// Nanoseconds a run net of the empty program: nonna's, clang's, and by how much nonna's took more in the same round.
    pub ours: Series,
    pub peers: Series,
    pub more: Series,
    /// Instructions in the kernel: nonna's and clang's.
    pub insns: (u32, u32),
}

impl Row {
    /// How many times as long nonna's program takes.
    fn time_ratio(&self) -> f64 {
        self.ours.ratio_to(&self.peers)
    }

    /// How many times as many instructions nonna's program has.
    fn insn_ratio(&self) -> f64 {
        f64::from(self.insns.0) / f64::from(self.insns.1)
    }

    /// Whether the goal is reached.
    pub fn is_met(&self) -> bool {
        let quick = self.time_ratio() <= MAX_RATIO || self.more.median() <= MAX_MORE_NS;
        quick && self.insn_ratio() <= MAX_RATIO
    }

    /// The goal in words.
    pub fn goal() -> String {
        format!(
            "at most {MAX_RATIO} times the time or {MAX_MORE_NS} ns more, and at most {MAX_RATIO} times the instructions"
        )
    }

    /// The line above the rows.
    pub fn head() -> String {
        let (net, insns) = ("ns a run, net of the empty program", "instructions");
        format!(
            "{:24} {net:^52} {insns:^21}\n{:24} {:>7} {:>7}  {:>7} {:>7}  {:>6} {:>6} {:>7} {:>6} {:>6} {:>6}",
            "",
            "",
            "nonna",
            "spread",
            "clang",
            "spread",
            "ratio",
            "more",
            "spread",
            "nonna",
            "clang",
            "ratio"
        )
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [ours, peers, more] = [&self.ours, &self.peers, &self.more];
        write!(f, "{:24} {:7.1} {:7.1}  ", self.name, ours.median(), ours.spread())?;
        write!(f, "{:7.1} {:7.1}  ", peers.median(), peers.spread())?;
        write!(f, "{:6.2} {:6.1} {:7.1} ", self.time_ratio(), more.median(), more.spread())?;
        write!(f, "{:6} {:6} {:6.2}  ", self.insns.0, self.insns.1, self.insn_ratio())?;
        f.write_str(if self.is_met() { "met" } else { "missed" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ours: f64, peers: f64, insns: (u32, u32)) -> Row {
        let series = |value| {
            let mut series = Series::default();
            series.push(value);
            series
        };
        let (ours, peers, more) = (series(ours), series(peers), series(ours - peers));
        Row { name: "count", ours, peers, more, insns }
    }

    #[test]
    fn the_goal_wants_time_and_size() {
        assert!(row(10.9, 10.0, (11, 10)).is_met());
        assert!(row(14.0, 10.0, (10, 10)).is_met(), "4 ns more are few");
        assert!(row(108.0, 100.0, (10, 10)).is_met(), "8 ns more of many are few");
        assert!(!row(16.0, 10.0, (10, 10)).is_met());
        assert!(!row(10.0, 10.0, (12, 10)).is_met());
    }

    #[test]
    fn a_row_says_all_of_it() {
        let text = row(16.0, 10.0, (12, 10)).to_string();
        for part in ["count", "16.0", "10.0", "1.60", "6.0", "12", "1.20", "missed"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
