//! Random instructions for property tests.

use nonna_bpf::{AluOp, AtomicOp, Callee, Endian, Imm64, Insn, JumpOp, MemSize, Operand, Reg, Width};
use proptest::prelude::*;

fn reg() -> impl Strategy<Value = Reg> {
    (0..=10u8).prop_map(|n| Reg::new(n).expect("0 to 10 exist"))
}

fn width() -> impl Strategy<Value = Width> {
    prop_oneof![Just(Width::W32), Just(Width::W64)]
}

fn size() -> impl Strategy<Value = MemSize> {
    prop_oneof![Just(MemSize::B), Just(MemSize::H), Just(MemSize::W), Just(MemSize::DW)]
}

fn operand() -> impl Strategy<Value = Operand> {
    prop_oneof![reg().prop_map(Operand::Reg), any::<i32>().prop_map(Operand::Imm)]
}

fn alu_op() -> impl Strategy<Value = AluOp> {
    use AluOp::*;
    prop::sample::select(vec![Add, Sub, Mul, Div, Sdiv, Mod, Smod, Or, And, Xor, Lsh, Rsh, Arsh, Mov])
}

fn jump_op() -> impl Strategy<Value = JumpOp> {
    use JumpOp::*;
    prop::sample::select(vec![Eq, Ne, Gt, Ge, Lt, Le, Set, Sgt, Sge, Slt, Sle])
}

fn atomic_op() -> impl Strategy<Value = AtomicOp> {
    prop_oneof![
        any::<bool>().prop_map(|fetch| AtomicOp::Add { fetch }),
        any::<bool>().prop_map(|fetch| AtomicOp::Or { fetch }),
        any::<bool>().prop_map(|fetch| AtomicOp::And { fetch }),
        any::<bool>().prop_map(|fetch| AtomicOp::Xor { fetch }),
        Just(AtomicOp::Exchange),
        Just(AtomicOp::CompareExchange),
    ]
}

fn imm64() -> impl Strategy<Value = Imm64> {
    prop_oneof![
        any::<u64>().prop_map(Imm64::Value),
        any::<i32>().prop_map(Imm64::MapFd),
        (any::<i32>(), any::<u32>()).prop_map(|(fd, offset)| Imm64::MapValueFd { fd, offset }),
        any::<i32>().prop_map(Imm64::MapIndex),
        (any::<i32>(), any::<u32>()).prop_map(|(index, offset)| Imm64::MapValueIndex { index, offset }),
        (any::<u32>(), any::<u32>()).prop_map(|(type_id, btf_fd)| Imm64::BtfVariable { type_id, btf_fd }),
        any::<i32>().prop_map(Imm64::Function),
    ]
}

fn memory() -> impl Strategy<Value = Insn> {
    prop_oneof![
        (size(), any::<bool>(), reg(), reg(), any::<i16>()).prop_map(|(size, sx, dst, base, offset)| {
            Insn::Load { size, sign_extend: sx && size != MemSize::DW, dst, base, offset }
        }),
        (size(), reg(), any::<i16>(), operand()).prop_map(|(size, base, offset, src)| Insn::Store {
            size,
            base,
            offset,
            src
        }),
        (any::<bool>(), atomic_op(), reg(), any::<i16>(), reg()).prop_map(|(wide, op, base, offset, src)| {
            let size = if wide { MemSize::DW } else { MemSize::W };
            Insn::Atomic { size, op, base, offset, src }
        }),
        (0..3usize, prop::option::of(reg()), any::<i32>()).prop_map(|(size, index, offset)| {
            Insn::LoadPacket { size: [MemSize::B, MemSize::H, MemSize::W][size], index, offset }
        }),
    ]
}

/// Any instruction that encodes.
pub fn insn() -> impl Strategy<Value = Insn> {
    prop_oneof![
        (width(), alu_op(), reg(), operand()).prop_map(|(width, op, dst, src)| Insn::Alu {
            width,
            op,
            dst,
            src
        }),
        (width(), reg(), reg(), 0..3usize).prop_map(|(width, dst, src, bits)| {
            let from_bits = [8, 16, if width == Width::W64 { 32 } else { 16 }][bits];
            Insn::MovSx { width, dst, src, from_bits }
        }),
        (width(), reg()).prop_map(|(width, dst)| Insn::Neg { width, dst }),
        (0..3usize, reg(), 0..3usize).prop_map(|(kind, dst, bits)| Insn::Endian {
            kind: [Endian::Le, Endian::Be, Endian::Swap][kind],
            dst,
            bits: [16, 32, 64][bits],
        }),
        (reg(), imm64()).prop_map(|(dst, value)| Insn::LoadImm64 { dst, value }),
        memory(),
        (width(), jump_op(), reg(), operand(), any::<i16>())
            .prop_map(|(width, op, dst, src, offset)| Insn::Jump { width, op, dst, src, offset }),
        any::<i16>().prop_map(|offset| Insn::Goto { offset }),
        any::<i32>().prop_map(|offset| Insn::GotoLong { offset }),
        any::<i16>().prop_map(|offset| Insn::MayGoto { offset }),
        any::<u32>().prop_map(|id| Insn::Call(Callee::Helper(id))),
        any::<i32>().prop_map(|offset| Insn::Call(Callee::Local(offset))),
        (any::<i32>(), any::<i16>())
            .prop_map(|(type_id, fd_index)| Insn::Call(Callee::Kfunc { type_id, fd_index })),
        reg().prop_map(|target| Insn::Call(Callee::Register(target))),
        Just(Insn::Exit),
    ]
}
