//! `nonna build`: a script as an eBPF object file that bpftool, libbpf and aya load.

use anyhow::Context;
use nonna_diag::Sources;
use nonna_kernel::Kernel;

use crate::cli::{BuildArgs, Global};
use crate::compile;
use crate::outcome::{Done, Outcome, show};
use crate::terminal;
use crate::verbs::trace::{read_script, script_options};

/// Compiles, verifies and writes.
pub fn run(args: &BuildArgs, global: &Global) -> Outcome {
    let mut sources = Sources::new();
    let (id, params) = read_script(&args.script, &mut sources)?;
    let kernel = Kernel::new();
    let target = compile::target(&kernel)?;
    let options = script_options(&args.script, params);
    let (compiled, warnings) = compile::script(&sources, id, &target, &options)?;
    show(&warnings, &sources, global);
    let codegen = compile::trace_options(&sources);
    let verified = compile::programs(compiled.module, &target, &codegen, &sources)?;
    let elf = verified.object().to_elf().context("write the object as ELF")?;
    std::fs::write(&args.output, &elf).with_context(|| format!("write {}", args.output.display()))?;
    let (programs, maps) = (verified.object().programs.len(), verified.object().maps.len());
    let file = args.output.display();
    terminal::note(global, &format!("{file}: {programs} programs, {maps} maps, {} bytes", elf.len()));
    Ok(Done::Fine)
}
