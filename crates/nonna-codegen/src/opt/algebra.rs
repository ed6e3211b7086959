//! Simpler forms of single instructions.
//!
//! Rewrites that look through a value that others use as well are left out on purpose: the program may have tested that
//! value, and what the kernel's verifier learned from the test holds for it only. For the same reason a mask is dropped only
//! where the verifier knows the bound too: from the width of a load, a mask, a shift, a comparison.

use nonna_bpf::MemSize;
use nonna_ir::{BinaryOp, CompareOp, Entity, Inst, Region, Type, Value};

use super::fold::{self, compare_range, low_bits};
use super::numbering::Numbering;

/// What an instruction simplifies to.
pub(super) enum Step {
    /// Another value.
    Same(Value),
    /// Another instruction.
    Become(Inst),
}

use Step::{Become, Same};

fn number(value: i64) -> Option<Step> {
    Some(Become(Inst::Const(value)))
}

fn flag(value: bool) -> Option<Step> {
    number(i64::from(value))
}

/// `k` where a number is two to the power of `k`, as unsigned.
fn power_of_two(value: i64) -> Option<i64> {
    let value = value.cast_unsigned();
    value.is_power_of_two().then(|| i64::from(value.trailing_zeros()))
}

impl Numbering<'_> {
    /// One step to a simpler form of an instruction whose operands are simple already.
    pub(super) fn simplify(&mut self, inst: &Inst, result: Value) -> Option<Step> {
        match *inst {
            Inst::Binary { op, left, right } if self.function.type_of(left).is_pointer() => {
                self.pointer_arithmetic(op, left, right, result)
            }
            Inst::Binary { op, left, right } => self.arithmetic(op, left, right),
            Inst::Compare { op, left, right } => self.comparison(op, left, right),
            Inst::Extend { value, bits, signed } => self.extension(value, bits, signed),
            Inst::SwapBytes { value, bits } => self.byte_swap(value, bits),
            Inst::Cast(value) => self.cast(value, result),
            Inst::Load { pointer, offset, size, signed } if self.function.type_of(result) == Type::Int => {
                self.load(pointer, offset, size, signed)
            }
            _ => None,
        }
    }

    /// How many low bits of an instruction's result may be set, where the verifier knows as well.
    pub(super) fn width_of(&self, inst: &Inst) -> u8 {
        let width = |value: &Value| self.width[value.idx()];
        let bits_of = |bytes: u32| u8::try_from(bytes * 8).unwrap_or(64);
        match inst {
            Inst::Const(value) => bits_of(8) - u8::try_from(value.leading_zeros()).unwrap_or(0),
            Inst::Load { size, signed: false, .. } | Inst::LoadUser { size, signed: false, .. } => {
                bits_of(size.bytes())
            }
            Inst::LoadKernel { field, .. } if !field.signed => {
                field.bits.map_or(bits_of(field.size.bytes()), |bits| bits.width)
            }
            Inst::Extend { bits, signed: false, .. } | Inst::SwapBytes { bits, .. } => *bits,
            Inst::Compare { .. } => 1,
            Inst::Binary { op: BinaryOp::And, left, right } => width(left).min(width(right)),
            Inst::Binary { op: BinaryOp::Or | BinaryOp::Xor, left, right } => width(left).max(width(right)),
            Inst::Binary { op: BinaryOp::LShr, left, right } => {
                let by = self.function.constant(*right).map_or(0, |by| by & 63);
                width(left).saturating_sub(u8::try_from(by).unwrap_or(0))
            }
            _ => 64,
        }
    }

    /// The definition of a value that nobody else uses.
    fn inner(&self, value: Value) -> Option<&Inst> {
        (self.uses[value.idx()] == 1).then(|| self.function.definition(value))?
    }

    fn binary(op: BinaryOp, left: Value, right: Value) -> Option<Step> {
        Some(Become(Inst::Binary { op, left, right }))
    }

    fn with_constant(&mut self, op: BinaryOp, left: Value, right: i64) -> Option<Step> {
        let right = self.constant(right);
        Self::binary(op, left, right)
    }

    fn pointer_arithmetic(&mut self, op: BinaryOp, left: Value, right: Value, result: Value) -> Option<Step> {
        let by = self.function.constant(right)?;
        if by == 0 {
            let same = self.function.type_of(left) == self.function.type_of(result);
            return Some(if same { Same(left) } else { Become(Inst::Cast(left)) });
        }
        if op == BinaryOp::Sub {
            return self.with_constant(BinaryOp::Add, left, by.wrapping_neg());
        }
        if let Some(&Inst::Binary { op: BinaryOp::Add, left: base, right: inner }) =
            self.function.definition(left)
            && self.function.type_of(base).is_pointer()
            && let Some(inner) = self.function.constant(inner)
            && let Some(sum) = inner.checked_add(by)
        {
            return self.with_constant(BinaryOp::Add, base, sum);
        }
        None
    }

    fn arithmetic(&mut self, op: BinaryOp, left: Value, right: Value) -> Option<Step> {
        let constants = (self.function.constant(left), self.function.constant(right));
        match constants {
            (Some(left), Some(right)) => return number(fold::binary(op, left, right)),
            (Some(_), None) if fold::commutes(op) => return Self::binary(op, right, left),
            (Some(0), None) if op != BinaryOp::Sub => return number(0),
            (_, Some(constant)) => return self.arithmetic_with(op, left, constant),
            _ => {}
        }
        if left != right {
            return None;
        }
        match op {
            BinaryOp::Sub | BinaryOp::Xor | BinaryOp::UMod | BinaryOp::SMod => number(0),
            BinaryOp::And | BinaryOp::Or => Some(Same(left)),
            _ => None,
        }
    }

    fn arithmetic_with(&mut self, op: BinaryOp, left: Value, constant: i64) -> Option<Step> {
        use BinaryOp::{AShr, Add, And, LShr, Mul, Or, SDiv, SMod, Shl, Sub, UDiv, UMod, Xor};
        match (op, constant) {
            (Add | Sub | Or | Xor, 0) | (Mul | UDiv | SDiv, 1) | (UMod | SMod, 0) | (And, -1) => {
                Some(Same(left))
            }
            (Mul | And | UDiv | SDiv, 0) | (UMod, 1) | (SMod, 1 | -1) => number(0),
            (Or, -1) => number(-1),
            (Shl | LShr | AShr, by) if by & 63 == 0 => Some(Same(left)),
            (Shl | LShr | AShr, by) if by != by & 63 => self.with_constant(op, left, by & 63),
            (Mul | SDiv, -1) => {
                let zero = self.constant(0);
                Self::binary(Sub, zero, left)
            }
            (Sub, by) if i32::try_from(by.wrapping_neg()).is_ok() => {
                self.with_constant(Add, left, by.wrapping_neg())
            }
            _ => match (op, power_of_two(constant)) {
                (Mul, Some(k)) => self.with_constant(Shl, left, k),
                (UDiv, Some(k)) => self.with_constant(LShr, left, k),
                (UMod, Some(_)) => self.with_constant(And, left, constant.wrapping_sub(1)),
                _ => self.mask_or_shift(op, left, constant).or_else(|| self.reassociate(op, left, constant)),
            },
        }
    }

    fn mask_or_shift(&mut self, op: BinaryOp, left: Value, constant: i64) -> Option<Step> {
        let width = self.width[left.idx()];
        match op {
            BinaryOp::And if low_bits(width) & !constant == 0 => Some(Same(left)),
            BinaryOp::And if constant == low_bits(32) => {
                Some(Become(Inst::Extend { value: left, bits: 32, signed: false }))
            }
            BinaryOp::LShr if constant >= i64::from(width) => number(0),
            BinaryOp::LShr | BinaryOp::AShr => {
                let &Inst::Binary { op: BinaryOp::Shl, left: value, right } =
                    self.function.definition(left)?
                else {
                    return None;
                };
                let signed = op == BinaryOp::AShr;
                let kept = u8::try_from(64 - constant).ok()?;
                if self.function.constant(right) != Some(constant) {
                    return None;
                }
                match kept {
                    8 | 16 | 32 => Some(Become(Inst::Extend { value, bits: kept, signed })),
                    1..32 if !signed => self.with_constant(BinaryOp::And, value, low_bits(kept)),
                    _ => None,
                }
            }
            BinaryOp::Xor if constant == 1 => match self.function.definition(left) {
                Some(&Inst::Compare { op, left, right }) => {
                    Some(Become(Inst::Compare { op: fold::opposite(op), left, right }))
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// `(x op c1) op c2` as `x op (c1 op c2)`.
    fn reassociate(&mut self, op: BinaryOp, left: Value, constant: i64) -> Option<Step> {
        let &Inst::Binary { op: inner_op, left: value, right } = self.inner(left)? else { return None };
        let inner = self.function.constant(right).filter(|_| inner_op == op)?;
        if self.function.type_of(value).is_pointer() {
            return None;
        }
        match op {
            _ if fold::commutes(op) => self.with_constant(op, value, fold::binary(op, inner, constant)),
            BinaryOp::Shl | BinaryOp::LShr => match (inner & 63) + constant {
                by @ 0..64 => self.with_constant(op, value, by),
                _ => number(0),
            },
            _ => None,
        }
    }

    fn comparison(&mut self, op: CompareOp, left: Value, right: Value) -> Option<Step> {
        match (self.function.constant(left), self.function.constant(right)) {
            (Some(left), Some(right)) => return flag(fold::compare(op, left, right)),
            (Some(_), None) => {
                let op = fold::exchanged(op);
                return Some(Become(Inst::Compare { op, left: right, right: left }));
            }
            (None, Some(constant)) => {
                if let Some(step) = self.comparison_with(op, left, constant) {
                    return Some(step);
                }
            }
            (None, None) if left == right => return flag(fold::compare(op, 0, 0)),
            (None, None) => {}
        }
        match op {
            CompareOp::Eq => self.are_equal(left, right).and_then(flag),
            CompareOp::Ne => self.are_equal(left, right).and_then(|equal| flag(!equal)),
            _ => None,
        }
    }

    fn comparison_with(&mut self, op: CompareOp, left: Value, constant: i64) -> Option<Step> {
        use CompareOp::{Eq, Ne, Uge, Ugt, Ule, Ult};
        let left_type = self.function.type_of(left);
        if left_type.is_pointer() {
            return if constant == 0 && is_never_null(left_type) {
                match op {
                    Eq => flag(false),
                    Ne => flag(true),
                    _ => None,
                }
            } else {
                None
            };
        }
        if let Some(answer) = compare_range(op, self.width[left.idx()], constant) {
            return flag(answer);
        }
        match (op, constant) {
            (Ult, 1) | (Ule, 0) => return self.test_zero(Eq, left),
            (Uge, 1) | (Ugt, 0) => return self.test_zero(Ne, left),
            _ => {}
        }
        if self.width[left.idx()] > 1 {
            return None;
        }
        // `left` is 0 or 1.
        match (op, constant) {
            (Ne, 0) | (Eq, 1) => Some(Same(left)),
            (Eq, 0) | (Ne, 1) => match self.function.definition(left) {
                Some(&Inst::Compare { op, left, right }) => {
                    Some(Become(Inst::Compare { op: fold::opposite(op), left, right }))
                }
                _ if op == Ne => self.test_zero(Eq, left),
                _ => None,
            },
            _ => None,
        }
    }

    fn test_zero(&mut self, op: CompareOp, left: Value) -> Option<Step> {
        let right = self.constant(0);
        Some(Become(Inst::Compare { op, left, right }))
    }

    fn extension(&mut self, value: Value, bits: u8, signed: bool) -> Option<Step> {
        if let Some(constant) = self.function.constant(value) {
            return number(fold::extend(constant, bits, signed));
        }
        // With a bit to spare the sign is 0.
        if self.width[value.idx()] + u8::from(signed) <= bits {
            return Some(Same(value));
        }
        let narrower = |value| Some(Become(Inst::Extend { value, bits, signed }));
        match *self.function.definition(value)? {
            Inst::Extend { value: inner, bits: kept, .. } if bits <= kept => narrower(inner),
            Inst::Extend { bits: kept, signed: true, .. } if signed && kept <= bits => Some(Same(value)),
            Inst::Load { size, signed: true, .. } | Inst::LoadUser { size, signed: true, .. }
                if signed && size.bytes() * 8 <= u32::from(bits) =>
            {
                Some(Same(value))
            }
            Inst::LoadKernel { field, .. }
                if signed && field.signed && field.size.bytes() * 8 <= u32::from(bits) =>
            {
                Some(Same(value))
            }
            Inst::Binary { op: BinaryOp::And, left, right } => {
                let mask = self.function.constant(right)?;
                if low_bits(bits) & !mask == 0 { narrower(left) } else { None }
            }
            _ => None,
        }
    }

    /// Loads of constant data at a known place.
    fn load(&self, pointer: Value, offset: i32, size: MemSize, signed: bool) -> Option<Step> {
        let (base, by) = match *self.function.definition(pointer)? {
            Inst::Binary { op: BinaryOp::Add, left, right } => (left, self.function.constant(right)?),
            _ => (pointer, 0),
        };
        let data = self.data.get(self.function.data_of(base)?).filter(|data| !data.mutable)?;
        let start = usize::try_from(by.checked_add(offset.into())?).ok()?;
        let bytes = data.bytes.get(start..start.checked_add(size.bytes() as usize)?)?;
        let word = bytes.iter().rev().fold(0, |word, byte| word << 8 | i64::from(*byte));
        number(match u8::try_from(size.bytes() * 8) {
            Ok(bits @ 8..=32) => fold::extend(word, bits, signed),
            _ => word,
        })
    }

    fn byte_swap(&mut self, value: Value, bits: u8) -> Option<Step> {
        if let Some(constant) = self.function.constant(value) {
            return number(fold::swap_bytes(constant, bits));
        }
        match *self.function.definition(value)? {
            Inst::SwapBytes { value, bits: 64 } if bits == 64 => Some(Same(value)),
            Inst::SwapBytes { value, bits: inner } if inner == bits => {
                Some(Become(Inst::Extend { value, bits, signed: false }))
            }
            _ => None,
        }
    }

    fn cast(&mut self, value: Value, result: Value) -> Option<Step> {
        let to = self.function.type_of(result);
        if self.function.type_of(value) == to {
            return Some(Same(value));
        }
        let &Inst::Cast(inner) = self.function.definition(value)? else { return None };
        // Casts to these are allowed from everything.
        let is_foreign = matches!(to, Type::Int | Type::Pointer(Region::Kernel(_) | Region::User));
        is_foreign.then_some(Become(Inst::Cast(inner)))
    }
}

/// Pointers that are addresses of something.
const fn is_never_null(value_type: Type) -> bool {
    matches!(
        value_type,
        Type::Pointer(
            Region::Context
                | Region::Slot
                | Region::Data
                | Region::Map
                | Region::Function
                | Region::MapValue { nullable: false }
        )
    )
}
