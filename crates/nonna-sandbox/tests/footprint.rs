//! What a sandbox with one small program and one array adds to the memory of its process, on each engine. It measures processes of its
//! own, which have done nothing before: what an allocator kept from earlier work would hide what a sandbox needs.
//!
//! Pages of code come on top, which processes share; how many is a matter of optimisation, so they count in optimised builds alone
//! (`cargo xtask bench sandbox` tells them).

#![allow(clippy::print_stdout, reason = "the figures are worth reading")]

use std::process::Command;

use nonna_bpf::{Object, ProgramIdx, ProgramType};
use nonna_sandbox::context::Input;
use nonna_sandbox::{
    Budget, Context, Engine, Helpers, Links, Maps, NoHelpers, Prepared, Regions, Run, Stack,
};
use nonna_verifier::{Environment, Verified, verify};

/// A loop of lookups in an array of 256 numbers; its memory is 4096 bytes.
const OBJECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../xtask/peers/sandbox/arrayloop.bpf.o");
/// What the variable says that makes this program one that is measured.
const ENGINE: &str = "NONNA_FOOTPRINT_ENGINE";
/// What stands before the figures in the output of one that is measured.
const SAID: &str = "measured:";
/// A sandbox may add so many kilobytes.
const BOUND_KB: i64 = 512;

/// Kilobytes of this process that are in memory: all, and those that no file holds.
fn resident_kb() -> (i64, i64) {
    let text =
        std::fs::read_to_string("/proc/self/smaps_rollup").expect("the kernel tells what a process uses");
    let field = |name: &str| -> i64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel has the field");
        line.trim().trim_end_matches(" kB").parse().expect("it is a number")
    };
    (field("Rss:"), field("Anonymous:"))
}

fn proved() -> Verified {
    let object = Object::from_elf(&std::fs::read(OBJECT).expect("the object is there"), None);
    verify(object.expect("it is one"), &Environment::default()).expect("it is proved")
}

/// Makes the sandbox, runs the program and measures while all of it is alive.
fn measured(verified: &Verified, is_compiled: bool) -> (i64, i64) {
    let mut maps = Maps::new(1);
    let handles = maps.create_all(verified.object()).expect("maps are made");
    let links = Links { maps: &maps, handles: &handles, helpers: &Helpers::kernel() };
    let prepared = Prepared::verified(verified, ProgramIdx(0), links).expect("it can run");
    let input = Input { packet: vec![0; 64], ..Input::default() };
    let mut pages = Context::pages(ProgramType::Xdp, &input).expect("there are low pages");
    let mut stack = Stack::new();
    let mut regions = Regions::new(&mut stack);
    let mut context = Context::new(ProgramType::Xdp, &input, &mut regions, &mut pages).expect("a context");
    let (arguments, mut host) = ([context.address(), 0, 0, 0, 0], NoHelpers);
    let mut run = Run::new(&mut regions, &mut maps, &mut context, &mut host);
    let mut measure = |engine: &dyn Engine| {
        for _ in 0..100 {
            let finished = run.execute(engine, arguments, Budget::default()).expect("it ends");
            // Byte 42 of the memory, and a 0 from each of the 64 lookups.
            assert_eq!(finished.result, 17);
        }
        resident_kb()
    };
    if !is_compiled {
        return measure(&prepared);
    }
    #[cfg(target_arch = "x86_64")]
    return measure(&nonna_sandbox::jit::Code::compile(&prepared).expect("it compiles"));
    #[cfg(not(target_arch = "x86_64"))]
    measure(&prepared)
}

/// Measures in this process, and tells by its output: kilobytes with the proof, then without, of which no file holds how many.
fn measure(engine: &str) {
    resident_kb();
    let start = resident_kb();
    let verified = proved();
    let with_proof = resident_kb();
    let end = measured(&verified, engine == "compiler");
    println!("{SAID} {} {} {}", end.0 - start.0, end.0 - with_proof.0, end.1 - with_proof.1);
}

#[test]
fn a_small_sandbox_adds_little() {
    if let Ok(engine) = std::env::var(ENGINE) {
        return measure(&engine);
    }
    for engine in ["interpreter", "compiler"] {
        let program = std::env::current_exe().expect("this program has a path");
        let again = ["--exact", "a_small_sandbox_adds_little", "--nocapture"];
        let output = Command::new(program).args(again).env(ENGINE, engine).output().expect("it starts again");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{engine}: {}", String::from_utf8_lossy(&output.stderr));
        let said = text.lines().find_map(|line| line.split_once(SAID)).expect("it says what it measured").1;
        let numbers: Vec<i64> = said.split_whitespace().map(|n| n.parse().expect("a number")).collect();
        let [with_proof, sandbox, anonymous] = numbers[..] else { panic!("three numbers, not {said}") };
        println!(
            "{engine}: a sandbox adds {sandbox} kB, of which {anonymous} kB are its own and the rest is code; \
             with the proof, {with_proof} kB"
        );
        let counted = if cfg!(debug_assertions) { anonymous } else { sandbox };
        assert!(counted < BOUND_KB, "{engine}: {counted} kB");
    }
}
