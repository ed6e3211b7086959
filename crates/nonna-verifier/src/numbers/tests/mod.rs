//! Tests of the abstract numbers: what they share.
//!
//! `exhaustive` walks all of a small model, `random` samples the real widths, `chains` takes results for operands as programs do,
//! `precision` holds what a verifier must not lose and `loops` what makes loops end. Arithmetic of single numbers
//! ([`super::concrete`]) is the judge, and is itself held against a table.

mod chains;
mod exhaustive;
mod loops;
mod precision;
mod random;

use nonna_bpf::{AluOp, JumpOp, Width};

use super::Scalar;
use super::concrete::{evaluate, holds};

const ALU_OPS: [AluOp; 14] = [
    AluOp::Add,
    AluOp::Sub,
    AluOp::Mul,
    AluOp::Div,
    AluOp::Sdiv,
    AluOp::Mod,
    AluOp::Smod,
    AluOp::Or,
    AluOp::And,
    AluOp::Xor,
    AluOp::Lsh,
    AluOp::Rsh,
    AluOp::Arsh,
    AluOp::Mov,
];

const JUMP_OPS: [JumpOp; 11] = [
    JumpOp::Eq,
    JumpOp::Ne,
    JumpOp::Gt,
    JumpOp::Ge,
    JumpOp::Lt,
    JumpOp::Le,
    JumpOp::Set,
    JumpOp::Sgt,
    JumpOp::Sge,
    JumpOp::Slt,
    JumpOp::Sle,
];

fn alu64(op: AluOp, left: &Scalar, right: u64) -> Scalar {
    Scalar::alu(op, Width::W64, left, &Scalar::constant(right))
}

fn alu32(op: AluOp, left: &Scalar, right: u64) -> Scalar {
    Scalar::alu(op, Width::W32, left, &Scalar::constant(right))
}

fn range(min: u64, max: u64) -> Scalar {
    Scalar::range(min, max).unwrap()
}

fn signed_range(min: i64, max: i64) -> Scalar {
    Scalar::signed_range(min, max).unwrap()
}

/// The first operand after a comparison with a constant.
fn after(op: JumpOp, width: Width, left: &Scalar, right: u64, taken: bool) -> Option<Scalar> {
    Scalar::refine(op, width, left, &Scalar::constant(right), taken).map(|(left, _)| left)
}

fn unsigned(scalar: &Scalar) -> (u64, u64) {
    let ranges = scalar.ranges(Width::W64);
    (ranges.unsigned_min, ranges.unsigned_max)
}

fn signed(scalar: &Scalar) -> (i64, i64) {
    let ranges = scalar.ranges(Width::W64);
    (ranges.signed_min, ranges.signed_max)
}

fn stride(scalar: &Scalar) -> (u64, u64) {
    (scalar.stride().modulus(), scalar.stride().residue())
}

/// The corners that RFC 9669 section 4.1 spells out.
#[test]
fn single_numbers_follow_the_standard() {
    let min64 = i64::MIN as u64;
    let min32 = 0x8000_0000u64;
    let table = [
        (AluOp::Div, 64, 7, 0, 0),
        (AluOp::Sdiv, 64, 7, 0, 0),
        (AluOp::Mod, 64, 7, 0, 7),
        (AluOp::Smod, 64, 7, 0, 7),
        (AluOp::Mod, 32, 0x1_0000_0007, 0, 7),
        (AluOp::Sdiv, 64, min64, u64::MAX, min64),
        (AluOp::Smod, 64, min64, u64::MAX, 0),
        (AluOp::Sdiv, 32, min32, 0xffff_ffff, min32),
        (AluOp::Smod, 32, min32, 0xffff_ffff, 0),
        (AluOp::Sdiv, 64, -13i64 as u64, 4, -3i64 as u64),
        (AluOp::Smod, 64, -13i64 as u64, 4, -1i64 as u64),
        (AluOp::Smod, 64, 13, -4i64 as u64, 1),
        (AluOp::Lsh, 64, 1, 65, 2),
        (AluOp::Lsh, 32, 1, 33, 2),
        (AluOp::Rsh, 32, 0xffff_ffff_8000_0000, 31, 1),
        (AluOp::Arsh, 32, 0x8000_0000, 31, 0xffff_ffff),
        (AluOp::Arsh, 64, min64, 63, u64::MAX),
        (AluOp::Add, 32, 0xffff_ffff, 1, 0),
        (AluOp::Mul, 64, u64::MAX, u64::MAX, 1),
        (AluOp::Mov, 32, 5, u64::MAX, 0xffff_ffff),
    ];
    for (op, width, left, right, expected) in table {
        assert_eq!(evaluate(op, width, left, right), expected, "{op:?} at {width}: {left:#x}, {right:#x}");
    }
    assert!(holds(JumpOp::Slt, 64, u64::MAX, 0) && !holds(JumpOp::Lt, 64, u64::MAX, 0));
    assert!(holds(JumpOp::Slt, 32, 0xffff_ffff, 0) && !holds(JumpOp::Slt, 64, 0xffff_ffff, 0));
    assert!(holds(JumpOp::Set, 64, 6, 2) && !holds(JumpOp::Set, 32, 1 << 32, 1 << 32));
    assert!(
        holds(JumpOp::Eq, 32, 1 << 32, 0) && holds(JumpOp::Sge, 64, 0, 0) && !holds(JumpOp::Gt, 64, 3, 3)
    );
}
