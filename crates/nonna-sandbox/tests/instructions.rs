//! Every kind of instruction on its own, as a table: program text, 16 bytes of memory at `r1`, result.

use nonna_bpf::{Insn, Reg, assemble};
#[cfg(target_arch = "x86_64")]
use nonna_sandbox::jit;
use nonna_sandbox::{
    Answer, Arguments, Budget, Context, Fault, FaultKind, Finished, HelperError, Helpers, Host, Maps,
    Prepared, Regions, Run, Stack, run,
};

/// Helper 7 adds its arguments, helper 8 ends the run with `r1`.
struct Adder;

impl Host for Adder {
    fn call(
        &mut self,
        number: u32,
        arguments: Arguments,
        _: &mut Regions<'_>,
    ) -> Result<Answer, HelperError> {
        match number {
            7 => Ok(Answer::Return(arguments.iter().fold(0, |sum, value| sum.wrapping_add(*value)))),
            8 => Ok(Answer::End(arguments[0])),
            _ => Err(HelperError::Unknown),
        }
    }
}

const MEMORY: [u8; 16] =
    [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x00];

type Outcome = Result<(u64, u64, [u8; 16]), FaultKind>;

/// What both engines make of a program: the same.
fn outcome(insns: &[Insn], budget: Budget) -> Outcome {
    let program = Prepared::unproved(insns, &Helpers::none()).expect("the program can run");
    // Faults name addresses: both get the same stack and memory.
    let (mut stack, mut memory) = (Stack::new(), MEMORY);
    let interpreted =
        outcome_of(&mut stack, &mut memory, |arguments, sandbox| run(&program, arguments, sandbox, budget));
    #[cfg(target_arch = "x86_64")]
    {
        let code = jit::Code::compile(&program).expect("there is memory for code");
        memory = MEMORY;
        let compiled =
            outcome_of(&mut stack, &mut memory, |arguments, sandbox| code.run(arguments, sandbox, budget));
        assert_eq!(compiled, interpreted, "{insns:?}");
    }
    interpreted
}

fn outcome_of(
    stack: &mut Stack,
    memory: &mut [u8; 16],
    engine: impl FnOnce([u64; 5], &mut Run<'_, '_>) -> Result<Finished, Fault>,
) -> Outcome {
    let mut regions = Regions::new(stack);
    let at = regions.lend(memory);
    let (mut maps, mut context, mut adder) = (Maps::new(1), Context::default(), Adder);
    let mut sandbox = Run::new(&mut regions, &mut maps, &mut context, &mut adder);
    let finished = engine([at, 16, 0, 0, 0], &mut sandbox).map_err(|fault| fault.kind)?;
    drop(regions);
    Ok((finished.result, finished.instructions, *memory))
}

fn text(text: &str) -> Vec<Insn> {
    let lines = text.replace("; ", "\n");
    assemble(&lines).unwrap_or_else(|errors| panic!("{text}: {errors:?}"))
}

