//! solana-sbpf: an interpreter and a compiler that translate and check each access and count instructions, and the same
//! compiler with all of that turned off.
//!
//! Its instruction set is a dialect: results that differ from everybody else's are the benchmark's to tell.

use std::ptr::NonNull;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use solana_sbpf::aligned_memory::AlignedMemory;
use solana_sbpf::ebpf;
use solana_sbpf::elf::Executable;
use solana_sbpf::error::StableResult;
use solana_sbpf::memory_region::{MemoryMapping, MemoryRegion};
use solana_sbpf::program::{BuiltinFunctionDefinition, BuiltinProgram, FunctionRegistry, SBPFVersion};
use solana_sbpf::verifier::RequisiteVerifier;
use solana_sbpf::vm::{CallFrame, Config, ContextObject, EbpfVm, ExecutionMode};

use crate::code::Program;
use crate::maps::{self, peer_lookup};
use crate::{once, timed};

/// The version whose local calls and conditional jumps are the standard's.
const VERSION: SBPFVersion = SBPFVersion::V3;
/// Where its programs see the values of maps.
const VALUES: u64 = ebpf::MM_HEAP_START;

/// How programs run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As machine code, as it comes.
    Jit,
    /// As machine code without translation of addresses, metering and hardening.
    Bare,
    /// Interpreted, as it comes.
    Interpreter,
}

/// What its helpers see.
struct Outside {
    remaining: u64,
    mapping: MemoryMapping,
    is_translated: bool,
}

impl ContextObject for Outside {
    fn consume(&mut self, amount: u64) {
        self.remaining = self.remaining.saturating_sub(amount);
    }

    fn get_remaining(&self) -> u64 {
        self.remaining
    }

    fn active_mapping_ptr(&mut self) -> NonNull<MemoryMapping> {
        NonNull::from_mut(&mut self.mapping)
    }
}

struct Lookup;

impl BuiltinFunctionDefinition<Outside> for Lookup {
    type Error = Box<dyn std::error::Error>;

    fn rust(outside: &mut Outside, map: u64, key: u64, c: u64, d: u64, e: u64) -> Result<u64, Self::Error> {
        if !outside.is_translated {
            return Ok(peer_lookup(map, key, c, d, e));
        }
        let key = match outside.mapping.load::<u32>(key) {
            StableResult::Ok(key) => key as u32,
            StableResult::Err(error) => return Err(error.into()),
        };
        let tables = maps::tables();
        Ok(tables.find(map, key).map_or(0, |value| {
            let base = std::ptr::from_ref(tables).addr();
            VALUES + (std::ptr::from_ref(value).addr() - base) as u64
        }))
    }
}

struct Processor;

impl BuiltinFunctionDefinition<Outside> for Processor {
    type Error = Box<dyn std::error::Error>;

    fn rust(_: &mut Outside, _: u64, _: u64, _: u64, _: u64, _: u64) -> Result<u64, Self::Error> {
        Ok(0)
    }
}

fn failed(error: impl std::fmt::Debug) -> anyhow::Error {
    anyhow!("{error:?}")
}

fn executable(code: &[u8], mode: Mode) -> Result<Executable<Outside>> {
    let mut config = Config::default();
    if mode == Mode::Bare {
        config.enable_address_translation = false;
        config.enable_instruction_meter = false;
        config.noop_instruction_rate = 0;
        config.sanitize_user_provided_values = false;
    }
    let mut loader = BuiltinProgram::new_loader(config);
    Lookup::register(&mut loader, "lookup").map_err(failed)?;
    Processor::register(&mut loader, "processor").map_err(failed)?;
    let executable =
        Executable::from_text_bytes(code, Arc::new(loader), VERSION, FunctionRegistry::default())
            .map_err(failed)?;
    executable.verify::<RequisiteVerifier>().map_err(failed)?;
    Ok(executable)
}

/// It calls helpers by the hash of their names.
fn helper(number: u32) -> u32 {
    ebpf::hash_symbol_name(if number == 1 { b"lookup" } else { b"processor" })
}

/// Runs a program so often: the time of one run, and the result.
pub fn run(program: &mut Program, mode: Mode, runs: u32) -> Result<(f64, u64)> {
    let is_translated = mode != Mode::Bare;
    let address = if is_translated { ebpf::MM_INPUT_START } else { program.address() };
    let executable = executable(&program.code(address, helper), mode)?;
    let config = executable.get_config();
    let mut stack = AlignedMemory::<{ ebpf::HOST_ALIGN }>::zero_filled(config.stack_size());
    let stack_address = stack.as_slice_mut().as_mut_ptr().expose_provenance() as u64;
    let stack_bytes = stack.len();
    let mut values = tables_as_bytes();
    let regions = vec![
        executable.get_ro_region(),
        MemoryRegion::new(&mut stack, ebpf::MM_STACK_START),
        MemoryRegion::new(&raw mut values[..], VALUES),
        MemoryRegion::new(&raw mut program.memory[..], ebpf::MM_INPUT_START),
    ];
    // SAFETY: all regions outlive the machine and hold plain bytes.
    let mapping = unsafe { MemoryMapping::new(regions, config, VERSION) }.map_err(failed)?;
    let mut outside = Outside { remaining: u64::MAX, mapping, is_translated };
    let mut frames = vec![CallFrame::default(); config.max_call_depth];
    let stack_frame_bytes = config.stack_frame_size as u64;
    if mode != Mode::Interpreter {
        executable.jit_compile().map_err(failed)?;
    }
    let loader = executable.get_loader().clone();
    let mut machine = EbpfVm::new(loader, VERSION, &mut outside, stack_bytes);
    if !is_translated {
        machine.registers[ebpf::FRAME_PTR_REG] = stack_address + stack_frame_bytes;
    }
    let registers = machine.registers;
    timed(runs, || {
        machine.registers = registers;
        machine.context().remaining = 1 << 40;
        let mut execution =
            if mode == Mode::Interpreter { ExecutionMode::Interpreted } else { ExecutionMode::Jit };
        match machine.execute_program(&executable, &mut execution, &mut frames).1 {
            StableResult::Ok(result) => Ok(u64::from(result as u32)),
            StableResult::Err(error) => Err(failed(error)),
        }
    })
}

/// The values of the maps, at the distances that they have in the tables.
fn tables_as_bytes() -> Vec<u8> {
    let tables = maps::tables();
    let base = std::ptr::from_ref(tables).addr();
    let mut bytes = vec![0; size_of_val(tables)];
    for values in tables.values() {
        let start = values.as_ptr().addr() - base;
        for (number, value) in values.iter().enumerate() {
            bytes[start + 8 * number..][..8].copy_from_slice(&value.to_le_bytes());
        }
    }
    bytes
}

/// The time of one compilation, as it comes.
pub fn compile(program: &Program) -> Result<f64> {
    let executable = executable(&program.code(ebpf::MM_INPUT_START, helper), Mode::Jit)?;
    once(|| executable.jit_compile().map_err(failed))
}
