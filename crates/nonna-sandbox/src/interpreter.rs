//! The interpreter: runs a prepared program op by op, every access checked, within a budget.
//!
//! It implements RFC 9669 whole and serves on every processor. It counts each op that it runs: at every jump that is taken, so
//! straight code pays nothing. The budget is checked where a program could go on for ever, at back edges and
//! calls.

use std::sync::atomic::AtomicU8;
use std::time::{Duration, Instant};

use nonna_bpf::{AtomicOp, MemSize, Width};

use crate::arithmetic::{alu, atomic, convert, holds, negate, sign_extend};
use crate::host::{Answer, HelperError, Host};
use crate::memory::{AccessFault, MAX_FRAMES, Regions};
use crate::program::{Code, Op, Prepared};

/// How often a run looks at the clock, in instructions.
const CLOCK_INTERVAL: u64 = 1 << 16;
/// Times that `may_goto` falls through in one run (`BPF_MAX_LOOPS` in the kernel).
const MAY_GOTO_ROUNDS: u32 = 8 << 20;

/// How long a run may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Instructions. A run may exceed them by the straight piece of code that it is in.
    pub instructions: u64,
    /// Time on the clock; `None` for no limit. It is looked at every 65,536 instructions.
    pub time: Option<Duration>,
}

impl Default for Budget {
    /// A thousand million instructions and ten seconds.
    fn default() -> Self {
        Budget { instructions: 1_000_000_000, time: Some(Duration::from_secs(10)) }
    }
}

/// Why a run was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FaultKind {
    /// It touched memory that it was not lent.
    #[error(transparent)]
    Memory(#[from] AccessFault),
    /// A helper call failed.
    #[error("call of helper {number}: {error}")]
    Helper {
        /// Which helper.
        number: u32,
        /// Why.
        error: HelperError,
    },
    /// Calls go too deep.
    #[error("more than {MAX_FRAMES} functions are active at once")]
    CallDepth,
    /// A call by register of what is neither a function of the program nor a helper's number.
    #[error("{0:#x} is no function")]
    NoFunction(u64),
    /// More instructions than the budget has.
    #[error("the budget of instructions is used up")]
    Instructions,
    /// More time than the budget has.
    #[error("the budget of time is used up")]
    Time,
}

/// A run that was stopped, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("instruction {insn}: {kind}")]
pub struct Fault {
    /// Index of the instruction, from 0.
    pub insn: usize,
    /// Why.
    pub kind: FaultKind,
}

/// A run that came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finished {
    /// `r0`.
    pub result: u64,
    /// Instructions that ran.
    pub instructions: u64,
}

/// Runs a program with `r1` to `r5` as given and all other registers 0.
///
/// # Errors
///
/// [`Fault`] if the program does what it may not do, or exceeds the budget.
pub fn run(
    program: &Prepared,
    arguments: [u64; 5],
    memory: &mut Regions<'_>,
    host: &mut dyn Host,
    budget: Budget,
) -> Result<Finished, Fault> {
    let mut machine = Machine {
        program,
        registers: [0; 16],
        callers: [Caller::default(); MAX_FRAMES],
        depth: 0,
        meter: Meter::new(budget),
        may_goto_left: MAY_GOTO_ROUNDS,
        memory,
        host,
    };
    machine.registers[1..=5].copy_from_slice(&arguments);
    machine.memory.close_frames(0);
    machine.registers[10] = machine.memory.open_frame(0).expect("the first frame is within the limit");
    let outcome = machine.walk();
    machine.memory.close_frames(0);
    outcome
}

/// What a function needs back when the one that it called returns.
#[derive(Debug, Clone, Copy, Default)]
struct Caller {
    /// Index of the op to go on with.
    next: usize,
    /// `r6` to `r10`.
    kept: [u64; 5],
}

/// Counts instructions, and stops the run.
struct Meter {
    /// Ops that ran before the present straight piece of code.
    spent: u64,
    /// First op of that piece.
    start: usize,
    /// When to look at the limits.
    check_at: u64,
    limit: u64,
    deadline: Option<Instant>,
}

impl Meter {
    fn new(budget: Budget) -> Self {
        // A time too far for the clock is no limit.
        let deadline = budget.time.and_then(|time| Instant::now().checked_add(time));
        let mut meter = Meter { spent: 0, start: 0, check_at: 0, limit: budget.instructions, deadline };
        meter.check_at = meter.next_check();
        meter
    }

    fn next_check(&self) -> u64 {
        match self.deadline {
            Some(_) => self.limit.min(self.spent.saturating_add(CLOCK_INTERVAL)),
            None => self.limit,
        }
    }

    /// Control goes from op `from` to op `to`.
    #[inline(always)]
    fn jump(&mut self, from: usize, to: usize) {
        self.spent += (from + 1 - self.start) as u64;
        self.start = to;
    }

    /// Stops a run that is beyond its budget.
    #[inline(always)]
    fn check(&mut self) -> Result<(), FaultKind> {
        if self.spent < self.check_at { Ok(()) } else { self.look() }
    }

    #[cold]
    fn look(&mut self) -> Result<(), FaultKind> {
        if self.spent >= self.limit {
            return Err(FaultKind::Instructions);
        }
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(FaultKind::Time);
        }
        self.check_at = self.next_check();
        Ok(())
    }
}

