//! However long a program runs, engines take no more of the stack: every kind of op in a loop of many rounds, on a small stack.
//!
//! Optimised, the interpreter goes from op to op by jumps that are calls in its source. One that stays a call shows here,
//! in an optimised build, and nowhere else.

use nonna_bpf::{Insn, assemble};
use nonna_sandbox::{
    Answer, Arguments, Budget, Context, Engine, HelperError, Helpers, Host, Maps, Prepared, Regions, Run,
    Stack,
};
use nonna_testkit::machine::generate;
use nonna_testkit::mutation::mutate;

/// Enough for one entry, far too little for a piece of it in each round.
const STACK_BYTES: usize = 192 << 10;
const ROUNDS: u32 = 200_000;
const MEMORY_BYTES: usize = 64;

/// Answers every call.
struct Answering;

impl Host for Answering {
    fn call(&mut self, number: u32, _: Arguments, _: &mut Regions<'_>) -> Result<Answer, HelperError> {
        Ok(Answer::Return(number.into()))
    }

    fn read_memory(
        &mut self,
        _: nonna_sandbox::Space,
        _: u64,
        into: &mut [u8],
    ) -> Result<(), nonna_sandbox::AccessFault> {
        into.fill(1);
        Ok(())
    }
}

extern "C" fn seven(_: u64, _: u64, _: u64, _: u64, _: u64, _: &mut Run<'_, '_>) -> u64 {
    7
}

/// What stands in the loop, where `r6` is the memory, `r7` the counter and `r8` takes turns between memory and stack.
fn bodies() -> Vec<String> {
    let mut bodies = Vec::new();
    for size in ["u8", "u16", "u32", "u64"] {
        for base in ["r6", "r8", "r10"] {
            let offset = if base == "r10" { "-8" } else { "+0" };
            bodies.push(format!("r3 = *({size} *)({base} {offset})"));
            bodies.push(format!("*({size} *)({base} {offset}) = r7"));
            bodies.push(format!("*({size} *)({base} {offset}) = 5"));
        }
        // Elements of an array, which one op does.
        for base in ["r6", "r8"] {
            bodies.push(format!("r4 = r7; r4 &= 7; r3 = {base}; r3 += r4; r5 = *({size} *)(r3 +0)"));
            bodies.push(format!("r4 = r7; r4 &= 7; r3 = {base}; r3 += r4; *({size} *)(r3 +0) = r7"));
        }
    }
    for size in ["s8", "s16", "s32"] {
        bodies.push(format!("r3 = *({size} *)(r8 +0)"));
        bodies.push(format!("r3 = *({size} *)(r10 -8)"));
    }
    for size in ["u32", "u64"] {
        for atomic in ["{} += r3", "{} |= r3", "{} &= r3", "{} ^= r3"] {
            for base in ["r6", "r8"] {
                bodies.push(format!(
                    "r3 = r7; lock {}",
                    atomic.replace("{}", &format!("*({size} *)({base} +0)"))
                ));
            }
        }
    }
    bodies.push("r3 = r7; r3 = atomic64_fetch_add((u64 *)(r8 +0), r3)".to_owned());
    bodies.push("r3 = r7; r3 = atomic64_xchg((u64 *)(r8 +0), r3)".to_owned());
    bodies.push("r3 = r7; r0 = atomic64_cmpxchg((u64 *)(r8 +0), r0, r3)".to_owned());
    for op in ["+=", "-=", "*=", "/=", "%=", "s/=", "s%=", "|=", "&=", "^=", "<<=", ">>=", "s>>=", "="] {
        for right in ["r7", "3"] {
            bodies.push(format!("r3 {op} {right}"));
            bodies.push(format!("w3 {op} {}", right.replace('r', "w")));
        }
    }
    bodies.push("r3 = -r3; r3 = bswap32 r3; r3 = be16 r3; r3 = (s8)r7; w3 = (s16)w7".to_owned());
    bodies.push("r3 = 0x123456789abcdef ll".to_owned());
    bodies.push("r3 = r7; r3 <<= 7; r4 = r7; r4 >>= 57; r3 |= r4".to_owned());
    bodies.push("r3 = r7; r3 &= 15; r3 += r7; r3 ^= r7; r3 += r3".to_owned());
    for condition in ["==", "!=", ">", ">=", "<", "<=", "&", "s>", "s>=", "s<", "s<="] {
        for right in ["r7", "3"] {
            bodies.push(format!(
                "if r3 {condition} {right} goto +0; if w3 {condition} {} goto +0",
                right.replace('r', "w")
            ));
            bodies.push(format!("r3 += 1; r3 &= 7; if r3 {condition} {right} goto +0"));
        }
    }
    bodies.push("may_goto +0; goto +0; gotol +0".to_owned());
    bodies.push("r1 = r7; call function".to_owned());
    bodies.push("r1 = r7; call 5".to_owned());
    bodies.push("r1 = r7; call 77".to_owned());
    bodies.push("r3 = 5; callx r3".to_owned());
    bodies.push("r3 = 77; callx r3".to_owned());
    bodies
}

fn program(body: &str) -> Vec<Insn> {
    let text = format!(
        "r6 = r1\nr7 = {ROUNDS}\nr0 = 0\nr3 = 9\n*(u64 *)(r10 -16) = 0\nr9 = r10\nr9 += -16\n\
         loop: r8 = r6\nr5 = r7\nr5 &= 1\nif r5 == 0 goto ready\nr8 = r9\nr8 += -8\n\
         ready: {}\nr7 += -1\nif r7 != 0 goto loop\nr0 = 0\nexit\n\
         function: r0 = r1\nr6 = 3\nexit",
        body.replace("; ", "\n")
    );
    assemble(&text).unwrap_or_else(|errors| panic!("{body}: {errors:?}"))
}

fn walk(insns: &[Insn]) {
    let helpers = Helpers::none().with(5, seven);
    let Ok(prepared) = Prepared::unproved(insns, &helpers) else { return };
    run_on(&prepared);
    #[cfg(target_arch = "x86_64")]
    run_on(&nonna_sandbox::jit::Code::compile(&prepared).expect("there is memory for code"));
}

fn run_on(engine: &dyn Engine) {
    let (mut stack, mut memory) = (Stack::new(), vec![0; MEMORY_BYTES]);
    let (mut maps, mut context, mut host) = (Maps::new(1), Context::default(), Answering);
    let mut regions = Regions::new(&mut stack);
    let address = regions.lend(&mut memory);
    let mut run = Run::new(&mut regions, &mut maps, &mut context, &mut host);
    let budget = Budget { instructions: 50 * u64::from(ROUNDS), time: None };
    // Most end by themselves; a fault is an end too.
    let _ = run.execute(engine, [address, MEMORY_BYTES as u64, 0, 0, 0], budget);
}

fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    thread.spawn(work).expect("a thread can be started").join().expect("it came to its end");
}

#[test]
fn no_kind_of_op_takes_stack() {
    for body in bodies() {
        let insns = program(&body);
        on_a_small_stack(move || walk(&insns));
    }
}

#[test]
fn random_programs_take_no_stack() {
    for seed in 0..200 {
        let mut insns = generate(seed, MEMORY_BYTES as u32);
        mutate(&mut insns, seed);
        on_a_small_stack(move || walk(&insns));
    }
}
