//! `nonna verify`: whether the programs of an object file are safe, and why not.

mod kernel;
mod report;

use std::sync::Arc;
use std::time::Instant;

use nonna_bpf::{ElfError, ElfReading, Object, ProgramIdx};
use nonna_diag::{Diagnostic, Sources, nearest};
use nonna_sandbox::slugs::{NO_SUCH_PROGRAM, UNREADABLE_OBJECT};
use nonna_verifier::slugs::NOT_MODELLED;
use nonna_verifier::{Environment, Rules, judge, stack_bytes};

use super::sandbox::{input, object as object_file};
use crate::cli::{Global, Judged, VerifyArgs};
use crate::outcome::{Done, Outcome, Trouble};

use kernel::KernelVerdict;
use report::Report;

/// What became of one program.
pub struct Judgement {
    /// Program.
    pub program: String,
    /// Where it stands in the file.
    pub section: String,
    /// What our verifier says.
    pub verdict: Verdict,
    /// How long that took, explanations included.
    pub time_us: u64,
    /// What the kernel says, where it was asked.
    pub kernel: Option<KernelVerdict>,
}

/// What our verifier says.
pub enum Verdict {
    /// It is safe.
    Accepted {
        /// Instructions that a run takes at most; `None` where nothing shows that it ends.
        instructions: Option<u64>,
        /// Bytes of stack over all calls.
        stack_bytes: u32,
    },
    /// It is not.
    Refused(Vec<Diagnostic>),
    /// It could not be read from the file.
    Unread(Diagnostic),
}

/// Judges the programs of a file.
pub fn run(args: &VerifyArgs, global: &Global) -> Outcome {
    let (name, bytes) = input::read(&args.file)?;
    let mut reading = object_file::parse(&name, &bytes)?;
    let mut sources = Sources::new();
    reading.object.locate_lines(&mut sources);
    let wanted = wanted(&name, &reading, args.program.as_deref())?;
    let mut environment = environment(args);
    let mut judgements = Vec::new();
    for index in wanted {
        judgements.push(match index {
            Wanted::Read(program) => judgement(&reading.object, program, &mut environment, &sources),
            Wanted::Unread(index) => unread(&name, &reading.unread[index]),
        });
    }
    if args.against_kernel {
        kernel::ask(&reading.object, &mut judgements);
    }
    Report { file: &name, sources: &sources, global }.write(&judgements)?;
    let refused = |judgement: &Judgement| {
        matches!(judgement.verdict, Verdict::Refused(_))
            || matches!(judgement.kernel, Some(KernelVerdict::Refused { .. }))
    };
    Ok(if judgements.iter().any(refused) {
        Done::Refused
    } else if judgements.iter().any(|judgement| matches!(judgement.verdict, Verdict::Unread(_))) {
        Done::Findings
    } else {
        Done::Fine
    })
}

/// A program that was asked for.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    Read(ProgramIdx),
    /// One that could not be read, by its place among those.
    Unread(usize),
}

fn wanted(name: &str, reading: &ElfReading, asked: Option<&str>) -> Result<Vec<Wanted>, Trouble> {
    let programs = &reading.object.programs;
    let read = |index: usize| Wanted::Read(ProgramIdx(index as u32));
    let Some(asked) = asked else {
        if programs.is_empty() && reading.unread.is_empty() {
            let diagnostic = Diagnostic::new(&NO_SUCH_PROGRAM, format!("{name} has no programs"));
            return Err(object_file::refused(diagnostic.help("give an object file with a program in it")));
        }
        let unread = (0..reading.unread.len()).map(Wanted::Unread);
        return Ok((0..programs.len()).map(read).chain(unread).collect());
    };
    if let Some(index) = programs.iter().position(|program| program.name == asked) {
        return Ok(vec![read(index)]);
    }
    if let Some(index) = reading.unread.iter().position(|(unread, _)| unread == asked) {
        return Ok(vec![Wanted::Unread(index)]);
    }
    if let Some(index) = asked.parse().ok().filter(|index| *index < programs.len()) {
        return Ok(vec![read(index)]);
    }
    let names = || programs.iter().map(|program| program.name.as_str());
    let has = match programs.len() {
        0 => "it has no programs".to_owned(),
        _ => format!("it has {}", names().collect::<Vec<_>>().join(", ")),
    };
    let diagnostic = Diagnostic::new(&NO_SUCH_PROGRAM, format!("{name} has no program `{asked}`")).note(has);
    Err(object_file::refused(match nearest(asked, names(), 1).first() {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
        None => diagnostic.help("leave --program out to judge all of them"),
    }))
}

fn environment(args: &VerifyArgs) -> Environment {
    let rules = match args.judged {
        Judged::Kernel => Rules::Kernel,
        Judged::Plain => Rules::Plain { memory_bytes: u64::from(args.memory) },
    };
    Environment { rules, ..Environment::default() }
}

/// Judges a program. The kernel's types are only read once a program cannot be judged without: that takes longer than most proofs.
fn judgement(
    object: &Object,
    idx: ProgramIdx,
    environment: &mut Environment,
    sources: &Sources,
) -> Judgement {
    let program = &object.programs[idx.0 as usize];
    let start = Instant::now();
    let mut judged = judge(object, idx, environment, sources);
    let wants_types = |why: &[Diagnostic]| why.iter().any(|why| *why.slug == NOT_MODELLED);
    if environment.kernel_types.is_none() && judged.as_ref().is_err_and(|why| wants_types(why)) {
        environment.kernel_types = object_file::kernel_types().map(Arc::new);
        judged = judge(object, idx, environment, sources);
    }
    let time_us = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
    let verdict = match judged {
        Ok(facts) => {
            Verdict::Accepted { instructions: facts.max_instructions(), stack_bytes: stack_bytes(program) }
        }
        Err(diagnostics) => Verdict::Refused(diagnostics),
    };
    Judgement {
        program: program.name.clone(),
        section: program.section.clone(),
        verdict,
        time_us,
        kernel: None,
    }
}

fn unread(name: &str, (program, error): &(String, ElfError)) -> Judgement {
    let message = format!("program `{program}` of {name} cannot be read: {error}");
    let diagnostic = Diagnostic::new(&UNREADABLE_OBJECT, message);
    let diagnostic = if *error == ElfError::TargetNeeded {
        diagnostic.help("run it where the kernel shows its types (/sys/kernel/btf/vmlinux)")
    } else {
        diagnostic
    };
    let verdict = Verdict::Unread(diagnostic);
    Judgement { program: program.clone(), section: String::new(), verdict, time_us: 0, kernel: None }
}
