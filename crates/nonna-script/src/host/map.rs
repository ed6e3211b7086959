//! Maps: entries joined over the processors, sorted and printed.

use std::cmp::Ordering;

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::value::{HostValue, order_all};
use super::{OutputFormat, Printer, histogram, json};
use crate::host_data::{HostMap, MapValue, Presence};

/// Bytes of a key and of its value; of a per-CPU map the values of all processors, each padded to 8 bytes.
pub type RawEntry = (Vec<u8>, Vec<u8>);

/// A value of a map, joined over the processors.
#[derive(Debug, Clone, PartialEq)]
enum Joined {
    Value(HostValue),
    Stats { count: u64, average: HostValue, total: HostValue },
    Buckets(Vec<u64>),
}

/// An entry as it is printed.
#[derive(Debug, Clone, PartialEq)]
struct Entry {
    key: Vec<HostValue>,
    value: Joined,
}

fn word(bytes: &[u8], offset: usize) -> u64 {
    bytes.get(offset..).and_then(<[u8]>::first_chunk).map_or(0, |word| u64::from_ne_bytes(*word))
}

/// The values of the processors one by one.
fn per_processor<'v>(map: &HostMap, value: &'v [u8]) -> Vec<&'v [u8]> {
    if map.per_cpu {
        value.chunks(map.value_bytes.next_multiple_of(8).max(8) as usize).collect()
    } else {
        vec![value]
    }
}

fn is_set(map: &HostMap, value: &[u8]) -> bool {
    match map.presence {
        Presence::Entry => true,
        Presence::NonZero { offset } => {
            per_processor(map, value).iter().any(|value| word(value, offset as usize) != 0)
        }
    }
}

fn number(signed: bool, number: u64) -> HostValue {
    if signed { HostValue::Signed(number.cast_signed()) } else { HostValue::Unsigned(number) }
}

fn divided(signed: bool, total: u64, by: u64) -> u64 {
    match by {
        0 | 1 => total,
        // A divisor beyond i64 leaves nothing of any signed number.
        _ if signed => (total.cast_signed() / i64::try_from(by).unwrap_or(i64::MAX)).cast_unsigned(),
        _ => total / by,
    }
}

fn join(map: &HostMap, value: &[u8], div: u64) -> Joined {
    let values = per_processor(map, value);
    let sum = |offset| values.iter().fold(0_u64, |n, value| n.wrapping_add(word(value, offset)));
    match map.value {
        MapValue::Plain(ref host_type) => {
            Joined::Value(match HostValue::decode(host_type, values.first().copied().unwrap_or_default()) {
                HostValue::Signed(n) => number(true, divided(true, n.cast_unsigned(), div)),
                HostValue::Unsigned(n) => number(false, divided(false, n, div)),
                other => other,
            })
        }
        MapValue::Count => Joined::Value(number(false, divided(false, sum(0), div))),
        MapValue::Sum { signed } => Joined::Value(number(signed, divided(signed, sum(0), div))),
        MapValue::Min { signed } | MapValue::Max { signed } => {
            let seen = values.iter().filter(|value| word(value, 8) != 0).map(|value| word(value, 0));
            let rank = |n: &u64| if signed { i128::from(n.cast_signed()) } else { i128::from(*n) };
            let found = if matches!(map.value, MapValue::Min { .. }) {
                seen.min_by_key(rank)
            } else {
                seen.max_by_key(rank)
            };
            Joined::Value(number(signed, divided(signed, found.unwrap_or(0), div)))
        }
        MapValue::Avg { signed } => {
            let average = divided(signed, sum(0), sum(8));
            Joined::Value(number(signed, divided(signed, average, div)))
        }
        MapValue::Stats { signed } => {
            let (total, count) = (sum(0), sum(8));
            let average = divided(signed, divided(signed, total, count), div);
            let total = divided(signed, total, div);
            Joined::Stats { count, average: number(signed, average), total: number(signed, total) }
        }
        MapValue::Hist { .. } | MapValue::Lhist { .. } => Joined::Buckets(vec![sum(0)]),
    }
}

