//! The effect of one instruction on what is known.
//!
//! Arithmetic is in `arithmetic`, jumps are in `branch`, memory is in `memory`, calls are in `calls`. By the rules of `do_check` in
//! `kernel/bpf/verifier.c` (Linux 6.12) for a privileged loader.

use nonna_bpf::{Imm64, Insn, Operand, RelocationTarget};

use super::Prover;
use super::explore::Path;
use super::failure::Failure;
use super::state::{Frame, Role, State};
use super::value::{Kind, Pointer, Trust, Types, Value};
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

/// The plain pointer to an object of a type.
pub(crate) fn typed(types: Types, type_id: u32, trust: Trust) -> Pointer {
    Pointer::new(Kind::Typed { types, type_id, trust })
}