const RESULTS: &[(&str, u64)] = &[
    // Constants and moves.
    ("r0 = -1; exit", u64::MAX),
    ("w0 = -1; exit", 0xffff_ffff),
    ("r0 = 0x123456789abcdef0 ll; exit", 0x1234_5678_9abc_def0),
    ("r2 = -2; w0 = w2; exit", 0xffff_fffe),
    ("r2 = 0x80; r0 = (s8)r2; exit", 0xffff_ffff_ffff_ff80),
    ("r2 = 0x8000; r0 = (s16)r2; exit", 0xffff_ffff_ffff_8000),
    ("w2 = 0x80000000; r0 = (s32)r2; exit", 0xffff_ffff_8000_0000),
    ("r2 = 0x80; w0 = (s8)w2; exit", 0xffff_ff80),
    ("r2 = 0x8000; w0 = (s16)w2; exit", 0xffff_8000),
    // Arithmetic at its edges.
    ("r0 = 5; r0 /= 0; exit", 0),
    ("r0 = 5; r0 %= 0; exit", 5),
    ("r0 = -5; w0 %= 0; exit", 0xffff_fffb),
    ("r0 = -5; w0 /= 0; exit", 0),
    ("r0 = -7; r0 s/= 2; exit", (-3i64) as u64),
    ("r0 = -7; r0 s%= 2; exit", (-1i64) as u64),
    ("r0 = -7; w0 s/= 2; exit", 0xffff_fffd),
    ("r0 = -7; w0 s%= 2; exit", 0xffff_ffff),
    ("r0 = 0x8000000000000000 ll; r0 s/= -1; exit", 1 << 63),
    ("r0 = 0x8000000000000000 ll; r0 s%= -1; exit", 0),
    ("w0 = 0x80000000; w0 s/= -1; exit", 0x8000_0000),
    ("w0 = 0x80000000; w0 s%= -1; exit", 0),
    ("r0 = 1; r2 = 65; r0 <<= r2; exit", 2),
    ("r0 = 1; r2 = 33; w0 <<= w2; exit", 2),
    ("r0 = -1; r2 = 100; r0 >>= r2; exit", u64::MAX >> 36),
    ("r0 = -16; w0 s>>= 2; exit", 0xffff_fffc),
    ("r0 = -16; r0 s>>= 2; exit", (-4i64) as u64),
    ("r0 = 1; r0 = -r0; exit", u64::MAX),
    ("r0 = 1; w0 = -w0; exit", 0xffff_ffff),
    ("w0 = -1; w0 += 1; exit", 0),
    ("r0 = 3; r0 *= -2; exit", (-6i64) as u64),
    ("r0 = 12; r0 ^= 10; r0 |= 16; r0 &= 20; exit", 20),
    // Byte order.
    ("r0 = 0x1122334455667788 ll; r0 = be16 r0; exit", 0x8877),
    ("r0 = 0x1122334455667788 ll; r0 = be32 r0; exit", 0x8877_6655),
    ("r0 = 0x1122334455667788 ll; r0 = be64 r0; exit", 0x8877_6655_4433_2211),
    ("r0 = 0x1122334455667788 ll; r0 = le16 r0; exit", 0x7788),
    ("r0 = 0x1122334455667788 ll; r0 = le32 r0; exit", 0x5566_7788),
    ("r0 = 0x1122334455667788 ll; r0 = bswap16 r0; exit", 0x8877),
    ("r0 = 0x1122334455667788 ll; r0 = bswap32 r0; exit", 0x8877_6655),
    ("r0 = 0x1122334455667788 ll; r0 = bswap64 r0; exit", 0x8877_6655_4433_2211),
    // Memory.
    ("r0 = *(u8 *)(r1 +8); exit", 0x99),
    ("r0 = *(u16 *)(r1 +8); exit", 0xaa99),
    ("r0 = *(u32 *)(r1 +7); exit", 0xbbaa_9988),
    ("r0 = *(u64 *)(r1 +8); exit", 0x00ff_eedd_ccbb_aa99),
    ("r0 = *(s8 *)(r1 +8); exit", 0xffff_ffff_ffff_ff99),
    ("r0 = *(s16 *)(r1 +8); exit", 0xffff_ffff_ffff_aa99),
    ("r0 = *(s32 *)(r1 +8); exit", 0xffff_ffff_ccbb_aa99),
    ("*(u64 *)(r10 -8) = -2; r0 = *(u64 *)(r10 -8); exit", u64::MAX - 1),
    ("*(u32 *)(r10 -8) = -2; r0 = *(u64 *)(r10 -8); exit", 0xffff_fffe),
    ("r2 = -1; *(u16 *)(r10 -512) = r2; r0 = *(u64 *)(r10 -512); exit", 0xffff),
    // Atomic operations.
    ("r2 = 1; lock *(u64 *)(r1 +0) += r2; r0 = *(u64 *)(r1 +0); exit", 0x8877_6655_4433_2212),
    ("r2 = -1; lock *(u32 *)(r1 +0) += r2; r0 = *(u64 *)(r1 +0); exit", 0x8877_6655_4433_2210),
    ("r2 = -1; lock *(u32 *)(r1 +0) ^= r2; r0 = *(u32 *)(r1 +0); exit", 0xbbcc_ddee),
    ("r2 = 15; lock *(u32 *)(r1 +0) &= r2; r0 = *(u32 *)(r1 +0); exit", 1),
    ("r2 = 15; lock *(u32 *)(r1 +0) |= r2; r0 = *(u32 *)(r1 +0); exit", 0x4433_221f),
    ("r2 = 1; r2 = atomic64_fetch_add((u64 *)(r1 +0), r2); r0 = r2; exit", 0x8877_6655_4433_2211),
    ("r2 = -1; r2 = atomic_fetch_xor((u32 *)(r1 +0), r2); r0 = r2; exit", 0x4433_2211),
    ("r2 = 9; r2 = atomic64_xchg((u64 *)(r1 +0), r2); r0 = *(u64 *)(r1 +0); exit", 9),
    ("w0 = 0x44332211; r2 = 9; r0 = atomic_cmpxchg((u32 *)(r1 +0), r0, r2); r0 = *(u32 *)(r1 +0); exit", 9),
    ("r0 = 3; r2 = 9; r0 = atomic64_cmpxchg((u64 *)(r1 +0), r0, r2); exit", 0x8877_6655_4433_2211),
    // Jumps: signed and unsigned, both widths.
    ("r0 = 1; r2 = -1; if r2 s< 0 goto pc+1; r0 = 2; exit", 1),
    ("r0 = 1; r2 = -1; if r2 > 5 goto pc+1; r0 = 2; exit", 1),
    ("r0 = 1; r2 = 0x100000001 ll; if w2 == 1 goto pc+1; r0 = 2; exit", 1),
    ("r0 = 1; r2 = 0x100000001 ll; if r2 == 1 goto pc+1; r0 = 2; exit", 2),
    ("r0 = 1; r2 = 6; if r2 & 2 goto pc+1; r0 = 2; exit", 1),
    ("r0 = 0; r2 = 10; r0 += r2; r2 += -1; if r2 != 0 goto pc-3; exit", 55),
    ("r0 = 1; gotol pc+1; r0 = 2; exit", 1),
    // Calls.
    ("r1 = 1; r2 = 2; r3 = 3; r4 = 4; r5 = 5; call 7; exit", 15),
    ("r1 = 4; call 8; r0 = 1; exit", 4),
    // A function that nobody proved sees what its caller had in `r0`.
    ("r0 = 55; call pc+0; exit", 55),
    ("r6 = 5; r1 = 2; call pc+2; r0 += r6; exit; r6 = 9; r0 = r1; exit", 7),
    ("call pc+1; exit; r1 = 77; call 8; exit", 77),
];

