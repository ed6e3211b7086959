//! From instructions to machine code: the pass over the program, its entrance, its jumps.
//!
//! Arithmetic, accesses and calls are beside this module. What a rare case needs lies behind the program, out of line.

use std::cell::Cell;

use nonna_bpf::{Callee, Imm64, Insn, JumpOp, Operand, Reg, Width};

use super::Targets;
use super::access::place;
use super::blocks::{Blocks, Function, Lists};
use super::calls::OutOfLine;
use super::effects::{Form, bit};
use super::encoder::*;
use super::layout::{self, Label, LaidOut, Layout};
use crate::program::Prepared;
use crate::run::Run;

/// Holds the run.
pub(super) const RUN: Gpr = R12;
/// Free for the moment of one instruction.
pub(super) const SCRATCH: Gpr = R11;
/// Free for the moment of one instruction.
pub(super) const SCRATCH_2: Gpr = R10;
/// Free for the moment of one instruction.
pub(super) const SCRATCH_3: Gpr = R9;

/// Where each register of programs lives.
const REGISTERS: [Gpr; 11] = [RAX, RDI, RSI, RDX, RCX, R8, RBX, R13, R14, R15, RBP];

/// Times that `may_goto` falls through in one function call, as in the interpreter.
const MAY_GOTO_ROUNDS: i32 = 8 << 20;

/// Where a register of the program lives.
#[inline(always)]
pub(super) fn gpr(register: Reg) -> Gpr {
    REGISTERS[usize::from(register.number())]
}

/// The size of an operation.
pub(super) fn size(width: Width) -> Size {
    match width {
        Width::W32 => Size::Dword,
        Width::W64 => Size::Qword,
    }
}

/// A field of the run.
pub(super) fn in_run(offset: usize) -> Mem {
    Mem { base: RUN, displacement: offset as i32 }
}

pub(super) const STOPPED: usize = 0;
pub(super) const UNTIL_LOOK: usize = std::mem::offset_of!(Run<'static, 'static>, meter.until_look);
pub(super) const DEPTH: usize = std::mem::offset_of!(Run<'static, 'static>, depth);
pub(super) const PROCESSOR: usize = std::mem::offset_of!(Run<'static, 'static>, processor);
const UNWIND: usize = std::mem::offset_of!(Run<'static, 'static>, unwind);

/// What became of a program.
pub(super) struct Compiled {
    pub(super) code: LaidOut,
    /// Functions that can be entered from outside: instruction and offset into the code, in order.
    pub(super) entries: Vec<(usize, u32)>,
    /// As in [`Blocks`]: the main function is entered as a function of C then, and there is no other entrance.
    pub(super) quiet: Option<usize>,
    /// Whether anything in the program can come by a frame's address.
    pub(super) has_frames: bool,
    /// Whether anything may be read of a frame that was not written before.
    pub(super) empties_frames: bool,
    /// Memory for the next program.
    lists: Lists,
}

/// The state of the pass.
pub(super) struct Compiler<'p> {
    pub(super) program: &'p Prepared,
    pub(super) targets: &'p Targets,
    pub(super) blocks: Blocks,
    pub(super) encoder: Encoder,
    pub(super) layout: Layout,
    /// Registers whose upper half is known to be zero.
    pub(super) upper_clear: u16,
    /// A register, and how much of it, that the zero flag was set by, as long as the code ends there.
    pub(super) zero_flag: Option<(Reg, Width, usize)>,
    /// Whether the budget is counted.
    pub(super) is_counted: bool,
    /// Whether the processor has the second set of bit manipulation instructions.
    pub(super) has_bmi2: bool,
    /// Leaves the code: the run was stopped.
    pub(super) unwind: Label,
    pub(super) out_of_line: Vec<(Label, OutOfLine)>,
    pub(super) stubs: super::calls::Stubs,
    /// The function that is being compiled.
    pub(super) function: Function,
}

