//! `nonna sandbox conformance`: the plugin protocol of the public bpf_conformance suite.
//!
//! The helpers are those of the suite's own plugins. They touch guest memory through the run, which checks.

use std::io::Write;
use std::path::Path;

use anyhow::Context as _;
use nonna_bpf::{SLOT_BYTES, SlotMap, decode};
use nonna_diag::{Diagnostic, SourceId, Sources, Span};
use nonna_sandbox::{
    Access, Budget, Context, Fault, Finished, Helpers, Maps, NoHelpers, Prepared, Regions, Run, Stack, slugs,
};

use super::{hex, input};
use crate::cli::{ConformanceArgs, Format, Global, Rules};
use crate::outcome::{Done, Outcome, Trouble};

/// Opcode of the load of a 64-bit constant, which takes two slots.
const LOAD_LONG: u8 = 0x18;
/// Opcode of `callx`.
const CALL_REGISTER: u8 = 0x8d;

/// Runs the program on standard input and prints `r0`.
pub fn run(args: &ConformanceArgs, global: &Global) -> Outcome {
    // The one kind of program that needs no kernel's rules.
    let Rules::Plain = args.rules;
    let mut sources = Sources::new();
    let memory_id = sources.add("<memory>", args.memory.join(" "));
    let mut memory = hex::read(&sources, memory_id)?.bytes;
    let (name, text) = input::read(Path::new("-"))?;
    let id = sources.add(name, String::from_utf8_lossy(&text));
    let finished = execute(&sources, id, &mut memory, args.jit)?;
    let line = match global.format {
        Format::Json => {
            let value = serde_json::json!({
                "r0": format!("{:x}", finished.result),
                "instructions": finished.instructions,
            });
            format!("{value}\n")
        }
        _ => format!("{:x}\n", finished.result),
    };
    std::io::stdout().write_all(line.as_bytes()).context("write the result")?;
    Ok(Done::Fine)
}

fn execute(
    sources: &Sources,
    id: SourceId,
    memory: &mut [u8],
    is_compiled: bool,
) -> Result<Finished, Trouble> {
    let mut program = hex::read(sources, id)?;
    name_call_registers(&mut program.bytes);
    let trouble = |slug: &'static nonna_diag::SlugInfo, message: String, slot: usize| {
        let place = program.place(slot * SLOT_BYTES..(slot + 1) * SLOT_BYTES);
        let diagnostic = Diagnostic::new(slug, message)
            .label(Span::new(id, place.start, place.end), format!("slot {slot}"));
        Trouble::Diagnostics(vec![diagnostic], sources.clone())
    };
    let insns = decode(&program.bytes)
        .map_err(|error| trouble(&slugs::CANNOT_RUN, error.kind.to_string(), error.slot))?;
    let slots = SlotMap::new(&insns);
    let slot = |insn: usize| if insn < insns.len() { slots.slot(insn) as usize } else { 0 };
    let prepared = Prepared::unproved(&insns, &helpers())
        .map_err(|error| trouble(&slugs::CANNOT_RUN, error.kind.to_string(), slot(error.insn)))?;
    let (mut stack, length) = (Stack::new(), memory.len() as u64);
    let mut regions = Regions::new(&mut stack);
    let address = if memory.is_empty() { 0 } else { regions.lend(memory) };
    let (mut maps, mut context, mut host) = (Maps::new(1), Context::default(), NoHelpers);
    let mut run = Run::new(&mut regions, &mut maps, &mut context, &mut host);
    let arguments = [address, length, 0, 0, 0];
    let outcome = if is_compiled {
        run_compiled(&prepared, arguments, &mut run)?
    } else {
        nonna_sandbox::run(&prepared, arguments, &mut run, Budget::default())
    };
    outcome.map_err(|fault| trouble(&slugs::RUN_STOPPED, fault.kind.to_string(), slot(fault.insn)))
}