/// Where to go on.
enum Step {
    Next,
    Jump(usize),
    End(u64),
}

struct Machine<'a, 'm> {
    program: &'a Prepared,
    /// `r0` to `r10`; 16, so that four bits always index.
    registers: [u64; 16],
    callers: [Caller; MAX_FRAMES],
    /// Functions that wait for the present one.
    depth: usize,
    meter: Meter,
    may_goto_left: u32,
    memory: &'a mut Regions<'m>,
    host: &'a mut dyn Host,
}

impl Machine<'_, '_> {
    fn walk(&mut self) -> Result<Finished, Fault> {
        let ops = self.program.ops();
        let mut at = 0;
        loop {
            let here = at;
            match self.step(here, &ops[here]).map_err(|kind| Fault { insn: here, kind })? {
                Step::Next => at = here + 1,
                Step::Jump(to) => {
                    self.meter.jump(here, to);
                    if to <= here {
                        self.meter.check().map_err(|kind| Fault { insn: here, kind })?;
                    }
                    at = to;
                }
                Step::End(result) => {
                    self.meter.jump(here, 0);
                    return Ok(Finished { result, instructions: self.meter.spent });
                }
            }
        }
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
            Code::CallHelper => return self.call_helper(here, op.imm as u32),
            Code::CallLocal => return self.call_local(here, op.arg as usize),
            Code::CallRegister => return self.call_register(here, src),
            Code::Exit => return self.exit(),
        };
        self.set(op.dst, value);
        Ok(Step::Next)
    }

    #[inline(always)]
    fn load(&self, size: MemSize, address: u64, hint: &AtomicU8) -> Result<u64, FaultKind> {
        Ok(match size {
            MemSize::B => u64::from(u8::from_ne_bytes(self.memory.load(address, hint)?)),
            MemSize::H => u64::from(u16::from_ne_bytes(self.memory.load(address, hint)?)),
            MemSize::W => u64::from(u32::from_ne_bytes(self.memory.load(address, hint)?)),
            MemSize::DW => u64::from_ne_bytes(self.memory.load(address, hint)?),
        })
    }

    #[inline(always)]
    fn store(&self, size: MemSize, address: u64, value: u64, hint: &AtomicU8) -> Result<Step, FaultKind> {
        match size {
            MemSize::B => self.memory.store(address, (value as u8).to_ne_bytes(), hint)?,
            MemSize::H => self.memory.store(address, (value as u16).to_ne_bytes(), hint)?,
            MemSize::W => self.memory.store(address, (value as u32).to_ne_bytes(), hint)?,
            MemSize::DW => self.memory.store(address, value.to_ne_bytes(), hint)?,
        }
        Ok(Step::Next)
    }

    fn atomic32(&mut self, kind: AtomicOp, address: u64, op: &Op) -> Result<Step, FaultKind> {
        let (src, expected) = (self.register(op.src), u64::from(self.registers[0] as u32));
        let old = self.memory.replace(address, &op.hint, |old| {
            (atomic(kind, u64::from(u32::from_ne_bytes(old)), src, expected) as u32).to_ne_bytes()
        })?;
        self.fetched(kind, op.src, u64::from(u32::from_ne_bytes(old)));
        Ok(Step::Next)
    }

    fn atomic64(&mut self, kind: AtomicOp, address: u64, op: &Op) -> Result<Step, FaultKind> {
        let (src, expected) = (self.register(op.src), self.registers[0]);
        let old = self.memory.replace(address, &op.hint, |old| {
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

    fn call_helper(&mut self, here: usize, number: u32) -> Result<Step, FaultKind> {
        self.meter.jump(here, here + 1);
        self.meter.check()?;
        let arguments = [1, 2, 3, 4, 5].map(|number| self.registers[number]);
        let answer = self.host.call(number, arguments, self.memory);
        match answer.map_err(|error| FaultKind::Helper { number, error })? {
            Answer::Return(value) => {
                self.set(0, value);
                Ok(Step::Next)
            }
            Answer::End(value) => {
                // The end counts the op that it ends with, which is this call.
                self.meter.spent -= 1;
                self.meter.start = here;
                Ok(Step::End(value))
            }
        }
    }

    fn call_local(&mut self, here: usize, to: usize) -> Result<Step, FaultKind> {
        self.meter.check()?;
        let frame_pointer = self.memory.open_frame(self.depth + 1).ok_or(FaultKind::CallDepth)?;
        let kept = [6, 7, 8, 9, 10].map(|number| self.registers[number]);
        self.callers[self.depth] = Caller { next: here + 1, kept };
        self.depth += 1;
        self.set(10, frame_pointer);
        Ok(Step::Jump(to))
    }

    /// The value is the address of a function of the program, or a helper's number.
    fn call_register(&mut self, here: usize, value: u64) -> Result<Step, FaultKind> {
        match (self.program.function(value), u32::try_from(value)) {
            (Some(to), _) => self.call_local(here, to),
            (None, Ok(number)) => self.call_helper(here, number),
            (None, Err(_)) => Err(FaultKind::NoFunction(value)),
        }
    }

    fn exit(&mut self) -> Result<Step, FaultKind> {
        if self.depth == 0 {
            return Ok(Step::End(self.registers[0]));
        }
        self.memory.close_frames(self.depth);
        self.depth -= 1;
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