/// The memory that compilation takes most of: fresh pages would cost more than what is written into them.
#[derive(Debug, Default)]
struct Memory {
    lists: Lists,
    layout: layout::Lists,
    code: Vec<u8>,
}

thread_local! {
    /// Left by the last program that was compiled here.
    static MEMORY: Cell<Memory> = Cell::default();
}

/// The most that is kept for the next program; small programs leave little.
const MAX_KEPT_BYTES: usize = 1 << 20;

impl Compiled {
    /// Leaves the memory for the next program, once the code lies where it runs.
    pub(super) fn leave_memory(self) {
        let (encoder, layout) = self.code.into_parts();
        let memory = Memory { lists: self.lists, layout, code: encoder.into_memory() };
        let bytes = memory.code.capacity() + memory.lists.bytes() + memory.layout.bytes();
        if bytes <= MAX_KEPT_BYTES {
            MEMORY.set(memory);
        }
    }
}

/// Compiles a program.
pub(super) fn compile(program: &Prepared, targets: &Targets) -> Compiled {
    let n = program.insns().len();
    let Memory { lists, layout, mut code } = MEMORY.take();
    if code.len() < n * 4 {
        // What most programs need; fresh memory of zeros costs nothing where it is not touched.
        code = vec![0; 64 + n * 6];
    }
    let blocks = Blocks::new(program, lists);
    let mut layout = Layout::new(n + blocks.functions.len(), layout);
    let unwind = layout.label();
    let function = blocks.functions[0];
    let mut compiler = Compiler {
        program,
        targets,
        stubs: super::calls::Stubs::new(&mut layout),
        encoder: Encoder::new(code),
        layout,
        upper_clear: 0,
        zero_flag: None,
        is_counted: !program.ends(),
        has_bmi2: std::arch::is_x86_feature_detected!("bmi2"),
        unwind,
        out_of_line: Vec::new(),
        function,
        blocks,
    };
    if compiler.blocks.quiet.is_none() {
        compiler.entrance();
    }
    let mut index = 0;
    while index < n {
        index += compiler.step(index);
    }
    compiler.finish_out_of_line();
    let code = compiler.layout.finish(compiler.encoder);
    let labels = (n as u32..).map(Label);
    let functions = compiler.blocks.functions.iter();
    let entries = functions.zip(labels).map(|(f, label)| (f.entry, code.position(label))).collect();
    let quiet = compiler.blocks.quiet;
    let has_frames = compiler.is_counted || compiler.blocks.used & bit(Reg::R10) != 0;
    let empties_frames = !program.ends() || compiler.blocks.checks || program.needs_empty_frames();
    Compiled { code, entries, quiet, has_frames, empties_frames, lists: compiler.blocks.into_lists() }
}

