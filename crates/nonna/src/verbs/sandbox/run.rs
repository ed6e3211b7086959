//! `nonna sandbox run`: reads, verifies, runs, tells.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use nonna_bpf::{Object, Program, ProgramIdx};
use nonna_btf::Btf;
use nonna_diag::Sources;
use nonna_sandbox::context::{Input, verdict};
use nonna_sandbox::pcap::{CaptureWriter, Captured, ethernet};
use nonna_sandbox::runtime::{EngineKind, Loaded, Repeated, RunError, Sandbox};
use nonna_verifier::slugs::NOT_MODELLED;
use nonna_verifier::{Environment, Rejection, Rules, Verified, judge, verify};

use super::report::{CaptureReport, Report};
use super::{fill, given, object};
use crate::cli::{Engine, Global, SandboxRunArgs};
use crate::outcome::{Done, Outcome, Trouble};

/// The program that was asked for.
const WANTED: ProgramIdx = ProgramIdx(0);
/// `LINKTYPE_ETHERNET`
const ETHERNET: u32 = 1;

/// Runs the program on what the command line gives it.
pub fn run(args: &SandboxRunArgs, global: &Global) -> Outcome {
    let object = object::read(&args.file, args.program.as_deref(), fill::values(&args.entries))?;
    let program = object.programs[WANTED.0 as usize].clone();
    let types = object::kernel_types_for(&program);
    let memory = args.on.memory.as_deref().map(|text| given::hex("--memory", text)).transpose()?;
    let mut loaded = load(object, types.clone(), memory.as_ref().map(Vec::len), args)?;
    fill::from_file(&mut loaded, args.maps.as_deref())?;
    fill::from_texts(&mut loaded, &args.entries)?;
    let mut host = super::report::Lines::default();
    let report = Report { program: &program, global };
    if let Some(file) = &args.on.pcap {
        let told = over_capture(&mut loaded, &program, args, file, &mut host)?;
        report.capture(&told, &host)?;
    } else if let Some(mut memory) = memory {
        let before = memory.clone();
        let repeated = loaded.run_on_memory_repeatedly(WANTED, &mut memory, &mut host, args.repeat);
        let repeated = repeated.map_err(|error| run_trouble(error, loaded.object(), None))?;
        report.memory(&repeated, (&before, &memory), &host)?;
    } else {
        let (input, text) = match (&args.on.packet, &args.on.context) {
            (Some(packet), _) => {
                let packet = given::hex("--packet", packet)?;
                (Input { attach_type: program.attach_type, packet, ..Input::default() }, None)
            }
            (None, context) => {
                let text = context.as_deref().unwrap_or_default();
                let (input, text) = given::context(&program, types.as_ref(), text)?;
                (input, Some(text))
            }
        };
        let repeated = loaded.run_repeatedly(WANTED, &input, &mut host, args.repeat);
        let repeated = repeated.map_err(|error| run_trouble(error, loaded.object(), text.as_ref()))?;
        write_changed(args, &input, &repeated)?;
        report.single(&repeated, &input, &host)?;
    }
    report.maps(&mut loaded)?;
    Ok(Done::Fine)
}

/// Loads the object; memory of so many bytes is what the program runs on where it has no context.
fn load(
    object: Object,
    types: Option<Btf>,
    given_memory: Option<usize>,
    args: &SandboxRunArgs,
) -> Result<Loaded, Trouble> {
    let engine = match args.engine {
        Engine::Interpreter => EngineKind::Interpreter,
        #[cfg(target_arch = "x86_64")]
        Engine::Jit => EngineKind::Jit,
    };
    let sandbox = Sandbox { engine, ..Sandbox::default() };
    let loaded = if args.unverified {
        sandbox.load_unproved(&object)
    } else {
        let rules = match given_memory {
            Some(bytes) => Rules::Plain { memory_bytes: bytes as u64 },
            None => Rules::Kernel,
        };
        let verified = verified(object, types, rules).map_err(|rejection| refused(rejection, rules))?;
        sandbox.load(&verified)
    };
    loaded.map_err(|error| Trouble::Environment {
        message: error.to_string(),
        help: vec!["docs/sandbox.md lists the maps that the sandbox has".to_owned()],
    })
}

/// Verifies an object. Few programs read the kernel's types though their context does without, and reading those types takes longer
/// than all else, so they are read where their want is why a program was refused.
fn verified(object: Object, types: Option<Btf>, rules: Rules) -> Result<Verified, Rejection> {
    let with = |types: Option<Btf>| Environment {
        kernel_types: types.map(Arc::new),
        rules,
        ..Environment::default()
    };
    let is_without = types.is_none();
    match verify(object, &with(types)) {
        Err(refused) if is_without && refused.diagnostics.iter().any(|why| *why.slug == NOT_MODELLED) => {
            verify(*refused.object, &with(object::kernel_types()))
        }
        other => other,
    }
}

