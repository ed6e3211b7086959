//! `nonna sandbox asm`: text in the form of the kernel's verifier log, as an object file or as bytes.

use std::io::Write;

use anyhow::Context;
use nonna_bpf::{
    AssembleError, EncodeError, Hook, Insn, Object, Program, ProgramType, SectionKind, assemble, encode,
};
use nonna_diag::{Diagnostic, SourceId, Sources, Span};
use nonna_sandbox::slugs;

use super::input;
use crate::cli::{AsmArgs, Global, Made};
use crate::outcome::{Done, Outcome, Trouble};
use crate::terminal;

/// Reads the text, assembles and writes.
pub fn run(args: &AsmArgs, global: &Global) -> Outcome {
    if args.output.is_none() && args.made != Made::Hex {
        return Err(Trouble::Environment {
            message: "there is no file to write to".to_owned(),
            help: vec!["name one with -o (- is standard output), or print hex: --as hex".to_owned()],
        });
    }
    let (name, text) = input::read(&args.file)?;
    let mut sources = Sources::new();
    let id = sources.add(name, String::from_utf8_lossy(&text));
    let insns = read(&sources, id)?;
    let bytes = match args.made {
        Made::Object => object(args, insns)?.to_elf().context("write the object as ELF")?,
        Made::Bytes => encoded(&insns)?,
        Made::Hex => hex(&encoded(&insns)?).into_bytes(),
    };
    match args.output.as_deref().filter(|file| file.as_os_str() != "-") {
        Some(file) => {
            std::fs::write(file, &bytes).with_context(|| format!("write {}", file.display()))?;
            terminal::note(global, &format!("{}: {} bytes", file.display(), bytes.len()));
        }
        None => std::io::stdout().write_all(&bytes).context("write the result")?,
    }
    Ok(Done::Fine)
}

fn read(sources: &Sources, id: SourceId) -> Result<Vec<Insn>, Trouble> {
    let text = sources.get(id).map_or("", |source| source.text());
    let insns = assemble(text).map_err(|errors| {
        let diagnostics = errors.iter().map(|error| diagnostic(id, error)).collect();
        Trouble::Diagnostics(diagnostics, sources.clone())
    })?;
    if insns.is_empty() {
        let empty = Diagnostic::new(&slugs::BAD_ASSEMBLY, "there is no instruction in the text")
            .help("write one instruction a line, such as `r0 = 0`, and end with `exit`");
        return Err(Trouble::Diagnostics(vec![empty], sources.clone()));
    }
    Ok(insns)
}

fn diagnostic(id: SourceId, error: &AssembleError) -> Diagnostic {
    let span = Span::new(id, error.span.start, error.span.end);
    Diagnostic::new(&slugs::BAD_ASSEMBLY, error.kind.to_string()).label(span, "")
}

fn encoded(insns: &[Insn]) -> Result<Vec<u8>, Trouble> {
    encode(insns)
        .map_err(|error: EncodeError| anyhow::Error::from(error).context("encode the program").into())
}

/// Sixteen digits a slot, one slot a line.
fn hex(bytes: &[u8]) -> String {
    let line = |slot: &[u8]| slot.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n";
    bytes.chunks(nonna_bpf::SLOT_BYTES).map(line).collect()
}

fn object(args: &AsmArgs, insns: Vec<Insn>) -> Result<Object, Trouble> {
    let kind = SectionKind::of(&args.section).unwrap_or_else(|| SectionKind {
        program_type: ProgramType::Unspecified,
        attach_type: None,
        attach_target: None,
        hook: Hook::Section(args.section.clone()),
        sleepable: false,
    });
    let program = Program {
        name: args.name.clone(),
        section: args.section.clone(),
        program_type: kind.program_type,
        attach_type: kind.attach_type,
        attach_target: kind.attach_target,
        hook: kind.hook,
        sleepable: kind.sleepable,
        insns,
        relocations: Vec::new(),
        func_info: Vec::new(),
        line_info: Vec::new(),
        locations: Vec::new(),
    };
    Ok(Object { license: args.license.clone(), programs: vec![program], ..Object::default() })
}
