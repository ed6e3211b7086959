//! Machine code before it has registers and addresses: eBPF instructions over virtual registers and frame slots.
//!
//! It is not in SSA form: arithmetic changes its first operand, as the machine does, and a block parameter is a register
//! that each predecessor writes. Physical registers appear where the machine wants them (arguments and results of calls)
//! and live only inside one block. What a kernel verifier thinks is no concern here.

mod cleanup;
mod liveness;
mod operands;

use std::fmt;

use nonna_bpf::{AluOp, AtomicOp, Endian, Helper, JumpOp, MapIdx, MemSize, Reg, Width};
use nonna_diag::Span;
use nonna_ir::FuncId;

pub use cleanup::clean_up;
pub use liveness::{BitSet, Liveness};
pub use operands::{Access, fetches_into_src};

/// A register: the machine's own below [`VReg::FIRST_VIRTUAL`], virtual from there on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VReg(u32);

impl VReg {
    /// Number of the first virtual register.
    pub const FIRST_VIRTUAL: usize = 11;
    /// Result of a call; result of the function.
    pub const R0: VReg = VReg(0);

    /// A register of the machine.
    pub fn physical(reg: Reg) -> Self {
        VReg(u32::from(reg.number()))
    }

    /// The register for argument `idx` of a call, from 0 to 4.
    pub fn argument(idx: usize) -> Self {
        debug_assert!(idx < 5, "calls have at most five arguments");
        VReg(idx as u32 + 1)
    }

    /// The register with this index into tables of all registers.
    pub fn from_idx(idx: usize) -> Self {
        VReg(u32::try_from(idx).expect("fewer than 2^32 registers"))
    }

    /// Index into tables of all registers.
    pub fn idx(self) -> usize {
        self.0 as usize
    }

    /// Whether it is to be allocated.
    pub fn is_virtual(self) -> bool {
        self.idx() >= Self::FIRST_VIRTUAL
    }

    /// The machine register, if it is one.
    pub fn as_physical(self) -> Option<Reg> {
        if self.is_virtual() { None } else { Reg::new(self.0 as u8) }
    }
}

impl fmt::Debug for VReg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_virtual() { write!(f, "%{}", self.0) } else { write!(f, "r{}", self.0) }
    }
}

/// A piece of the stack frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FrameSlot(pub u32);

/// A basic block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MBlock(pub u32);

impl MBlock {
    /// Index into the function's blocks.
    pub fn idx(self) -> usize {
        self.0 as usize
    }
}

/// Second operand of arithmetic, stores and jumps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operand {
    /// A register.
    Reg(VReg),
    /// A constant, sign-extended to the width of the operation.
    Imm(i32),
}

/// Where memory is accessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// At the address in a register.
    Reg(VReg),
    /// In the frame.
    Frame(FrameSlot),
}

/// A 64-bit constant, or an address that the loader knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Constant {
    /// A number.
    Value(u64),
    /// A map.
    Map(MapIdx),
    /// An address in the first value of a map.
    MapValue(MapIdx, u32),
    /// A function of the module.
    Function(FuncId),
}

/// What a call calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Callee {
    /// A helper.
    Helper(Helper),
    /// A function of the module.
    Function(FuncId),
    /// A function of the kernel, by name.
    Kernel(&'static str),
}

/// A place that holds a value between instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A register.
    Reg(VReg),
    /// Eight bytes of the frame.
    Frame(FrameSlot),
}

