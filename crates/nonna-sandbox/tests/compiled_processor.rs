//! The number of the processor, which machine code takes from the run: the host's, asked for once, unless the embedder has put
//! another helper in its place; in pages of the program's own and in memory for many programs.

#![cfg(target_arch = "x86_64")]

use nonna_bpf::{AluOp, Callee, Insn, Operand, Reg, Width};
use nonna_sandbox::jit::{Code, CodeMemory};
use nonna_sandbox::{Budget, Context, Helpers, Host, Maps, Prepared, Regions, Run, Stack};

/// `bpf_get_smp_processor_id`.
const PROCESSOR: u32 = 8;

/// Counts how often it is asked.
struct Counting(u32);

impl Host for Counting {
    fn processor(&mut self) -> u32 {
        self.0 += 1;
        6 + self.0
    }
}

/// Asks twice and adds both answers and the first argument, which calls leave alone where nobody proved anything.
fn program(helpers: &Helpers) -> Prepared {
    let alu = |op, dst, src| Insn::Alu { width: Width::W64, op, dst, src };
    let insns = [
        alu(AluOp::Mov, Reg::R1, Operand::Imm(1000)),
        Insn::Call(Callee::Helper(PROCESSOR)),
        alu(AluOp::Mov, Reg::R6, Operand::Reg(Reg::R0)),
        Insn::Call(Callee::Helper(PROCESSOR)),
        alu(AluOp::Add, Reg::R0, Operand::Reg(Reg::R6)),
        alu(AluOp::Add, Reg::R0, Operand::Reg(Reg::R1)),
        Insn::Exit,
    ];
    Prepared::unproved(&insns, helpers).expect("the program can run")
}

/// The result, and how often the host was asked.
fn run(prepared: &Prepared, code: Option<&Code>) -> (u64, u32) {
    let mut stack = Stack::new();
    let mut regions = Regions::new(&mut stack);
    let (mut maps, mut context, mut host) = (Maps::new(1), Context::plain(), Counting(0));
    let mut run = Run::new(&mut regions, &mut maps, &mut context, &mut host);
    let finished = match code {
        Some(code) => code.run([0; 5], &mut run, Budget::default()),
        None => nonna_sandbox::run(prepared, [0; 5], &mut run, Budget::default()),
    };
    (finished.expect("it does nothing forbidden").result, host.0)
}

#[test]
fn the_host_is_asked_once_and_another_helper_is_called() {
    extern "C" fn other(_: u64, _: u64, _: u64, _: u64, _: u64, _: &mut Run<'_, '_>) -> u64 {
        50
    }
    let memory = CodeMemory::new();
    let own = Helpers::kernel().with(PROCESSOR, other);
    for (helpers, expected) in [(Helpers::kernel(), (1014, 1)), (own, (1100, 0))] {
        let prepared = program(&helpers);
        assert_eq!(run(&prepared, None), expected);
        assert_eq!(run(&prepared, Some(&Code::compile(&prepared).expect("there is memory"))), expected);
        // Again and again in the same places, which the program before has left.
        for _ in 0..200 {
            let code = Code::compile_in(&prepared, &memory).expect("there is memory");
            assert_eq!(run(&prepared, Some(&code)), expected);
        }
    }
}

#[test]
fn code_outlives_what_it_was_compiled_with() {
    let memory = CodeMemory::new();
    let prepared = program(&Helpers::kernel());
    let all: Vec<Code> =
        (0..300).map(|_| Code::compile_in(&prepared, &memory).expect("there is memory")).collect();
    drop(memory);
    let runs =
        std::thread::spawn(move || all.iter().map(|code| run(&prepared, Some(code))).collect::<Vec<_>>());
    assert_eq!(runs.join().expect("no run panics"), vec![(1014, 1); 300]);
}
