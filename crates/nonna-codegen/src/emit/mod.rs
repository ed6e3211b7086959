//! Machine code to instructions: the order of blocks, frame offsets, jumps.

mod jumps;
mod layout;

use nonna_bpf::{
    AluOp, Callee as BpfCallee, Imm64, Insn, IsaLevel, Operand as BpfOperand, Reg, RelocationTarget, Width,
};
use nonna_diag::Span;
use nonna_ir::FuncId;

use crate::CodegenError;
use crate::frame::Frame;
use crate::mir::{Base, Callee, Constant, End, MBlock, MFunction, MInst, Op, Operand, VReg};
use jumps::{Item, Jumps};

/// A function as instructions; calls and addresses of other functions are still open.
#[derive(Debug, Clone, PartialEq)]
pub struct Code {
    /// Instructions.
    pub insns: Vec<Insn>,
    /// Origin of each instruction.
    pub spans: Vec<Option<Span>>,
    /// Instructions that name another function.
    pub functions: Vec<(usize, FuncId)>,
    /// Instructions that the loader fills in.
    pub relocations: Vec<(usize, RelocationTarget)>,
}

/// Emits a function whose registers and frame are settled.
///
/// # Errors
///
/// [`CodegenError::ProgramTooLarge`] where a jump does not reach.
pub fn emit(function: &mut MFunction, frame: &Frame, isa: IsaLevel) -> Result<Code, CodegenError> {
    let order = layout::lay_out(function);
    let mut emitter = Emitter {
        frame,
        isa,
        code: Code { insns: Vec::new(), spans: Vec::new(), functions: Vec::new(), relocations: Vec::new() },
        jumps: Jumps::new(function.blocks.len()),
    };
    for (idx, &block) in order.iter().enumerate() {
        emitter.jumps.place(block, emitter.code.insns.len());
        let data = &function.blocks[block.idx()];
        for inst in &data.insts {
            emitter.emit_inst(inst);
        }
        emitter.emit_end(data.end, data.end_span, order.get(idx + 1).copied());
    }
    let Emitter { mut code, jumps, .. } = emitter;
    jumps.resolve(&mut code, isa, &function.name)?;
    Ok(code)
}

struct Emitter<'a> {
    frame: &'a Frame,
    isa: IsaLevel,
    code: Code,
    jumps: Jumps,
}

