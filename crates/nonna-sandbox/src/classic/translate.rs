//! Classic programs as eBPF programs, so that the engines run them.
//!
//! `A` lives in `r0`, `X` in `r7`, scratch memory on the stack. A packet load that leaves the packet and a division by a zero
//! in `X` end the program with 0, as `bpf_convert_filter` in `net/core/filter.c` has it. Jumps only go forward, before as
//! after.

use nonna_bpf::{AluOp, Callee, Endian, Insn, JumpOp, MemSize, Operand as Source, Reg, Width};

use super::check::{EXTENSION_BASE, Extension, Filter};
use super::insn::{Alu, ClassicInsn, Condition, Operand, Register};

/// What the translated program finds at its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// `r1` is a `__sk_buff`, as for programs of socket filters. Every extension works.
    SocketBuffer,
    /// `r1` is the packet's first byte and `r2` its length in bytes. Of the extensions, those work that need no more than
    /// that: processor, random number, exclusive or.
    Memory,
}

/// Helpers that only the sandbox has: what the kernel's own translation calls without a number. Each takes the `__sk_buff`, `A`
/// and `X`.
pub mod helper {
    /// [`Extension::NetlinkAttribute`](super::Extension::NetlinkAttribute).
    pub const NETLINK_ATTRIBUTE: u32 = 0x4000_000c;
    /// [`Extension::NestedNetlinkAttribute`](super::Extension::NestedNetlinkAttribute).
    pub const NESTED_NETLINK_ATTRIBUTE: u32 = 0x4000_0010;
    /// [`Extension::HardwareType`](super::Extension::HardwareType).
    pub const HARDWARE_TYPE: u32 = 0x4000_001c;
    /// [`Extension::PayloadOffset`](super::Extension::PayloadOffset).
    pub const PAYLOAD_OFFSET: u32 = 0x4000_0034;
}

/// A program that plain memory cannot serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("instruction {insn}: it asks for what the packet's bytes do not tell ({extension:?})")]
pub struct TranslateError {
    /// Index of the instruction, from 0.
    pub insn: usize,
    /// What it asks for.
    pub extension: Extension,
}

const A: Reg = Reg::R0;
const X: Reg = Reg::R7;
const CONTEXT: Reg = Reg::R6;
/// First byte of the packet, over plain memory; else scratch.
const PACKET: Reg = Reg::R8;
/// Length of the packet, over plain memory.
const LENGTH: Reg = Reg::R9;
/// `bpf_get_prandom_u32`.
const RANDOM: u32 = 7;
/// `bpf_get_smp_processor_id`.
const PROCESSOR: u32 = 8;

/// Makes an eBPF program of a classic one.
///
/// # Errors
///
/// [`TranslateError`] for extensions that plain memory does not serve.
pub fn translate(filter: &Filter, over: Over) -> Result<Vec<Insn>, TranslateError> {
    let mut translation = Translation { over, out: Vec::new(), starts: Vec::new() };
    translation.prologue();
    for (index, insn) in filter.insns().iter().enumerate() {
        translation.starts.push(translation.out.len());
        translation.insn(index, *insn).map_err(|extension| TranslateError { insn: index, extension })?;
    }
    Ok(translation.finish(filter.insns().len()))
}

/// An instruction, or a jump whose distance is not known yet.
#[derive(Clone, Copy)]
enum Draft {
    Done(Insn),
    /// To a classic instruction; the last index and one more is the place that ends with 0.
    Goto(usize),
    JumpIf(JumpOp, Reg, Source, usize),
    /// As `JumpIf`, over all 64 bits.
    WideJumpIf(JumpOp, Reg, Source, usize),
}

/// Where failed loads go, as the target of a draft.
const END_WITH_ZERO: usize = usize::MAX;

struct Translation {
    over: Over,
    out: Vec<Draft>,
    /// Draft at which each classic instruction starts.
    starts: Vec<usize>,
}

impl Translation {
    fn emit(&mut self, insn: Insn) {
        self.out.push(Draft::Done(insn));
    }

    fn alu(&mut self, width: Width, op: AluOp, dst: Reg, src: Source) {
        self.emit(Insn::Alu { width, op, dst, src });
    }

    /// 32-bit move; the upper half becomes 0.
    fn mov(&mut self, dst: Reg, src: Source) {
        self.alu(Width::W32, AluOp::Mov, dst, src);
    }

