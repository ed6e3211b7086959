//! The interpreter: runs a prepared program op by op, every access checked, within a budget.
//!
//! It implements RFC 9669 whole and serves on every processor. It counts each op that it runs: at every jump that is taken, so
//! straight code pays nothing. The budget is checked where a program could go on for ever, at back edges and
//! calls.

mod ops;

use std::sync::atomic::AtomicU8;

use nonna_bpf::{AtomicOp, MemSize, Width};

use crate::arithmetic::{alu, atomic, convert, holds, negate, sign_extend};
use crate::budget::Budget;
use crate::fault::{Fault, FaultKind, Finished};
use crate::host::HelperError;
use crate::memory::MAX_FRAMES;
use crate::program::{Call, Prepared};
use crate::run::{Engine, Run};

pub(crate) use ops::Ops;
use ops::{Code, Op};

/// Times that `may_goto` falls through in one function call (`BPF_MAX_LOOPS` in the kernel).
const MAY_GOTO_ROUNDS: u32 = 8 << 20;

/// Runs a program with `r1` to `r5` as given and all other registers 0.
///
/// # Errors
///
/// [`Fault`] if the program does what it may not do, or exceeds the budget.
pub fn run(
    program: &Prepared,
    arguments: [u64; 5],
    run: &mut Run<'_, '_>,
    budget: Budget,
) -> Result<Finished, Fault> {
    run.execute(program, arguments, budget)
}

impl Engine for Prepared {
    fn enter(&self, entry: usize, arguments: [u64; 5], run: &mut Run<'_, '_>) -> u64 {
        let depth = run.depth;
        let Some(frame_pointer) = run.memory.open_frame(depth) else {
            run.fault(entry, FaultKind::CallDepth);
            return 0;
        };
        let mut machine = Machine {
            program: self,
            registers: [0; 16],
            callers: [Caller::default(); MAX_FRAMES],
            depth: 0,
            start: entry,
            may_goto_left: MAY_GOTO_ROUNDS,
            run,
        };
        machine.run.depth = depth + 1;
        machine.registers[1..=5].copy_from_slice(&arguments);
        machine.registers[10] = frame_pointer;
        let result = machine.walk(entry);
        run.memory.close_frames(depth);
        run.depth = depth;
        result
    }

    fn function(&self, address: u64) -> Option<usize> {
        Prepared::function(self, address)
    }
}

/// What a function needs back when the one that it called returns.
#[derive(Debug, Clone, Copy, Default)]
struct Caller {
    /// Index of the op to go on with.
    next: usize,
    /// `r6` to `r10`.
    kept: [u64; 5],
}

/// Where to go on.
enum Step {
    Next,
    Jump(usize),
    End(u64),
}

struct Machine<'a, 'r, 'm> {
    program: &'a Prepared,
    /// `r0` to `r10`; 16, so that four bits always index.
    registers: [u64; 16],
    callers: [Caller; MAX_FRAMES],
    /// Functions that wait for the present one.
    depth: usize,
    /// First op of the straight piece of code that is running.
    start: usize,
    may_goto_left: u32,
    run: &'a mut Run<'r, 'm>,
}