impl Compiler<'_> {
    /// The registers that the calling convention wants kept and the program uses, in the order in which they are saved.
    fn kept(&self) -> impl Iterator<Item = Gpr> + use<> {
        let used = self.blocks.used;
        let program = (6..=9).filter(move |number| used >> number & 1 != 0);
        [RBP, R12].into_iter().chain(program.map(|number| REGISTERS[number]))
    }

    /// The entrance: saves what the caller wants back, and calls the function that it is given.
    fn entrance(&mut self) {
        let kept: Vec<Gpr> = self.kept().collect();
        for register in &kept {
            self.encoder.push(*register);
        }
        self.encoder.mov(Size::Qword, RUN, R9);
        self.encoder.push_memory(in_run(UNWIND));
        let mut words = kept.len() + 1;
        // The return address is a word too.
        let padded = words.is_multiple_of(2);
        if padded {
            self.encoder.push(RAX);
            words += 1;
        }
        self.encoder.store(Size::Qword, in_run(UNWIND), RSP);
        let argument = |at: usize| Mem { base: RSP, displacement: (8 * (words + 1 + at)) as i32 };
        self.encoder.load(Size::Qword, SCRATCH, argument(0));
        self.encoder.load(Size::Qword, RBP, argument(1));
        if self.is_counted {
            // A program that nobody proved may look at registers that it never wrote.
            for register in [0, 6, 7, 8, 9] {
                if self.blocks.used >> register & 1 != 0 {
                    self.encoder.constant(REGISTERS[register], 0);
                }
            }
        }
        self.encoder.call(SCRATCH);
        let leave = self.layout.label();
        self.layout.place(leave, &self.encoder);
        if padded {
            self.encoder.pop(SCRATCH);
        }
        self.encoder.pop_memory(in_run(UNWIND));
        for register in kept.iter().rev() {
            self.encoder.pop(*register);
        }
        self.encoder.ret();
        self.layout.place(self.unwind, &self.encoder);
        self.encoder.load(Size::Qword, RSP, in_run(UNWIND));
        self.layout.jump(&self.encoder, leave);
    }

    /// Whether the present function is the main function of a program that is entered without an entrance.
    fn is_door(&self) -> bool {
        self.blocks.quiet.is_some() && self.function.entry == 0
    }

    /// The registers that the present function must give back.
    fn saved(&self) -> impl DoubleEndedIterator<Item = Gpr> + use<> {
        let is_door = self.is_door();
        let mut changes = if self.function.is_called || is_door { self.function.changes } else { 0 };
        if is_door {
            changes |= self.blocks.used & bit(Reg::R10);
        }
        (6..=10).filter(move |number| changes >> number & 1 != 0).map(|number| REGISTERS[number])
    }

    /// Whether the present function moves the stack pointer by a word, to align it for calls.
    fn is_padded(&self) -> bool {
        let words = self.saved().count() + usize::from(self.function.has_may_goto);
        self.function.calls && words.is_multiple_of(2) && self.blocks.quiet.is_none()
    }

    fn prologue(&mut self) {
        for register in self.saved() {
            self.encoder.push(register);
        }
        if self.is_door() && self.blocks.used & bit(Reg::R10) != 0 {
            // The sixth argument is the frame pointer.
            self.encoder.mov(Size::Qword, RBP, R9);
        }
        if self.function.has_may_goto {
            self.encoder.push_constant(MAY_GOTO_ROUNDS);
        }
        if self.is_padded() {
            self.encoder.push(SCRATCH);
        }
    }

    /// Returns from the present function.
    pub(super) fn leave(&mut self) {
        for _ in 0..usize::from(self.is_padded()) + usize::from(self.function.has_may_goto) {
            self.encoder.pop(SCRATCH);
        }
        for register in self.saved().rev() {
            self.encoder.pop(register);
        }
        self.encoder.ret();
    }

    /// Compiles the instruction at `index`, and those that become one with it; yields how many that were.
    #[inline]
    fn step(&mut self, index: usize) -> usize {
        if self.blocks.marks(index).leads() {
            self.begin_block(index);
        }
        let effect = self.blocks.effect(index);
        let insn = &self.program.insns()[index];
        match (effect.form, insn) {
            (Form::Registers, Insn::Alu { width, op, dst, src: Operand::Reg(src) }) => {
                self.registers(index, *width, *op, *dst, *src);
            }
            (Form::Constant, Insn::Alu { width, op, dst, src: Operand::Imm(value) }) => {
                self.constant(index, *width, *op, *dst, *value);
            }
            (Form::Arithmetic, Insn::Alu { width, op, dst, src }) => {
                self.alu(index, *width, *op, *dst, *src);
            }
            (Form::Fuses, Insn::Alu { width, op, dst, src }) => {
                let n = self.fuse(index);
                if n > 0 {
                    for index in index..index + n {
                        self.upper_clear = self.blocks.effect(index).upper_clear_after(self.upper_clear);
                    }
                    return n;
                }
                self.alu(index, *width, *op, *dst, *src);
            }
            (Form::Load, Insn::Load { size, sign_extend, dst, base, offset }) => {
                self.load(index, *size, *sign_extend, *dst, place(*base, *offset));
            }
            (Form::Store, Insn::Store { size, base, offset, src }) => {
                self.store(index, *size, place(*base, *offset), *src);
            }
            (Form::Jump, Insn::Jump { width, op, dst, src, .. }) => {
                self.jump_if(index, *width, *op, *dst, *src);
            }
            (_, insn) => self.single(index, *insn),
        }
        self.upper_clear = effect.upper_clear_after(self.upper_clear);
        1
    }

    /// Where calls of the function lead that starts at an instruction.
    pub(super) fn entry(&self, index: usize) -> Label {
        let functions = &self.blocks.functions;
        let at = functions.binary_search_by_key(&index, |function| function.entry);
        Label((self.program.insns().len() + at.expect("calls lead to functions")) as u32)
    }

    fn begin_block(&mut self, index: usize) {
        self.upper_clear = 0;
        self.zero_flag = None;
        let marks = self.blocks.marks(index);
        if marks.starts_function() {
            self.function = self.blocks.function_of(index);
            // A jump to the next instruction is no code, so whoever makes it comes this way too.
            let falls_in = index > 0
                && match self.program.insns()[index - 1] {
                    Insn::Exit => false,
                    Insn::Goto { .. } | Insn::GotoLong { .. } => self.program.target(index - 1) == index,
                    _ => true,
                };
            if falls_in {
                self.layout.jump(&self.encoder, Label(index as u32));
            }
            self.layout.align(&self.encoder, 16);
            let entry = self.entry(index);
            self.layout.place(entry, &self.encoder);
            self.prologue();
        }
        if marks.heads_loop() && !self.is_counted {
            self.layout.align(&self.encoder, 32);
        }
        // Jumps to the first instruction of a function do not enter it again.
        self.layout.place(Label(index as u32), &self.encoder);
        if self.is_counted {
            let n = self.blocks.length(index) as i32;
            self.encoder.binary_memory(Size::Qword, Binary::Sub, in_run(UNTIL_LOOK), n);
        }
    }

    fn single(&mut self, index: usize, insn: Insn) {
        match insn {
            Insn::Alu { width, op, dst, src } => self.alu(index, width, op, dst, src),
            Insn::MovSx { width, dst, src, from_bits } => {
                let from = match from_bits {
                    8 => Size::Byte,
                    16 => Size::Word,
                    _ => Size::Dword,
                };
                self.encoder.sign_extend(size(width), from, gpr(dst), gpr(src));
            }
            Insn::Neg { width, dst } => self.encoder.unary(size(width), Unary::Neg, gpr(dst)),
            Insn::Endian { kind, dst, bits } => self.convert(kind, dst, bits),
            Insn::LoadImm64 { dst, value } => {
                let Imm64::Value(value) = value else { unreachable!("only numbers are left after linking") };
                if self.blocks.is_live_after(index, dst) {
                    self.encoder.constant(gpr(dst), value);
                }
            }
            Insn::Load { size, sign_extend, dst, base, offset } => {
                self.load(index, size, sign_extend, dst, place(base, offset));
            }
            Insn::Store { size, base, offset, src } => self.store(index, size, place(base, offset), src),
            Insn::Atomic { size, op, base, offset, src } => {
                self.atomic(index, size, op, place(base, offset), gpr(src));
            }
            Insn::LoadPacket { size, index: register, offset } => {
                self.load_packet(size, register, offset);
            }
            Insn::Jump { width, op, dst, src, .. } => self.jump_if(index, width, op, dst, src),
            Insn::Goto { .. } | Insn::GotoLong { .. } => {
                let target = self.program.target(index);
                if self.is_counted && target <= index {
                    self.look(index, target);
                } else if target != index + 1 {
                    self.layout.jump(&self.encoder, Label(target as u32));
                }
            }
            Insn::MayGoto { .. } => self.may_goto(index),
            Insn::Call(Callee::Local(_)) => self.call_local(index),
            Insn::Call(Callee::Register(register)) => self.call_register(index, register),
            Insn::Call(_) => self.call_out(index),
            Insn::Exit => self.leave(),
        }
    }

    /// A jump back in a program whose budget is counted.
    fn look(&mut self, index: usize, target: usize) {
        let late = self.layout.label();
        self.out_of_line.push((late, OutOfLine::Look { insn: index, then: Label(target as u32) }));
        self.encoder.binary_memory(Size::Qword, Binary::Cmp, in_run(UNTIL_LOOK), 0);
        self.layout.jump_if(&self.encoder, Condition::LessOrEqual, late);
        self.layout.jump(&self.encoder, Label(target as u32));
    }

    fn may_goto(&mut self, index: usize) {
        let rounds = Mem { base: RSP, displacement: if self.is_padded() { 8 } else { 0 } };
        let target = self.program.target(index);
        let on = self.layout.label();
        self.encoder.binary_memory(Size::Dword, Binary::Cmp, rounds, 0);
        if self.is_counted && target <= index {
            self.layout.jump_if(&self.encoder, Condition::NotEqual, on);
            self.look(index, target);
        } else {
            self.layout.jump_if(&self.encoder, Condition::Equal, Label(target as u32));
        }
        self.layout.place(on, &self.encoder);
        self.encoder.binary_memory(Size::Dword, Binary::Sub, rounds, 1);
    }

    /// Whether the zero flag says already whether a register is zero.
    fn shows_zero(&self, register: Reg, width: Width) -> bool {
        let is_shown = |(of, shown, at)| {
            of == register && at == self.encoder.len() && (shown == Width::W32 || width == Width::W64)
        };
        self.zero_flag.is_some_and(is_shown)
    }

    fn jump_if(&mut self, index: usize, width: Width, op: JumpOp, dst: Reg, src: Operand) {
        let mut width = width;
        let operands = bit(dst) | if let Operand::Reg(src) = src { bit(src) } else { 0 };
        let is_small = matches!(src, Operand::Reg(_) | Operand::Imm(0..));
        let is_signed = matches!(op, JumpOp::Sgt | JumpOp::Sge | JumpOp::Slt | JumpOp::Sle);
        if width == Width::W64 && is_small && !is_signed && self.upper_clear & operands == operands {
            // Both upper halves are zero: the shorter comparison says the same.
            width = Width::W32;
        }
        let (size, left) = (size(width), gpr(dst));
        let mut condition = condition(op);
        match (op, src) {
            (JumpOp::Set, Operand::Reg(src)) => self.encoder.test(size, left, gpr(src)),
            (JumpOp::Set, Operand::Imm(value)) => self.encoder.test_constant(size, left, value),
            (JumpOp::Eq | JumpOp::Ne, Operand::Imm(0)) if self.shows_zero(dst, width) => {}
            (_, Operand::Imm(0)) => self.encoder.test(size, left, left),
            (_, Operand::Imm(value)) => self.encoder.binary_constant(size, Binary::Cmp, left, value),
            (_, Operand::Reg(src)) => self.encoder.binary(size, Binary::Cmp, left, gpr(src)),
        }
        let target = self.program.target(index);
        if self.is_counted && target <= index {
            let on = self.layout.label();
            condition = condition.negated();
            self.layout.jump_if(&self.encoder, condition, on);
            self.look(index, target);
            self.layout.place(on, &self.encoder);
        } else {
            self.layout.jump_if(&self.encoder, condition, Label(target as u32));
        }
    }
}

fn condition(op: JumpOp) -> Condition {
    match op {
        JumpOp::Eq => Condition::Equal,
        JumpOp::Ne | JumpOp::Set => Condition::NotEqual,
        JumpOp::Gt => Condition::Above,
        JumpOp::Ge => Condition::AboveOrEqual,
        JumpOp::Lt => Condition::Below,
        JumpOp::Le => Condition::BelowOrEqual,
        JumpOp::Sgt => Condition::Greater,
        JumpOp::Sge => Condition::GreaterOrEqual,
        JumpOp::Slt => Condition::Less,
        JumpOp::Sle => Condition::LessOrEqual,
    }
}