    fn mov_wide(&mut self, dst: Reg, src: Reg) {
        self.alu(Width::W64, AluOp::Mov, dst, Source::Reg(src));
    }

    fn load(&mut self, size: MemSize, dst: Reg, base: Reg, offset: i16) {
        self.emit(Insn::Load { size, sign_extend: false, dst, base, offset });
    }

    fn prologue(&mut self) {
        match self.over {
            Over::SocketBuffer => self.mov_wide(CONTEXT, Reg::R1),
            Over::Memory => {
                self.mov_wide(PACKET, Reg::R1);
                self.mov_wide(LENGTH, Reg::R2);
            }
        }
        self.mov(A, Source::Imm(0));
        self.mov(X, Source::Imm(0));
    }

    fn insn(&mut self, index: usize, insn: ClassicInsn) -> Result<(), Extension> {
        match insn {
            ClassicInsn::LoadPacket { size, offset } => match Extension::at(offset) {
                Some(extension) => self.extension(extension)?,
                None => self.packet(size, offset, false),
            },
            ClassicInsn::LoadPacketIndexed { size, offset } => self.packet(size, offset, true),
            ClassicInsn::LoadHeaderLength { offset } => {
                let kept = if self.over == Over::Memory { Reg::R3 } else { PACKET };
                self.mov(kept, Source::Reg(A));
                self.packet(MemSize::B, offset, false);
                self.alu(Width::W32, AluOp::And, A, Source::Imm(15));
                self.alu(Width::W32, AluOp::Lsh, A, Source::Imm(2));
                self.mov(X, Source::Reg(A));
                self.mov(A, Source::Reg(kept));
            }
            ClassicInsn::LoadLength(register) => match self.over {
                Over::SocketBuffer => self.load(MemSize::W, place(register), CONTEXT, 0),
                Over::Memory => self.mov(place(register), Source::Reg(LENGTH)),
            },
            ClassicInsn::LoadConstant(register, k) => self.mov(place(register), constant(k)),
            ClassicInsn::LoadScratch(register, slot) => {
                self.load(MemSize::W, place(register), Reg::R10, scratch(slot));
            }
            ClassicInsn::StoreScratch(register, slot) => {
                let src = Source::Reg(place(register));
                self.emit(Insn::Store { size: MemSize::W, base: Reg::R10, offset: scratch(slot), src });
            }
            ClassicInsn::Alu(op, operand) => {
                if matches!((op, operand), (Alu::Div | Alu::Mod, Operand::X)) {
                    self.out.push(Draft::JumpIf(JumpOp::Eq, X, Source::Imm(0), END_WITH_ZERO));
                }
                self.alu(Width::W32, alu_op(op), A, source(operand));
            }
            ClassicInsn::Negate => self.emit(Insn::Neg { width: Width::W32, dst: A }),
            ClassicInsn::Jump(skip) => self.out.push(Draft::Goto(index + 1 + skip as usize)),
            ClassicInsn::JumpIf { condition, operand, taken, otherwise } => {
                let targets = [taken, otherwise].map(|skip| index + 1 + usize::from(skip));
                self.jump_if(condition, source(operand), targets, index + 1);
            }
            ClassicInsn::ReturnConstant(k) => {
                self.mov(A, constant(k));
                self.emit(Insn::Exit);
            }
            ClassicInsn::ReturnA => self.emit(Insn::Exit),
            ClassicInsn::Tax => self.mov(X, Source::Reg(A)),
            ClassicInsn::Txa => self.mov(A, Source::Reg(X)),
        }
        Ok(())
    }

    /// Where one side is the next instruction, one jump does.
    fn jump_if(
        &mut self,
        condition: Condition,
        operand: Source,
        [taken, otherwise]: [usize; 2],
        next: usize,
    ) {
        let (holds, fails) = match condition {
            Condition::Equal => (JumpOp::Eq, Some(JumpOp::Ne)),
            Condition::Above => (JumpOp::Gt, Some(JumpOp::Le)),
            Condition::AtLeast => (JumpOp::Ge, Some(JumpOp::Lt)),
            Condition::AnyBit => (JumpOp::Set, None),
        };
        match fails {
            _ if taken == otherwise => self.goto_unless_next(taken, next),
            Some(fails) if taken == next => self.out.push(Draft::JumpIf(fails, A, operand, otherwise)),
            _ => {
                self.out.push(Draft::JumpIf(holds, A, operand, taken));
                self.goto_unless_next(otherwise, next);
            }
        }
    }

