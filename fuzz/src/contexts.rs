//! Contexts to run accepted programs on.

use nonna_bpf::{Program, ProgramType};
use nonna_sandbox::context::{Input, Word};

/// Bytes of contexts without a structure: more than any program reads of them.
const CONTEXT_BYTES: usize = 8192;

/// Arguments of a raw tracepoint: as many as there can be.
const N_ARGUMENTS: usize = 12;

/// Contexts for the first of these programs.
pub fn all(programs: &[Program]) -> Vec<Input> {
    programs.first().map_or_else(Vec::new, of)
}

/// Three contexts for a program: the least there can be, a usual one and one full of ones.
pub fn of(program: &Program) -> Vec<Input> {
    let input = |packet: Vec<u8>, memory: Vec<u8>| Input {
        attach_type: program.attach_type,
        packet,
        arguments: memory.iter().take(N_ARGUMENTS).map(|byte| Word::Number((*byte).into())).collect(),
        memory,
        ..Input::default()
    };
    let memory = |byte: u8| match program.program_type {
        ProgramType::Kprobe => vec![byte; 168],
        ProgramType::PerfEvent => vec![byte; 184],
        ProgramType::RawTracepoint | ProgramType::RawTracepointWritable => vec![byte; N_ARGUMENTS],
        ProgramType::Tracepoint => vec![byte; CONTEXT_BYTES],
        _ => Vec::new(),
    };
    let usual: Vec<u8> =
        (0..90_u8).map(|at| if at < 14 { at / 2 } else { at.wrapping_mul(37) >> (at % 5) }).collect();
    vec![input(vec![0; 14], memory(0)), input(usual, memory(1)), input(vec![0xff; 1500], memory(0xff))]
}
