//! Writes instructions, and keeps in mind what its registers hold.
//!
//! `r6` is the context and `r7`, `r8` hold numbers all along; `r9` holds whatever a part of the program works on; the rest is
//! scratch. The writer slips now and then, on purpose: then what it writes is not what it has in mind.

use nonna_bpf::{AluOp, AtomicOp, Callee, Helper, Imm64, Insn, JumpOp, MapIdx, MemSize, Operand, Reg, Width};

use super::assembly::{Assembly, Label};
use super::dice::Dice;
use super::kinds::Kind;

/// Bytes of the stack that every function of a program may expect to be written: from -64 up to the frame pointer.
pub(super) const WRITTEN_BYTES: i16 = 64;
const SIZES: &[MemSize] = &[MemSize::B, MemSize::H, MemSize::W, MemSize::DW];
/// Constants near which mistakes are made.
const CONSTANTS: &[i32] = &[
    0,
    1,
    2,
    3,
    7,
    8,
    15,
    16,
    31,
    32,
    63,
    64,
    127,
    255,
    256,
    4095,
    65535,
    0x7fff_ffff,
    -1,
    -2,
    -8,
    -256,
    i32::MIN,
];

/// Memory that `r9` points to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Region {
    pub bytes: u32,
    pub can_write: bool,
    /// Only aligned accesses are certain to be taken.
    pub aligned: bool,
}

/// A function of the program that is written after its callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    /// Adds its two arguments up.
    Sum,
    /// Writes to the 8 bytes that its argument points to.
    Store,
    /// Uses much stack.
    Deep,
    /// Is called for each round of `bpf_loop`.
    Round,
    /// Is called for each entry of a map.
    Entry,
}

/// The writer of one program.
pub(super) struct Writer {
    pub dice: Dice,
    pub code: Assembly,
    pub kind: &'static Kind,
    /// A slip comes once in so many occasions; 0 is never.
    pub slips: u32,
    /// Where a program that gives up goes: `r0 = 0; exit`.
    pub out: Label,
    /// Largest values of `r7` and `r8`, where they are known.
    pub bounds: [Option<u32>; 2],
    pub region: Option<Region>,
    pub functions: Vec<(Label, Function)>,
    /// How deep parts are within parts.
    pub depth: u32,
}

impl Writer {
    pub fn slip(&mut self) -> bool {
        self.slips > 0 && self.dice.once_in(self.slips)
    }

    pub fn insn(&mut self, insn: Insn) {
        self.code.push(insn);
    }

    pub fn alu(&mut self, op: AluOp, dst: Reg, src: impl Into<Source>) {
        self.insn(Insn::Alu { width: Width::W64, op, dst, src: src.into().0 });
    }

    pub fn mov(&mut self, dst: Reg, src: impl Into<Source>) {
        self.alu(AluOp::Mov, dst, src);
    }

    pub fn load(&mut self, size: MemSize, dst: Reg, base: Reg, offset: i16) {
        self.insn(Insn::Load { size, sign_extend: false, dst, base, offset });
    }

    pub fn store(&mut self, size: MemSize, base: Reg, offset: i16, src: impl Into<Source>) {
        self.insn(Insn::Store { size, base, offset, src: src.into().0 });
    }

    pub fn jump(&mut self, op: JumpOp, dst: Reg, src: impl Into<Source>, label: Label) {
        self.jump_wide(Width::W64, op, dst, src, label);
    }

    pub fn jump_wide(&mut self, width: Width, op: JumpOp, dst: Reg, src: impl Into<Source>, label: Label) {
        self.code.push_to(Insn::Jump { width, op, dst, src: src.into().0, offset: 0 }, label);
    }

    pub fn goto(&mut self, label: Label) {
        self.code.push_to(Insn::Goto { offset: 0 }, label);
    }

    pub fn call(&mut self, helper: Helper) {
        self.insn(Insn::Call(Callee::Helper(helper.id())));
    }

    pub fn call_function(&mut self, function: Function) {
        let label = self.function(function);
        self.code.push_to(Insn::Call(Callee::Local(0)), label);
    }

