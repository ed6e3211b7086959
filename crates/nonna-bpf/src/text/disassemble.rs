//! Instructions to text.
//!
//! Every instruction prints as one line that the assembler reads back to the same instruction.

use super::{alu_sign, jump_sign, signed_type, unsigned_type};
use crate::codec::opcode_of;
use crate::helper::Helper;
use crate::insn::{AluOp, AtomicOp, Callee, Endian, Imm64, Insn, MemSize, Operand, Reg, Width};
use std::fmt;

/// What stands in front of each instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TextOptions {
    /// The slot: `12: `.
    pub slots: bool,
    /// The opcode: `(bf) `. It tells 64-bit constants from moves, so these print as the kernel prints them.
    pub opcodes: bool,
}

/// The text of a program, one line each.
pub fn disassemble(insns: &[Insn], options: TextOptions) -> String {
    use fmt::Write as _;
    let mut text = String::with_capacity(insns.len() * 28);
    let mut slot = 0;
    for insn in insns {
        // Writing to a `String` cannot fail.
        let _ = if options.slots { write!(text, "{slot}: ") } else { Ok(()) };
        let _ = if options.opcodes { write!(text, "{}", WithOpcode(insn)) } else { write!(text, "{insn}") };
        text.push('\n');
        slot += insn.slots();
    }
    text
}

struct WithOpcode<'a>(&'a Insn);

impl fmt::Display for WithOpcode<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match opcode_of(self.0) {
            Some(opcode) => write!(f, "({opcode:02x}) ")?,
            None => f.write_str("(??) ")?,
        }
        match self.0 {
            Insn::LoadImm64 { dst, value: Imm64::Value(value) } => write!(f, "{dst} = {value:#x}"),
            insn => write!(f, "{insn}"),
        }
    }
}

/// As the verifier's log has it, without opcode; a 64-bit constant ends in ` ll`, which tells it from a move.
impl fmt::Display for Insn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Insn::Alu { width, op, dst, src } => {
                let dst = Named(width, dst);
                match src {
                    Operand::Reg(src) => write!(f, "{dst} {} {}", alu_sign(op), Named(width, src)),
                    Operand::Imm(imm) => write!(f, "{dst} {} {imm}", alu_sign(op)),
                }
            }
            Insn::MovSx { width, dst, src, from_bits } => {
                let (dst, sign, src) = (Named(width, dst), alu_sign(AluOp::Mov), Named(width, src));
                write!(f, "{dst} {sign} (s{from_bits}){src}")
            }
            Insn::Neg { width, dst } => write!(f, "{0} = -{0}", Named(width, dst)),
            Insn::Endian { kind, dst, bits } => {
                let name = match kind {
                    Endian::Le => "le",
                    Endian::Be => "be",
                    Endian::Swap => "bswap",
                };
                write!(f, "{dst} = {name}{bits} {dst}")
            }
            Insn::LoadImm64 { dst, value } => write!(f, "{dst} = {value}"),
            Insn::Load { size, sign_extend, dst, base, offset } => {
                let name = if sign_extend { signed_type(size) } else { unsigned_type(size) };
                write!(f, "{dst} = *({name} *)({base} {offset:+})")
            }
            Insn::Store { size, base, offset, src } => write!(f, "{} = {src}", Place(size, base, offset)),
            Insn::Atomic { size, op, base, offset, src } => {
                write_atomic(f, op, size, Place(size, base, offset), src)
            }
            Insn::LoadPacket { size, index, offset } => {
                write!(f, "r0 = *({} *)skb[", unsigned_type(size))?;
                if let Some(index) = index {
                    write!(f, "{index} + ")?;
                }
                write!(f, "{offset}]")
            }
            Insn::Jump { width, op, dst, src, offset } => {
                let dst = Named(width, dst);
                match src {
                    Operand::Reg(src) => write!(f, "if {dst} {} {}", jump_sign(op), Named(width, src))?,
                    Operand::Imm(imm) => write!(f, "if {dst} {} {imm:#x}", jump_sign(op))?,
                }
                write!(f, " goto pc{offset:+}")
            }
            Insn::Goto { offset } => write!(f, "goto pc{offset:+}"),
            Insn::GotoLong { offset } => write!(f, "gotol pc{offset:+}"),
            Insn::MayGoto { offset } => write!(f, "may_goto pc{offset:+}"),
            Insn::Call(callee) => write!(f, "{callee}"),
            Insn::Exit => f.write_str("exit"),
        }
    }
}