#[test]
fn every_kind_of_instruction_yields_what_the_standard_says() {
    for (program, expected) in RESULTS {
        let result = outcome(&text(program), Budget::default()).map(|(result, ..)| result);
        assert_eq!(result, Ok(*expected), "{program}");
    }
}

#[test]
fn a_register_calls_a_function_by_address_and_a_helper_by_number() {
    use nonna_bpf::{AluOp, Callee, Imm64, Operand, Width};
    let call = Insn::Call(Callee::Register(Reg::R3));
    let mov = |dst, imm| Insn::Alu { width: Width::W64, op: AluOp::Mov, dst, src: Operand::Imm(imm) };
    let function = Insn::LoadImm64 { dst: Reg::R3, value: Imm64::Function(3) };
    let budget = Budget::default();
    let by_address = [function, call, Insn::Exit, mov(Reg::R0, 42), Insn::Exit];
    assert_eq!(outcome(&by_address, budget).map(|o| o.0), Ok(42));
    let by_number = [mov(Reg::R1, 6), mov(Reg::R3, 8), call, Insn::Exit];
    assert_eq!(outcome(&by_number, budget).map(|o| o.0), Ok(6));
    let nothing = [mov(Reg::R3, -1), call, Insn::Exit];
    assert_eq!(outcome(&nothing, budget).map(|o| o.0), Err(FaultKind::NoFunction(u64::MAX)));
}

