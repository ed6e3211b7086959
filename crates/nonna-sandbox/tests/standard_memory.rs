//! RFC 9669, sections 4.2, 4.3.2 and 5, on both engines: conversions, long constants, every access at every size, every atomic
//! operation, jumps without a condition and calls between functions, on numbers at the edges. What is expected is computed here, over bytes.

use nonna_bpf::{
    AluOp, AtomicOp, Callee, Endian, Imm64, Insn, JumpOp, MemSize, Operand, Reg, Width, assemble,
};
use nonna_sandbox::{Budget, Context, Engine, Helpers, Maps, NoHelpers, Prepared, Regions, Run, Stack};

const EDGES: [u64; 16] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0x8000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x0123_4567_89ab_cdef,
    0xfedc_ba98_7654_3210,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0xffff_ffff_ffff_ffff,
];

const SIZES: [MemSize; 4] = [MemSize::B, MemSize::H, MemSize::W, MemSize::DW];

/// What is in memory before each run, around the number that counts.
const FILL: u8 = 0xa5;
/// Bytes of memory; the number lies at 8.
const BYTES: usize = 24;

type Memory = [u8; BYTES];

/// A result, and memory after the run.
type Outcome = (u64, Memory);

fn memory_of(number: u64) -> Memory {
    let mut memory = [FILL; BYTES];
    memory[8..16].copy_from_slice(&number.to_le_bytes());
    memory
}

/// The low bytes of a number, as memory has them.
fn low(number: u64, size: MemSize) -> Vec<u8> {
    number.to_le_bytes()[..size.bytes() as usize].to_vec()
}

