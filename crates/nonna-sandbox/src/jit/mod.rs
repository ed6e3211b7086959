//! The compiler for x86-64: machine code that means what the interpreter does.
//!
//! [`Code::compile`] makes one pass over a prepared program and lays the result out ([`layout`]); [`pages`] holds it. Where a
//! verifier proved an access, the code touches memory directly; where it did not, the code asks the run's regions first,
//! so that code of a program nobody proved stays in its memory too. Where the verifier proved that every run ends, nothing is
//! counted; elsewhere the budget is counted by blocks and looked at where the interpreter looks.
//!
//! Registers: `r0` is `rax`, `r1` to `r5` are the first five arguments of the calling convention, so helpers are called
//! as they are; `r6` to `r9` survive calls in `rbx`, `r13`, `r14` and `r15`; `r10` is `rbp`. `r12` holds the run, `r9` to `r11`
//! are free for the moment of one instruction.

mod access;
mod arithmetic;
mod blocks;
mod calls;
mod compiler;
mod effects;
mod encoder;
mod fusion;
mod layout;
mod lookup;
mod outside;
#[allow(
    unsafe_code,
    reason = "machine code is copied to where it can run, and called; this module does both and nothing else"
)]
mod pages;

use std::sync::OnceLock;

use nonna_verifier::Given;

use crate::budget::Budget;
use crate::fault::{Fault, FaultKind, Finished};
use crate::helpers::{HelperFn, Helpers};
use crate::host::HelperError;
use crate::memory::{MAX_FRAMES, Values};
use crate::program::{FunctionTable, Prepared};
use crate::run::{Engine, Run};

pub use pages::CodeMemory;
use pages::CodePages;

/// A program that cannot become machine code.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The system gives no memory that code can run in.
    #[error("no memory for machine code: {0}")]
    Pages(#[from] std::io::Error),
}

/// What machine code finds when it calls by register.
#[derive(Debug)]
struct Targets {
    functions: FunctionTable,
    helpers: Helpers,
    /// By instruction, where each function that can be entered from outside starts: known once the code lies in its pages.
    addresses: OnceLock<Vec<(usize, u64)>>,
}

impl Targets {
    fn address(&self, entry: usize) -> Option<u64> {
        let addresses = self.addresses.get()?;
        let found = addresses.binary_search_by_key(&entry, |(insn, _)| *insn).ok()?;
        Some(addresses[found].1)
    }

    fn helper(&self, number: u32) -> Option<HelperFn> {
        self.helpers.get(number)
    }
}

/// A program as machine code.
#[derive(Debug)]
pub struct Code {
    pages: CodePages,
    /// Machine code knows their address.
    targets: Box<Targets>,
    main: u64,
    /// Whether every run ends by itself.
    ends: bool,
    /// Where the code looks at no run, how many frames it uses at most.
    quiet: Option<usize>,
    /// Whether the program has its frame pointer anywhere.
    has_frames: bool,
    /// Whether its frames must be empty when it begins.
    empties_frames: bool,
    given: Given,
    /// Keeps the values there whose addresses stand in the code.
    values: Values,
}

impl Code {
    /// Compiles a program, into pages of its own: writable until the code lies there, executable from then on.
    ///
    /// # Errors
    ///
    /// [`CompileError`] if the system gives no executable memory.
    pub fn compile(program: &Prepared) -> Result<Self, CompileError> {
        Code::compile_at(program, None)
    }

    /// Compiles a program into memory that the caller keeps for many: see there what that costs and saves.
    ///
    /// # Errors
    ///
    /// [`CompileError`] if the memory must grow and the system gives none.
    pub fn compile_in(program: &Prepared, memory: &CodeMemory) -> Result<Self, CompileError> {
        Code::compile_at(program, Some(memory))
    }

