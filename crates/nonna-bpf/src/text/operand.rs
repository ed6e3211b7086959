//! Reads registers, numbers and memory operands.

use super::error::{AssembleError, AssembleErrorKind};
use super::lexer::{Line, Token};
use super::{SIZES, signed_type, unsigned_type};
use crate::insn::{MemSize, Reg, Width};

pub(super) type Parsed<T> = Result<T, AssembleError>;

/// The register of this name.
pub(super) fn register(word: &str) -> Option<(Width, Reg)> {
    let (letter, digits) = word.split_at_checked(1)?;
    let width = match letter {
        "r" => Width::W64,
        "w" => Width::W32,
        _ => return None,
    };
    // Only the digits that the printed form has: neither `r01` nor `r+1`.
    let number: u8 = digits.parse().ok()?;
    if digits.len() != number.to_string().len() {
        return None;
    }
    Some((width, Reg::new(number)?))
}

impl Line<'_> {
    /// Takes a register if one is next.
    pub(super) fn take_register(&mut self) -> Option<(Width, Reg)> {
        let Token::Word(word) = self.peek() else { return None };
        let found = register(word)?;
        self.take();
        Some(found)
    }

    /// A 64-bit register.
    pub(super) fn register64(&mut self) -> Parsed<Reg> {
        match self.take_register() {
            Some((Width::W64, reg)) => Ok(reg),
            Some((Width::W32, _)) => Err(self.error_at_last(AssembleErrorKind::Expected {
                expected: "a register `r0` to `r10`",
                found: "a 32-bit register".to_owned(),
            })),
            None => Err(self.expected("a register `r0` to `r10`")),
        }
    }

    /// A register that holds a value of this size: up to 4 bytes `w` is as good as `r`.
    pub(super) fn value_register(&mut self, size: MemSize) -> Parsed<Reg> {
        match self.take_register() {
            Some((Width::W32, _)) if size == MemSize::DW => {
                Err(self.error_at_last(AssembleErrorKind::MixedWidths('r')))
            }
            Some((_, reg)) => Ok(reg),
            None => Err(self.expected("a register")),
        }
    }

    /// A number with an optional sign; says whether it was hexadecimal without sign.
    pub(super) fn number(&mut self, expected: &'static str) -> Parsed<(i128, bool)> {
        let negative = if self.take_sign("-") {
            true
        } else {
            self.take_sign("+");
            false
        };
        match self.peek() {
            Token::Number(value, hex) => {
                self.take();
                let value = i128::from(value);
                Ok(if negative { (-value, false) } else { (value, hex) })
            }
            _ => Err(self.expected(expected)),
        }
    }

    /// A number that fits into `bits` bits with sign; `unsigned_too` admits the upper half written without sign.
    pub(super) fn signed(&mut self, bits: u8, unsigned_too: bool, expected: &'static str) -> Parsed<i64> {
        let (value, hex) = self.number(expected)?;
        let half = 1i128 << (bits - 1);
        if (-half..half).contains(&value) {
            Ok(value as i64)
        } else if unsigned_too && hex && (half..2 * half).contains(&value) {
            Ok((value - 2 * half) as i64)
        } else {
            Err(self.error_at_last(AssembleErrorKind::Range { value, bits, signed: true }))
        }
    }

    /// A signed 32-bit number.
    pub(super) fn imm(&mut self, unsigned_too: bool) -> Parsed<i32> {
        self.signed(32, unsigned_too, "a number").map(|value| value as i32)
    }

    /// An unsigned 32-bit number.
    pub(super) fn unsigned32(&mut self) -> Parsed<u32> {
        let (value, _) = self.number("a number")?;
        u32::try_from(value)
            .map_err(|_| self.error_at_last(AssembleErrorKind::Range { value, bits: 32, signed: false }))
    }

    /// `(u64 *)`; true where the type is signed.
    pub(super) fn pointer_type(&mut self) -> Parsed<(MemSize, bool)> {
        const EXPECTED: &str = "a type such as `(u64 *)`";
        self.sign("(", EXPECTED)?;
        let Token::Word(word) = self.peek() else { return Err(self.expected(EXPECTED)) };
        let unsigned = SIZES.into_iter().find(|size| unsigned_type(*size) == word).map(|size| (size, false));
        let found = unsigned
            .or_else(|| SIZES.into_iter().find(|size| signed_type(*size) == word).map(|size| (size, true)));
        let Some(found) = found else {
            return Err(self.expected("`u8`, `u16`, `u32`, `u64` or a signed type"));
        };
        self.take();
        self.sign("*", "`*`")?;
        self.sign(")", "`)`")?;
        Ok(found)
    }

    /// `(r10 -8)`
    pub(super) fn address(&mut self) -> Parsed<(Reg, i16)> {
        self.sign("(", "an address such as `(r10 -8)`")?;
        let base = self.register64()?;
        let offset = if self.peek() == Token::Sign(")") {
            0
        } else {
            self.signed(16, false, "an offset such as `+8`")? as i16
        };
        self.sign(")", "`)`")?;
        Ok((base, offset))
    }
}
