//! Calls that leave a program and come back: functions given to helpers, tail calls, hosts.

use nonna_sandbox::{
    Answer, Arguments, Budget, Context, Engine, FaultKind, Finished, HelperError, Helpers, Host, MAX_FRAMES,
    Maps, NoHelpers, Prepared, Programs, Regions, Run, Stack, run,
};

/// Calls the function in `r1` as often as `r2` says with the round and `r3`, as `bpf_loop` does; yields the rounds.
extern "C" fn repeat(function: u64, rounds: u64, context: u64, _: u64, _: u64, run: &mut Run<'_, '_>) -> u64 {
    for round in 0..rounds {
        let result = run.call_back(function, [round, context, 0, 0, 0]);
        if run.is_stopped() {
            return 0;
        }
        if result != 0 {
            return round + 1;
        }
    }
    rounds
}

/// Goes over to the program whose number is in `r2` with the context in `r1`, or yields -1.
extern "C" fn go_over(context: u64, number: u64, _: u64, _: u64, _: u64, run: &mut Run<'_, '_>) -> u64 {
    run.tail_call(number as u32, context).unwrap_or(u64::MAX)
}

struct Table(Vec<Prepared>);

impl Programs for Table {
    fn program(&self, number: u32) -> Option<&dyn Engine> {
        self.0.get(number as usize).map(|program| program as &dyn Engine)
    }
}

fn prepare(text: &str) -> Prepared {
    let insns = nonna_bpf::assemble(&text.replace("; ", "\n")).unwrap_or_else(|errors| panic!("{errors:?}"));
    let helpers = Helpers::none().with(1, repeat).with(2, go_over);
    Prepared::unproved(&insns, &helpers).expect("the program can run")
}

/// Runs the first of these programs, with 16 bytes of memory that begin with 7.
fn outcome(programs: &[&str], instructions: u64, host: &mut dyn Host) -> Result<Finished, FaultKind> {
    let table = Table(programs.iter().map(|text| prepare(text)).collect());
    let (mut stack, mut memory) = (Stack::new(), [7u8; 16]);
    let mut regions = Regions::new(&mut stack);
    let at = regions.lend(&mut memory);
    let (mut maps, mut context) = (Maps::new(1), Context::default());
    let mut sandbox = Run::new(&mut regions, &mut maps, &mut context, host).with_programs(&table);
    let budget = Budget { instructions, time: None };
    run(&table.0[0], [at, 16, 0, 0, 0], &mut sandbox, budget).map_err(|fault| fault.kind)
}

fn result(programs: &[&str]) -> Result<u64, FaultKind> {
    outcome(programs, 100_000, &mut NoHelpers).map(|finished| finished.result)
}

#[test]
fn a_helper_calls_a_function_of_the_program() {
    // The function adds its round to the number that its context points to: a frame of the caller.
    let sum = "*(u64 *)(r10 -8) = 0; r1 = subprog[add]; r2 = 5; r3 = r10; r3 += -8; call 1; r1 = *(u64 *)(r10 -8); r0 += r1; exit; \
               add: r3 = *(u64 *)(r2 +0); r3 += r1; *(u64 *)(r2 +0) = r3; r0 = 0; exit";
    assert_eq!(result(&[sum]), Ok(15));
    // It ends the loop by its result, and what it does to r6 to r9 is its own affair.
    let early =
        "r6 = 40; r1 = subprog[f]; r2 = 5; call 1; r0 += r6; exit; f: r6 = 9; r0 = r1; r0 >>= 1; exit";
    assert_eq!(result(&[early]), Ok(43));
}

#[test]
fn a_function_that_a_helper_calls_has_limits_too() {
    let outside = "r1 = subprog[f]; r2 = 5; call 1; exit; f: r0 = *(u64 *)(r10 +0); exit";
    assert!(matches!(result(&[outside]), Err(FaultKind::Memory(_))));
    let endless = "r1 = subprog[f]; r2 = 5; call 1; exit; f: goto f";
    assert_eq!(result(&[endless]), Err(FaultKind::Instructions));
    let many = "r1 = subprog[f]; r2 = -1; call 1; r0 = 0; exit; f: r0 = 0; exit";
    assert_eq!(result(&[many]), Err(FaultKind::Instructions));
    let nowhere = "r1 = 3; r2 = 1; call 1; exit";
    let error = HelperError::NoFunction(3);
    assert_eq!(result(&[nowhere]), Err(FaultKind::Helper { number: 1, error }));
    // Each round goes one frame deeper than the one around it.
    let deep = "r1 = subprog[f]; r2 = 1; call 1; exit; f: r1 = subprog[f]; r2 = 1; call 1; exit";
    assert_eq!(result(&[deep]), Err(FaultKind::CallDepth));
}

#[test]
fn instructions_of_called_functions_count() {
    let three = "r1 = subprog[f]; r2 = 3; call 1; exit; f: r0 = 0; exit";
    let finished = outcome(&[three], 1000, &mut NoHelpers);
    // Each call by a helper counts as one.
    assert_eq!(finished, Ok(Finished { result: 3, instructions: 4 + 3 * (1 + 2) }));
}

#[test]
fn a_tail_call_returns_in_place_of_the_function_that_made_it() {
    let seven = "r0 = *(u8 *)(r1 +0); exit";
    assert_eq!(result(&["r2 = 1; call 2; r0 = 1; exit", seven]), Ok(7));
    let below = "call pc+2; r0 += 100; exit; r2 = 1; call 2; r0 = 1; exit";
    assert_eq!(result(&[below, seven]), Ok(107));
    assert_eq!(result(&["r2 = 5; call 2; r0 += 2; exit"]), Ok(1), "there is no such program");
    let faulty = "r0 = *(u64 *)(r1 +9); exit";
    assert!(matches!(result(&["r2 = 1; call 2; exit", faulty]), Err(FaultKind::Memory(_))));
}

#[test]
fn tail_calls_come_to_an_end() {
    // The kernel allows 33; the next one fails, and the program goes on.
    let again = "r6 = r1; r3 = *(u64 *)(r6 +8); r3 += 1; *(u64 *)(r6 +8) = r3; r2 = 0; call 2; r0 = *(u64 *)(r6 +8); exit";
    let once = u64::from_ne_bytes([7; 8]);
    assert_eq!(result(&[again]), Ok(once + 34));
    // Frames do not add up.
    const { assert!(33 > MAX_FRAMES) };
}

/// Answers helper 9 with the sum of its arguments, and ends the run at helper 10.
struct Adder;

impl Host for Adder {
    fn call(
        &mut self,
        number: u32,
        arguments: Arguments,
        _: &mut Regions<'_>,
    ) -> Result<Answer, HelperError> {
        match number {
            9 => Ok(Answer::Return(arguments.iter().sum())),
            10 => Ok(Answer::End(arguments[0])),
            _ => Err(HelperError::Unknown),
        }
    }
}

#[test]
fn a_host_ends_a_run_from_any_depth() {
    let text = "r1 = subprog[f]; r2 = 5; call 1; exit; f: call pc+1; exit; r1 = 77; call 10; r0 = 1; exit";
    assert_eq!(outcome(&[text], 1000, &mut Adder).map(|finished| finished.result), Ok(77));
    let sum = "r1 = 1; r2 = 2; r3 = 3; r4 = 4; r5 = 5; call 9; exit";
    assert_eq!(outcome(&[sum], 1000, &mut Adder).map(|finished| finished.result), Ok(15));
}