impl Machine<'_, '_, '_> {
    fn walk(&mut self, entry: usize) -> u64 {
        let ops = &self.program.ops().0;
        let mut at = entry;
        loop {
            let here = at;
            match self.step(here, &ops[here]) {
                Ok(Step::Next) => at = here + 1,
                Ok(Step::Jump(to)) => {
                    self.jump(here, to);
                    if to <= here
                        && let Err(kind) = self.check()
                    {
                        self.run.fault(here, kind);
                        return 0;
                    }
                    at = to;
                }
                Ok(Step::End(result)) => {
                    self.jump(here, 0);
                    return result;
                }
                Err(kind) => {
                    self.jump(here, 0);
                    self.run.fault(here, kind);
                    return 0;
                }
            }
        }
    }

    /// Control goes from op `from` to op `to`.
    #[inline(always)]
    fn jump(&mut self, from: usize, to: usize) {
        self.run.meter.until_look -= (from + 1 - self.start) as i64;
        self.start = to;
    }

    /// Stops a run that is beyond its budget.
    #[inline(always)]
    fn check(&mut self) -> Result<(), FaultKind> {
        if self.run.meter.until_look > 0 { Ok(()) } else { self.run.meter.look() }
    }

    #[inline(always)]
    fn register(&self, number: u8) -> u64 {
        self.registers[usize::from(number & 15)]
    }

    #[inline(always)]
    fn set(&mut self, number: u8, value: u64) {
        self.registers[usize::from(number & 15)] = value;
    }

    #[inline(always)]
    fn step(&mut self, here: usize, op: &Op) -> Result<Step, FaultKind> {
        let (dst, src) = (self.register(op.dst), self.register(op.src));
        let imm = i64::from(op.imm) as u64;
        let jump_if = |taken: bool| Ok(if taken { Step::Jump(op.arg as usize) } else { Step::Next });
        let value = match op.code {
            Code::AluReg(width, alu_op) => alu(width, alu_op, dst, src),
            Code::AluImm(width, alu_op) => alu(width, alu_op, dst, imm),
            Code::MovSx(width, from_bits) => sign_extend(width, from_bits, src),
            Code::Neg(width) => negate(width, dst),
            Code::Endian(kind, bits) => convert(kind, bits, dst),
            Code::LoadImm64 => u64::from(op.arg as u32) << 32 | u64::from(op.imm as u32),
            Code::Load(size) => self.load(size, displaced(src, op), &op.hint)?,
            Code::LoadSigned(size) => {
                let bits = (size.bytes() * 8) as u8;
                sign_extend(Width::W64, bits, self.load(size, displaced(src, op), &op.hint)?)
            }
            Code::LoadPacket(size) => {
                let index = if op.arg == 0 { 0 } else { i64::from(src as u32) };
                match self.run.context.load_packet(self.run.memory, size, index + i64::from(op.imm)) {
                    Some(value) => u64::from(value),
                    // The kernel ends the program with 0, whatever functions are active.
                    None => return Ok(Step::End(self.run.end(0))),
                }
            }
            Code::StoreReg(size) => return self.store(size, displaced(dst, op), src, &op.hint),
            Code::StoreImm(size) => return self.store(size, displaced(dst, op), imm, &op.hint),
            Code::Atomic32(kind) => return self.atomic32(kind, displaced(dst, op), op),
            Code::Atomic64(kind) => return self.atomic64(kind, displaced(dst, op), op),
            Code::JumpReg(width, condition) => return jump_if(holds(width, condition, dst, src)),
            Code::JumpImm(width, condition) => return jump_if(holds(width, condition, dst, imm)),
            Code::Goto => return jump_if(true),
            Code::MayGoto => {
                let used_up = self.may_goto_left == 0;
                self.may_goto_left = self.may_goto_left.saturating_sub(1);
                return jump_if(used_up);
            }
            Code::Call => return self.call(here),
            Code::Exit => return self.exit(),
        };
        self.set(op.dst, value);
        Ok(Step::Next)
    }

    #[inline(always)]
    fn load(&self, size: MemSize, address: u64, hint: &AtomicU8) -> Result<u64, FaultKind> {
        Ok(match size {
            MemSize::B => u64::from(u8::from_ne_bytes(self.run.memory.load(address, hint)?)),
            MemSize::H => u64::from(u16::from_ne_bytes(self.run.memory.load(address, hint)?)),
            MemSize::W => u64::from(u32::from_ne_bytes(self.run.memory.load(address, hint)?)),
            MemSize::DW => u64::from_ne_bytes(self.run.memory.load(address, hint)?),
        })
    }

    #[inline(always)]
    fn store(&self, size: MemSize, address: u64, value: u64, hint: &AtomicU8) -> Result<Step, FaultKind> {
        match size {
            MemSize::B => self.run.memory.store(address, (value as u8).to_ne_bytes(), hint)?,
            MemSize::H => self.run.memory.store(address, (value as u16).to_ne_bytes(), hint)?,
            MemSize::W => self.run.memory.store(address, (value as u32).to_ne_bytes(), hint)?,
            MemSize::DW => self.run.memory.store(address, value.to_ne_bytes(), hint)?,
        }
        Ok(Step::Next)
    }

    fn atomic32(&mut self, kind: AtomicOp, address: u64, op: &Op) -> Result<Step, FaultKind> {
        let (src, expected) = (self.register(op.src), u64::from(self.registers[0] as u32));
        let old = self.run.memory.replace(address, &op.hint, |old| {
            (atomic(kind, u64::from(u32::from_ne_bytes(old)), src, expected) as u32).to_ne_bytes()
        })?;
        self.fetched(kind, op.src, u64::from(u32::from_ne_bytes(old)));
        Ok(Step::Next)
    }

    fn atomic64(&mut self, kind: AtomicOp, address: u64, op: &Op) -> Result<Step, FaultKind> {
        let (src, expected) = (self.register(op.src), self.registers[0]);
        let old = self.run.memory.replace(address, &op.hint, |old| {
            atomic(kind, u64::from_ne_bytes(old), src, expected).to_ne_bytes()
        })?;
        self.fetched(kind, op.src, u64::from_ne_bytes(old));
        Ok(Step::Next)
    }

    /// Puts the old value where the operation wants it.
    fn fetched(&mut self, kind: AtomicOp, src: u8, old: u64) {
        match kind {
            AtomicOp::CompareExchange => self.set(0, old),
            AtomicOp::Exchange
            | AtomicOp::Add { fetch: true }
            | AtomicOp::Or { fetch: true }
            | AtomicOp::And { fetch: true }
            | AtomicOp::Xor { fetch: true } => self.set(src, old),
            _ => {}
        }
    }

    fn call(&mut self, here: usize) -> Result<Step, FaultKind> {
        match self.program.call(here).expect("the instruction is a call") {
            Call::Helper(number, function) => {
                self.call_out(here, Some(number), |run, [a, b, c, d, e]| function(a, b, c, d, e, run))
            }
            Call::Host(number) => {
                self.call_out(here, Some(number), |run, arguments| run.ask_host(number, arguments))
            }
            Call::KernelFunction(function) => {
                self.call_out(here, None, |run, [a, b, c, d, e]| function(a, b, c, d, e, run))
            }
            Call::Absent => Err(FaultKind::KernelFunction(HelperError::Unknown)),
            Call::Local(to) => self.call_local(here, to),
            Call::Register(register) => self.call_register(here, self.register(register.number())),
        }
    }

    /// Calls what is outside the program.
    fn call_out(
        &mut self,
        here: usize,
        number: Option<u32>,
        call: impl FnOnce(&mut Run<'_, '_>, [u64; 5]) -> u64,
    ) -> Result<Step, FaultKind> {
        self.jump(here, here + 1);
        self.check()?;
        let arguments = [1, 2, 3, 4, 5].map(|number| self.registers[number]);
        let depth = self.run.depth;
        self.run.depth = depth + self.depth;
        let result = call(self.run, arguments);
        self.run.depth = depth;
        self.set(0, result);
        if self.run.is_stopped() {
            self.run.blame(here, |error| match number {
                Some(number) => FaultKind::Helper { number, error },
                None => FaultKind::KernelFunction(error),
            });
            // The end counts the op that it ends with, which is this call.
            self.run.meter.until_look += 1;
            self.start = here;
            return Ok(Step::End(result));
        }
        if self.run.take_return() { self.exit() } else { Ok(Step::Next) }
    }

    fn call_local(&mut self, here: usize, to: usize) -> Result<Step, FaultKind> {
        self.check()?;
        let frame_pointer =
            self.run.memory.open_frame(self.run.depth + self.depth).ok_or(FaultKind::CallDepth)?;
        let kept = [6, 7, 8, 9, 10].map(|number| self.registers[number]);
        self.callers[self.depth] = Caller { next: here + 1, kept };
        self.depth += 1;
        self.set(10, frame_pointer);
        Ok(Step::Jump(to))
    }

    /// The value is the address of a function of the program, or a helper's number.
    fn call_register(&mut self, here: usize, value: u64) -> Result<Step, FaultKind> {
        if let Some(to) = self.program.function(value) {
            return self.call_local(here, to);
        }
        let number = u32::try_from(value).map_err(|_| FaultKind::NoFunction(value))?;
        match self.program.helper(number) {
            Some(function) => {
                self.call_out(here, Some(number), |run, [a, b, c, d, e]| function(a, b, c, d, e, run))
            }
            None => self.call_out(here, Some(number), |run, arguments| run.ask_host(number, arguments)),
        }
    }

    fn exit(&mut self) -> Result<Step, FaultKind> {
        if self.depth == 0 {
            return Ok(Step::End(self.registers[0]));
        }
        self.depth -= 1;
        self.run.memory.close_frames(self.run.depth + self.depth);
        let caller = self.callers[self.depth];
        self.registers[6..=10].copy_from_slice(&caller.kept);
        Ok(Step::Jump(caller.next))
    }
}

/// The address of an access.
#[inline(always)]
fn displaced(base: u64, op: &Op) -> u64 {
    base.wrapping_add(i64::from(op.arg) as u64)
}
