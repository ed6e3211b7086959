//! Reads one statement.
//!
//! A statement whose target is a label comes back with offset 0 and the label; the assembler fills it in when it
//! knows where the label is.

use super::error::AssembleErrorKind;
use super::lexer::{Line, Token};
use super::operand::{Parsed, register};
use super::{ALU_OPS, JUMP_OPS, alu_sign, jump_sign};
use crate::helper::Helper;
use crate::insn::{AluOp, AtomicOp, Callee, Endian, Imm64, Insn, JumpOp, MemSize, Operand, Reg, Width};

/// An instruction and the label that it names.
pub(super) struct Statement<'a> {
    pub(super) insn: Insn,
    pub(super) label: Option<&'a str>,
    /// Bytes of the label in the line.
    pub(super) label_range: std::ops::Range<usize>,
}

impl From<Insn> for Statement<'_> {
    fn from(insn: Insn) -> Self {
        Statement { insn, label: None, label_range: 0..0 }
    }
}

/// A jump target: a number of slots or a label.
struct Target<'a> {
    offset: i64,
    label: Option<&'a str>,
    range: std::ops::Range<usize>,
}

impl<'a> Target<'a> {
    fn with(self, insn: Insn) -> Statement<'a> {
        Statement { insn, label: self.label, label_range: self.range }
    }
}