#[cfg(target_arch = "x86_64")]
fn run_compiled(
    program: &Prepared,
    arguments: [u64; 5],
    run: &mut Run<'_, '_>,
) -> Result<Result<Finished, Fault>, Trouble> {
    let code = nonna_sandbox::jit::Code::compile(program).context("compile the program")?;
    Ok(code.run(arguments, run, Budget::default()))
}

#[cfg(not(target_arch = "x86_64"))]
fn run_compiled(_: &Prepared, _: [u64; 5], _: &mut Run<'_, '_>) -> Result<Result<Finished, Fault>, Trouble> {
    Err(Trouble::Environment {
        message: "there is no compiler for this processor".to_owned(),
        help: vec!["the interpreter serves everywhere: leave out --jit".to_owned()],
    })
}

/// Older LLVM wrote the register of `callx` as the constant, newer LLVM writes it as the destination, and the suite has known both. A
/// constant from 1 to 9 beside destination 0 is the older form; what it holds moves to where RFC 9669 (section 4.3) has it.
fn name_call_registers(bytes: &mut [u8]) {
    let mut slots = bytes.chunks_exact_mut(SLOT_BYTES);
    while let Some(slot) = slots.next() {
        match *slot {
            // The second half of a long constant is none of our business.
            [LOAD_LONG, ..] => drop(slots.next()),
            [CALL_REGISTER, 0, 0, 0, register @ 1..=9, 0, 0, 0] => {
                slot.copy_from_slice(&[CALL_REGISTER, register, 0, 0, 0, 0, 0, 0]);
            }
            _ => {}
        }
    }
}

fn helpers() -> Helpers {
    Helpers::none()
        .with(0, gather_bytes)
        .with(1, flip_bits)
        .with(2, nothing)
        .with(3, square_root)
        .with(4, compare_strings)
        .with(5, unwind)
}

extern "C" fn gather_bytes(a: u64, b: u64, c: u64, d: u64, e: u64, _: &mut Run<'_, '_>) -> u64 {
    [a, b, c, d, e].iter().fold(0, |gathered, byte| gathered << 8 | byte & 0xff)
}

/// What the suite's `memfrob` does: every byte is combined with 42 by exclusive or.
extern "C" fn flip_bits(address: u64, bytes: u64, _: u64, _: u64, _: u64, run: &mut Run<'_, '_>) -> u64 {
    let length = usize::try_from(bytes).unwrap_or(usize::MAX);
    if let Err(fault) = run.memory.check(address, length, Access::Write) {
        return run.fail(fault.into());
    }
    let mut memory = vec![0; length];
    let flipped = run.memory.read(address, &mut memory).and_then(|()| {
        memory.iter_mut().for_each(|byte| *byte ^= 42);
        run.memory.write(address, &memory)
    });
    match flipped {
        Ok(()) => 0,
        Err(fault) => run.fail(fault.into()),
    }
}

extern "C" fn nothing(_: u64, _: u64, _: u64, _: u64, _: u64, _: &mut Run<'_, '_>) -> u64 {
    0
}

extern "C" fn square_root(square: u64, _: u64, _: u64, _: u64, _: u64, _: &mut Run<'_, '_>) -> u64 {
    (square as f64).sqrt() as u64
}

/// As `strcmp` of C: below 0, 0 or above 0.
extern "C" fn compare_strings(a: u64, b: u64, _: u64, _: u64, _: u64, run: &mut Run<'_, '_>) -> u64 {
    let (mut left, mut right) = ([0], [0]);
    for distance in 0.. {
        let read = run
            .memory
            .read(a.wrapping_add(distance), &mut left)
            .and_then(|()| run.memory.read(b.wrapping_add(distance), &mut right));
        if let Err(fault) = read {
            return run.fail(fault.into());
        }
        if left != right || left == [0] {
            break;
        }
    }
    (i64::from(left[0]) - i64::from(right[0])) as u64
}

/// Ends the program where its argument is 0, which says success; otherwise the program goes on with the argument.
extern "C" fn unwind(value: u64, _: u64, _: u64, _: u64, _: u64, run: &mut Run<'_, '_>) -> u64 {
    if value == 0 { run.end(0) } else { value }
}
