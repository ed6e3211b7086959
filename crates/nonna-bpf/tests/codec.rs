//! The encoding: exhaustive round trips, and known bytes of every group of instructions.

use nonna_bpf::{
    AluOp, AtomicOp, Callee, DecodeErrorKind, Endian, Field, Imm64, Insn, IsaLevel, JumpOp, MemSize, Operand,
    Reg, SlotMap, Width, assemble, decode, decode_slots, encode, encode_slots,
};
use proptest::prelude::*;
use strategies::insn;

mod strategies;

const OFFSETS: &[i16] = &[0, 1, 2, 8, 16, 24, 32, 64, -1, i16::MIN, i16::MAX];
const IMMS: &[i32] = &[
    0,
    1,
    2,
    8,
    16,
    24,
    32,
    64,
    0x40,
    0x41,
    0x50,
    0x51,
    0xa0,
    0xa1,
    0xe0,
    0xe1,
    0xf0,
    0xf1,
    0x100,
    -1,
    i32::MIN,
    i32::MAX,
];

fn slot(opcode: u8, registers: u8, offset: i16, imm: i32) -> [u8; 8] {
    let mut bytes = [opcode, registers, 0, 0, 0, 0, 0, 0];
    bytes[2..4].copy_from_slice(&offset.to_le_bytes());
    bytes[4..].copy_from_slice(&imm.to_le_bytes());
    bytes
}

/// Whatever decodes is written back to the same bytes, over every opcode and register pair.
#[test]
fn every_valid_slot_survives() {
    let mut n_valid_opcodes = 0;
    for opcode in 0..=u8::MAX {
        let mut valid = false;
        for registers in 0..=u8::MAX {
            for &offset in OFFSETS {
                for &imm in IMMS {
                    let mut bytes = slot(opcode, registers, offset, imm).to_vec();
                    if opcode == 0x18 {
                        bytes.extend_from_slice(&slot(0, 0, 0, imm));
                    }
                    let Ok(insns) = decode(&bytes) else { continue };
                    valid = true;
                    assert_eq!(insns.len(), 1);
                    assert_eq!(encode(&insns).unwrap(), bytes, "{insns:?}");
                }
            }
        }
        n_valid_opcodes += u32::from(valid);
    }
    // 24 + 24 two-operand arithmetic, 2 negations, 3 byte swaps, 44 conditional jumps, 2 gotos, may_goto, 2 calls,
    // exit, 6 packet loads, the 64-bit load, 4 + 3 loads, 4 + 4 stores, 2 atomics.
    assert_eq!(n_valid_opcodes, 24 + 24 + 2 + 3 + 44 + 2 + 1 + 2 + 1 + 6 + 1 + 7 + 8 + 2);
}

proptest! {
    #[test]
    fn every_instruction_survives(insns in prop::collection::vec(insn(), 0..40)) {
        let bytes = encode(&insns).unwrap();
        prop_assert_eq!(&decode(&bytes).unwrap(), &insns);
        let slots = encode_slots(&insns).unwrap();
        prop_assert_eq!(slots.len() * 8, bytes.len());
        prop_assert_eq!(SlotMap::new(&insns).n_slots() as usize, slots.len());
        prop_assert_eq!(&decode_slots(&slots).unwrap(), &insns);
    }

    #[test]
    fn any_bytes_decode_or_say_where(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        match decode(&bytes) {
            Ok(insns) => prop_assert_eq!(encode(&insns).unwrap(), bytes),
            Err(error) => prop_assert!(error.slot <= bytes.len() / 8),
        }
    }
}

