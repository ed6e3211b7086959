//! Names like a name that is not there.

/// How many are offered.
const OFFERED: usize = 3;
/// Similarity (Jaro-Winkler, 0 to 1) from which a name is worth offering.
const SIMILAR: f64 = 0.85;

/// The names most like `wanted`, best first.
pub(crate) fn nearest(wanted: &str, names: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut scored: Vec<(f64, String)> = names
        .into_iter()
        .filter(|name| name.len().abs_diff(wanted.len()) <= wanted.len().max(3))
        .map(|name| (strsim::jaro_winkler(wanted, &name), name))
        .filter(|(score, _)| *score >= SIMILAR)
        .collect();
    scored.sort_by(|(a, a_name), (b, b_name)| b.total_cmp(a).then_with(|| a_name.cmp(b_name)));
    scored.dedup_by(|a, b| a.1 == b.1);
    scored.into_iter().take(OFFERED).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_of_the_finger_is_found() {
        let names = ["readline", "readline_internal", "write", "readlin"].map(str::to_owned);
        assert_eq!(nearest("readlne", names.clone())[0], "readline");
        assert!(nearest("xyz", names).is_empty());
    }
}