impl Emitter<'_> {
    fn push(&mut self, insn: Insn, span: Option<Span>) {
        self.code.insns.push(insn);
        self.code.spans.push(span);
    }

    fn emit_inst(&mut self, inst: &MInst) {
        let span = inst.span;
        match inst.op {
            Op::Mov { width, dst, src } => {
                self.push(Insn::Alu { width, op: AluOp::Mov, dst: reg(dst), src: operand(src) }, span);
            }
            Op::Alu { width, op, dst, src } => {
                self.push(Insn::Alu { width, op, dst: reg(dst), src: operand(src) }, span);
            }
            Op::MovSx { dst, src, from_bits } => {
                self.push(Insn::MovSx { width: Width::W64, dst: reg(dst), src: reg(src), from_bits }, span);
            }
            Op::Neg { dst } => self.push(Insn::Neg { width: Width::W64, dst: reg(dst) }, span),
            Op::Endian { kind, dst, bits } => self.push(Insn::Endian { kind, dst: reg(dst), bits }, span),
            Op::LoadConstant { dst, value } => self.emit_constant(dst, value, span),
            Op::FrameAddress { dst, slot, offset } => {
                let (width, dst) = (Width::W64, reg(dst));
                let src = BpfOperand::Reg(Reg::R10);
                self.push(Insn::Alu { width, op: AluOp::Mov, dst, src }, span);
                let by = self.frame.offset(slot).saturating_add(offset);
                if by != 0 {
                    self.push(Insn::Alu { width, op: AluOp::Add, dst, src: BpfOperand::Imm(by) }, span);
                }
            }
            Op::Load { size, sign_extend, dst, base, offset } => {
                let (base, offset) = self.memory(base, offset);
                self.push(Insn::Load { size, sign_extend, dst: reg(dst), base, offset }, span);
            }
            Op::Store { size, base, offset, src } => {
                let (base, offset) = self.memory(base, offset);
                self.push(Insn::Store { size, base, offset, src: operand(src) }, span);
            }
            Op::Atomic { size, op, base, offset, src } => {
                let (base, offset) = self.memory(base, offset);
                self.push(Insn::Atomic { size, op, base, offset, src: reg(src) }, span);
            }
            Op::Call { callee, .. } => self.emit_call(callee, span),
            Op::Copies(_) => unreachable!("allocation writes copies one after the other"),
        }
    }

    fn memory(&self, base: Base, offset: i16) -> (Reg, i16) {
        match base {
            Base::Reg(base) => (reg(base), offset),
            Base::Frame(slot) => {
                let total = self.frame.offset(slot) + i32::from(offset);
                (Reg::R10, i16::try_from(total).unwrap_or(i16::MIN))
            }
        }
    }

    fn emit_constant(&mut self, dst: VReg, value: Constant, span: Option<Span>) {
        let at = self.code.insns.len();
        let value = match value {
            Constant::Value(value) => Imm64::Value(value),
            Constant::Map(map) => {
                self.code.relocations.push((at, RelocationTarget::Map(map)));
                Imm64::MapFd(0)
            }
            Constant::MapValue(map, offset) => {
                self.code.relocations.push((at, RelocationTarget::MapValue { map, offset }));
                Imm64::MapValueFd { fd: 0, offset }
            }
            Constant::Function(function) => {
                self.code.functions.push((at, function));
                Imm64::Function(0)
            }
        };
        self.push(Insn::LoadImm64 { dst: reg(dst), value }, span);
    }

    fn emit_call(&mut self, callee: Callee, span: Option<Span>) {
        let callee = match callee {
            Callee::Helper(helper) => BpfCallee::Helper(helper.id()),
            Callee::Function(function) => {
                self.code.functions.push((self.code.insns.len(), function));
                BpfCallee::Local(0)
            }
            Callee::Kernel(name) => {
                let target = RelocationTarget::Kfunc { name: name.to_owned(), weak: false };
                self.code.relocations.push((self.code.insns.len(), target));
                BpfCallee::Kfunc { type_id: 0, fd_index: 0 }
            }
        };
        self.push(Insn::Call(callee), span);
    }

    fn emit_end(&mut self, end: End, span: Option<Span>, next: Option<MBlock>) {
        match end {
            End::Exit => self.push(Insn::Exit, span),
            End::Goto(target) => self.goto(target, span, next),
            End::Jump { width, op, left, right, then, otherwise } => {
                let (op, then, otherwise) = jumps::for_level(op, then, otherwise, self.isa);
                // Turned around, the jump goes where the next block is not.
                let (op, then, otherwise) = match jumps::inverted(op) {
                    Some(inverse) if Some(then) == next && jumps::exists(inverse, self.isa) => {
                        (inverse, otherwise, then)
                    }
                    _ => (op, then, otherwise),
                };
                self.jumps.add(self.code.insns.len(), Item::Conditional(then));
                let (dst, src) = (reg(left), operand(right));
                self.push(Insn::Jump { width, op, dst, src, offset: 0 }, span);
                self.goto(otherwise, span, next);
            }
        }
    }

    fn goto(&mut self, target: MBlock, span: Option<Span>, next: Option<MBlock>) {
        if next != Some(target) {
            self.jumps.add(self.code.insns.len(), Item::Unconditional(target));
            self.push(Insn::Goto { offset: 0 }, span);
        }
    }
}

fn reg(reg: VReg) -> Reg {
    reg.as_physical().expect("allocation left no virtual register")
}

fn operand(operand: Operand) -> BpfOperand {
    match operand {
        Operand::Reg(src) => BpfOperand::Reg(reg(src)),
        Operand::Imm(imm) => BpfOperand::Imm(imm),
    }
}