    fn goto_unless_next(&mut self, target: usize, next: usize) {
        if target != next {
            self.out.push(Draft::Goto(target));
        }
    }

    /// `A = packet[offset]`, or from `X + offset`.
    fn packet(&mut self, size: MemSize, offset: u32, indexed: bool) {
        let bytes = size.bytes();
        match self.over {
            Over::SocketBuffer => {
                let index = indexed.then_some(X);
                self.emit(Insn::LoadPacket { size, index, offset: offset.cast_signed() });
                return;
            }
            // The sum wraps at 32 bits, as in the kernel, where what then is negative counts from no header here.
            Over::Memory if indexed => {
                self.mov(Reg::R1, Source::Reg(X));
                self.alu(Width::W32, AluOp::Add, Reg::R1, constant(offset));
                self.mov_wide(Reg::R2, Reg::R1);
                self.alu(Width::W64, AluOp::Add, Reg::R2, constant(bytes));
                self.out.push(Draft::WideJumpIf(JumpOp::Gt, Reg::R2, Source::Reg(LENGTH), END_WITH_ZERO));
                self.alu(Width::W64, AluOp::Add, Reg::R1, Source::Reg(PACKET));
                self.load(size, A, Reg::R1, 0);
            }
            Over::Memory => {
                let Some(end) =
                    i32::try_from(offset).ok().and_then(|offset| offset.checked_add_unsigned(bytes))
                else {
                    self.out.push(Draft::Goto(END_WITH_ZERO));
                    return;
                };
                self.out.push(Draft::WideJumpIf(JumpOp::Lt, LENGTH, Source::Imm(end), END_WITH_ZERO));
                match i16::try_from(offset) {
                    Ok(offset) => self.load(size, A, PACKET, offset),
                    Err(_) => {
                        self.mov_wide(Reg::R1, PACKET);
                        self.alu(Width::W64, AluOp::Add, Reg::R1, constant(offset));
                        self.load(size, A, Reg::R1, 0);
                    }
                }
            }
        }
        self.convert_order(size);
    }

    fn convert_order(&mut self, size: MemSize) {
        if size > MemSize::B {
            let bits = (8 * size.bytes()) as u8;
            self.emit(Insn::Endian { kind: Endian::Be, dst: A, bits });
        }
    }

    fn extension(&mut self, extension: Extension) -> Result<(), Extension> {
        match extension {
            Extension::XorX => self.alu(Width::W32, AluOp::Xor, A, Source::Reg(X)),
            Extension::Random => self.emit(Insn::Call(Callee::Helper(RANDOM))),
            Extension::Processor => self.emit(Insn::Call(Callee::Helper(PROCESSOR))),
            _ if self.over == Over::Memory => return Err(extension),
            Extension::Protocol => self.field(16, true),
            Extension::PacketType => self.field(4, false),
            Extension::Mark => self.field(8, false),
            Extension::Queue => self.field(12, false),
            Extension::Hash => self.field(68, false),
            Extension::VlanTag => self.field(24, false),
            Extension::VlanTagPresent => self.field(20, false),
            Extension::VlanProtocol => self.field(28, true),
            Extension::InterfaceIndex => {
                self.end_without_device();
                self.field(40, false);
            }
            Extension::HardwareType => {
                self.end_without_device();
                self.call(helper::HARDWARE_TYPE);
            }
            Extension::NetlinkAttribute => self.call(helper::NETLINK_ATTRIBUTE),
            Extension::NestedNetlinkAttribute => self.call(helper::NESTED_NETLINK_ATTRIBUTE),
            Extension::PayloadOffset => self.call(helper::PAYLOAD_OFFSET),
        }
        Ok(())
    }

    /// A field of `__sk_buff`; numbers in network order there are turned.
    fn field(&mut self, offset: i16, network_order: bool) {
        self.load(MemSize::W, A, CONTEXT, offset);
        if network_order {
            self.convert_order(MemSize::H);
        }
    }

