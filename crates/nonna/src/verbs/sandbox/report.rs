//! What a run came to: words for people, JSON for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::Context;
use nonna_bpf::Program;
use nonna_sandbox::Host;
use nonna_sandbox::context::{Effects, Input, Redirect};
use nonna_sandbox::runtime::{Loaded, Repeated};
use nonna_verifier::context::{Holds, Layout, layout};
use serde_json::{Map, Value, json};

use super::maps;
use super::run::{Verdicts, verdict_name};
use crate::cli::{Format, Global};

/// The host: keeps what programs print.
#[derive(Debug, Default)]
pub struct Lines(Vec<String>);

impl Host for Lines {
    fn print(&mut self, line: &[u8]) {
        self.0.push(String::from_utf8_lossy(line).trim_end().to_owned());
    }
}

/// A field as people read it: addresses and ports that stand in network order are shown as such.
fn in_words(field: &str, value: &Value) -> String {
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    match number {
        Some(address) if field.ends_with("_ip4") => Ipv4Addr::from(address.to_le_bytes()).to_string(),
        Some(port) if field == "user_port" => {
            format!("{value}, which is {} in network order", (port as u16).swap_bytes())
        }
        _ => value.to_string(),
    }
}

/// What came of a capture.
pub struct CaptureReport {
    file: String,
    /// Where changed packets were written.
    pub written: Option<String>,
    verdicts: Verdicts,
    n_packets: u64,
    /// Packets that the program changed.
    pub n_changed: u64,
    /// Packets that were captured with another link header, or none, and got one of Ethernet.
    pub n_headers_made: u64,
    /// Packets that could not be run on, by reason.
    pub left_out: BTreeMap<String, u64>,
    total_ns: f64,
    instructions: u64,
}

impl CaptureReport {
    /// Nothing yet.
    pub fn new(file: &Path, written: Option<&Path>) -> Self {
        CaptureReport {
            file: file.display().to_string(),
            written: written.map(|file| file.display().to_string()),
            verdicts: Verdicts::new(),
            n_packets: 0,
            n_changed: 0,
            n_headers_made: 0,
            left_out: BTreeMap::new(),
            total_ns: 0.0,
            instructions: 0,
        }
    }

    /// Counts a packet.
    pub fn count(&mut self, verdict: String, repeated: &Repeated) {
        *self.verdicts.entry(verdict).or_default() += 1;
        self.n_packets += 1;
        self.total_ns += repeated.mean_ns;
        self.instructions += repeated.first.instructions;
    }

    fn mean(&self, total: f64) -> f64 {
        if self.n_packets == 0 { 0.0 } else { total / self.n_packets as f64 }
    }
}

/// Tells what came of runs of one program.
pub struct Report<'a> {
    /// The program.
    pub program: &'a Program,
    /// How to show it.
    pub global: &'a Global,
}

