//! What a proof leaves behind for the engine that runs the program.
//!
//! Facts are by instruction index and hold for every run. They tell an engine where it may do without a check; an engine
//! that ignores them is slower, never wrong. Nothing here decides whether a program is safe.

use nonna_bpf::{MapIdx, ProgramType};

/// How an engine must treat the access that an instruction makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AccessFact {
    /// No run comes here.
    Unreached,
    /// Every run stays inside memory that it may touch: no check is needed.
    Direct,
    /// A load from memory that need not be there: a fault reads 0, as in the kernel.
    Probe,
    /// Nothing was proved: the engine checks, and a fault ends the run.
    Checked,
}

/// What a proof takes for granted of the values that a program is called with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Given {
    /// Nothing.
    Anything,
    /// `r1` is the address of so many bytes that may be written, 0 where there are none; `r2` is their number.
    Memory {
        /// How many.
        bytes: u64,
    },
    /// `r1` is the address of the context of a program of this type.
    Context(ProgramType),
}

/// The facts of one program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    given: Given,
    accesses: Vec<AccessFact>,
    maps: Vec<Option<MapIdx>>,
    /// Instructions that a run takes at most; `None` where nothing shows that it ends.
    instructions: Option<u64>,
    /// Whether the proof holds only for stack frames that begin with zeros.
    needs_empty_frames: bool,
    steps: u64,
}

impl Facts {
    /// Facts of a program of which nothing was proved.
    pub fn unproved(n_insns: usize) -> Self {
        Facts {
            given: Given::Anything,
            accesses: vec![AccessFact::Checked; n_insns],
            maps: vec![None; n_insns],
            instructions: None,
            needs_empty_frames: true,
            steps: 0,
        }
    }

    /// Facts as the proof found them.
    pub(crate) fn proved(
        given: Given,
        accesses: Vec<AccessFact>,
        maps: Vec<Option<MapIdx>>,
        instructions: u64,
        needs_empty_frames: bool,
        steps: u64,
    ) -> Self {
        Facts { given, accesses, maps, instructions: Some(instructions), needs_empty_frames, steps }
    }

    /// What must hold of the values that the program is called with.
    pub fn given(&self) -> Given {
        self.given
    }

    /// How an engine must treat the access of each instruction.
    pub fn accesses(&self) -> &[AccessFact] {
        &self.accesses
    }

    /// How to treat the access of an instruction, by index; instructions without access are `Direct` where a run comes.
    pub fn access(&self, insn: usize) -> AccessFact {
        self.accesses[insn]
    }

    /// The map that a helper call works on, where it is the same in every run.
    pub fn map(&self, insn: usize) -> Option<MapIdx> {
        self.maps[insn]
    }

    /// Whether every run ends by itself, so that no budget needs to be counted.
    pub fn ends(&self) -> bool {
        self.instructions.is_some()
    }

    /// How many instructions a run takes at most, helpers not counted; `None` where nothing shows that it ends.
    pub fn max_instructions(&self) -> Option<u64> {
        self.instructions
    }

    /// Whether a run may read bytes of a stack frame that it has not written: an engine must then hand out frames of zeros, lest one
    /// run sees what another left there.
    pub fn needs_empty_frames(&self) -> bool {
        self.needs_empty_frames
    }

    /// How many instructions the proof looked at, on all paths together: what a verdict cost, on any machine.
    pub fn steps(&self) -> u64 {
        self.steps
    }
}
