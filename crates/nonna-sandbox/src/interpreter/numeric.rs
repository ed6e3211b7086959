//! Handlers of arithmetic, conversions and constants. What they compute is said in `crate::arithmetic`.

use nonna_bpf::{AluOp, Endian, Operand, Width};

use super::ops::Op;
use super::{Handler, Machine, Outcome, go};
use crate::arithmetic::{alu, convert, negate, sign_extend};

/// Where the second operand comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// From a register.
    Register,
    /// From the instruction.
    Constant,
}

impl Form {
    pub(super) fn of(operand: Operand) -> Self {
        match operand {
            Operand::Reg(_) => Form::Register,
            Operand::Imm(_) => Form::Constant,
        }
    }
}

/// An operation of two numbers, as a type, so that handlers are made for each.
pub(super) trait Binary {
    fn apply(left: u64, right: u64) -> u64;
}

macro_rules! binaries {
    ($($name:ident: $width:ident $op:ident;)+) => {
        $(
            pub(super) struct $name;
            impl Binary for $name {
                #[inline(always)]
                fn apply(left: u64, right: u64) -> u64 {
                    alu(Width::$width, AluOp::$op, left, right)
                }
            }
        )+

        /// The handler of an operation.
        pub(super) fn handler(width: Width, op: AluOp, form: Form) -> Handler {
            match (width, op, form) {
                $(
                    (Width::$width, AluOp::$op, Form::Register) => with_register::<$name>,
                    (Width::$width, AluOp::$op, Form::Constant) => with_constant::<$name>,
                )+
            }
        }
    };
}

binaries! {
    Add64: W64 Add; Sub64: W64 Sub; Mul64: W64 Mul; Div64: W64 Div; Sdiv64: W64 Sdiv; Mod64: W64 Mod; Smod64: W64 Smod;
    Or64: W64 Or; And64: W64 And; Xor64: W64 Xor; Lsh64: W64 Lsh; Rsh64: W64 Rsh; Arsh64: W64 Arsh; Mov64: W64 Mov;
    Add32: W32 Add; Sub32: W32 Sub; Mul32: W32 Mul; Div32: W32 Div; Sdiv32: W32 Sdiv; Mod32: W32 Mod; Smod32: W32 Smod;
    Or32: W32 Or; And32: W32 And; Xor32: W32 Xor; Lsh32: W32 Lsh; Rsh32: W32 Rsh; Arsh32: W32 Arsh; Mov32: W32 Mov;
}

fn with_register<'a, O: Binary>(
    machine: &mut Machine<'a, '_, '_>,
    op: &'a Op,
    rest: &'a [Op],
    meter: i64,
) -> Outcome<'a> {
    let right = machine.registers[op.src()];
    let register = &mut machine.registers[op.dst()];
    *register = O::apply(*register, right);
    go(machine, rest, meter)
}

fn with_constant<'a, O: Binary>(
    machine: &mut Machine<'a, '_, '_>,
    op: &'a Op,
    rest: &'a [Op],
    meter: i64,
) -> Outcome<'a> {
    let register = &mut machine.registers[op.dst()];
    *register = O::apply(*register, op.constant());
    go(machine, rest, meter)
}

/// An operation of one number: of `dst`, or of `src` where the instruction has one.
macro_rules! unary {
    ($operand:ident, $value:ident => $result:expr) => {{
        fn handler<'a>(
            machine: &mut Machine<'a, '_, '_>,
            op: &'a Op,
            rest: &'a [Op],
            meter: i64,
        ) -> Outcome<'a> {
            let $value = machine.registers[op.$operand()];
            machine.registers[op.dst()] = $result;
            go(machine, rest, meter)
        }
        handler
    }};
}

/// The handler of `movsx`.
pub(super) fn extension(width: Width, from_bits: u8) -> Handler {
    match (width, from_bits) {
        (Width::W64, 8) => unary!(src, value => sign_extend(Width::W64, 8, value)),
        (Width::W64, 16) => unary!(src, value => sign_extend(Width::W64, 16, value)),
        (Width::W64, _) => unary!(src, value => sign_extend(Width::W64, 32, value)),
        (Width::W32, 8) => unary!(src, value => sign_extend(Width::W32, 8, value)),
        (Width::W32, _) => unary!(src, value => sign_extend(Width::W32, 16, value)),
    }
}

/// The handler of `neg`.
pub(super) fn negation(width: Width) -> Handler {
    match width {
        Width::W64 => unary!(dst, value => negate(Width::W64, value)),
        Width::W32 => unary!(dst, value => negate(Width::W32, value)),
    }
}

/// The handler of a byte order conversion.
pub(super) fn conversion(kind: Endian, bits: u8) -> Handler {
    macro_rules! widths {
        ($kind:ident) => {
            match bits {
                16 => unary!(dst, value => convert(Endian::$kind, 16, value)),
                32 => unary!(dst, value => convert(Endian::$kind, 32, value)),
                _ => unary!(dst, value => convert(Endian::$kind, 64, value)),
            }
        };
    }
    match kind {
        Endian::Le => widths!(Le),
        Endian::Be => widths!(Be),
        Endian::Swap => widths!(Swap),
    }
}
