//! Histograms: buckets, their labels and the lines drawn for them.

use serde_json::{Value, json};

use crate::host_data::MapValue;

/// Columns of the bar.
const BAR_COLUMNS: u64 = 52;
/// Powers of 1024.
const SUFFIXES: &[&str] = &["", "K", "M", "G", "T", "P", "E"];

/// The range of a bucket; `None` is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    low: Option<i64>,
    /// Exclusive.
    high: Option<i64>,
}

impl Range {
    fn of(value: &MapValue, bucket: u64) -> Self {
        match *value {
            MapValue::Hist { bits } => Self::logarithmic(bucket, bits),
            MapValue::Lhist { min, max, step } => Self::linear(bucket, min, max, step),
            _ => Self { low: None, high: None },
        }
    }

    fn logarithmic(bucket: u64, bits: u32) -> Self {
        let Some(n) = bucket.checked_sub(1) else { return Self { low: None, high: Some(0) } };
        let steps = 1_u64 << bits;
        let shift = (n >> bits).saturating_sub(1).min(63);
        let low = if n < steps { n } else { ((n & (steps - 1)) | steps) << shift };
        let width = if n < steps { 1 } else { 1 << shift };
        let edge = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        Self { low: Some(edge(low)), high: Some(edge(low.saturating_add(width))) }
    }

    fn linear(bucket: u64, min: i64, max: i64, step: i64) -> Self {
        let Some(n) = bucket.checked_sub(1) else { return Self { low: None, high: Some(min) } };
        let edge = |n: u64| min.saturating_add(step.saturating_mul(i64::try_from(n).unwrap_or(i64::MAX)));
        if edge(n) >= max {
            Self { low: Some(max), high: None }
        } else {
            Self { low: Some(edge(n)), high: Some(edge(n + 1)) }
        }
    }

    fn label(self, number: impl Fn(i64) -> String) -> String {
        match (self.low, self.high) {
            (None, high) => format!("(..., {})", number(high.unwrap_or(0))),
            (Some(low), None) => format!("[{}, ...)", number(low)),
            (Some(low), Some(high)) if high.wrapping_sub(low) == 1 => format!("[{}]", number(low)),
            (Some(low), Some(high)) => format!("[{}, {})", number(low), number(high)),
        }
    }
}

/// `1024` as `1K`: whole powers of 1024 only.
fn short(number: i64) -> String {
    let mut rest = number;
    let mut power = 0;
    while rest != 0 && rest % 1024 == 0 && power + 1 < SUFFIXES.len() {
        rest /= 1024;
        power += 1;
    }
    format!("{rest}{}", SUFFIXES[power])
}

/// The buckets from the first to the last that is not empty.
fn shown(counts: &[u64]) -> impl Iterator<Item = (u64, u64)> {
    let first = counts.iter().position(|n| *n > 0).unwrap_or(counts.len());
    let last = counts.iter().rposition(|n| *n > 0).map_or(0, |n| n + 1);
    (first..last).map(|n| (n as u64, counts[n]))
}

/// One line for each bucket shown.
pub(super) fn lines(value: &MapValue, counts: &[u64], div: u64) -> String {
    let max = counts.iter().copied().max().unwrap_or(0).max(1);
    let mut out = String::new();
    for (bucket, count) in shown(counts) {
        let range = Range::of(value, bucket);
        let label = match value {
            // Linear buckets of one step keep their range; only powers of 1024 are shortened.
            MapValue::Lhist { step, .. } => {
                let number = |n: i64| if step % 1024 == 0 { short(n) } else { n.to_string() };
                match (range.low, range.high) {
                    (Some(low), Some(high)) => format!("[{}, {})", number(low), number(high)),
                    _ => range.label(number),
                }
            }
            _ => range.label(short),
        };
        // The bar is drawn from the full counts; only log histograms are divided.
        let columns = u128::from(count) * u128::from(BAR_COLUMNS) / u128::from(max);
        let bar = "@".repeat(usize::try_from(columns).unwrap_or(0));
        let count = if matches!(value, MapValue::Hist { .. }) { count / div.max(1) } else { count };
        out.push_str(&format!("{label:<16}{count:>8} |{bar:<52}|\n"));
    }
    out
}

/// `[{"min": …, "max": …, "count": …}]`, both ends inclusive.
pub(super) fn json(value: &MapValue, counts: &[u64]) -> Value {
    shown(counts)
        .map(|(bucket, count)| {
            let range = Range::of(value, bucket);
            let mut out = json!({});
            if let Some(low) = range.low {
                out["min"] = json!(low);
            }
            if let Some(high) = range.high {
                out["max"] = json!(high.saturating_sub(1));
            }
            out["count"] = json!(count);
            out
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(bucket: u64, bits: u32) -> String {
        Range::logarithmic(bucket, bits).label(short)
    }

    #[test]
    fn logarithmic_labels() {
        let labels: Vec<String> = (0..5).map(|n| label(n, 0)).collect();
        assert_eq!(labels, ["(..., 0)", "[0]", "[1]", "[2, 4)", "[4, 8)"]);
        assert_eq!(label(12, 0), "[1K, 2K)");
        let labels: Vec<String> = (1..10).map(|n| label(n, 2)).collect();
        assert_eq!(labels, ["[0]", "[1]", "[2]", "[3]", "[4]", "[5]", "[6]", "[7]", "[8, 10)"]);
    }

    #[test]
    fn linear_labels() {
        let value = MapValue::Lhist { min: 0, max: 100, step: 10 };
        let counts = [1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 4];
        let text = lines(&value, &counts, 1);
        let firsts: Vec<&str> = text.lines().map(|line| line[..16].trim_end()).collect();
        assert_eq!(firsts[0], "(..., 0)");
        assert_eq!(firsts[2], "[10, 20)");
        assert_eq!(firsts[11], "[100, ...)");
        assert!(text.ends_with(&format!("[100, ...)             4 |{}|\n", "@".repeat(52))));
    }

    #[test]
    fn json_ends_are_inclusive() {
        let value = MapValue::Hist { bits: 0 };
        assert_eq!(json(&value, &[0, 0, 0, 0, 1]).to_string(), r#"[{"min":4,"max":7,"count":1}]"#);
        let value = MapValue::Lhist { min: 0, max: 10, step: 10 };
        let text = json(&value, &[1, 0, 1]).to_string();
        assert_eq!(text, r#"[{"max":-1,"count":1},{"min":0,"max":9,"count":0},{"min":10,"count":1}]"#);
    }
}