/// The number that bytes are, with or without its sign.
fn whole(bytes: &[u8], is_signed: bool) -> u64 {
    let is_negative = is_signed && bytes.last().is_some_and(|last| last & 0x80 != 0);
    let mut all = [if is_negative { 0xff } else { 0 }; 8];
    all[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(all)
}

/// What each engine makes of a program with `r1` pointing at the memory's first byte and `r2` its length.
fn outcomes(insns: &[Insn], before: Memory) -> Vec<(&'static str, Outcome)> {
    let program = Prepared::unproved(insns, &Helpers::none()).expect("the program can run");
    let run = |engine: &dyn Engine| {
        let (mut stack, mut memory) = (Stack::new(), before);
        let mut regions = Regions::new(&mut stack);
        let at = regions.lend(&mut memory);
        let (mut maps, mut context, mut host) = (Maps::new(1), Context::default(), NoHelpers);
        let mut run = Run::new(&mut regions, &mut maps, &mut context, &mut host);
        let arguments = [at, BYTES as u64, 0, 0, 0];
        let result = run.execute(engine, arguments, Budget::default()).expect("it ends").result;
        drop(regions);
        (result, memory)
    };
    let mut outcomes = vec![("interpreter", run(&program))];
    #[cfg(target_arch = "x86_64")]
    outcomes.push(("compiler", run(&nonna_sandbox::jit::Code::compile(&program).expect("it compiles"))));
    outcomes
}

#[track_caller]
fn check(insns: &[Insn], before: Memory, expected: Outcome) {
    for (engine, found) in outcomes(insns, before) {
        assert_eq!(found, expected, "{insns:?} on {engine}");
    }
}

fn long(dst: Reg, value: u64) -> Insn {
    Insn::LoadImm64 { dst, value: Imm64::Value(value) }
}

fn mov(dst: Reg, src: Reg) -> Insn {
    Insn::Alu { width: Width::W64, op: AluOp::Mov, dst, src: Operand::Reg(src) }
}

fn text(text: &str) -> Vec<Insn> {
    assemble(&text.replace("; ", "\n")).unwrap_or_else(|errors| panic!("{text}: {errors:?}"))
}

#[test]
fn conversions_yield_what_the_standard_says() {
    let untouched = memory_of(0);
    for value in EDGES {
        check(&[long(Reg::R0, value), Insn::Exit], untouched, (value, untouched));
        for (width, mask) in [(Width::W64, u64::MAX), (Width::W32, 0xffff_ffff)] {
            let expected = ((1u128 << 64) - u128::from(value)) as u64 & mask;
            let negation = Insn::Neg { width, dst: Reg::R0 };
            check(&[long(Reg::R0, value), negation, Insn::Exit], untouched, (expected, untouched));
            for size in
                SIZES.into_iter().filter(|size| 8 * u64::from(size.bytes()) < u64::from(mask.count_ones()))
            {
                let extension =
                    Insn::MovSx { width, dst: Reg::R0, src: Reg::R3, from_bits: 8 * size.bytes() as u8 };
                let expected = whole(&low(value, size), true) & mask;
                let insns = [long(Reg::R0, 77), long(Reg::R3, value), extension, Insn::Exit];
                check(&insns, untouched, (expected, untouched));
            }
        }
        for (size, bits) in [(MemSize::H, 16), (MemSize::W, 32), (MemSize::DW, 64)] {
            let kept = low(value, size);
            let swapped: Vec<u8> = kept.iter().rev().copied().collect();
            // Programs are little-endian here, as the processors are that run this.
            for (kind, bytes) in [(Endian::Le, &kept), (Endian::Be, &swapped), (Endian::Swap, &swapped)] {
                let conversion = Insn::Endian { kind, dst: Reg::R0, bits };
                let expected = whole(bytes, false);
                check(&[long(Reg::R0, value), conversion, Insn::Exit], untouched, (expected, untouched));
            }
        }
    }
}

#[test]
fn accesses_touch_their_bytes_and_no_others() {
    for (value, size) in EDGES.into_iter().flat_map(|value| SIZES.map(|size| (value, size))) {
        let before = memory_of(value);
        for is_signed in [false, true].into_iter().filter(|signed| !signed || size != MemSize::DW) {
            let load = Insn::Load { size, sign_extend: is_signed, dst: Reg::R0, base: Reg::R1, offset: 8 };
            check(&[load, Insn::Exit], before, (whole(&low(value, size), is_signed), before));
            // The base may be what is loaded into, and an offset may be negative.
            let far = Insn::Alu { width: Width::W64, op: AluOp::Add, dst: Reg::R1, src: Operand::Imm(24) };
            let load = Insn::Load { size, sign_extend: is_signed, dst: Reg::R1, base: Reg::R1, offset: -16 };
            let insns = [far, load, mov(Reg::R0, Reg::R1), Insn::Exit];
            check(&insns, before, (whole(&low(value, size), is_signed), before));
        }
        let mut after = memory_of(0);
        after[8..8 + size.bytes() as usize].copy_from_slice(&low(value, size));
        let constant = i32::try_from(value as i64).ok().map(Operand::Imm);
        for src in [Operand::Reg(Reg::R3)].into_iter().chain(constant) {
            let store = Insn::Store { size, base: Reg::R1, offset: 8, src };
            let insns = [long(Reg::R0, 5), long(Reg::R3, value), store, Insn::Exit];
            check(&insns, memory_of(0), (5, after));
            // The stack is memory too.
            let store = Insn::Store { size, base: Reg::R10, offset: -512, src };
            let load = Insn::Load { size, sign_extend: false, dst: Reg::R0, base: Reg::R10, offset: -512 };
            let untouched = memory_of(0);
            let expected = whole(&low(value, size), false);
            check(&[long(Reg::R3, value), store, load, Insn::Exit], untouched, (expected, untouched));
        }
    }
}

/// What an atomic operation leaves in memory.
fn replaced(op: AtomicOp, old: u64, operand: u64, compared: u64) -> u64 {
    match op {
        AtomicOp::Add { .. } => old.wrapping_add(operand),
        AtomicOp::Or { .. } => old | operand,
        AtomicOp::And { .. } => old & operand,
        AtomicOp::Xor { .. } => old ^ operand,
        AtomicOp::Exchange => operand,
        AtomicOp::CompareExchange => {
            if old == compared {
                operand
            } else {
                old
            }
        }
    }
}

#[test]
fn atomic_operations_yield_what_the_standard_says() {
    let fetching = |fetch| {
        [AtomicOp::Add { fetch }, AtomicOp::Or { fetch }, AtomicOp::And { fetch }, AtomicOp::Xor { fetch }]
    };
    let all = [fetching(false), fetching(true)].concat();
    let all = all.into_iter().chain([AtomicOp::Exchange, AtomicOp::CompareExchange]);
    let mut n_cases = 0;
    for (op, size) in all.flat_map(|op| [MemSize::W, MemSize::DW].map(|size| (op, size))) {
        let cut = |number: u64| whole(&low(number, size), false);
        let atomic = Insn::Atomic { size, op, base: Reg::R1, offset: 8, src: Reg::R3 };
        for (old, operand) in EDGES.into_iter().flat_map(|old| EDGES.map(|operand| (old, operand))) {
            // What is compared with: what is there, the same in 32 bits only, something else.
            for compared in [old, old ^ 1 << 40, !old] {
                let new = replaced(op, cut(old), cut(operand), cut(compared));
                let mut after = memory_of(old);
                after[8..8 + size.bytes() as usize].copy_from_slice(&low(new, size));
                let (r0, r3) = match op {
                    AtomicOp::CompareExchange => (cut(old), operand),
                    AtomicOp::Exchange => (compared, cut(old)),
                    AtomicOp::Add { fetch }
                    | AtomicOp::Or { fetch }
                    | AtomicOp::And { fetch }
                    | AtomicOp::Xor { fetch } => (compared, if fetch { cut(old) } else { operand }),
                };
                let begin = [long(Reg::R0, compared), long(Reg::R3, operand), atomic];
                check(&[&begin[..], &[Insn::Exit]].concat(), memory_of(old), (r0, after));
                let end = [mov(Reg::R0, Reg::R3), Insn::Exit];
                check(&[&begin[..], &end].concat(), memory_of(old), (r3, after));
                n_cases += 1;
            }
        }
    }
    assert_eq!(n_cases, 10 * 2 * 16 * 16 * 3);
}

#[test]
fn control_goes_where_the_standard_says() {
    let untouched = memory_of(0);
    for (program, expected) in [
        // Both jumps, to both sides.
        ("r0 = 1; goto pc+1; r0 = 2; exit", 1),
        ("r0 = 1; gotol pc+1; r0 = 2; exit", 1),
        ("r0 = 1; goto pc+2; r0 = 3; exit; goto pc-3", 3),
        ("r0 = 1; gotol pc+2; r0 = 3; exit; gotol pc-3", 3),
        // The length in r2 is that of the memory.
        ("r0 = r2; exit", BYTES as u64),
        // Each function has a stack of its own, and keeps r6 to r9 of its caller.
        (
            "r6 = 6; *(u64 *)(r10 -8) = 40; call pc+3; r1 = *(u64 *)(r10 -8); r0 += r1; exit; \
             r6 = 1; *(u64 *)(r10 -8) = 2; r0 = *(u64 *)(r10 -8); exit",
            42,
        ),
        ("r6 = 6; r9 = 9; call pc+3; r0 = r6; r0 += r9; exit; r6 = 0; r9 = 0; exit", 15),
        // A callee may use its caller's stack through a pointer.
        ("r1 = r10; r1 += -8; call pc+2; r0 = *(u64 *)(r10 -8); exit; *(u64 *)(r1 +0) = 12; exit", 12),
        // Eight functions deep, by calling itself.
        ("r1 = 7; r0 = 0; call pc+1; exit; r0 += r1; if r1 == 1 goto pc+2; r1 += -1; call pc-4; exit", 28),
    ] {
        check(&text(program), untouched, (expected, untouched));
    }
    let callee = Insn::Call(Callee::Local(1));
    let jump =
        Insn::Jump { width: Width::W64, op: JumpOp::Eq, dst: Reg::R2, src: Operand::Imm(24), offset: 0 };
    check(&[callee, Insn::Exit, long(Reg::R0, 9), jump, Insn::Exit], untouched, (9, untouched));
}