/// One operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// `dst = src`; between registers at 64 bits it is a copy that allocation tries to remove.
    Mov { width: Width, dst: VReg, src: Operand },
    /// `dst = dst op src`, never `Mov`.
    Alu { width: Width, op: AluOp, dst: VReg, src: Operand },
    /// `dst = (signed) low bits of src`
    MovSx { dst: VReg, src: VReg, from_bits: u8 },
    /// `dst = -dst`
    Neg { dst: VReg },
    /// Byte order conversion in place.
    Endian { kind: Endian, dst: VReg, bits: u8 },
    /// `dst = constant`
    LoadConstant { dst: VReg, value: Constant },
    /// `dst = frame pointer + slot + offset`
    FrameAddress { dst: VReg, slot: FrameSlot, offset: i32 },
    /// `dst = *(size *)(base + offset)`
    Load { size: MemSize, sign_extend: bool, dst: VReg, base: Base, offset: i16 },
    /// `*(size *)(base + offset) = src`
    Store { size: MemSize, base: Base, offset: i16, src: Operand },
    /// Atomic read-modify-write; fetching forms change `src`, compare-and-exchange `r0`.
    Atomic { size: MemSize, op: AtomicOp, base: Base, offset: i16, src: VReg },
    /// Reads `r1` to `r<n_args>`, writes `r0`, destroys `r1` to `r5`.
    Call { callee: Callee, n_args: u8 },
    /// All at once: every source is read before any destination is written.
    Copies(Vec<(Place, Place)>),
}

/// An operation and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MInst {
    /// What it does.
    pub op: Op,
    /// Origin in the user's text.
    pub span: Option<Span>,
}

/// How a block ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// To one block.
    Goto(MBlock),
    /// By a condition.
    Jump { width: Width, op: JumpOp, left: VReg, right: Operand, then: MBlock, otherwise: MBlock },
    /// From the function, with `r0`.
    Exit,
}

/// A basic block.
#[derive(Debug, Clone)]
pub struct MBlockData {
    /// Operations in order.
    pub insts: Vec<MInst>,
    /// Its end.
    pub end: End,
    /// Origin of the end.
    pub end_span: Option<Span>,
    /// Loops around it.
    pub depth: u32,
}

/// A piece of the frame before it has an offset.
#[derive(Debug, Clone, Copy)]
pub struct FrameSlotData {
    /// Bytes.
    pub bytes: u32,
    /// Alignment, 1, 2, 4 or 8.
    pub align: u32,
}

/// A function.
#[derive(Debug, Clone)]
pub struct MFunction {
    /// Name.
    pub name: String,
    /// Blocks; the first is the entry. The order is that in which allocation walks them.
    pub blocks: Vec<MBlockData>,
    /// Pieces of the frame.
    pub frame: Vec<FrameSlotData>,
    /// Number of registers, the machine's included.
    pub n_regs: usize,
}

impl MFunction {
    /// A new virtual register.
    pub fn new_reg(&mut self) -> VReg {
        self.n_regs += 1;
        VReg::from_idx(self.n_regs - 1)
    }

    /// A new piece of the frame.
    pub fn new_slot(&mut self, slot: FrameSlotData) -> FrameSlot {
        self.frame.push(slot);
        FrameSlot(u32::try_from(self.frame.len() - 1).expect("fewer than 2^32 slots"))
    }

    /// Indexes of blocks in order.
    pub fn block_ids(&self) -> impl DoubleEndedIterator<Item = MBlock> + use<> {
        (0..u32::try_from(self.blocks.len()).expect("fewer than 2^32 blocks")).map(MBlock)
    }
}

impl End {
    /// Blocks that may follow.
    pub fn successors(&self) -> impl Iterator<Item = MBlock> + use<> {
        let (first, second) = match *self {
            End::Goto(block) => (Some(block), None),
            End::Jump { then, otherwise, .. } => (Some(then), Some(otherwise)),
            End::Exit => (None, None),
        };
        first.into_iter().chain(second)
    }

    /// Replaces blocks that may follow.
    pub fn map_successors(&mut self, mut f: impl FnMut(MBlock) -> MBlock) {
        match self {
            End::Goto(block) => *block = f(*block),
            End::Jump { then, otherwise, .. } => {
                *then = f(*then);
                *otherwise = f(*otherwise);
            }
            End::Exit => {}
        }
    }
}
