//! Entries that stand in maps before a run: from the command line, or from what an earlier run told.
//!
//! A text is made as long as its map wants it, so that nobody counts bytes for a port or an address. What a value means is the program's
//! business: nothing is guessed beyond its size.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

use anyhow::Context;
use nonna_bpf::MapType;
use nonna_diag::{Diagnostic, Sources, Span, nearest};
use nonna_sandbox::runtime::Loaded;
use nonna_sandbox::slugs::BAD_MAP_ENTRY;
use nonna_sandbox::{MapError, MapHandle, UpdateMode, recording};
use serde::Deserialize;

use crate::outcome::Trouble;

/// A map and the processors' number, as far as entries are made for it.
struct Target {
    handle: MapHandle,
    map_type: MapType,
    key_bytes: usize,
    value_bytes: usize,
    /// How often a value stands there, each time padded to eight bytes; `None` where it stands there once, as it is.
    processors: Option<usize>,
}

/// What is wrong with an entry, and what would be right.
struct Wrong {
    message: String,
    help: Option<String>,
}

impl From<String> for Wrong {
    fn from(message: String) -> Wrong {
        Wrong { message, help: None }
    }
}

/// An entry as it was written: map, key and value.
fn parts(text: &str) -> Option<(&str, &str, &str)> {
    let (map, entry) = text.split_once(':')?;
    let (key, value) = entry.split_once('=')?;
    Some((map, key, value))
}

/// The names that stand as values in entries: programs that program arrays are given.
pub fn values(entries: &[String]) -> impl Iterator<Item = &str> {
    entries.iter().filter_map(|text| Some(parts(text)?.2))
}

/// Stores entries written as `MAP:KEY=VALUE`.
pub fn from_texts(loaded: &mut Loaded, entries: &[String]) -> Result<(), Trouble> {
    let mut sources = Sources::new();
    let mut diagnostics = Vec::new();
    for text in entries {
        let Err(wrong) = from_text(loaded, text) else { continue };
        let span = Span::new(sources.add("--map", text.as_str()), 0, text.len());
        let diagnostic = Diagnostic::new(&BAD_MAP_ENTRY, wrong.message).label(span, "this entry");
        diagnostics.push(match wrong.help {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        });
    }
    if diagnostics.is_empty() { Ok(()) } else { Err(Trouble::Diagnostics(diagnostics, sources)) }
}

fn from_text(loaded: &mut Loaded, text: &str) -> Result<(), Wrong> {
    let Some((map, key, value)) = parts(text) else {
        let help = Some("as in `--map blocked:10.0.0.1=1`".to_owned());
        return Err(Wrong { message: "an entry is written MAP:KEY=VALUE".to_owned(), help });
    };
    let target = target(loaded, map)?;
    let key = bytes(key, target.key_bytes, target.map_type == MapType::LpmTrie)
        .map_err(|wrong| format!("the key of `{map}`: {wrong}"))?;
    let value = match target.map_type {
        MapType::ProgArray => named(value, loaded.object().programs.iter().map(|program| &program.name))?,
        MapType::ArrayOfMaps | MapType::HashOfMaps => {
            let index = named(value, loaded.object().maps.iter().map(|map| &map.name))?;
            let (_, handles) = loaded.maps();
            handles[u32::from_ne_bytes(index.try_into().expect("it has four bytes")) as usize]
                .0
                .to_ne_bytes()
                .to_vec()
        }
        _ => {
            let one = bytes(value, target.value_bytes, false)
                .map_err(|wrong| format!("the value of `{map}`: {wrong}"))?;
            match target.processors {
                Some(processors) => {
                    let mut padded = one;
                    padded.resize(padded.len().next_multiple_of(8), 0);
                    padded.repeat(processors)
                }
                None => one,
            }
        }
    };
    store(loaded, &target, &key, &value).map_err(|error| format!("`{map}` does not take it: {error}").into())
}

/// The index of a name, four bytes.
fn named<'n>(wanted: &str, mut names: impl Iterator<Item = &'n String>) -> Result<Vec<u8>, String> {
    let index = names.position(|name| name == wanted);
    let index = index.ok_or_else(|| format!("the object has nothing of the name `{wanted}` to put there"))?;
    Ok((index as u32).to_ne_bytes().to_vec())
}

/// A map as it is told by `-f json`.
#[derive(Deserialize)]
struct Told {
    kind: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    key: String,
    value: String,
}

/// Stores the entries of a file of JSON lines; lines about anything but maps are passed over.
pub fn from_file(loaded: &mut Loaded, file: Option<&Path>) -> Result<(), Trouble> {
    let Some(file) = file else { return Ok(()) };
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).with_context(|| format!("read {name}"))?;
    let mut sources = Sources::new();
    let source = sources.add(name, text.as_str());
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if let Err(wrong) = from_line(loaded, line.trim()) {
            let span = Span::new(source, start, start + line.trim_end().len());
            let diagnostic = Diagnostic::new(&BAD_MAP_ENTRY, wrong.message).label(span, "this line");
            return Err(Trouble::Diagnostics(vec![diagnostic], sources));
        }
        start += line.len();
    }
    Ok(())
}