fn write_atomic(
    f: &mut fmt::Formatter<'_>,
    op: AtomicOp,
    size: MemSize,
    place: Place,
    src: Reg,
) -> fmt::Result {
    let (sign, name, fetch) = match op {
        AtomicOp::Add { fetch } => ("+=", "add", fetch),
        AtomicOp::Or { fetch } => ("|=", "or", fetch),
        AtomicOp::And { fetch } => ("&=", "and", fetch),
        AtomicOp::Xor { fetch } => ("^=", "xor", fetch),
        AtomicOp::Exchange => ("", "xchg", true),
        AtomicOp::CompareExchange => ("", "cmpxchg", true),
    };
    if !fetch {
        return write!(f, "lock {place} {sign} {src}");
    }
    let wide = if size == MemSize::DW { "64" } else { "" };
    let inner = Inner(place);
    match op {
        AtomicOp::CompareExchange => write!(f, "r0 = atomic{wide}_{name}({inner}, r0, {src})"),
        AtomicOp::Exchange => write!(f, "{src} = atomic{wide}_{name}({inner}, {src})"),
        _ => write!(f, "{src} = atomic{wide}_fetch_{name}({inner}, {src})"),
    }
}

/// A register with the letter of its width.
struct Named(Width, Reg);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = match self.0 {
            Width::W32 => 'w',
            Width::W64 => 'r',
        };
        write!(f, "{letter}{}", self.1.number())
    }
}

/// `*(u64 *)(r10 -8)`
struct Place(MemSize, Reg, i16);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "*({} *)({} {:+})", unsigned_type(self.0), self.1, self.2)
    }
}

/// `(u64 *)(r10 -8)`
struct Inner(Place);

impl fmt::Display for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} *)({} {:+})", unsigned_type(self.0.0), self.0.1, self.0.2)
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operand::Reg(reg) => write!(f, "{reg}"),
            Operand::Imm(imm) => write!(f, "{imm}"),
        }
    }
}

impl fmt::Display for Imm64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Imm64::Value(value) => write!(f, "{value:#x} ll"),
            Imm64::MapFd(fd) => write!(f, "map[fd:{fd}]"),
            Imm64::MapValueFd { fd, offset } => write!(f, "map[fd:{fd}][0]+{offset}"),
            Imm64::MapIndex(index) => write!(f, "map[idx:{index}]"),
            Imm64::MapValueIndex { index, offset } => write!(f, "map[idx:{index}][0]+{offset}"),
            Imm64::BtfVariable { type_id, btf_fd: 0 } => write!(f, "btf[id:{type_id}]"),
            Imm64::BtfVariable { type_id, btf_fd } => write!(f, "btf[id:{type_id}, fd:{btf_fd}]"),
            Imm64::Function(offset) => write!(f, "subprog[{offset:+}]"),
        }
    }
}

impl fmt::Display for Callee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Callee::Helper(id) => match Helper::from_id(id) {
                Some(helper) => write!(f, "call {helper}#{id}"),
                // The kernel prints numbers of helpers as signed.
                None => write!(f, "call unknown#{}", id as i32),
            },
            Callee::Local(offset) => write!(f, "call pc{offset:+}"),
            Callee::Kfunc { type_id, fd_index: 0 } => write!(f, "call kernel-function#{type_id}"),
            Callee::Kfunc { type_id, fd_index } => write!(f, "call kernel-function#{type_id}[{fd_index}]"),
            Callee::Register(target) => write!(f, "callx {target}"),
        }
    }
}
