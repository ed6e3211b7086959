//! The effect of one instruction on what is known.
//!
//! Arithmetic and jumps are here; memory is in `memory`, calls are in `calls`. By the rules of `do_check` in
//! `kernel/bpf/verifier.c` (Linux 6.12) for a privileged loader.

use nonna_bpf::{AluOp, Imm64, Insn, MemSize, Operand, RelocationTarget, Width};

use super::Prover;
use super::branch::{range_of, with_range};
use super::explore::Path;
use super::failure::Failure;
use super::links::Link;
use super::state::{Frame, Role, State};
use super::value::{Kind, Number, Pointer, Progress, Trust, Types, Value};
use crate::environment::Rules;
use crate::facts::AccessFact;
use crate::numbers::Scalar;
use crate::slugs;

/// Where a path goes on.
pub(crate) enum Next {
    /// To the next instruction.
    Fall,
    /// Elsewhere.
    Jump(usize),
    /// A jump that may be taken (with this state) or not.
    Both { taken: Box<State>, target: usize },
    /// A jump of which the outcome is known.
    Decided { taken: bool, target: usize },
    /// A helper calls a function any number of times.
    Rounds(Box<Callback>),
    /// Such a function returned.
    RoundDone,
    /// The path is at its end.
    End,
}

/// A function that a helper calls.
#[derive(Debug, Clone)]
pub(crate) struct Callback {
    pub(crate) first: usize,
    pub(crate) call: usize,
    /// `r1` to `r5` of the function.
    pub(crate) arguments: [Value; 5],
    /// What the helper returns at last.
    pub(crate) result: Value,
}

impl Callback {
    /// The path goes into the function.
    pub(crate) fn enter(&self, path: &mut Path) {
        let mut frame = Frame::new(self.call, Role::Callback { once: false });
        frame.registers[1..=5].copy_from_slice(&self.arguments);
        path.state.frames.push(std::rc::Rc::new(frame));
        path.insn = self.first;
    }

    /// The path goes on after the helper.
    pub(crate) fn leave(&self, path: &mut Path) {
        path.state.set(0, self.result);
        path.insn = self.call + 1;
    }
}

/// Displacements that a pointer may have, as in the kernel (`BPF_MAX_VAR_OFF`).
const MAX_DISPLACEMENT: i64 = 1 << 29;

