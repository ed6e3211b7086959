//! The interpreter: runs a prepared program op by op, every access checked, within a budget.
//!
//! It implements RFC 9669 whole and serves on every processor. Each op names the function that runs it, and that
//! function goes on to the next op's by a call in tail position, which optimised builds turn into a jump: each op has an indirect
//! jump of its own, which processors predict well, where the one jump of a `match` in a loop serves all. Without
//! optimisation such calls would fill the stack, so there the functions return to a loop instead.
//!
//! The compiler makes no jump of a call where the address of a variable was handed to any function before: such work stands in
//! functions of its own, which are not inlined. `tests/level.rs` runs every kind of op on a small stack, optimised.

mod access;
mod control;
mod fused;
mod numeric;
mod ops;

use crate::budget::Budget;
use crate::fault::{Fault, FaultKind, Finished};
use crate::memory::{MAX_FRAMES, Values, Windows};
use crate::program::{Call, Prepared};
use crate::run::{Engine, Run};

use ops::Op;
pub(crate) use ops::Ops;

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

/// What a handler returns: nothing, since it ends in a jump.
#[cfg(not(debug_assertions))]
type Outcome<'a> = ();
/// What a handler returns: where to go on, if anywhere.
#[cfg(debug_assertions)]
type Outcome<'a> = Option<(&'a [Op], i64)>;

/// The function of an op. It gets the op itself, those that lie behind it, and the meter: instructions until the next look at the
/// budget, this op counted, less the number of ops behind it. That makes the meter a constant of straight code.
type Handler = for<'a, 'r, 'm> fn(&mut Machine<'a, 'r, 'm>, &'a Op, &'a [Op], i64) -> Outcome<'a>;

/// Goes on with the first of these ops.
#[cfg(not(debug_assertions))]
#[inline(always)]
fn go<'a>(machine: &mut Machine<'a, '_, '_>, code: &'a [Op], meter: i64) -> Outcome<'a> {
    match code.split_first() {
        Some((op, rest)) => (op.handler)(machine, op, rest, meter),
        None => past_the_end(machine),
    }
}

/// Goes on with the first of these ops.
#[cfg(debug_assertions)]
#[inline(always)]
fn go<'a>(_: &mut Machine<'a, '_, '_>, code: &'a [Op], meter: i64) -> Outcome<'a> {
    Some((code, meter))
}

/// The end of a run or function: nowhere to go on.
#[inline(always)]
fn halt<'a>() -> Outcome<'a> {
    Outcome::default()
}

/// Where control never comes: programs that could run past their end are not prepared.
#[cold]
#[inline(never)]
fn past_the_end<'a>(machine: &mut Machine<'a, '_, '_>) -> Outcome<'a> {
    debug_assert!(false, "control has left the program");
    machine.run.end(0);
    halt()
}

/// What a function needs back when the one that it called returns.
#[derive(Clone, Copy, Default)]
struct Caller<'a> {
    /// The ops to go on with.
    rest: &'a [Op],
    /// `r6` to `r10`.
    kept: [u64; 5],
    /// Rounds of `may_goto`, which every function call counts by itself.
    may_goto_left: u32,
}

/// One active function and those that it calls. The registers stand first, where addresses in machine code are shortest.
#[repr(C)]
struct Machine<'a, 'r, 'm> {
    /// `r0` to `r10`; 16, so that four bits always index.
    registers: [u64; 16],
    windows: Windows<'m>,
    ops: &'a [Op],
    calls: &'a [Call],
    callers: [Caller<'a>; MAX_FRAMES],
    /// Functions that wait for the present one.
    depth: usize,
    may_goto_left: u32,
    program: &'a Prepared,
    run: &'a mut Run<'r, 'm>,
}

