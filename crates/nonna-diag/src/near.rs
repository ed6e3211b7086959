//! "Did you mean": the nearest of the names that would have been right.

/// The candidates nearest to `name`, best first, at most `most`; only those close enough to be a slip.
///
/// Nearness is the Damerau-Levenshtein distance without regard to case, bounded by a third of the name's length
/// (at least 1); a candidate that begins with the name counts too. Among equals the one of like length comes first.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>, most: usize) -> Vec<&'a str> {
    let wanted = name.to_lowercase();
    let n_wanted = wanted.chars().count();
    let bound = (n_wanted / 3).max(1);
    let mut found: Vec<(usize, usize, &str)> = candidates
        .into_iter()
        .filter_map(|candidate| {
            let lower = candidate.to_lowercase();
            let prefix = wanted.len() >= 3 && lower.starts_with(&wanted);
            // No distance is less than the difference of the lengths.
            let distance = if lower.chars().count().abs_diff(n_wanted) <= bound {
                strsim::osa_distance(&wanted, &lower)
            } else {
                usize::MAX
            };
            let difference = wanted.len().abs_diff(lower.len());
            (distance <= bound || prefix).then_some((distance.min(bound + 1), difference, candidate))
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().take(most).map(|(.., candidate)| candidate).collect()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_are_found_and_strangers_are_not() {
        let fields = ["filename", "flags", "mode", "filename_len"];
        assert_eq!(nearest("fliename", fields, 2), ["filename"]);
        assert_eq!(nearest("Mode", fields, 2), ["mode"]);
        assert_eq!(nearest("file", fields, 3), ["filename", "filename_len"]);
        assert_eq!(nearest("prinft", ["print", "printf"], 1), ["printf"]);
        assert!(nearest("zebra", fields, 3).is_empty());
        assert!(nearest("", fields, 3).is_empty());
    }
}