    pub fn function_address(&mut self, dst: Reg, function: Function) {
        let label = self.function(function);
        self.code.push_to(Insn::LoadImm64 { dst, value: Imm64::Function(0) }, label);
    }

    fn function(&mut self, function: Function) -> Label {
        if let Some((label, _)) = self.functions.iter().find(|(_, known)| *known == function) {
            return *label;
        }
        let label = self.code.label();
        self.functions.push((label, function));
        label
    }

    pub fn map(&mut self, dst: Reg, MapIdx(map): MapIdx) {
        self.code.map(dst, MapIdx(map));
    }

    pub fn constant(&mut self) -> i32 {
        self.dice.pick(CONSTANTS)
    }

    pub fn size(&mut self) -> MemSize {
        self.dice.pick(SIZES)
    }

    /// `r7` or `r8`, with its place among the bounds.
    pub fn number(&mut self) -> (Reg, usize) {
        self.dice.pick(&[(Reg::R7, 0), (Reg::R8, 1)])
    }

    /// Puts the address of a stack slot into a register.
    pub fn stack_address(&mut self, dst: Reg, offset: i32) {
        self.mov(dst, Reg::R10);
        self.alu(AluOp::Add, dst, offset);
    }

    /// Sets the part of the stack that others rely on.
    pub fn write_stack(&mut self) {
        for slot in 1..=WRITTEN_BYTES / 8 {
            self.store(MemSize::DW, Reg::R10, -8 * slot, 0);
        }
    }

    /// Reads or writes a region at a constant place, or one that a number decides.
    pub fn access(&mut self, region: Region, base: Reg) {
        let size = self.size();
        let bytes = size.bytes();
        let mut offset = self.dice.below(region.bytes.saturating_sub(bytes) + 1);
        if region.aligned {
            offset -= offset % bytes;
        }
        if self.slip() {
            offset = self.dice.pick(&[region.bytes - bytes + 1, region.bytes, region.bytes + 64]);
        }
        let mut offset = offset as i16;
        if self.slip() {
            offset = -1;
        }
        let mut base = base;
        let (number, place) = self.number();
        if self.dice.once_in(2) {
            let room = region.bytes.saturating_sub(bytes);
            let fits = self.bounds[place].is_some_and(|bound| bound <= room && !region.aligned);
            if fits || self.slip() {
                self.mov(Reg::R4, base);
                self.alu(AluOp::Add, Reg::R4, number);
                base = Reg::R4;
                offset = self.dice.below(room.saturating_sub(self.bounds[place].unwrap_or(0)) + 1) as i16;
            }
        }
        self.touch(size, base, offset, region.can_write);
    }

    fn touch(&mut self, size: MemSize, base: Reg, offset: i16, can_write: bool) {
        let writes = can_write || self.slip();
        match self.dice.below(if writes { 5 } else { 2 }) {
            0 => self.load(size, Reg::R5, base, offset),
            1 => {
                let sign_extend = size != MemSize::DW;
                self.insn(Insn::Load { size, sign_extend, dst: Reg::R5, base, offset });
            }
            2 => {
                let constant = self.constant();
                self.store(size, base, offset, constant);
            }
            3 => {
                let (number, _) = self.number();
                self.store(size, base, offset, number);
            }
            _ if matches!(size, MemSize::W | MemSize::DW) && offset % 8 == 0 && base != Reg::R4 => {
                let fetch = self.dice.once_in(2);
                let op = self.dice.pick(&[
                    AtomicOp::Add { fetch },
                    AtomicOp::Or { fetch },
                    AtomicOp::Xor { fetch },
                    AtomicOp::Exchange,
                ]);
                self.mov(Reg::R5, 1);
                self.insn(Insn::Atomic { size, op, base, offset, src: Reg::R5 });
            }
            _ => self.store(size, base, offset, 1),
        }
    }
}

/// A register or a constant, as the second operand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source(pub Operand);

impl From<Reg> for Source {
    fn from(reg: Reg) -> Self {
        Source(Operand::Reg(reg))
    }
}

impl From<i32> for Source {
    fn from(imm: i32) -> Self {
        Source(Operand::Imm(imm))
    }
}