impl Report<'_> {
    /// A run on one context.
    pub fn single(&self, repeated: &Repeated, input: &Input, host: &Lines) -> anyhow::Result<()> {
        let (first, verdict) = (&repeated.first, verdict_name(self.program, repeated.first.result));
        let fields = self.fields(&first.context);
        if self.is_json() {
            return self.say_json(&json!({
                "kind": "run",
                "program": self.program.name,
                "verdict": verdict,
                "result": first.result,
                "instructions": first.instructions,
                "ns": rounded(repeated.mean_ns),
                "packet": first.packet.as_deref().map(hex),
                "changed": first.packet.as_ref().map(|packet| *packet != input.packet),
                "metadata": hex(&first.metadata),
                "context": fields.into_iter().map(|(name, value, _)| (name.to_owned(), value)).collect::<Map<_, _>>(),
                "effects": effects_json(&first.effects),
                "printed": host.0,
            }));
        }
        let mut text = format!("{}: {verdict}\n", self.program.name);
        self.counts(&mut text, first.instructions as f64, repeated.mean_ns);
        printed(&mut text, host);
        if let Some(packet) = &first.packet {
            if packet.is_empty() && input.packet.is_empty() {
                // There was nothing to look at.
            } else if *packet == input.packet {
                let _ = writeln!(text, "the packet is as it was, {} bytes", packet.len());
            } else {
                let (before, after) = (input.packet.len(), packet.len());
                let _ = writeln!(text, "the packet changed, {before} bytes before, {after} after:");
                dump(&mut text, packet);
            }
        }
        if first.metadata != input.metadata {
            let _ = writeln!(text, "the metadata before the packet: {}", hex(&first.metadata));
        }
        for (name, value, _) in fields.iter().filter(|(_, value, writable)| *writable && !is_zero(value)) {
            let _ = writeln!(text, "{name} is {}", in_words(name, value));
        }
        effects_text(&mut text, &first.effects);
        self.say(&text)
    }

    /// A run on plain memory.
    pub fn memory(
        &self,
        repeated: &Repeated,
        (before, after): (&[u8], &[u8]),
        host: &Lines,
    ) -> anyhow::Result<()> {
        let first = &repeated.first;
        if self.is_json() {
            return self.say_json(&json!({
                "kind": "run",
                "program": self.program.name,
                "result": first.result,
                "instructions": first.instructions,
                "ns": rounded(repeated.mean_ns),
                "memory": hex(after),
                "changed": before != after,
                "printed": host.0,
            }));
        }
        let mut text = format!("{}: {} ({:#x})\n", self.program.name, first.result, first.result);
        self.counts(&mut text, first.instructions as f64, repeated.mean_ns);
        printed(&mut text, host);
        if before == after {
            let _ = writeln!(text, "the memory is as it was");
        } else {
            let _ = writeln!(text, "the memory changed:");
            dump(&mut text, after);
        }
        self.say(&text)
    }

    /// Runs over a capture.
    pub fn capture(&self, told: &CaptureReport, host: &Lines) -> anyhow::Result<()> {
        let (ns, instructions) = (told.mean(told.total_ns), told.mean(told.instructions as f64));
        if self.is_json() {
            return self.say_json(&json!({
                "kind": "capture",
                "program": self.program.name,
                "file": told.file,
                "packets": told.n_packets,
                "verdicts": told.verdicts,
                "changed": told.n_changed,
                "written": told.written,
                "headers_made": told.n_headers_made,
                "left_out": told.left_out,
                "instructions": rounded(instructions),
                "ns": rounded(ns),
                "printed": host.0,
            }));
        }
        let mut text = format!("{} over {}: {}\n", self.program.name, told.file, packets(told.n_packets));
        let width = told.verdicts.keys().map(String::len).max().unwrap_or(0);
        for (verdict, count) in &told.verdicts {
            let _ = writeln!(text, "  {verdict:<width$}  {count}");
        }
        match (&told.written, told.n_changed) {
            (_, 0) => text.push_str("no packet was changed\n"),
            (None, n) => {
                let _ = writeln!(text, "{} changed (--write-pcap FILE keeps what they became)", packets(n));
            }
            (Some(file), n) => {
                let _ = writeln!(text, "{} changed, written to {file}", packets(n));
            }
        }
        if told.n_headers_made > 0 {
            let got = "got an Ethernet header, as they were captured without one";
            let _ = writeln!(text, "{} {got}", packets(told.n_headers_made));
        }
        for (reason, count) in &told.left_out {
            let _ = writeln!(text, "{} left out: {reason}", packets(*count));
        }
        self.counts(&mut text, instructions, ns);
        printed(&mut text, host);
        self.say(&text)
    }

    /// What stands in the maps at the end.
    pub fn maps(&self, loaded: &mut Loaded) -> anyhow::Result<()> {
        if self.is_json() {
            return maps::as_json(loaded).iter().try_for_each(|map| self.say_json(map));
        }
        self.say(&maps::as_text(loaded))
    }

    /// Name and value of every number of the context, and whether the program may write it.
    fn fields(&self, context: &[u8]) -> Vec<(&'static str, Value, bool)> {
        let Layout::Fields { table, user } = layout(self.program.program_type, self.program.attach_type)
        else {
            return Vec::new();
        };
        let numbers =
            table.fields.iter().filter(|field| field.holds == Holds::Number && field.readers & user != 0);
        numbers
            .filter_map(|field| {
                let bytes = context.get(usize::from(field.offset)..usize::from(field.end()))?;
                let number = |bytes: &[u8]| {
                    let mut all = [0; 8];
                    all[..bytes.len()].copy_from_slice(bytes);
                    u64::from_le_bytes(all)
                };
                let mut values: Vec<u64> = bytes.chunks(usize::from(field.element)).map(number).collect();
                let value = if values.len() == 1 { json!(values.remove(0)) } else { json!(values) };
                Some((field.name, value, field.writers & user != 0))
            })
            .collect()
    }

    fn counts(&self, text: &mut String, instructions: f64, ns: f64) {
        let ns = rounded(ns);
        // Machine code of a program that is proved to end does not count.
        let _ = match instructions {
            0.0 => writeln!(text, "{ns} ns"),
            _ => writeln!(text, "{} instructions, {ns} ns", rounded(instructions)),
        };
    }

    fn is_json(&self) -> bool {
        self.global.format == Format::Json
    }

    fn say_json(&self, value: &Value) -> anyhow::Result<()> {
        self.say(&format!("{value}\n"))
    }

    fn say(&self, text: &str) -> anyhow::Result<()> {
        std::io::stdout().write_all(text.as_bytes()).context("write the result")
    }
}