#[test]
fn instructions_are_counted_one_by_one() {
    for (program, expected) in [
        ("r0 = 0; exit", 2),
        ("r0 = 0; goto pc+1; r0 = 1; exit", 3),
        ("r0 = 3; r0 += -1; if r0 != 0 goto pc-2; exit", 8),
        ("r1 = 4; call 7; exit", 3),
        ("r1 = 4; call 8; exit", 2),
        ("call pc+1; exit; r0 = 1; exit", 4),
    ] {
        assert_eq!(outcome(&text(program), Budget::default()).map(|o| o.1), Ok(expected), "{program}");
    }
}

#[test]
fn what_a_program_may_not_do_stops_it() {
    let small = Budget { instructions: 1000, time: None };
    assert_eq!(outcome(&text("r0 = 0; goto pc-1"), small), Err(FaultKind::Instructions));
    assert_eq!(outcome(&text("call pc-1; exit"), small), Err(FaultKind::CallDepth));
    let hasty = Budget { instructions: u64::MAX, time: Some(std::time::Duration::from_millis(5)) };
    assert_eq!(outcome(&text("r0 = 0; goto pc-1"), hasty), Err(FaultKind::Time));
    let unknown = FaultKind::Helper { number: 9, error: HelperError::Unknown };
    assert_eq!(outcome(&text("call 9; exit"), small), Err(unknown));
    for outside in [
        "r0 = *(u64 *)(r1 +9); exit",
        "r0 = *(u8 *)(r1 -1); exit",
        "*(u8 *)(r1 +16) = 0; exit",
        "*(u8 *)(r10 +0) = 0; exit",
        "r0 = *(u8 *)(r10 -513); exit",
        "r2 = 0; r0 = *(u8 *)(r2 +0); exit",
    ] {
        assert!(matches!(outcome(&text(outside), small), Err(FaultKind::Memory(_))), "{outside}");
    }
}

#[test]
fn what_cannot_run_is_refused() {
    for (program, reason) in [
        (
            "r0 = 0",
            "instruction 0: control would run past the end: the last instruction must be `exit` or a jump that is always taken",
        ),
        ("goto pc+1; exit", "instruction 0: its target is no instruction of the program"),
        ("goto pc+1; r0 = 1 ll; exit", "instruction 0: its target is no instruction of the program"),
        ("r10 = 0; exit", "instruction 0: it writes r10, the frame pointer"),
    ] {
        assert_eq!(
            Prepared::unproved(&text(program), &Helpers::none()).unwrap_err().to_string(),
            reason,
            "{program}"
        );
    }
    assert_eq!(
        Prepared::unproved(&[], &Helpers::none()).unwrap_err().to_string(),
        "instruction 0: the program is empty"
    );
    let none = Helpers::none();
    assert!(
        Prepared::unproved_bytes(&[0xff; 8], &none).is_err()
            && Prepared::unproved_bytes(&[0x95; 3], &none).is_err()
    );
}

#[test]
fn every_function_has_rounds_of_may_goto_of_its_own() {
    // Both loop until `may_goto` stops them; the function's rounds are all there although its caller's are used up.
    let insns = text(
        "r6 = 0; loop: may_goto out; r6 += 1; goto loop; out: call inner; r0 ^= r6; exit; \
         inner: r0 = 0; again: may_goto done; r0 += 1; goto again; done: exit",
    );
    assert_eq!(
        outcome(&insns, Budget { instructions: 100_000_000, time: None }).map(|(result, ..)| result),
        Ok(0)
    );
}