impl Prover<'_> {
    /// Runs one instruction on what is known.
    pub(crate) fn step(&mut self, path: &mut Path) -> Result<Next, Failure> {
        let at = path.insn;
        if self.facts[at] == AccessFact::Unreached {
            self.facts[at] = AccessFact::Direct;
        }
        let state = &mut path.state;
        match self.insns[at] {
            Insn::Alu { width, op, dst, src } => {
                let right = match src {
                    Operand::Reg(src) => self.read(state, at, src.number())?,
                    Operand::Imm(imm) => Value::constant(i64::from(imm) as u64),
                };
                let value = self.alu(state, at, width, op, dst.number(), src, right)?;
                self.write(state, at, dst.number(), value)?;
            }
            Insn::MovSx { width, dst, src, from_bits } => {
                let value = match self.read(state, at, src.number())? {
                    Value::Number(number) => {
                        let extended = number.scalar.sign_extend(u32::from(from_bits), width);
                        if extended == number.scalar {
                            Value::Number(number)
                        } else {
                            Value::scalar(extended)
                        }
                    }
                    _ => Value::scalar(Scalar::unknown().sign_extend(u32::from(from_bits), width)),
                };
                self.write(state, at, dst.number(), value)?;
            }
            Insn::Neg { width, dst } => {
                let value = match self.read(state, at, dst.number())? {
                    Value::Number(number) => Value::scalar(number.scalar.neg(width)),
                    _ => Value::unknown(),
                };
                self.write(state, at, dst.number(), value)?;
            }
            Insn::Endian { kind, dst, bits } => {
                let value = match self.read(state, at, dst.number())? {
                    Value::Number(number) => Value::scalar(number.scalar.endian(kind, u32::from(bits))),
                    _ => Value::unknown(),
                };
                self.write(state, at, dst.number(), value)?;
            }
            Insn::LoadImm64 { dst, value } => {
                let value = self.constant(at, value)?;
                self.write(state, at, dst.number(), value)?;
            }
            Insn::Load { size, sign_extend, dst, base, offset } => {
                let pointer = self.read(state, at, base.number())?;
                let value =
                    self.load(state, at, base.number(), &pointer, i64::from(offset), size, sign_extend)?;
                self.write(state, at, dst.number(), value)?;
            }
            Insn::Store { size, base, offset, src } => {
                let pointer = self.read(state, at, base.number())?;
                let value = match src {
                    Operand::Reg(src) => self.read(state, at, src.number())?,
                    Operand::Imm(imm) => Value::constant(i64::from(imm) as u64),
                };
                self.store(state, at, base.number(), &pointer, i64::from(offset), size, value)?;
            }
            Insn::Atomic { size, op, base, offset, src } => {
                self.atomic(state, at, size, op, base.number(), i64::from(offset), src.number())?;
            }
            Insn::LoadPacket { index, .. } => return self.load_packet(path, index),
            Insn::Jump { width, op, dst, src, .. } => return self.jump(path, width, op, dst.number(), src),
            Insn::Goto { .. } | Insn::GotoLong { .. } => return Ok(Next::Jump(self.target(at))),
            Insn::MayGoto { .. } => {
                let taken = Box::new(state.clone());
                state.may_goto_rounds += 1;
                return Ok(Next::Both { taken, target: self.target(at) });
            }
            Insn::Call(callee) => return self.call(path, callee),
            Insn::Exit => return self.exit(path),
        }
        Ok(Next::Fall)
    }

    /// The instruction that a jump at `at` leads to.
    pub(crate) fn target(&self, at: usize) -> usize {
        let offset = self.insns[at].local_offset().unwrap_or(0);
        self.slots.target(at, offset).unwrap_or(at + 1)
    }

    /// The value of a register that an instruction reads.
    pub(crate) fn read(&self, state: &State, at: usize, register: u8) -> Result<Value, Failure> {
        let value = state.register(register);
        if value == Value::Uninit {
            let message =
                format!("`r{register}` is read here, but on this path nothing usable was put into it");
            return Err(Failure::new(&slugs::UNWRITTEN_REGISTER, at, message)
                .register(register)
                .help("set the variable on every path that leads here; a call clears `r1` to `r5`"));
        }
        Ok(value)
    }

    pub(crate) fn write(
        &self,
        state: &mut State,
        at: usize,
        register: u8,
        value: Value,
    ) -> Result<(), Failure> {
        if register > 9 {
            let message = "`r10` is written here, but it belongs to the machine";
            return Err(Failure::new(&slugs::FRAME_POINTER_WRITTEN, at, message).help("use another register"));
        }
        state.set(register, value);
        Ok(())
    }

    /// What a 64-bit immediate load gives.
    fn constant(&mut self, at: usize, value: Imm64) -> Result<Value, Failure> {
        let pointer = |kind| Ok(Value::Pointer(Pointer::new(kind)));
        if let Some(target) = self.relocations.get(&at).cloned() {
            return match target {
                RelocationTarget::Map(map) => pointer(Kind::Map(map)),
                RelocationTarget::MapValue { map, offset } => self.map_value_address(at, map, offset),
                RelocationTarget::KernelSymbol { name, typed, weak } => {
                    self.kernel_symbol(at, &name, typed, weak)
                }
                RelocationTarget::Kfunc { .. } => Ok(Value::unknown()),
            };
        }
        match value {
            Imm64::Value(value) => Ok(Value::constant(value)),
            Imm64::Function(_) => pointer(Kind::Function { insn: self.target(at) as u32 }),
            Imm64::BtfVariable { type_id, .. } => self.kernel_variable(at, type_id, false),
            _ => Err(Failure::new(
                &slugs::NOT_MODELLED,
                at,
                "this refers to a map by a descriptor of another process",
            )
            .help("name the map by a relocation, as compilers do")),
        }
    }

    fn map_value_address(
        &mut self,
        at: usize,
        map: nonna_bpf::MapIdx,
        offset: u32,
    ) -> Result<Value, Failure> {
        let size = self.object.maps.get(map.0 as usize).map_or(0, |map| map.value_size);
        if offset >= size {
            let message = format!("this address is {offset} bytes into a value of {size} bytes");
            return Err(Failure::new(&slugs::OUT_OF_BOUNDS, at, message).help("stay inside the map's value"));
        }
        let mut pointer = Pointer::new(Kind::MapValue { map });
        pointer.offset = i64::from(offset);
        Ok(Value::Pointer(pointer))
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one instruction")]
    fn alu(
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
    fn made_of(
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

    fn check_shift(&self, at: usize, width: Width, op: AluOp, amount: &Number) -> Result<(), Failure> {
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

    fn mov(&mut self, state: &mut State, width: Width, src: Operand, value: Value) -> Value {
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
    fn displace(
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

    /// Notes that values of registers matter at an instruction.
    pub(crate) fn wants(&mut self, at: usize, registers: u16) {
        self.demand.want(at, registers, self.insns, &self.flow);
    }

    /// Whether broken bounds count: not while a loop's state is still a guess.
    pub(crate) fn judges(&self) -> bool {
        self.ascending == 0
    }

    fn exit(&mut self, path: &mut Path) -> Result<Next, Failure> {
        let at = path.insn;
        let result = path.state.register(0);
        let depth = path.state.depth();
        if depth == 0 {
            self.check_end(&path.state, at)?;
            return Ok(Next::End);
        }
        let role = path.state.frame().role;
        let call_site = path.state.frame().call_site;
        if result.pointer().is_some_and(
            |pointer| matches!(pointer.kind, Kind::Stack { depth: of } if usize::from(of) == depth),
        ) {
            return Err(Failure::new(
                &slugs::RETURN_VALUE,
                at,
                "this returns a pointer into a frame that ends here",
            )
            .register(0)
            .help("return a number, or let the caller pass the memory"));
        }
        self.forget_frame(&mut path.state, depth);
        match role {
            Role::Callback { once } => {
                self.check_callback_result(&path.state, at, &result)?;
                path.state.frames.pop();
                if once {
                    return Ok(Next::End);
                }
                path.insn = call_site;
                Ok(Next::RoundDone)
            }
            Role::Entry | Role::Called => {
                path.state.frames.pop();
                let frame = path.state.frame_mut();
                frame.registers[1..=5].fill(Value::Uninit);
                frame.registers[0] = result;
                Ok(Next::Jump(call_site + 1))
            }
        }
    }

    /// Pointers into a frame that ends lead nowhere.
    fn forget_frame(&self, state: &mut State, depth: usize) {
        let dead = |value: &Value| {
            value
                .pointer()
                .is_some_and(|p| matches!(p.kind, Kind::Stack { depth: of } if usize::from(of) == depth))
        };
        let outer_has = state.frames[..depth].iter().any(|frame| {
            frame.registers.iter().any(dead) || frame.slots.iter().filter_map(|slot| slot.spilled()).any(dead)
        });
        if outer_has {
            state.each_value(dead, |value| *value = Value::Uninit);
        }
    }
}

/// Whether a sum is that of the whole numbers, modulo 2^64.
fn adds_whole(width: Width, left: &Number, right: &Number) -> bool {
    let most = |number: &Number| number.scalar.ranges(Width::W64).unsigned_max;
    width == Width::W64 || most(left).checked_add(most(right)).is_some_and(|sum| sum <= u64::from(u32::MAX))
}

/// Arithmetic on numbers, with what is known of their origin.
fn arithmetic(op: AluOp, width: Width, left: &Number, right: &Number) -> Number {
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

/// The plain pointer to an object of a type.
pub(crate) fn typed(types: Types, type_id: u32, trust: Trust) -> Pointer {
    Pointer::new(Kind::Typed { types, type_id, trust })
}