fn from_line(loaded: &mut Loaded, line: &str) -> Result<(), Wrong> {
    if line.is_empty() {
        return Ok(());
    }
    let told: Told =
        serde_json::from_str(line).map_err(|error| format!("this is no line of results: {error}"))?;
    if told.kind != "map" || told.entries.is_empty() {
        return Ok(());
    }
    let target = target(loaded, &told.name)?;
    for Entry { key, value } in told.entries {
        let (key, value) = (recording::hex(&key)?, recording::hex(&value)?);
        store(loaded, &target, &key, &value)
            .map_err(|error| format!("`{}` does not take an entry: {error}", told.name))?;
    }
    Ok(())
}

fn target(loaded: &mut Loaded, name: &str) -> Result<Target, Wrong> {
    let names: Vec<String> = loaded.object().maps.iter().map(|map| map.name.clone()).collect();
    let Some(index) = names.iter().position(|known| known == name) else {
        let near = nearest(name, names.iter().map(String::as_str), 1)
            .first()
            .map(|near| format!("did you mean `{near}`?"));
        let has =
            if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) };
        return Err(Wrong { message: format!("the object has no map `{name}`: {has}"), help: near });
    };
    let (maps, handles) = loaded.maps();
    let handle = handles[index];
    let shape = maps.shape(handle).expect("the object's maps were made");
    Ok(Target {
        handle,
        map_type: shape.map_type,
        key_bytes: shape.key_bytes as usize,
        value_bytes: shape.value_bytes as usize,
        processors: shape.map_type.is_per_cpu().then_some(maps.n_processors() as usize),
    })
}

fn store(loaded: &mut Loaded, target: &Target, key: &[u8], value: &[u8]) -> Result<(), MapError> {
    let (maps, _) = loaded.maps();
    maps.update(target.handle, key, value, UpdateMode::Any)
}

/// A text as so many bytes: bytes in hexadecimal digits, an address, a network, or a number.
fn bytes(text: &str, wanted: usize, is_network: bool) -> Result<Vec<u8>, String> {
    let text = text.trim();
    let made = if text.is_empty() {
        Vec::new()
    } else if text.starts_with("0x") {
        recording::hex(text)?
    } else if let Some((address, bits)) = text.split_once('/').filter(|_| is_network) {
        network(address, bits)?
    } else if let Some(address) = address(text) {
        address
    } else {
        number(text, wanted)?
    };
    if made.len() == wanted {
        Ok(made)
    } else {
        Err(format!("`{text}` has {} bytes, and {wanted} are wanted", made.len()))
    }
}

/// An address in network order.
fn address(text: &str) -> Option<Vec<u8>> {
    let four = || Some(text.parse::<Ipv4Addr>().ok()?.octets().to_vec());
    four().or_else(|| Some(text.parse::<Ipv6Addr>().ok()?.octets().to_vec()))
}

/// The key of a longest prefix match: the length of the prefix, then the address.
fn network(text: &str, bits: &str) -> Result<Vec<u8>, String> {
    let address = address(text).ok_or_else(|| format!("`{text}` is no address"))?;
    let bits: u32 =
        bits.parse().ok().filter(|bits| *bits as usize <= 8 * address.len()).ok_or_else(|| {
            format!("`{bits}` is no length of a prefix: {} has 0 to {}", text, 8 * address.len())
        })?;
    Ok([&bits.to_ne_bytes()[..], &address].concat())
}

/// A number in the machine's order.
fn number(text: &str, wanted: usize) -> Result<Vec<u8>, String> {
    let number: i128 = text.parse().map_err(|_| {
        format!("`{text}` is neither a number, an address nor bytes in hexadecimal digits (0x…)")
    })?;
    let bits = match wanted {
        1 | 2 | 4 | 8 => 8 * wanted as u32,
        _ => return Err(format!("{wanted} bytes are wanted, so write them in hexadecimal digits (0x…)")),
    };
    if number < -(1 << (bits - 1)) || number >= 1 << bits {
        return Err(format!("`{text}` does not fit into {wanted} bytes"));
    }
    Ok(number.to_le_bytes()[..wanted].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_as_long_as_the_map_wants_them() {
        let made = |text, wanted| bytes(text, wanted, false).map_err(|_| ());
        assert_eq!(made("80", 2), Ok(vec![80, 0]));
        assert_eq!(made("-1", 4), Ok(vec![0xff; 4]));
        assert_eq!(made("255", 1), Ok(vec![255]));
        assert_eq!(made("256", 1), Err(()));
        assert_eq!(made("-129", 1), Err(()));
        assert_eq!(made("18446744073709551615", 8), Ok(vec![0xff; 8]));
        assert_eq!(made("10.0.0.1", 4), Ok(vec![10, 0, 0, 1]));
        assert_eq!(made("fd00::1", 16).map(|bytes| (bytes[0], bytes[15])), Ok((0xfd, 1)));
        assert_eq!(made("0x00ff17", 3), Ok(vec![0, 0xff, 0x17]));
        assert_eq!(made("0x00ff17", 4), Err(()));
        assert_eq!(made("1", 3), Err(()));
        assert_eq!(made("", 0), Ok(Vec::new()));
    }

    #[test]
    fn networks_are_keys_of_tries() {
        assert_eq!(bytes("10.0.0.0/8", 8, true), Ok(vec![8, 0, 0, 0, 10, 0, 0, 0]));
        assert_eq!(bytes("fd00::/7", 20, true).map(|key| (key[0], key[4])), Ok((7, 0xfd)));
        for wrong in ["10.0.0.0/33", "10.0.0/8", "10.0.0.0/x", "10.0.0.0/"] {
            assert!(bytes(wrong, 8, true).is_err(), "{wrong}");
        }
        assert!(bytes("10.0.0.0/8", 8, false).is_err());
    }
}