/// Bytes as LLVM's assembler writes them, one of each group.
#[test]
fn known_bytes() {
    let (r0, r1, r2, r10) = (Reg::R0, Reg::R1, Reg::R2, Reg::R10);
    let cases: &[(&[u8], Insn)] = &[
        (
            &[0xb7, 0, 0, 0, 1, 0, 0, 0],
            Insn::Alu { width: Width::W64, op: AluOp::Mov, dst: r0, src: Operand::Imm(1) },
        ),
        (
            &[0x0c, 0x21, 0, 0, 0, 0, 0, 0],
            Insn::Alu { width: Width::W32, op: AluOp::Add, dst: r1, src: Operand::Reg(r2) },
        ),
        (
            &[0x3f, 0x21, 1, 0, 0, 0, 0, 0],
            Insn::Alu { width: Width::W64, op: AluOp::Sdiv, dst: r1, src: Operand::Reg(r2) },
        ),
        (
            &[0x94, 0x01, 1, 0, 0xfd, 0xff, 0xff, 0xff],
            Insn::Alu { width: Width::W32, op: AluOp::Smod, dst: r1, src: Operand::Imm(-3) },
        ),
        (
            &[0xbf, 0x21, 0x20, 0, 0, 0, 0, 0],
            Insn::MovSx { width: Width::W64, dst: r1, src: r2, from_bits: 32 },
        ),
        (&[0x87, 0x01, 0, 0, 0, 0, 0, 0], Insn::Neg { width: Width::W64, dst: r1 }),
        (&[0xd4, 0x01, 0, 0, 16, 0, 0, 0], Insn::Endian { kind: Endian::Le, dst: r1, bits: 16 }),
        (&[0xdc, 0x01, 0, 0, 32, 0, 0, 0], Insn::Endian { kind: Endian::Be, dst: r1, bits: 32 }),
        (&[0xd7, 0x01, 0, 0, 64, 0, 0, 0], Insn::Endian { kind: Endian::Swap, dst: r1, bits: 64 }),
        (
            &[0x18, 0x01, 0, 0, 0x88, 0x77, 0x66, 0x55, 0, 0, 0, 0, 0x44, 0x33, 0x22, 0x11],
            Insn::LoadImm64 { dst: r1, value: Imm64::Value(0x1122_3344_5566_7788) },
        ),
        (
            &[0x18, 0x21, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0],
            Insn::LoadImm64 { dst: r1, value: Imm64::MapValueFd { fd: 7, offset: 16 } },
        ),
        (
            &[0x79, 0xa1, 0xf8, 0xff, 0, 0, 0, 0],
            Insn::Load { size: MemSize::DW, sign_extend: false, dst: r1, base: r10, offset: -8 },
        ),
        (
            &[0x91, 0xa1, 0xfc, 0xff, 0, 0, 0, 0],
            Insn::Load { size: MemSize::B, sign_extend: true, dst: r1, base: r10, offset: -4 },
        ),
        (
            &[0x6a, 0x0a, 0xf8, 0xff, 5, 0, 0, 0],
            Insn::Store { size: MemSize::H, base: r10, offset: -8, src: Operand::Imm(5) },
        ),
        (
            &[0x63, 0x1a, 0xf8, 0xff, 0, 0, 0, 0],
            Insn::Store { size: MemSize::W, base: r10, offset: -8, src: Operand::Reg(r1) },
        ),
        (
            &[0xdb, 0x1a, 0xf8, 0xff, 1, 0, 0, 0],
            Insn::Atomic {
                size: MemSize::DW,
                op: AtomicOp::Add { fetch: true },
                base: r10,
                offset: -8,
                src: r1,
            },
        ),
        (
            &[0xc3, 0x1a, 0xf8, 0xff, 0xf1, 0, 0, 0],
            Insn::Atomic { size: MemSize::W, op: AtomicOp::CompareExchange, base: r10, offset: -8, src: r1 },
        ),
        (&[0x28, 0, 0, 0, 12, 0, 0, 0], Insn::LoadPacket { size: MemSize::H, index: None, offset: 12 }),
        (
            &[0x50, 0x10, 0, 0, 14, 0, 0, 0],
            Insn::LoadPacket { size: MemSize::B, index: Some(r1), offset: 14 },
        ),
        (
            &[0xc6, 0x01, 3, 0, 5, 0, 0, 0],
            Insn::Jump { width: Width::W32, op: JumpOp::Slt, dst: r1, src: Operand::Imm(5), offset: 3 },
        ),
        (&[0x05, 0, 0xfe, 0xff, 0, 0, 0, 0], Insn::Goto { offset: -2 }),
        (&[0x06, 0, 0, 0, 0, 0, 1, 0], Insn::GotoLong { offset: 0x1_0000 }),
        (&[0xe5, 0, 4, 0, 0, 0, 0, 0], Insn::MayGoto { offset: 4 }),
        (&[0x85, 0, 0, 0, 14, 0, 0, 0], Insn::Call(Callee::Helper(14))),
        (&[0x85, 0x10, 0, 0, 3, 0, 0, 0], Insn::Call(Callee::Local(3))),
        (&[0x85, 0x20, 1, 0, 3, 0, 0, 0], Insn::Call(Callee::Kfunc { type_id: 3, fd_index: 1 })),
        (&[0x8d, 0x02, 0, 0, 0, 0, 0, 0], Insn::Call(Callee::Register(r2))),
        (&[0x95, 0, 0, 0, 0, 0, 0, 0], Insn::Exit),
    ];
    for (bytes, insn) in cases {
        assert_eq!(encode(&[*insn]).unwrap(), *bytes, "{insn:?}");
        assert_eq!(decode(bytes).unwrap(), [*insn]);
    }
}

