//! What arithmetic, conversions and comparisons yield (RFC 9669 sections 4.1 to 4.3): pure functions of numbers.
//!
//! Every input has a result here: division by zero yields 0, a remainder by zero the dividend, shift amounts lose the bits
//! above the width, and overflow wraps. Nothing here knows registers or memory.

use nonna_bpf::{AluOp, AtomicOp, Endian, JumpOp, Width};

/// `left op right` at 64 bits.
#[inline(always)]
pub(crate) fn alu64(op: AluOp, left: u64, right: u64) -> u64 {
    let (signed, by) = (left as i64, right as i64);
    match op {
        AluOp::Add => left.wrapping_add(right),
        AluOp::Sub => left.wrapping_sub(right),
        AluOp::Mul => left.wrapping_mul(right),
        AluOp::Div => left.checked_div(right).unwrap_or(0),
        AluOp::Sdiv => {
            if by == 0 {
                0
            } else {
                signed.wrapping_div(by) as u64
            }
        }
        AluOp::Mod => left.checked_rem(right).unwrap_or(left),
        AluOp::Smod => {
            if by == 0 {
                left
            } else {
                signed.wrapping_rem(by) as u64
            }
        }
        AluOp::Or => left | right,
        AluOp::And => left & right,
        AluOp::Xor => left ^ right,
        AluOp::Lsh => left.wrapping_shl(right as u32),
        AluOp::Rsh => left.wrapping_shr(right as u32),
        AluOp::Arsh => signed.wrapping_shr(right as u32) as u64,
        AluOp::Mov => right,
    }
}

/// `left op right` at 32 bits.
#[inline(always)]
pub(crate) fn alu32(op: AluOp, left: u32, right: u32) -> u32 {
    let (signed, by) = (left as i32, right as i32);
    match op {
        AluOp::Add => left.wrapping_add(right),
        AluOp::Sub => left.wrapping_sub(right),
        AluOp::Mul => left.wrapping_mul(right),
        AluOp::Div => left.checked_div(right).unwrap_or(0),
        AluOp::Sdiv => {
            if by == 0 {
                0
            } else {
                signed.wrapping_div(by) as u32
            }
        }
        AluOp::Mod => left.checked_rem(right).unwrap_or(left),
        AluOp::Smod => {
            if by == 0 {
                left
            } else {
                signed.wrapping_rem(by) as u32
            }
        }
        AluOp::Or => left | right,
        AluOp::And => left & right,
        AluOp::Xor => left ^ right,
        AluOp::Lsh => left.wrapping_shl(right),
        AluOp::Rsh => left.wrapping_shr(right),
        AluOp::Arsh => signed.wrapping_shr(right) as u32,
        AluOp::Mov => right,
    }
}

/// `left op right` at a width, as it stands in the register.
#[inline(always)]
pub(crate) fn alu(width: Width, op: AluOp, left: u64, right: u64) -> u64 {
    match width {
        Width::W64 => alu64(op, left, right),
        Width::W32 => u64::from(alu32(op, left as u32, right as u32)),
    }
}

/// The low bits of a value with their sign, at a width.
#[inline(always)]
pub(crate) fn sign_extend(width: Width, from_bits: u8, value: u64) -> u64 {
    let extended = match from_bits {
        8 => i64::from(value as u8 as i8),
        16 => i64::from(value as u16 as i16),
        _ => i64::from(value as u32 as i32),
    } as u64;
    match width {
        Width::W64 => extended,
        Width::W32 => u64::from(extended as u32),
    }
}

/// `-value` at a width.
#[inline(always)]
pub(crate) fn negate(width: Width, value: u64) -> u64 {
    match width {
        Width::W64 => value.wrapping_neg(),
        Width::W32 => u64::from((value as u32).wrapping_neg()),
    }
}

/// A byte order conversion of the low `bits`, everything above cleared.
#[inline(always)]
pub(crate) fn convert(kind: Endian, bits: u8, value: u64) -> u64 {
    match (kind, bits) {
        (Endian::Le, 16) => u64::from((value as u16).to_le()),
        (Endian::Le, 32) => u64::from((value as u32).to_le()),
        (Endian::Le, _) => value.to_le(),
        (Endian::Be, 16) => u64::from((value as u16).to_be()),
        (Endian::Be, 32) => u64::from((value as u32).to_be()),
        (Endian::Be, _) => value.to_be(),
        (Endian::Swap, 16) => u64::from((value as u16).swap_bytes()),
        (Endian::Swap, 32) => u64::from((value as u32).swap_bytes()),
        (Endian::Swap, _) => value.swap_bytes(),
    }
}

/// Whether a condition holds at a width.
#[inline(always)]
pub(crate) fn holds(width: Width, op: JumpOp, left: u64, right: u64) -> bool {
    let (left, right, signed, by) = match width {
        Width::W64 => (left, right, left as i64, right as i64),
        Width::W32 => {
            let (left, right) = (left as u32, right as u32);
            (u64::from(left), u64::from(right), i64::from(left as i32), i64::from(right as i32))
        }
    };
    match op {
        JumpOp::Eq => left == right,
        JumpOp::Ne => left != right,
        JumpOp::Gt => left > right,
        JumpOp::Ge => left >= right,
        JumpOp::Lt => left < right,
        JumpOp::Le => left <= right,
        JumpOp::Set => left & right != 0,
        JumpOp::Sgt => signed > by,
        JumpOp::Sge => signed >= by,
        JumpOp::Slt => signed < by,
        JumpOp::Sle => signed <= by,
    }
}

/// What an atomic operation leaves in memory, given what was there, `src`, and `r0` cut to the size of the access.
#[inline(always)]
pub(crate) fn atomic(op: AtomicOp, old: u64, src: u64, expected: u64) -> u64 {
    match op {
        AtomicOp::Add { .. } => old.wrapping_add(src),
        AtomicOp::Or { .. } => old | src,
        AtomicOp::And { .. } => old & src,
        AtomicOp::Xor { .. } => old ^ src,
        AtomicOp::Exchange => src,
        AtomicOp::CompareExchange => {
            if old == expected {
                src
            } else {
                old
            }
        }
    }
}
