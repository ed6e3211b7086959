//! What stands in the maps at the end: words for people, JSON for programs.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use nonna_bpf::{Map, MapType, Object};
use nonna_sandbox::runtime::Loaded;
use nonna_sandbox::{MapHandle, Maps};
use serde_json::{Value, json};

use super::report::hex;

/// Entries of one map that people are shown.
const SHOWN_MAX: usize = 16;

/// Entries of an array beyond which nobody lists it: it is full of zeros that nobody stored, and a file of a few bytes can ask
/// for thousands of millions of them.
const LISTED_MAX: u32 = 1 << 20;

/// What is found in a map.
enum Contents {
    Entries(Vec<(Vec<u8>, Vec<u8>)>),
    Records(Vec<Vec<u8>>),
    /// An array of so many entries.
    Large(u32),
    /// Nothing that could be shown.
    Closed,
}

/// The maps that belong to the program's author: constants that the compiler put into maps are left out.
fn own(loaded: &mut Loaded) -> Vec<(Map, Contents)> {
    let maps = loaded.object().maps.clone();
    let (store, handles) = loaded.maps();
    let handles = handles.to_vec();
    let shown = maps.into_iter().zip(handles).filter(|(map, _)| !map.frozen);
    shown
        .map(|(map, handle)| {
            let contents = contents(store, handle, &map);
            (map, contents)
        })
        .collect()
}

fn contents(maps: &mut Maps, handle: MapHandle, map: &Map) -> Contents {
    match map.map_type {
        MapType::Array | MapType::PercpuArray if map.max_entries > LISTED_MAX => {
            Contents::Large(map.max_entries)
        }
        MapType::Ringbuf => {
            let records = std::iter::from_fn(|| maps.consume(handle).ok().flatten());
            Contents::Records(records.collect())
        }
        MapType::PerfEventArray => match maps.take_perf_records(handle) {
            Ok((records, _)) => Contents::Records(records.into_iter().map(|record| record.bytes).collect()),
            Err(_) => Contents::Closed,
        },
        _ => maps.entries(handle).map_or(Contents::Closed, Contents::Entries),
    }
}

/// A JSON object for each map.
pub fn as_json(loaded: &mut Loaded) -> Vec<Value> {
    let one = |(map, contents): (Map, Contents)| {
        let mut value = json!({ "kind": "map", "name": map.name, "type": map.map_type.name() });
        match contents {
            Contents::Entries(entries) => {
                let entry =
                    |(key, stored): &(Vec<u8>, Vec<u8>)| json!({ "key": hex(key), "value": hex(stored) });
                value["entries"] = entries.iter().map(entry).collect();
            }
            Contents::Records(records) => {
                value["records"] = records.iter().map(|record| json!(hex(record))).collect();
            }
            Contents::Large(count) => value["entries_not_listed"] = json!(count),
            Contents::Closed => {}
        }
        value
    };
    own(loaded).into_iter().map(one).collect()
}

/// Lines about each map.
pub fn as_text(loaded: &mut Loaded) -> String {
    let mut text = String::new();
    for (map, contents) in own(loaded) {
        let _ = write!(text, "map {} ({}): ", map.name, map.map_type.name());
        match contents {
            Contents::Entries(entries) => entries_text(&mut text, &map, &entries, loaded.object()),
            Contents::Records(records) => {
                let _ = writeln!(text, "{}", counted(records.len(), "record"));
                lines(&mut text, records.len(), |index| hex(&records[index]));
            }
            Contents::Large(count) => {
                let _ = writeln!(text, "{count} entries, too many to list");
            }
            Contents::Closed => text.push_str("its contents cannot be listed\n"),
        }
    }
    text
}

fn entries_text(text: &mut String, map: &Map, entries: &[(Vec<u8>, Vec<u8>)], object: &Object) {
    // Arrays are full of zeros that nobody stored.
    let is_array = matches!(map.map_type, MapType::Array | MapType::PercpuArray);
    let is_zero = |value: &[u8]| value.iter().all(|byte| *byte == 0);
    let shown: Vec<_> = entries.iter().filter(|(_, value)| !is_array || !is_zero(value)).collect();
    let what = counted(entries.len(), "entry");
    if shown.len() == entries.len() {
        let _ = writeln!(text, "{what}");
    } else {
        let _ = writeln!(text, "{what}, {} not zero", shown.len());
    }
    lines(text, shown.len(), |index| {
        let (key, value) = &shown[index];
        let key =
            network(key).filter(|_| map.map_type == MapType::LpmTrie).unwrap_or_else(|| shown_bytes(key));
        let program = program(value, object).filter(|_| map.map_type == MapType::ProgArray);
        format!("{key} -> {}", program.unwrap_or_else(|| shown_bytes(value)))
    });
}

/// The key of a longest prefix match over addresses, as `--map` takes it.
fn network(key: &[u8]) -> Option<String> {
    let (bits, address) = key.split_first_chunk()?;
    let bits = u32::from_ne_bytes(*bits);
    match address.len() {
        4 => Some(format!("{}/{bits}", Ipv4Addr::from(<[u8; 4]>::try_from(address).ok()?))),
        16 => Some(format!("{}/{bits}", Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?))),
        _ => None,
    }
}

/// The name of the program in a program array.
fn program(value: &[u8], object: &Object) -> Option<String> {
    let index = u32::from_ne_bytes(value.try_into().ok()?);
    Some(object.programs.get(index as usize)?.name.clone())
}

fn lines(text: &mut String, count: usize, line: impl Fn(usize) -> String) {
    for index in 0..count.min(SHOWN_MAX) {
        let _ = writeln!(text, "  {}", line(index));
    }
    if count > SHOWN_MAX {
        let _ = writeln!(text, "  and {} more (-f json shows all)", count - SHOWN_MAX);
    }
}

fn counted(count: usize, what: &str) -> String {
    match (count, what) {
        (1, _) => format!("1 {what}"),
        (_, "entry") => format!("{count} entries"),
        _ => format!("{count} {what}s"),
    }
}

/// A number where the bytes have a number's size, else hexadecimal digits.
fn shown_bytes(bytes: &[u8]) -> String {
    match bytes.len() {
        1 | 2 | 4 | 8 => {
            let mut all = [0; 8];
            all[..bytes.len()].copy_from_slice(bytes);
            u64::from_le_bytes(all).to_string()
        }
        _ => hex(bytes),
    }
}
