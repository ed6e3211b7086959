//! Arithmetic on what registers hold: numbers, and pointers with numbers added.
//!
//! After `adjust_reg_min_max_vals` in `kernel/bpf/verifier.c` (Linux 6.12). The sets of numbers themselves are in `numbers`; what a
//! result has to do with its operands is decided here. Nothing here touches memory or jumps.

use nonna_bpf::{AluOp, Insn, MemSize, Operand, Width};

use super::Prover;
use super::branch::{range_of, with_range};
use super::failure::Failure;
use super::links::Link;
use super::state::State;
use super::value::{Kind, Number, Pointer, Progress, Value};
use crate::environment::Rules;
use crate::numbers::Scalar;
use crate::slugs;

/// Displacements that a pointer may have, as in the kernel (`BPF_MAX_VAR_OFF`).
const MAX_DISPLACEMENT: i64 = 1 << 29;

impl Prover<'_> {
    #[expect(clippy::too_many_arguments, reason = "the parts of one instruction")]
    pub(super) fn alu(
        &mut self,
        state: &mut State,
        at: usize,
        width: Width,
        op: AluOp,
        dst: u8,
        src: Operand,
        right: Value,
    ) -> Result<Value, Failure> {
        if op == AluOp::Mov {
            return Ok(self.mov(state, width, src, right));
        }
        let left = self.read(state, at, dst)?;
        match (left, right) {
            (Value::Number(left), Value::Number(right)) => {
                self.check_shift(at, width, op, &right)?;
                let mut result = arithmetic(op, width, &left, &right);
                if let Some(link) = self.made_of(state, width, op, src, &left, &right) {
                    result.link = link;
                }
                Ok(Value::Number(result))
            }
            (Value::Pointer(_), Value::Pointer(_)) if op == AluOp::Sub => Ok(Value::unknown()),
            (Value::Pointer(_), Value::Pointer(_)) => {
                Err(self.bad_arithmetic(at, dst, "combines two pointers in a way that gives nothing useful"))
            }
            (Value::Pointer(pointer), Value::Number(number)) => {
                if let Operand::Reg(src) = src {
                    self.wants(at, 1 << src.number());
                }
                self.displace(at, width, op, dst, pointer, number)
            }
            (Value::Number(number), Value::Pointer(pointer)) => {
                self.wants(at, 1 << dst);
                if op == AluOp::Sub && width == Width::W64 {
                    return Err(self.bad_arithmetic(at, dst, "subtracts a pointer from a number"));
                }
                self.displace(at, width, op, dst, pointer, number)
            }
            _ => Ok(Value::unknown()),
        }
    }

    /// How a result is known by its operands, where those may be met again: as their sum, or as some bits of one.
    pub(super) fn made_of(
        &mut self,
        state: &mut State,
        width: Width,
        op: AluOp,
        src: Operand,
        left: &Number,
        right: &Number,
    ) -> Option<Link> {
        let constants = (left.scalar.as_constant(), right.scalar.as_constant());
        match (op, constants, src) {
            (AluOp::And, (_, Some(mask)), _) => {
                let mask = if width == Width::W32 { mask & u64::from(u32::MAX) } else { mask };
                self.terms.bits(left.link, mask)
            }
            (AluOp::Add, (left_constant, None), Operand::Reg(src))
                if (left_constant.is_some() || left.link.base != 0) && adds_whole(width, left, right) =>
            {
                let mut link = right.link;
                if link.base == 0 {
                    link.base = self.fresh_id();
                    state.set(src.number(), Value::Number(Number { link, ..*right }));
                }
                left_constant.map_or_else(|| self.terms.sum(left.link, link), |left| Some(link.plus(left)))
            }
            _ => None,
        }
    }

    pub(super) fn check_shift(
        &self,
        at: usize,
        width: Width,
        op: AluOp,
        amount: &Number,
    ) -> Result<(), Failure> {
        let bits = if width == Width::W64 { 64 } else { 32 };
        let shifts = matches!(op, AluOp::Lsh | AluOp::Rsh | AluOp::Arsh);
        let constant = matches!(self.insns[at], Insn::Alu { src: Operand::Imm(_), .. });
        let too_far = amount.scalar.as_constant().is_some_and(|amount| amount >= bits);
        if shifts && constant && too_far && self.environment.rules == Rules::Kernel {
            let message = format!("this shifts a number of {bits} bits by its whole width or more");
            return Err(Failure::new(&slugs::BAD_SHIFT, at, message).help("shift by less than the width"));
        }
        let divides = matches!(op, AluOp::Div | AluOp::Mod | AluOp::Sdiv | AluOp::Smod);
        if divides
            && constant
            && amount.scalar.as_constant() == Some(0)
            && self.environment.rules == Rules::Kernel
        {
            return Err(Failure::new(&slugs::BAD_SHIFT, at, "this divides by the constant 0")
                .help("divide by something else than 0"));
        }
        Ok(())
    }

    pub(super) fn mov(&mut self, state: &mut State, width: Width, src: Operand, value: Value) -> Value {
        match (value, width) {
            (Value::Number(mut number), Width::W64) => {
                if let Operand::Reg(src) = src
                    && number.link.base == 0
                    && number.scalar.as_constant().is_none()
                {
                    number.link.base = self.fresh_id();
                    state.set(src.number(), Value::Number(number));
                }
                Value::Number(number)
            }
            (Value::Number(number), Width::W32) => {
                let low = number.scalar.truncate(MemSize::W);
                if low == number.scalar {
                    return self.mov(state, Width::W64, src, value);
                }
                Value::scalar(low)
            }
            (Value::Pointer(pointer), Width::W64) => Value::Pointer(pointer),
            (_, Width::W32) => Value::scalar(Scalar::unknown().truncate(MemSize::W)),
            (Value::Uninit, Width::W64) => Value::Uninit,
        }
    }

    pub(crate) fn bad_arithmetic(&self, at: usize, register: u8, what: &str) -> Failure {
        Failure::new(&slugs::POINTER_ARITHMETIC, at, format!("this {what}"))
            .register(register)
            .help("add or subtract plain numbers of known size to pointers, and nothing else")
    }

    /// Pointer plus or minus number (`adjust_ptr_min_max_vals`).
    pub(super) fn displace(
        &mut self,
        at: usize,
        width: Width,
        op: AluOp,
        dst: u8,
        pointer: Pointer,
        number: Number,
    ) -> Result<Value, Failure> {
        if width == Width::W32 {
            if op == AluOp::Sub {
                return Ok(Value::unknown());
            }
            return Err(self.bad_arithmetic(at, dst, "calculates with the lower half of a pointer"));
        }
        if !matches!(op, AluOp::Add | AluOp::Sub) {
            return Err(self.bad_arithmetic(
                at,
                dst,
                "changes a pointer in another way than by adding or subtracting",
            ));
        }
        if pointer.nullable {
            let message = format!("`r{dst}` may be 0 here, and this adds to it before that was tested");
            return Err(Failure::new(&slugs::POSSIBLY_NULL, at, message)
                .register(dst)
                .help("test the pointer against 0 first"));
        }
        let constant = number.scalar.as_constant().map(|constant| constant as i64);
        match pointer.kind {
            Kind::Map(_) | Kind::InnerMap(_) if constant == Some(0) && op == AluOp::Add => {}
            Kind::FlowKeys if constant.is_some() => {}
            Kind::Map(_)
            | Kind::InnerMap(_)
            | Kind::FlowKeys
            | Kind::PacketEnd
            | Kind::Socket(_)
            | Kind::TcpSocket
            | Kind::XdpSocket
            | Kind::Function { .. }
            | Kind::DynptrArgument => {
                return Err(self.bad_arithmetic(at, dst, "adds to a pointer that must stay what it is"));
            }
            Kind::Stack { .. } if op == AluOp::Sub => {
                return Err(self.bad_arithmetic(at, dst, "subtracts from a pointer to the stack"));
            }
            _ => {}
        }
        let ranges = *number.scalar.ranges(Width::W64);
        let bounded = |low: i64, high: i64| low > -MAX_DISPLACEMENT && high < MAX_DISPLACEMENT;
        if self.judges() && !bounded(ranges.signed_min, ranges.signed_max) {
            let message = if ranges.signed_min == i64::MIN || ranges.signed_min <= -MAX_DISPLACEMENT {
                "this adds a number to a pointer that may be far below 0: nothing bounds it from below"
            } else {
                "this adds a number to a pointer that may be far too large: nothing bounds it from above"
            };
            return Err(Failure::new(&slugs::POINTER_ARITHMETIC, at, message).register(dst).help(
                "compare the number with its least and greatest useful values first, as an unsigned number",
            ));
        }
        let mut moved = pointer;
        let step = |constant: i64| if op == AluOp::Add { Some(constant) } else { constant.checked_neg() };
        let (low, high) = match op {
            AluOp::Add => (Some(ranges.signed_min), Some(ranges.signed_max)),
            _ => (ranges.signed_max.checked_neg(), ranges.signed_min.checked_neg()),
        };
        moved.progress = match (low, high) {
            (Some(low), Some(high)) => {
                pointer.progress.moved(&super::value::displacement(&pointer), low, high)
            }
            _ => Progress::default(),
        };
        match constant.and_then(step) {
            Some(constant) => {
                moved.offset = pointer.offset.wrapping_add(constant);
                if !bounded(moved.offset, moved.offset) && self.judges() {
                    return Err(self.bad_arithmetic(at, dst, "moves a pointer too far away"));
                }
            }
            None => {
                moved.variable = Scalar::alu(op, Width::W64, &pointer.variable, &number.scalar);
                if let Kind::Packet { .. } | Kind::PacketMeta { .. } = pointer.kind {
                    moved.id = self.fresh_id();
                    // What was compared with the end stays true if the pointer only went back.
                    let kept =
                        if op == AluOp::Sub && ranges.signed_min >= 0 { range_of(pointer.kind) } else { 0 };
                    moved.kind = with_range(pointer.kind, kept);
                }
                let all = *moved.variable.ranges(Width::W64);
                if self.judges() && !bounded(all.signed_min, all.signed_max) {
                    return Err(self.bad_arithmetic(at, dst, "moves a pointer by more than can be followed"));
                }
            }
        }
        Ok(Value::Pointer(moved))
    }
}