    /// Without a device the program ends with what `A` holds.
    fn end_without_device(&mut self) {
        self.load(MemSize::W, Reg::R1, CONTEXT, 40);
        self.emit(Insn::Jump {
            width: Width::W32,
            op: JumpOp::Ne,
            dst: Reg::R1,
            src: Source::Imm(0),
            offset: 1,
        });
        self.emit(Insn::Exit);
    }

    fn call(&mut self, number: u32) {
        self.mov_wide(Reg::R1, CONTEXT);
        self.mov(Reg::R2, Source::Reg(A));
        self.mov(Reg::R3, Source::Reg(X));
        self.emit(Insn::Call(Callee::Helper(number)));
    }

    /// Adds the end with 0 and gives jumps their distances: short ones where all fit, else long ones throughout.
    fn finish(mut self, n_insns: usize) -> Vec<Insn> {
        debug_assert_eq!(self.starts.len(), n_insns);
        self.starts.push(self.out.len());
        self.mov(A, Source::Imm(0));
        self.emit(Insn::Exit);
        self.laid_out(false).or_else(|| self.laid_out(true)).expect("long jumps reach everywhere")
    }

    fn laid_out(&self, long: bool) -> Option<Vec<Insn>> {
        let slots = |draft: &Draft| match draft {
            Draft::JumpIf(..) | Draft::WideJumpIf(..) if long => 3,
            _ => 1,
        };
        let mut at = Vec::with_capacity(self.out.len() + 1);
        let mut end = 0i32;
        for draft in &self.out {
            at.push(end);
            end += slots(draft);
        }
        let zero = *self.starts.last()?;
        let target = |index: usize| at[if index == END_WITH_ZERO { zero } else { self.starts[index] }];
        let mut insns = Vec::with_capacity(end as usize);
        for (draft, here) in self.out.iter().zip(&at) {
            match *draft {
                Draft::Done(insn) => insns.push(insn),
                Draft::Goto(index) => insns.push(goto(target(index) - here - 1, long)?),
                Draft::JumpIf(op, dst, src, index) => {
                    conditional(&mut insns, (Width::W32, op, dst, src), target(index) - here - 1, long)?;
                }
                Draft::WideJumpIf(op, dst, src, index) => {
                    conditional(&mut insns, (Width::W64, op, dst, src), target(index) - here - 1, long)?;
                }
            }
        }
        Some(insns)
    }
}

fn goto(distance: i32, long: bool) -> Option<Insn> {
    if long {
        return Some(Insn::GotoLong { offset: distance });
    }
    Some(Insn::Goto { offset: i16::try_from(distance).ok()? })
}

/// `distance` is from the first instruction that this adds.
fn conditional(
    insns: &mut Vec<Insn>,
    (width, op, dst, src): (Width, JumpOp, Reg, Source),
    distance: i32,
    long: bool,
) -> Option<()> {
    if !long {
        insns.push(Insn::Jump { width, op, dst, src, offset: i16::try_from(distance).ok()? });
        return Some(());
    }
    insns.push(Insn::Jump { width, op, dst, src, offset: 1 });
    insns.push(Insn::Goto { offset: 1 });
    insns.push(Insn::GotoLong { offset: distance - 2 });
    Some(())
}

fn place(register: Register) -> Reg {
    match register {
        Register::A => A,
        Register::X => X,
    }
}

/// The bits of a constant; 32-bit operations do not mind the sign, and others get what is small.
fn constant(k: u32) -> Source {
    Source::Imm(k.cast_signed())
}

fn source(operand: Operand) -> Source {
    match operand {
        Operand::K(k) => constant(k),
        Operand::X => Source::Reg(X),
    }
}

/// Offset from the frame pointer of a word of scratch memory.
fn scratch(slot: u32) -> i16 {
    -4 * (slot as i16 + 1)
}

fn alu_op(op: Alu) -> AluOp {
    match op {
        Alu::Add => AluOp::Add,
        Alu::Sub => AluOp::Sub,
        Alu::Mul => AluOp::Mul,
        Alu::Div => AluOp::Div,
        Alu::Or => AluOp::Or,
        Alu::And => AluOp::And,
        Alu::Lsh => AluOp::Lsh,
        Alu::Rsh => AluOp::Rsh,
        Alu::Mod => AluOp::Mod,
        Alu::Xor => AluOp::Xor,
    }
}

// What is no extension by name never passes the checker, so a load from there is an extension.
const _: () = assert!(EXTENSION_BASE > i32::MAX as u32);
