//! Processors of the machine.

use crate::error::{Context, Error};

/// Processors that may ever come up: the length of per-CPU values. It counts them, as the kernel does when it copies such values;
/// their numbers may have holes.
pub(crate) fn n_possible_cpus() -> Result<u32, Error> {
    let path = "/sys/devices/system/cpu/possible";
    let text = std::fs::read_to_string(path).context(|| format!("read {path}"))?;
    Ok(ranges(&text).map(|(first, last)| last.saturating_sub(first) + 1).sum())
}

/// Processors that run now.
pub(crate) fn online_cpus() -> Result<Vec<u32>, Error> {
    let path = "/sys/devices/system/cpu/online";
    let text = std::fs::read_to_string(path).context(|| format!("read {path}"))?;
    Ok(ranges(&text).flat_map(|(first, last)| first..=last).collect())
}

/// `0-3,5` as pairs of first and last.
fn ranges(text: &str) -> impl Iterator<Item = (u32, u32)> {
    text.trim().split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some((first.parse().ok()?, last.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_with_holes() {
        assert_eq!(ranges("0-3,5,7-8\n").collect::<Vec<_>>(), [(0, 3), (5, 5), (7, 8)]);
    }

    #[test]
    fn this_machine_has_processors() {
        assert!(n_possible_cpus().unwrap() as usize >= online_cpus().unwrap().len());
    }
}