/// Whether a sum is that of the whole numbers, modulo 2^64.
pub(super) fn adds_whole(width: Width, left: &Number, right: &Number) -> bool {
    let most = |number: &Number| number.scalar.ranges(Width::W64).unsigned_max;
    width == Width::W64 || most(left).checked_add(most(right)).is_some_and(|sum| sum <= u64::from(u32::MAX))
}

/// Arithmetic on numbers, with what is known of their origin.
pub(super) fn arithmetic(op: AluOp, width: Width, left: &Number, right: &Number) -> Number {
    let scalar = Scalar::alu(op, width, &left.scalar, &right.scalar);
    let mut result = Number::new(scalar);
    let ranges = right.scalar.ranges(Width::W64);
    let (mut low, mut high) = match op {
        AluOp::Add => (Some(ranges.signed_min), Some(ranges.signed_max)),
        AluOp::Sub => (ranges.signed_max.checked_neg(), ranges.signed_min.checked_neg()),
        _ => (None, None),
    };
    if width == Width::W32 {
        // In 32 bits a constant such as 0xffffffff is -1; it is the same sum where nothing wraps.
        let (small, constant) =
            (left.scalar.truncate(MemSize::W) == left.scalar, right.scalar.as_constant_low());
        (low, high) = match (op, constant) {
            (AluOp::Add, Some(constant)) if small => {
                (Some(i64::from(constant as i32)), Some(i64::from(constant as i32)))
            }
            (AluOp::Sub, Some(constant)) if small => {
                (Some(-i64::from(constant as i32)), Some(-i64::from(constant as i32)))
            }
            _ if small && right.scalar.truncate(MemSize::W) == right.scalar => (low, high),
            _ => (None, None),
        };
        let whole = left.scalar.ranges(Width::W64);
        let fits = low.zip(high).is_some_and(|(low, high)| {
            i128::from(whole.unsigned_min) + i128::from(low) >= 0
                && i128::from(whole.unsigned_max) + i128::from(high) <= i128::from(u32::MAX)
        });
        if !fits {
            (low, high) = (None, None);
        }
    }
    if let (Some(low), Some(high)) = (low, high) {
        result.progress = left.progress.moved(&left.scalar, low, high);
        if low == high && left.link.base != 0 {
            result.link = left.link.plus(low as u64);
        }
    }
    // Halving and dividing bring a number that is not 0 nearer to 0.
    let shrinks = match op {
        AluOp::Rsh => ranges.unsigned_min >= 1 && ranges.unsigned_max < 64,
        AluOp::Div => ranges.unsigned_min >= 2,
        _ => false,
    };
    let whole = left.scalar.ranges(Width::W64);
    if shrinks
        && whole.unsigned_min >= 1
        && i64::try_from(whole.unsigned_max).is_ok()
        && left.progress.base != 0
    {
        let way = whole.unsigned_max as i64;
        let known = left.progress;
        if (!known.signed || known.low == 0 && known.high == 0)
            && let (Some(low), Some(high)) = (known.low.checked_sub(way), known.high.checked_sub(1))
        {
            result.progress = Progress { base: known.base, low, high, signed: false };
        }
    }
    result
}