    fn compile_at(program: &Prepared, memory: Option<&CodeMemory>) -> Result<Self, CompileError> {
        let targets = Box::new(Targets {
            functions: program.functions().clone(),
            helpers: program.helpers().clone(),
            addresses: OnceLock::new(),
        });
        let mut compiled = compiler::compile(program, &targets);
        let pages = CodePages::new(memory, compiled.code.len(), |code| compiled.code.write(code))?;
        let entries = std::mem::take(&mut compiled.entries);
        let addresses: Vec<(usize, u64)> =
            entries.into_iter().map(|(insn, offset)| (insn, pages.address(offset))).collect();
        let main = addresses.first().map_or_else(|| pages.address(0), |(_, address)| *address);
        targets.addresses.set(addresses).expect("the targets are new");
        let (quiet, has_frames, empties_frames) =
            (compiled.quiet, compiled.has_frames, compiled.empties_frames);
        compiled.leave_memory();
        Ok(Code {
            pages,
            targets,
            main,
            ends: program.ends(),
            quiet,
            has_frames,
            empties_frames,
            given: program.given(),
            values: program.values().clone(),
        })
    }

    /// The machine code; the first bytes are its entrance. The first function of code that looks at no run is itself one.
    pub fn bytes(&self) -> &[u8] {
        self.pages.bytes()
    }

    /// Runs the program with `r1` to `r5` as given, as [`crate::run`] does. If it was proved that every run ends, the budget
    /// is not looked at, and no instructions are counted.
    ///
    /// # Errors
    ///
    /// [`Fault`] if the program does what it may not do, or exceeds the budget.
    #[inline]
    pub fn run(&self, arguments: [u64; 5], run: &mut Run<'_, '_>, budget: Budget) -> Result<Finished, Fault> {
        if self.quiet.is_some() {
            run.admit(self, 0, &arguments)?;
            let frame_pointer = run.memory.frame_pointer(0);
            let result = self.pages.enter_quietly(arguments, self.main, frame_pointer);
            return Ok(Finished { result, instructions: 0 });
        }
        let budget = if self.ends { Budget { instructions: u64::MAX, time: None } } else { budget };
        match self.targets.functions.is_empty() {
            true => run.execute_alone(self, arguments, budget),
            false => run.execute(self, arguments, budget),
        }
    }
}

impl Engine for Code {
    #[inline]
    fn enter(&self, entry: usize, arguments: [u64; 5], run: &mut Run<'_, '_>) -> u64 {
        let depth = run.depth;
        if let Some(n_frames) = self.quiet {
            if entry != 0 {
                return run.fail(HelperError::NoFunction(entry as u64));
            }
            if depth + n_frames > MAX_FRAMES {
                run.fault(entry, FaultKind::CallDepth);
                return 0;
            }
            return self.pages.enter_quietly(arguments, self.main, run.memory.frame_pointer(depth));
        }
        let frame_pointer = match (self.has_frames, self.empties_frames) {
            (true, true) => run.memory.open_frame(depth),
            (true, false) => run.memory.show_frame(depth),
            (false, _) => (depth < MAX_FRAMES).then(|| run.memory.frame_pointer(depth)),
        };
        let Some(frame_pointer) = frame_pointer else {
            run.fault(entry, FaultKind::CallDepth);
            return 0;
        };
        let function = if entry == 0 { Some(self.main) } else { self.targets.address(entry) };
        let Some(function) = function else {
            return run.fail(HelperError::NoFunction(entry as u64));
        };
        run.depth = depth + 1;
        let result = self.pages.enter(arguments, run, function, frame_pointer);
        if self.has_frames {
            run.memory.close_frames(depth);
        }
        run.depth = depth;
        result
    }

    fn function(&self, address: u64) -> Option<usize> {
        self.targets.functions.function(address)
    }

    #[inline]
    fn values(&self) -> Option<&Values> {
        Some(&self.values)
    }

    #[inline]
    fn given(&self) -> Given {
        self.given
    }
}
