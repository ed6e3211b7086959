//! What comes back from a script's programs: any record and any map entry is printed, and as JSON it is JSON.
//!
//! The first byte of an input chooses the script, the first part after it is a record, the rest are entries of maps.

use std::sync::LazyLock;

use jiff::tz::TimeZone;
use nonna_event::{Decoder, RawRecord};
use nonna_script::{Clock, Compiled, Deed, Machine, OutputFormat, Printer, RawEntry, ScriptHost, Symbol};

use crate::record::sample;
use crate::{machine, split};

static SCRIPTS: LazyLock<Vec<(Compiled, Decoder)>> = LazyLock::new(|| {
    let compiled = machine::SCRIPTS.iter().filter_map(|text| machine::script(text, false).0);
    compiled
        .map(|compiled| {
            let decoder = Decoder::new(compiled.module.events.values().cloned());
            (compiled, decoder)
        })
        .collect()
});

/// A machine on which everything has a name and time stands still.
struct Still;

impl Machine for Still {
    fn kernel_symbol(&self, address: u64) -> Option<Symbol> {
        Some(Symbol { name: "f".to_owned(), offset: address, module: String::new() })
    }

    fn user_symbol(&self, _pid: u32, address: u64) -> Option<Symbol> {
        (address & 1 == 0).then(|| Symbol {
            name: "g".to_owned(),
            offset: address,
            module: "/bin/g".to_owned(),
        })
    }

    fn user_name(&self, uid: u32) -> Option<String> {
        (uid == 0).then(|| "root".to_owned())
    }

    fn cgroup_path(&self, _id: u64) -> Option<String> {
        None
    }

    fn syscall_name(&self, number: u64) -> Option<String> {
        (number == 0).then(|| "read".to_owned())
    }

    fn clock_start_ns(&self, _clock: Clock) -> i128 {
        1_700_000_000_000_000_000
    }

    fn time_zone(&self) -> TimeZone {
        TimeZone::UTC
    }

    fn now_ns(&self) -> i128 {
        1_700_000_000_000_000_000
    }
}

/// The target.
///
/// # Panics
///
/// On a finding.
pub fn run(input: &[u8]) {
    let Some((which, rest)) = input.split_first() else { return };
    let (compiled, decoder) = &SCRIPTS[usize::from(*which) % SCRIPTS.len()];
    let (record, entries) = split::first(rest);
    for format in [OutputFormat::Text, OutputFormat::Json] {
        let printer = Printer::new(&compiled.host, &Still, format);
        print(&printer, &compiled.host, decoder, record, entries);
    }
}

fn print(printer: &Printer<'_>, host: &ScriptHost, decoder: &Decoder, record: &[u8], entries: &[u8]) {
    if let Ok(event) = decoder.decode(RawRecord::new(record))
        && let Some(action) = host.action(event.schema.id)
    {
        match printer.perform(action, &event) {
            Deed::Print(text) => held(printer, &text),
            Deed::PrintEntry { map_idx, key } | Deed::DeleteBuckets { map_idx, key } => {
                let raw = raw_entries(host, map_idx, entries);
                held(printer, &printer.print_map(map_idx, &printer.matching(map_idx, &key, raw), 0, 0));
            }
            Deed::PrintMap { map_idx, top, div } => {
                held(printer, &printer.print_map(map_idx, &raw_entries(host, map_idx, entries), top, div));
            }
            _ => {}
        }
    }
    held(printer, &printer.print_all(|map_idx| raw_entries(host, map_idx, entries)));
}

/// JSON output is lines of JSON.
fn held(printer: &Printer<'_>, text: &[u8]) {
    if printer.format() == OutputFormat::Json {
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            serde_json::from_slice::<serde_json::Value>(line).expect("a line is JSON");
        }
    }
}

/// Entries of a map from as many bytes as there are, each of the length that the kernel returns.
fn raw_entries(host: &ScriptHost, map_idx: usize, bytes: &[u8]) -> Vec<RawEntry> {
    let Some(map) = host.maps.get(map_idx) else { return Vec::new() };
    let processors = if map.per_cpu { 4 } else { 1 };
    let value_bytes = (map.value_bytes as usize).next_multiple_of(8) * processors;
    let key_bytes = map.key_bytes as usize;
    let entry = |chunk: &[u8]| (chunk[..key_bytes].to_vec(), chunk[key_bytes..].to_vec());
    bytes.chunks_exact((key_bytes + value_bytes).max(1)).take(20).map(entry).collect()
}

/// For each script a record of each of its events, and bytes enough for a few entries.
pub fn seeds() -> Vec<Vec<u8>> {
    let entries: Vec<u8> = (0..1024_u32).map(|at| (at % 7) as u8 * u8::from(at % 8 == 0)).collect();
    let mut seeds = Vec::new();
    for (number, (compiled, _)) in SCRIPTS.iter().enumerate() {
        let records = compiled.module.events.values().map(|schema| sample(schema, b"abc\0"));
        for record in records.chain([Vec::new()]) {
            seeds.push([&[number as u8], &split::joined(&record, &entries)[..]].concat());
        }
    }
    seeds
}