impl Printer<'_> {
    /// A whole map: `print(@map, top, div)`, and what is printed at the end of a script (`top` 0, `div` 1).
    pub fn print_map(&self, map_idx: usize, entries: &[RawEntry], top: u64, div: u64) -> Vec<u8> {
        let Some(map) = self.host.maps.get(map_idx) else { return Vec::new() };
        let mut entries = self.entries(map, entries, div);
        let top = usize::try_from(top).unwrap_or(usize::MAX);
        if top > 0 && entries.len() > top {
            entries.drain(..entries.len() - top);
        }
        match self.format {
            OutputFormat::Text => self.map_text(map, &entries, div),
            OutputFormat::Json => self.map_json(map, &entries),
        }
    }

    /// The raw entries whose key has these parts: one, or every bucket of a histogram.
    pub fn matching(&self, map_idx: usize, key: &[HostValue], mut entries: Vec<RawEntry>) -> Vec<RawEntry> {
        let Some(map) = self.host.maps.get(map_idx) else { return Vec::new() };
        entries.retain(|(raw, _)| order_all(&key_of(map, raw), key).is_eq());
        entries
    }

    /// Every map of the script, as at its end; `entries` are those of the map at each index.
    pub fn print_all(&self, mut entries: impl FnMut(usize) -> Vec<RawEntry>) -> Vec<u8> {
        let mut order: Vec<usize> = (0..self.host.maps.len()).collect();
        order.sort_by_key(|&idx| &self.host.maps[idx].name);
        order.into_iter().flat_map(|idx| self.print_map(idx, &entries(idx), 0, 1)).collect()
    }

    /// Entries joined, in the order in which they print.
    fn entries(&self, map: &HostMap, raw: &[RawEntry], div: u64) -> Vec<Entry> {
        let present = raw.iter().filter(|(_, value)| is_set(map, value));
        let mut entries = if map.has_buckets() {
            buckets(map, present)
        } else {
            present
                .map(|(key, value)| Entry { key: key_of(map, key), value: join(map, value, div) })
                .collect()
        };
        entries.sort_by(|a, b| order(&a.value, &b.value).then_with(|| order_all(&a.key, &b.key)));
        if matches!(map.value, MapValue::Plain(ref t) if !is_integer(t)) {
            entries.sort_by(|a, b| order_all(&a.key, &b.key));
        }
        entries
    }

    fn map_text(&self, map: &HostMap, entries: &[Entry], div: u64) -> Vec<u8> {
        let mut out = Vec::new();
        for entry in entries {
            out.extend_from_slice(map.name.as_bytes());
            if !map.is_scalar() {
                out.push(b'[');
                out.extend(self.joined(&entry.key, b", "));
                out.push(b']');
            }
            match &entry.value {
                Joined::Value(value) => {
                    out.extend_from_slice(b": ");
                    out.extend(self.text(value));
                }
                Joined::Stats { count, average, total } => {
                    let (average, total) = (self.text(average), self.text(total));
                    out.extend(format!(": {{ .count = {count}, .average = ").into_bytes());
                    out.extend(average);
                    out.extend_from_slice(b", .total = ");
                    out.extend(total);
                    out.extend_from_slice(b" }");
                }
                Joined::Buckets(counts) => {
                    out.extend_from_slice(b":\n");
                    out.extend(histogram::lines(&map.value, counts, div).into_bytes());
                }
            }
            out.push(b'\n');
        }
        out
    }

    fn map_json(&self, map: &HostMap, entries: &[Entry]) -> Vec<u8> {
        let value = |entry: &Entry| match &entry.value {
            Joined::Value(value) => self.json(value),
            Joined::Stats { count, average, total } => {
                json!({ "count": count, "average": self.json(average), "total": self.json(total) })
            }
            Joined::Buckets(counts) => histogram::json(&map.value, counts),
        };
        let kind = match map.value {
            MapValue::Hist { .. } | MapValue::Lhist { .. } => "hist",
            MapValue::Avg { .. } | MapValue::Stats { .. } => "stats",
            _ => "map",
        };
        let data = if map.is_scalar() {
            let Some(entry) = entries.first() else { return Vec::new() };
            value(entry)
        } else {
            let key = |entry: &Entry| String::from_utf8_lossy(&self.joined(&entry.key, b",")).into_owned();
            let entries: Map<String, Value> = entries.iter().map(|e| (key(e), value(e))).collect();
            Value::Object(entries)
        };
        json::line(kind, &json!({ map.name.clone(): data }))
    }
}

fn key_of(map: &HostMap, key: &[u8]) -> Vec<HostValue> {
    let part = |offset: u32| key.get(offset as usize..).unwrap_or_default();
    map.key.iter().map(|member| HostValue::decode(&member.host_type, part(member.offset))).collect()
}

/// Joins the buckets of each histogram: they are entries of their own in the kernel.
fn buckets<'e>(map: &HostMap, raw: impl Iterator<Item = &'e RawEntry>) -> Vec<Entry> {
    let n_buckets = map.value.n_buckets() as usize;
    let mut histograms: IndexMap<&[u8], Vec<u64>> = IndexMap::new();
    for (key, value) in raw {
        let split = if map.is_scalar() { 0 } else { key.len().saturating_sub(8) };
        let bucket = key[split..].iter().rev().fold(0_u64, |n, b| (n << 8) | u64::from(*b));
        let Joined::Buckets(count) = join(map, value, 1) else { continue };
        let counts = histograms.entry(&key[..split]).or_insert_with(|| vec![0; n_buckets]);
        let slot = usize::try_from(bucket).ok().and_then(|bucket| counts.get_mut(bucket));
        if let (Some(slot), Some(count)) = (slot, count.first()) {
            *slot = slot.wrapping_add(*count);
        }
    }
    let filled = histograms.into_iter().filter(|(_, counts)| counts.iter().any(|n| *n > 0));
    filled.map(|(key, counts)| Entry { key: key_of(map, key), value: Joined::Buckets(counts) }).collect()
}

/// How much was counted, wrapping as the kernel's counters do.
fn total(counts: &[u64]) -> u64 {
    counts.iter().fold(0, |n, count| n.wrapping_add(*count))
}

fn order(left: &Joined, right: &Joined) -> Ordering {
    match (left, right) {
        (Joined::Value(a), Joined::Value(b)) => a.order(b),
        (Joined::Stats { average: a, .. }, Joined::Stats { average: b, .. }) => a.order(b),
        (Joined::Buckets(a), Joined::Buckets(b)) => total(a).cmp(&total(b)),
        _ => Ordering::Equal,
    }
}

fn is_integer(host_type: &crate::host_data::HostType) -> bool {
    matches!(host_type, crate::host_data::HostType::Int { .. })
}