impl Engine for Prepared {
    fn enter(&self, entry: usize, arguments: [u64; 5], run: &mut Run<'_, '_>) -> u64 {
        // A helper may call functions without end, none of which has a loop.
        if run.meter.until_look <= 0
            && let Err(kind) = run.meter.look()
        {
            run.fault(entry, kind);
            return 0;
        }
        let depth = run.depth;
        let ops = self.ops();
        let code = ops.from(entry);
        let meter = run.meter.until_look - code.len() as i64;
        let mut machine = Machine {
            registers: [0; 16],
            windows: Windows::CLOSED,
            ops: ops.all(),
            calls: ops.calls(),
            callers: [Caller::default(); MAX_FRAMES],
            depth: 0,
            may_goto_left: MAY_GOTO_ROUNDS,
            program: self,
            run,
        };
        let Some(frame_pointer) = machine.windows.open(machine.run.memory, depth) else {
            run.fault(entry, FaultKind::CallDepth);
            return 0;
        };
        machine.run.depth = depth + 1;
        machine.registers[1..=5].copy_from_slice(&arguments);
        machine.registers[10] = frame_pointer;
        walk(&mut machine, code, meter);
        let result = machine.registers[0];
        run.memory.close_frames(depth);
        run.depth = depth;
        result
    }

    fn function(&self, address: u64) -> Option<usize> {
        Prepared::function(self, address)
    }

    fn values(&self) -> Option<&Values> {
        Some(Prepared::values(self))
    }
}

#[cfg(not(debug_assertions))]
fn walk<'a>(machine: &mut Machine<'a, '_, '_>, code: &'a [Op], meter: i64) {
    go(machine, code, meter);
}

#[cfg(debug_assertions)]
fn walk<'a>(machine: &mut Machine<'a, '_, '_>, mut code: &'a [Op], mut meter: i64) {
    while let Some((op, rest)) = code.split_first() {
        match (op.handler)(machine, op, rest, meter) {
            Some(next) => (code, meter) = next,
            None => return,
        }
    }
    past_the_end(machine);
}

impl<'a> Machine<'a, '_, '_> {
    /// The index of the op before these.
    fn index_before(&self, rest: &[Op]) -> usize {
        self.ops.len() - rest.len() - 1
    }

    /// The instruction whose op lies before these.
    fn insn_before(&self, rest: &[Op]) -> usize {
        self.program.ops().insn(self.index_before(rest))
    }

    /// Writes into the run how much of the budget is left.
    #[inline(always)]
    fn settle(&mut self, rest: &[Op], meter: i64) {
        self.run.meter.until_look = meter + rest.len() as i64;
    }

    /// The meter again, when what is behind the present op goes on.
    #[inline(always)]
    fn resume(&self, rest: &[Op]) -> i64 {
        self.run.meter.until_look - rest.len() as i64
    }
}

/// Stops the run: the op before `rest` did what it may not do.
#[cold]
#[inline(never)]
fn fault<'a>(machine: &mut Machine<'a, '_, '_>, rest: &'a [Op], meter: i64, kind: FaultKind) -> Outcome<'a> {
    machine.settle(rest, meter);
    let insn = machine.insn_before(rest);
    machine.run.fault(insn, kind);
    halt()
}

/// Looks at the budget, and runs the op before `rest` (again) if there is some left.
#[cold]
#[inline(never)]
fn look<'a>(machine: &mut Machine<'a, '_, '_>, op: &'a Op, rest: &'a [Op], meter: i64) -> Outcome<'a> {
    let _ = op;
    machine.settle(rest, meter);
    if let Err(kind) = machine.run.meter.look() {
        return fault(machine, rest, meter, kind);
    }
    again(machine, rest, machine.resume(rest))
}

/// Runs the op before `rest` again.
#[inline(always)]
fn again<'a>(machine: &mut Machine<'a, '_, '_>, rest: &'a [Op], meter: i64) -> Outcome<'a> {
    let code = &machine.ops[machine.index_before(rest)..];
    go(machine, code, meter)
}
