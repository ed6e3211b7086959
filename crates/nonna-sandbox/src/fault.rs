//! How a run ends: with a result, or with a fault that says what the program did and where.

use crate::host::HelperError;
use crate::memory::{AccessFault, MAX_FRAMES};

/// Why a run was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FaultKind {
    /// It touched memory that it was not lent.
    #[error(transparent)]
    Memory(#[from] AccessFault),
    /// A helper call failed.
    #[error("call of helper {number}: {error}")]
    Helper {
        /// Which helper.
        number: u32,
        /// Why.
        error: HelperError,
    },
    /// A call of a kernel function failed.
    #[error("call of a kernel function: {0}")]
    KernelFunction(HelperError),
    /// Calls go too deep.
    #[error("more than {MAX_FRAMES} functions are active at once")]
    CallDepth,
    /// A call by register of what is neither a function of the program nor a helper's number.
    #[error("{0:#x} is no function")]
    NoFunction(u64),
    /// It was linked with other maps than those of the run.
    #[error("the program was linked with other maps")]
    OtherMaps,
    /// It was proved for another kind of context, or for memory of another length.
    #[error("the program was proved for other arguments")]
    OtherArguments,
    /// More instructions than the budget has.
    #[error("the budget of instructions is used up")]
    Instructions,
    /// More time than the budget has.
    #[error("the budget of time is used up")]
    Time,
}

/// A run that was stopped, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("instruction {insn}: {kind}")]
pub struct Fault {
    /// Index of the instruction, from 0.
    pub insn: usize,
    /// Why.
    pub kind: FaultKind,
}

/// A run that came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finished {
    /// `r0`.
    pub result: u64,
    /// Instructions that ran.
    pub instructions: u64,
}