impl<'a> Line<'a> {
    /// The whole line. `opcode` is the one written in front; it tells a 64-bit constant from a move.
    pub(super) fn statement(&mut self, opcode: Option<u8>) -> Parsed<Statement<'a>> {
        let statement = self.statement_body(opcode)?;
        // LLVM repeats the target of a jump as `<LABEL>`.
        if self.take_sign("<") {
            self.take();
            self.sign(">", "`>`")?;
        }
        if self.peek() == Token::End { Ok(statement) } else { Err(self.expected("the end of the line")) }
    }

    fn statement_body(&mut self, opcode: Option<u8>) -> Parsed<Statement<'a>> {
        let Token::Word(word) = self.peek() else {
            if self.peek() == Token::Sign("*") {
                return self.store().map(Into::into);
            }
            return Err(self.expected("an instruction"));
        };
        if let Some((width, dst)) = register(word) {
            self.take();
            return self.on_register(width, dst, opcode);
        }
        match word {
            "exit" => {
                self.take();
                Ok(Insn::Exit.into())
            }
            "goto" | "gotol" | "may_goto" => self.goto(word),
            "if" => self.jump(),
            "call" => self.call(),
            "callx" => {
                self.take();
                Ok(Insn::Call(Callee::Register(self.register64()?)).into())
            }
            "lock" => self.lock().map(Into::into),
            _ => Err(self.expected("an instruction")),
        }
    }

    fn target(&mut self, bits: u8) -> Parsed<Target<'a>> {
        const EXPECTED: &str = "a target such as `pc+3` or a label";
        let start = self.next_range().start;
        match self.peek() {
            Token::Word("pc") => {
                self.take();
            }
            Token::Word(label) => {
                self.take();
                return Ok(Target { offset: 0, label: Some(label), range: self.last_range() });
            }
            _ => {}
        }
        let offset = self.signed(bits, false, EXPECTED)?;
        Ok(Target { offset, label: None, range: start..self.last_range().end })
    }

    fn goto(&mut self, word: &str) -> Parsed<Statement<'a>> {
        self.take();
        let target = self.target(if word == "gotol" { 32 } else { 16 })?;
        let insn = match word {
            "gotol" => Insn::GotoLong { offset: target.offset as i32 },
            "goto" => Insn::Goto { offset: target.offset as i16 },
            _ => Insn::MayGoto { offset: target.offset as i16 },
        };
        Ok(target.with(insn))
    }

    fn jump(&mut self) -> Parsed<Statement<'a>> {
        self.take();
        let Some((width, dst)) = self.take_register() else { return Err(self.expected("a register")) };
        let op = self.comparison()?;
        // The kernel prints the constant as unsigned, whatever its width.
        let src = self.operand(width, true)?;
        if !self.take_word("goto") {
            return Err(self.expected("`goto`"));
        }
        let target = self.target(16)?;
        let offset = target.offset as i16;
        Ok(target.with(Insn::Jump { width, op, dst, src, offset }))
    }

    fn comparison(&mut self) -> Parsed<JumpOp> {
        let found = match self.peek() {
            Token::Sign(sign) => JUMP_OPS.into_iter().find(|op| jump_sign(*op) == sign),
            _ => None,
        };
        if found.is_some() {
            self.take();
        }
        found.ok_or_else(|| self.expected("a comparison such as `==` or `s<`"))
    }

    fn operand(&mut self, width: Width, unsigned_too: bool) -> Parsed<Operand> {
        match self.take_register() {
            Some((found, src)) if found == width => Ok(Operand::Reg(src)),
            Some(_) => {
                let letter = if width == Width::W32 { 'w' } else { 'r' };
                Err(self.error_at_last(AssembleErrorKind::MixedWidths(letter)))
            }
            None => self.imm(unsigned_too || width == Width::W32).map(Operand::Imm),
        }
    }

    fn call(&mut self) -> Parsed<Statement<'a>> {
        self.take();
        match self.peek() {
            Token::Word("pc") if matches!(self.peek_second(), Token::Sign("+" | "-")) => {
                let target = self.target(32)?;
                Ok(Insn::Call(Callee::Local(target.offset as i32)).into())
            }
            Token::Word("kernel") if self.peek_second() == Token::Sign("-") => {
                self.take();
                self.take();
                self.take();
                self.numbered_call("kernel-function")
            }
            Token::Word(name) => {
                self.take();
                if self.peek() == Token::Sign("#") {
                    return self.numbered_call(name);
                }
                let insn = match Helper::from_name(name) {
                    Some(helper) if name.starts_with("bpf_") => Insn::Call(Callee::Helper(helper.id())),
                    _ => Insn::Call(Callee::Local(0)),
                };
                Ok(Statement { insn, label: Some(name), label_range: self.last_range() })
            }
            _ => Ok(Insn::Call(Callee::Helper(self.imm(true)? as u32)).into()),
        }
    }

    /// `name#12`: a helper where number and name belong together, else a kernel function.
    fn numbered_call(&mut self, name: &str) -> Parsed<Statement<'a>> {
        self.sign("#", "`#` and a number")?;
        let number = self.imm(true)?;
        let helper = Helper::from_id(number as u32).filter(|helper| helper.name() == name);
        if helper.is_some() || name == "unknown" {
            return Ok(Insn::Call(Callee::Helper(number as u32)).into());
        }
        let mut fd_index = 0;
        if self.take_sign("[") {
            fd_index = self.signed(16, false, "a number")? as i16;
            self.sign("]", "`]`")?;
        }
        Ok(Insn::Call(Callee::Kfunc { type_id: number, fd_index }).into())
    }

    /// `*(u64 *)(r10 -8) = …`
    fn store(&mut self) -> Parsed<Insn> {
        let (size, base, offset) = self.place()?;
        self.sign("=", "`=`")?;
        let src = match self.peek() {
            Token::Word(_) => Operand::Reg(self.value_register(size)?),
            _ => Operand::Imm(self.imm(size != MemSize::DW)?),
        };
        Ok(Insn::Store { size, base, offset, src })
    }

    fn place(&mut self) -> Parsed<(MemSize, Reg, i16)> {
        self.sign("*", "`*(`")?;
        let (size, signed) = self.pointer_type()?;
        if signed {
            return Err(self.error_at_last(AssembleErrorKind::NoSuchForm("only loads have signed types")));
        }
        let (base, offset) = self.address()?;
        Ok((size, base, offset))
    }

    /// `lock *(u64 *)(r1 +0) += r2`
    fn lock(&mut self) -> Parsed<Insn> {
        self.take();
        let (size, base, offset) = self.place()?;
        self.atomic_size(size)?;
        let op = match self.peek() {
            Token::Sign("+=") => AtomicOp::Add { fetch: false },
            Token::Sign("|=") => AtomicOp::Or { fetch: false },
            Token::Sign("&=") => AtomicOp::And { fetch: false },
            Token::Sign("^=") => AtomicOp::Xor { fetch: false },
            _ => return Err(self.expected("`+=`, `|=`, `&=` or `^=`")),
        };
        self.take();
        let src = self.value_register(size)?;
        Ok(Insn::Atomic { size, op, base, offset, src })
    }

    fn atomic_size(&self, size: MemSize) -> Parsed<()> {
        match size {
            MemSize::W | MemSize::DW => Ok(()),
            _ => {
                Err(self
                    .error_at_last(AssembleErrorKind::NoSuchForm("atomic operations take `u32` or `u64`")))
            }
        }
    }

    fn on_register(&mut self, width: Width, dst: Reg, opcode: Option<u8>) -> Parsed<Statement<'a>> {
        let op = match self.peek() {
            Token::Sign(sign) => ALU_OPS.into_iter().find(|op| alu_sign(*op) == sign),
            _ => None,
        };
        let Some(op) = op else { return Err(self.expected("an operation such as `=` or `+=`")) };
        self.take();
        if op == AluOp::Mov {
            return self.assignment(width, dst, opcode);
        }
        let src = self.operand(width, false)?;
        Ok(Insn::Alu { width, op, dst, src }.into())
    }

    /// What follows `r1 =`.
    fn assignment(&mut self, width: Width, dst: Reg, opcode: Option<u8>) -> Parsed<Statement<'a>> {
        match self.peek() {
            Token::Sign("-") if matches!(self.peek_second(), Token::Word(_)) => {
                self.take();
                self.same_register(width, dst)?;
                Ok(Insn::Neg { width, dst }.into())
            }
            Token::Sign("(") => self.move_signed(width, dst).map(Into::into),
            Token::Sign("*") => self.load(width, dst).map(Into::into),
            Token::Word(word) if register(word).is_some() => {
                let src = self.operand(width, false)?;
                Ok(Insn::Alu { width, op: AluOp::Mov, dst, src }.into())
            }
            Token::Word("map") => self.map(dst).map(Into::into),
            Token::Word("btf") => self.btf_variable(dst).map(Into::into),
            Token::Word("subprog") => self.function(dst),
            Token::Word(word) if word.starts_with("atomic") => self.atomic(dst, word).map(Into::into),
            Token::Word(word) => self.endian(width, dst, word).map(Into::into),
            _ => self.constant(width, dst, opcode).map(Into::into),
        }
    }

    fn same_register(&mut self, width: Width, dst: Reg) -> Parsed<()> {
        let Some(found) = self.take_register() else { return Err(self.expected("a register")) };
        if found == (width, dst) {
            return Ok(());
        }
        let letter = if found.0 == Width::W32 { 'w' } else { 'r' };
        let name = format!("`{letter}{}`", found.1.number());
        Err(self.error_at_last(AssembleErrorKind::DifferentRegister(name)))
    }

    /// `(s8)r2`
    fn move_signed(&mut self, width: Width, dst: Reg) -> Parsed<Insn> {
        self.take();
        let from_bits = match (self.peek(), width) {
            (Token::Word("s8"), _) => 8,
            (Token::Word("s16"), _) => 16,
            (Token::Word("s32"), Width::W64) => 32,
            _ => return Err(self.expected("`s8`, `s16` or, for `r` registers, `s32`")),
        };
        self.take();
        self.sign(")", "`)`")?;
        match self.operand(width, false)? {
            Operand::Reg(src) => Ok(Insn::MovSx { width, dst, src, from_bits }),
            Operand::Imm(_) => Err(self.error_at_last(AssembleErrorKind::NoSuchForm(
                "only registers can be moved with sign extension",
            ))),
        }
    }

    /// `*(u64 *)(r1 +8)` or `*(u16 *)skb[12]`
    fn load(&mut self, width: Width, dst: Reg) -> Parsed<Insn> {
        self.take();
        let (size, sign_extend) = self.pointer_type()?;
        if self.take_word("skb") {
            return self.packet(dst, size);
        }
        if (sign_extend || width == Width::W32) && size == MemSize::DW {
            return Err(self.error_at_last(AssembleErrorKind::NoSuchForm(
                "8 bytes are loaded as `u64` into an `r` register",
            )));
        }
        let (base, offset) = self.address()?;
        Ok(Insn::Load { size, sign_extend, dst, base, offset })
    }

    fn packet(&mut self, dst: Reg, size: MemSize) -> Parsed<Insn> {
        if dst != Reg::R0 || size == MemSize::DW {
            return Err(self.error_at_last(AssembleErrorKind::NoSuchForm(
                "packet loads take `u8`, `u16` or `u32` into `r0`",
            )));
        }
        self.sign("[", "`[`")?;
        let index = self.take_register().map(|(_, index)| index);
        // After an index the sign of the number follows a `+` of its own.
        if index.is_some() {
            self.take_sign("+");
        }
        let offset = self.imm(false)?;
        self.sign("]", "`]`")?;
        Ok(Insn::LoadPacket { size, index, offset })
    }

    /// `atomic64_fetch_add((u64 *)(r1 +0), r2)`
    fn atomic(&mut self, dst: Reg, word: &str) -> Parsed<Insn> {
        let (wide, name) = match (word.strip_prefix("atomic64_"), word.strip_prefix("atomic_")) {
            (Some(name), _) => (true, name),
            (_, Some(name)) => (false, name),
            _ => return Err(self.expected("an atomic operation such as `atomic64_fetch_add`")),
        };
        let op = match name {
            "fetch_add" => AtomicOp::Add { fetch: true },
            "fetch_or" => AtomicOp::Or { fetch: true },
            "fetch_and" => AtomicOp::And { fetch: true },
            "fetch_xor" => AtomicOp::Xor { fetch: true },
            "xchg" => AtomicOp::Exchange,
            "cmpxchg" => AtomicOp::CompareExchange,
            _ => return Err(self.expected("an atomic operation such as `atomic64_fetch_add`")),
        };
        self.take();
        self.sign("(", "`(`")?;
        let (size, signed) = self.pointer_type()?;
        if signed || size != (if wide { MemSize::DW } else { MemSize::W }) {
            return Err(self.error_at_last(AssembleErrorKind::NoSuchForm(
                "`atomic64_` operations take `u64`, the others `u32`",
            )));
        }
        let (base, offset) = self.address()?;
        self.sign(",", "`,`")?;
        if op == AtomicOp::CompareExchange {
            self.same_register(Width::W64, Reg::R0)?;
            self.sign(",", "`,`")?;
        }
        let src = self.value_register(size)?;
        let result = if op == AtomicOp::CompareExchange { Reg::R0 } else { src };
        if dst != result {
            return Err(self.error_at_last(AssembleErrorKind::DifferentRegister(format!("`{result}`"))));
        }
        self.sign(")", "`)`")?;
        Ok(Insn::Atomic { size, op, base, offset, src })
    }

    /// `be16 r1`
    fn endian(&mut self, width: Width, dst: Reg, word: &str) -> Parsed<Insn> {
        const KINDS: [(&str, Endian); 3] = [("be", Endian::Be), ("le", Endian::Le), ("bswap", Endian::Swap)];
        let found = KINDS.iter().find_map(|(name, kind)| {
            let bits = match word.strip_prefix(name)? {
                "16" => 16,
                "32" => 32,
                "64" => 64,
                _ => return None,
            };
            Some((*kind, bits))
        });
        let Some((kind, bits)) = found else { return Err(self.expected("a value")) };
        self.take();
        self.same_register(width, dst)?;
        Ok(Insn::Endian { kind, dst, bits })
    }

    /// `map[fd:5]`, `map[idx:5][0]+8`; `bpftool` prints numbers of loaded maps as `map[id:5]`.
    fn map(&mut self, dst: Reg) -> Parsed<Insn> {
        self.take();
        self.sign("[", "`[`")?;
        let by_index = match self.peek() {
            Token::Word("fd" | "id") => false,
            Token::Word("idx") => true,
            _ => return Err(self.expected("`fd:` or `idx:`")),
        };
        self.take();
        self.sign(":", "`:`")?;
        let number = self.imm(true)?;
        self.sign("]", "`]`")?;
        let value = if self.take_sign("[") {
            if self.number("`0`")?.0 != 0 {
                return Err(self.error_at_last(AssembleErrorKind::NoSuchForm(
                    "addresses are of the first value of a map",
                )));
            }
            self.sign("]", "`]`")?;
            self.sign("+", "`+` and an offset")?;
            let offset = self.unsigned32()?;
            if by_index {
                Imm64::MapValueIndex { index: number, offset }
            } else {
                Imm64::MapValueFd { fd: number, offset }
            }
        } else if by_index {
            Imm64::MapIndex(number)
        } else {
            Imm64::MapFd(number)
        };
        Ok(Insn::LoadImm64 { dst, value })
    }

    /// `btf[id:5]`, `btf[id:5, fd:3]`
    fn btf_variable(&mut self, dst: Reg) -> Parsed<Insn> {
        self.take();
        self.sign("[", "`[`")?;
        if !self.take_word("id") {
            return Err(self.expected("`id:`"));
        }
        self.sign(":", "`:`")?;
        let type_id = self.unsigned32()?;
        let mut btf_fd = 0;
        if self.take_sign(",") {
            if !self.take_word("fd") {
                return Err(self.expected("`fd:`"));
            }
            self.sign(":", "`:`")?;
            btf_fd = self.unsigned32()?;
        }
        self.sign("]", "`]`")?;
        Ok(Insn::LoadImm64 { dst, value: Imm64::BtfVariable { type_id, btf_fd } })
    }

    /// `subprog[+3]` or `subprog[label]`
    fn function(&mut self, dst: Reg) -> Parsed<Statement<'a>> {
        self.take();
        self.sign("[", "`[`")?;
        let target = self.target(32)?;
        self.sign("]", "`]`")?;
        let value = Imm64::Function(target.offset as i32);
        Ok(target.with(Insn::LoadImm64 { dst, value }))
    }

    /// A number: a move of a 32-bit constant, or a 64-bit constant where `ll` or the opcode says so.
    fn constant(&mut self, width: Width, dst: Reg, opcode: Option<u8>) -> Parsed<Insn> {
        const EXPECTED: &str = "a value";
        let (value, _) = self.number(EXPECTED)?;
        let range = self.last_range();
        if self.take_word("ll") || opcode == Some(0x18) {
            if width == Width::W32 {
                return Err(self
                    .error_at_last(AssembleErrorKind::NoSuchForm("64-bit constants go into `r` registers")));
            }
            let value = u64::try_from(value).ok().or_else(|| i64::try_from(value).ok().map(|v| v as u64));
            let value = value.ok_or_else(|| {
                self.error(range, AssembleErrorKind::NoSuchForm("a 64-bit constant is at least -2^63"))
            })?;
            return Ok(Insn::LoadImm64 { dst, value: Imm64::Value(value) });
        }
        let upper = if width == Width::W32 { i128::from(u32::MAX) } else { i128::from(i32::MAX) };
        if value < i128::from(i32::MIN) || value > upper {
            let kind = AssembleErrorKind::Range { value, bits: 32, signed: width == Width::W64 };
            return Err(self.error(range, kind));
        }
        Ok(Insn::Alu { width, op: AluOp::Mov, dst, src: Operand::Imm(value as i32) })
    }
}