/// A refusal in the words of the source lines, where the object has them.
fn refused(rejection: Rejection, rules: Rules) -> Trouble {
    let mut object = *rejection.object;
    let mut sources = Sources::new();
    object.locate_lines(&mut sources);
    let kernel_types = object::kernel_types().map(Arc::new);
    let environment = Environment { kernel_types, rules, ..Environment::default() };
    let refusal = |index| judge(&object, ProgramIdx(index), &environment, &sources).err().unwrap_or_default();
    let told = (0..object.programs.len() as u32).flat_map(refusal).collect();
    Trouble::Refused(told, sources)
}

/// Why a run failed, in words.
fn run_trouble(error: RunError, object: &Object, text: Option<&given::Text>) -> Trouble {
    let program = &object.programs[WANTED.0 as usize];
    match (&error, text) {
        (RunError::Context(wrong), Some(text)) => text.refused(program, wrong),
        (RunError::Memory(_), _) => anyhow::Error::from(error).into(),
        _ => Trouble::Diagnostics(vec![error.diagnostic(object, WANTED)], Sources::new()),
    }
}

/// Writes the packet of a single run, if it changed and that was asked for.
fn write_changed(args: &SandboxRunArgs, input: &Input, repeated: &Repeated) -> anyhow::Result<()> {
    let (Some(file), Some(packet)) = (&args.write_pcap, &repeated.first.packet) else { return Ok(()) };
    let mut writer = writer(file)?;
    if *packet != input.packet {
        let (time, original_bytes) = (std::time::Duration::ZERO, 0);
        let packet = Captured { time, original_bytes, bytes: packet.clone(), link: ETHERNET };
        writer.write(&packet).with_context(|| format!("write {}", file.display()))?;
    }
    finish(writer, file)
}

fn writer(file: &Path) -> anyhow::Result<CaptureWriter<BufWriter<File>>> {
    let create =
        || -> anyhow::Result<_> { Ok(CaptureWriter::new(BufWriter::new(File::create(file)?), ETHERNET)?) };
    create().with_context(|| format!("write {}", file.display()))
}

fn finish(writer: CaptureWriter<BufWriter<File>>, file: &Path) -> anyhow::Result<()> {
    let flushed = writer.into_inner().into_inner().map(drop);
    flushed.map_err(std::io::IntoInnerError::into_error).with_context(|| format!("write {}", file.display()))
}

/// Runs over every packet of a capture.
fn over_capture(
    loaded: &mut Loaded,
    program: &Program,
    args: &SandboxRunArgs,
    file: &Path,
    host: &mut super::report::Lines,
) -> Result<CaptureReport, Trouble> {
    let mut writer = args.write_pcap.as_deref().map(writer).transpose()?;
    let mut told = CaptureReport::new(file, args.write_pcap.as_deref());
    for packet in given::capture(file)? {
        let packet = packet.map_err(|error| given::capture_trouble(file, error))?;
        let Some(frame) = ethernet(packet.link, &packet.bytes) else {
            *told.left_out.entry(format!("link type {} instead of Ethernet", packet.link)).or_default() += 1;
            continue;
        };
        let is_made = matches!(frame, Cow::Owned(_));
        let frame = frame.into_owned();
        let input = Input { attach_type: program.attach_type, packet: frame.clone(), ..Input::default() };
        let repeated = match loaded.run_repeatedly(WANTED, &input, host, args.repeat) {
            Ok(repeated) => repeated,
            Err(RunError::Context(wrong)) => {
                *told.left_out.entry(wrong.to_string()).or_default() += 1;
                continue;
            }
            Err(error) => return Err(run_trouble(error, loaded.object(), None)),
        };
        told.count(verdict_name(program, repeated.first.result), &repeated);
        told.n_headers_made += u64::from(is_made);
        let Some(after) = repeated.first.packet.filter(|after| *after != frame) else { continue };
        told.n_changed += 1;
        if let Some(writer) = &mut writer {
            // What the capture cut off is still missing.
            let cut = packet.original_bytes.saturating_sub(packet.bytes.len() as u32);
            let original_bytes = after.len() as u32 + cut;
            let changed = Captured { original_bytes, bytes: after, link: ETHERNET, ..packet };
            let write = writer.write(&changed);
            write.with_context(|| format!("write {}", told.written.clone().unwrap_or_default()))?;
        }
    }
    if let (Some(writer), Some(file)) = (writer, &args.write_pcap) {
        finish(writer, file)?;
    }
    Ok(told)
}

/// A result by name where its program type has names for it.
pub fn verdict_name(program: &Program, result: u64) -> String {
    // Hooks look at 32 bits.
    let low = result as u32;
    match verdict(program.program_type, program.attach_type, low) {
        Some(name) => name.to_owned(),
        None => low.cast_signed().to_string(),
    }
}

/// Verdicts, and how many packets got each.
pub type Verdicts = BTreeMap<String, u64>;
