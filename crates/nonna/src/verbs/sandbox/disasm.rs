//! `nonna sandbox disasm`: instructions as text that `nonna sandbox asm` reads again.

use std::io::Write;

use anyhow::Context;
use nonna_bpf::{Insn, Object, Program, RelocationTarget, SlotMap, TextOptions, decode, disassemble};
use nonna_diag::{Diagnostic, Sources, Span};
use nonna_sandbox::slugs;

use super::{hex, input, object};
use crate::cli::{DisasmArgs, Format, Global};
use crate::outcome::{Done, Outcome, Trouble};
use crate::terminal;

/// A program to be printed.
struct Listing<'a> {
    name: &'a str,
    section: &'a str,
    insns: &'a [Insn],
    /// What a loader fills in, by slot.
    notes: Vec<(u32, String)>,
}

/// Reads what there is, and prints it.
pub fn run(args: &DisasmArgs, global: &Global) -> Outcome {
    let (name, bytes) = input::read(&args.file)?;
    if bytes.starts_with(b"\x7fELF") {
        return programs(args, global, &name, &bytes);
    }
    let insns = plain(&name, &bytes)?;
    print(&[Listing { name: &name, section: "", insns: &insns, notes: Vec::new() }], args, global)?;
    Ok(Done::Fine)
}

/// Instructions in hex, or as they lie in memory.
fn plain(name: &str, bytes: &[u8]) -> Result<Vec<Insn>, Trouble> {
    let mut sources = Sources::new();
    let is_text = bytes.iter().all(|byte| byte.is_ascii_whitespace() || byte.is_ascii_graphic());
    if !is_text {
        return decode(bytes).map_err(|error| {
            let message = format!("{name}, slot {}: {}", error.slot, error.kind);
            Trouble::Diagnostics(vec![Diagnostic::new(&slugs::CANNOT_RUN, message)], sources)
        });
    }
    let id = sources.add(name, String::from_utf8_lossy(bytes));
    let hex = hex::read(&sources, id)?;
    decode(&hex.bytes).map_err(|error| {
        let place = hex.place(error.slot * 8..(error.slot + 1) * 8);
        let diagnostic = Diagnostic::new(&slugs::CANNOT_RUN, error.kind.to_string())
            .label(Span::new(id, place.start, place.end), format!("slot {}", error.slot));
        Trouble::Diagnostics(vec![diagnostic], sources.clone())
    })
}

/// The programs of an object file.
fn programs(args: &DisasmArgs, global: &Global, name: &str, bytes: &[u8]) -> Outcome {
    let reading = object::parse(name, bytes)?;
    let is_wanted = |program: &str| args.program.as_deref().is_none_or(|wanted| wanted == program);
    let wanted = reading.object.programs.iter().filter(|program| is_wanted(&program.name));
    let listings: Vec<Listing<'_>> = wanted.map(|program| listing(&reading.object, program)).collect();
    let unread: Vec<_> = reading.unread.iter().filter(|(program, _)| is_wanted(program)).collect();
    if listings.is_empty() && unread.is_empty() {
        let names: Vec<&str> = reading.object.programs.iter().map(|program| program.name.as_str()).collect();
        let message = match &args.program {
            Some(program) => format!("{name} has no program `{program}`"),
            None => format!("{name} has no program"),
        };
        let diagnostic = Diagnostic::new(&slugs::NO_SUCH_PROGRAM, message);
        let diagnostic = match names.is_empty() {
            true => diagnostic,
            false => diagnostic.help(format!("it has {}", names.join(", "))),
        };
        return Err(Trouble::Diagnostics(vec![diagnostic], Sources::new()));
    }
    print(&listings, args, global)?;
    for (program, error) in &unread {
        terminal::error(&format!("`{program}` cannot be read: {error}"), &[]);
    }
    Ok(if unread.is_empty() { Done::Fine } else { Done::Findings })
}

fn listing<'a>(object: &'a Object, program: &'a Program) -> Listing<'a> {
    let map =
        |index: &nonna_bpf::MapIdx| object.maps.get(index.0 as usize).map_or("?", |map| map.name.as_str());
    let said = |target: &RelocationTarget| match target {
        RelocationTarget::Map(index) => format!("map {}", map(index)),
        RelocationTarget::MapValue { map: index, offset } => format!("value of {} + {offset}", map(index)),
        RelocationTarget::Kfunc { name, .. } => format!("kernel function {name}"),
        RelocationTarget::KernelSymbol { name, .. } => format!("kernel symbol {name}"),
    };
    let notes = program.relocations.iter().map(|one| (one.slot, said(&one.target))).collect();
    Listing { name: &program.name, section: &program.section, insns: &program.insns, notes }
}

fn print(listings: &[Listing<'_>], args: &DisasmArgs, global: &Global) -> Result<(), Trouble> {
    let options = TextOptions { slots: true, opcodes: args.opcodes };
    let mut text = String::new();
    for (number, listing) in listings.iter().enumerate() {
        let lines = disassemble(listing.insns, options);
        let slots = SlotMap::new(listing.insns);
        if global.format == Format::Json {
            text.push_str(&json(listing, &slots, &lines));
            continue;
        }
        if !listing.section.is_empty() {
            let gap = if number == 0 { "" } else { "\n" };
            text.push_str(&format!("{gap}; {}, section {}\n", listing.name, listing.section));
        }
        for (index, line) in lines.lines().enumerate() {
            text.push_str(line);
            if let Some(note) = note(listing, slots.slot(index)) {
                text.push_str(&format!(" ; {note}"));
            }
            text.push('\n');
        }
    }
    std::io::stdout().write_all(text.as_bytes()).context("write the instructions")?;
    Ok(())
}

fn note<'a>(listing: &'a Listing<'_>, slot: u32) -> Option<&'a str> {
    listing.notes.iter().find(|(noted, _)| *noted == slot).map(|(_, note)| note.as_str())
}

/// One object for each program.
fn json(listing: &Listing<'_>, slots: &SlotMap, lines: &str) -> String {
    let insns: Vec<_> = lines
        .lines()
        .enumerate()
        .map(|(index, line)| {
            let slot = slots.slot(index);
            let text = line.split_once(": ").map_or(line, |(_, text)| text);
            serde_json::json!({ "slot": slot, "text": text, "refers_to": note(listing, slot) })
        })
        .collect();
    let program = serde_json::json!({
        "program": listing.name,
        "section": listing.section,
        "instructions": insns,
    });
    format!("{program}\n")
}