fn packets(count: u64) -> String {
    format!("{count} packet{}", if count == 1 { "" } else { "s" })
}

/// One digit after the point for what is small.
fn rounded(number: f64) -> f64 {
    if number < 100.0 { (number * 10.0).round() / 10.0 } else { number.round() }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().all(is_zero),
        other => other.as_u64() == Some(0),
    }
}

/// Two digits a byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Sixteen bytes a line.
fn dump(text: &mut String, bytes: &[u8]) {
    for (line, bytes) in bytes.chunks(16).enumerate() {
        let _ = write!(text, "  {:04x} ", line * 16);
        bytes.iter().for_each(|byte| {
            let _ = write!(text, " {byte:02x}");
        });
        text.push('\n');
    }
}

fn printed(text: &mut String, host: &Lines) {
    for line in &host.0 {
        let _ = writeln!(text, "it printed: {line}");
    }
}

fn effects_text(text: &mut String, effects: &Effects) {
    match effects.redirect {
        Some(Redirect::Interface { interface, .. }) => {
            let _ = writeln!(text, "it redirects to device {interface}");
        }
        Some(Redirect::Map { key, .. }) => {
            let _ = writeln!(text, "it redirects to entry {key} of a map");
        }
        None => {}
    }
    for clone in &effects.clones {
        let _ = writeln!(text, "a copy of {} bytes went to device {}", clone.packet.len(), clone.interface);
    }
    for address in &effects.bound {
        let _ = writeln!(text, "it bound the socket to {}", hex(address));
    }
    for option in &effects.options {
        let (level, name) = (option.level, option.name);
        let _ = writeln!(text, "it set option {name} of level {level} to {}", hex(&option.value));
    }
    if let Some(flags) = effects.callback_flags {
        let _ = writeln!(text, "it asked to be called back at {flags:#x}");
    }
    if effects.held_sockets > 0 {
        let _ = writeln!(text, "it did not release {} sockets", effects.held_sockets);
    }
}

fn effects_json(effects: &Effects) -> Value {
    let redirect = effects.redirect.map(|redirect| match redirect {
        Redirect::Interface { interface, flags, .. } => json!({ "interface": interface, "flags": flags }),
        Redirect::Map { key, flags, .. } => json!({ "key": key, "flags": flags }),
    });
    let clone = |clone: &nonna_sandbox::context::Clone| json!({ "interface": clone.interface, "flags": clone.flags, "packet": hex(&clone.packet) });
    let option = |option: &nonna_sandbox::context::SocketOption| json!({ "level": option.level, "name": option.name, "value": hex(&option.value) });
    json!({
        "redirect": redirect,
        "clones": effects.clones.iter().map(clone).collect::<Vec<_>>(),
        "bound": effects.bound.iter().map(|address| hex(address)).collect::<Vec<_>>(),
        "options": effects.options.iter().map(option).collect::<Vec<_>>(),
        "callback_flags": effects.callback_flags,
        "return_value": effects.return_value,
        "held_sockets": effects.held_sockets,
    })
}