#[test]
fn wrong_bytes_say_what_is_wrong() {
    let kind = |bytes: &[u8]| decode(bytes).unwrap_err().kind;
    assert_eq!(kind(&[0x95, 0, 0, 0]), DecodeErrorKind::PartialSlot { bytes: 4 });
    assert_eq!(kind(&slot(0xff, 0, 0, 0)), DecodeErrorKind::UnknownOpcode(0xff));
    assert_eq!(kind(&slot(0xb7, 0x0b, 0, 0)), DecodeErrorKind::Register { field: Field::Dst, number: 11 });
    assert_eq!(
        kind(&slot(0x95, 0, 0, 9)),
        DecodeErrorKind::Reserved { opcode: 0x95, field: Field::Imm, value: 9 }
    );
    assert_eq!(
        kind(&slot(0x07, 0, 1, 9)),
        DecodeErrorKind::Reserved { opcode: 0x07, field: Field::Offset, value: 1 }
    );
    assert_eq!(
        kind(&slot(0xbc, 0, 32, 0)),
        DecodeErrorKind::UnknownVariant { opcode: 0xbc, field: Field::Offset, value: 32 }
    );
    assert_eq!(kind(&slot(0x18, 0, 0, 0)), DecodeErrorKind::MissingSecondSlot);
    assert_eq!(kind(&[slot(0x18, 0, 0, 0), slot(0x95, 0, 0, 0)].concat()), DecodeErrorKind::BadSecondSlot);
    let second = decode(&[slot(0x95, 0, 0, 0), slot(0x85, 0x30, 0, 0)].concat()).unwrap_err();
    assert_eq!(second.slot, 1);
    assert_eq!(second.to_string(), "slot 1: opcode 0x85 has no variant with source register 3");
}

#[test]
fn values_outside_the_set_do_not_encode() {
    let atomic = |size| Insn::Atomic { size, op: AtomicOp::Exchange, base: Reg::R1, offset: 0, src: Reg::R2 };
    for bad in [
        atomic(MemSize::B),
        atomic(MemSize::H),
        Insn::Endian { kind: Endian::Be, dst: Reg::R1, bits: 24 },
        Insn::MovSx { width: Width::W32, dst: Reg::R1, src: Reg::R2, from_bits: 32 },
        Insn::LoadPacket { size: MemSize::DW, index: None, offset: 0 },
        Insn::Load { size: MemSize::DW, sign_extend: true, dst: Reg::R1, base: Reg::R2, offset: 0 },
    ] {
        assert_eq!(encode(&[Insn::Exit, bad]).unwrap_err().index, 1, "{bad:?}");
    }
}

#[test]
fn slots_and_indexes() {
    let insns =
        [Insn::Goto { offset: 2 }, Insn::LoadImm64 { dst: Reg::R1, value: Imm64::Function(1) }, Insn::Exit];
    let map = SlotMap::new(&insns);
    assert_eq!((map.n_slots(), map.slot(1), map.slot(2), map.slot(3)), (4, 1, 3, 4));
    assert_eq!(
        (map.index(0), map.index(1), map.index(2), map.index(3), map.index(4)),
        (Some(0), Some(1), None, Some(2), None)
    );
    assert_eq!(map.target(0, 2), Some(2));
    assert_eq!(map.target(0, 1), None);
    assert_eq!(map.target(0, -2), None);
    // The address of a function counts from the second slot of its load.
    assert_eq!(map.target(1, 1), Some(2));
    assert_eq!((map.offset(0, 2), map.offset(1, 2), map.offset(2, 0)), (2, 1, -4));
}

#[test]
fn levels_follow_the_compilers() {
    let jump = |width, op| Insn::Jump { width, op, dst: Reg::R1, src: Operand::Imm(0), offset: 0 };
    let atomic = |op| Insn::Atomic { size: MemSize::DW, op, base: Reg::R1, offset: 0, src: Reg::R2 };
    assert_eq!(jump(Width::W64, JumpOp::Gt).isa_level(), IsaLevel::V1);
    assert_eq!(jump(Width::W64, JumpOp::Slt).isa_level(), IsaLevel::V2);
    assert_eq!(jump(Width::W32, JumpOp::Eq).isa_level(), IsaLevel::V3);
    assert_eq!(atomic(AtomicOp::Add { fetch: false }).isa_level(), IsaLevel::V1);
    assert_eq!(atomic(AtomicOp::Add { fetch: true }).isa_level(), IsaLevel::V3);
    assert_eq!(Insn::GotoLong { offset: 0 }.isa_level(), IsaLevel::V4);
    assert_eq!(Insn::Endian { kind: Endian::Swap, dst: Reg::R1, bits: 16 }.isa_level(), IsaLevel::V4);
    assert_eq!(Insn::Endian { kind: Endian::Be, dst: Reg::R1, bits: 16 }.isa_level(), IsaLevel::V1);
}

#[test]
fn targets_are_found_by_slots_whatever_lies_between() {
    let insns =
        assemble("r0 = 1\nr1 = 5 ll\nr0 = 2\nr0 = 3\nr2 = 6 ll\nr3 = 7 ll\nexit").expect("the text is right");
    let slots = SlotMap::new(&insns);
    let n_slots = i64::from(slots.n_slots());
    for from in 0..insns.len() {
        for slot in -2..n_slots + 2 {
            let offset = slot - i64::from(slots.slot(from)) - 1;
            let expected = (0..insns.len()).find(|index| i64::from(slots.slot(*index)) == slot);
            let found = slots.target(from, i32::try_from(offset).expect("a short program"));
            assert_eq!(found, expected, "slot {slot} from {from}");
        }
    }
    for offset in [i32::MIN, i32::MAX] {
        assert_eq!(slots.target(0, offset), None);
    }
}
