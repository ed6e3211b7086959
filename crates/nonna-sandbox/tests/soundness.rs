//! What the verifier accepts never faults: random programs, judged, then run on random memory by the engine that checks everything.
//!
//! The seed is new each time and printed with the first program that breaks the promise; `NONNA_SEED` repeats a run and
//! `NONNA_PROGRAMS` says how many programs it takes.

use std::time::{SystemTime, UNIX_EPOCH};

use nonna_bpf::{Hook, Insn, Object, Program, ProgramIdx, ProgramType, TextOptions, disassemble};
use nonna_sandbox::{
    Budget, Context, FaultKind, Helpers, Maps, NoHelpers, Prepared, Regions, Run, Stack, run,
};
use nonna_testkit::machine::generate;
use nonna_verifier::{Environment, Rules, verify};

/// Seeds of programs that were once accepted and should not have been.
const PAST: [u64; 1] = [7_005_988_460];
/// Programs where nothing else is said; a development build does them in some seconds.
const PROGRAMS: u64 = 5_000;
const MEMORIES: [u32; 4] = [64, 8, 33, 0];
/// Programs that may take longer are not run.
const MAX_INSTRUCTIONS: u64 = 2_000_000;
/// Runs of each accepted program.
const RUNS: u64 = 3;

fn number_of(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn object(insns: Vec<Insn>) -> Object {
    let program = Program {
        name: "random".to_owned(),
        section: "socket".to_owned(),
        program_type: ProgramType::SocketFilter,
        attach_type: None,
        attach_target: None,
        hook: Hook::Section("socket".to_owned()),
        sleepable: false,
        insns,
        relocations: Vec::new(),
        func_info: Vec::new(),
        line_info: Vec::new(),
        locations: Vec::new(),
    };
    Object { license: "GPL".to_owned(), maps: Vec::new(), programs: vec![program], btf: Vec::new() }
}

fn bytes(seed: u64, len: u32) -> Vec<u8> {
    let mut state = seed | 1;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Small bytes and extreme ones come often.
            match state >> 60 {
                0..=4 => (state >> 33) as u8,
                5..=9 => 0,
                10..=12 => 0xff,
                _ => (state >> 56) as u8 & 7,
            }
        })
        .collect()
}

/// Runs an accepted program; the fault, if there is one.
fn fault(insns: &[Insn], memory: &mut [u8], most: u64) -> Option<FaultKind> {
    let prepared = Prepared::unproved(insns, &Helpers::none()).expect("what is accepted can run");
    let (mut stack, mut maps, mut context, mut host) =
        (Stack::new(), Maps::new(1), Context::default(), NoHelpers);
    let mut regions = Regions::new(&mut stack);
    let length = memory.len() as u64;
    let address = if memory.is_empty() { 0 } else { regions.lend(memory) };
    let mut view = Run::new(&mut regions, &mut maps, &mut context, &mut host);
    // The promise is exact: not one instruction more than was proved.
    let budget = Budget { instructions: most, time: None };
    run(&prepared, [address, length, 0, 0, 0], &mut view, budget).err().map(|fault| fault.kind)
}

#[test]
fn accepted_programs_never_fault() {
    let clock =
        || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| u64::from(time.subsec_nanos()));
    let first = number_of("NONNA_SEED").unwrap_or_else(|| clock() << 24);
    let n_programs = number_of("NONNA_PROGRAMS").unwrap_or(PROGRAMS);
    let (mut accepted, mut too_long) = (0u64, 0u64);
    for seed in PAST.into_iter().chain((first..).take(n_programs as usize)) {
        let memory_bytes = MEMORIES[(seed % 4) as usize];
        let insns = generate(seed, memory_bytes);
        let rules = Rules::Plain { memory_bytes: memory_bytes.into() };
        let environment = Environment { rules, ..Environment::default() };
        let Ok(verified) = verify(object(insns), &environment) else { continue };
        accepted += 1;
        let facts = verified.facts(ProgramIdx(0)).expect("it was proved");
        let most = facts.max_instructions().expect("it ends");
        if most > MAX_INSTRUCTIONS {
            too_long += 1;
            continue;
        }
        let insns = &verified.object().programs[0].insns;
        for round in 0..RUNS {
            let mut memory = bytes(seed ^ round << 40, memory_bytes);
            if let Some(fault) = fault(insns, &mut memory, most) {
                let text = disassemble(insns, TextOptions::default());
                panic!("NONNA_SEED={seed}: accepted, and then {fault}\n{text}");
            }
        }
    }
    println!(
        "seed {first}: {n_programs} programs, {accepted} accepted, each run {RUNS} times but {too_long} that take too long"
    );
    // A verifier that refuses everything proves nothing.
    assert!(accepted * 10 > n_programs, "only {accepted} of {n_programs} were accepted");
}
