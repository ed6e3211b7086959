//! Programs full of known runs do the same with and without the functions for them: results, memory, counts, faults.

use nonna_bpf::{AluOp, Insn, JumpOp, MemSize, Operand, Reg, Width};
use proptest::prelude::*;

use super::longest;
use crate::{Budget, Context, Fault, Finished, Helpers, Maps, NoHelpers, Prepared, Regions, Run, Stack, run};

/// Few registers, so that what runs need comes about: `r1` points to memory, `r2` is an index into it.
fn number() -> impl Strategy<Value = Reg> {
    (3u8..7).prop_map(|number| Reg::new(number).expect("there are so many"))
}

fn width() -> impl Strategy<Value = Width> {
    prop_oneof![2 => Just(Width::W64), 1 => Just(Width::W32)]
}

fn constant() -> impl Strategy<Value = i32> {
    prop_oneof![4 => 0i32..64, 1 => any::<i32>()]
}

fn operation() -> impl Strategy<Value = AluOp> {
    prop::sample::select(&[
        AluOp::Add,
        AluOp::Sub,
        AluOp::Mul,
        AluOp::Or,
        AluOp::And,
        AluOp::Xor,
        AluOp::Lsh,
        AluOp::Rsh,
        AluOp::Arsh,
        AluOp::Mov,
    ])
}

fn alu(width: Width, op: AluOp, dst: Reg, src: Operand) -> Insn {
    Insn::Alu { width, op, dst, src }
}

/// Arithmetic that follows a move, a rotation in one of its four forms, or operations on two registers.
fn arithmetic() -> impl Strategy<Value = Vec<Insn>> {
    let moved = (width(), number(), number(), operation(), constant(), operation(), number()).prop_map(
        |(width, t, x, first, imm, second, y)| {
            vec![
                alu(width, AluOp::Mov, t, Operand::Reg(x)),
                alu(width, first, t, Operand::Imm(imm)),
                alu(width, second, t, Operand::Reg(y)),
            ]
        },
    );
    let rotated = (width(), number(), number(), number(), any::<[bool; 2]>(), 0i32..40, 0i32..40).prop_map(
        |(width, part, source, whole, [is_long, is_left], first, second)| {
            let shifts = if is_left { [AluOp::Lsh, AluOp::Rsh] } else { [AluOp::Rsh, AluOp::Lsh] };
            let whole = if is_long { whole } else { source };
            let mut insns = vec![
                alu(width, AluOp::Mov, part, Operand::Reg(source)),
                alu(width, shifts[0], part, Operand::Imm(first)),
            ];
            if is_long {
                insns.push(alu(width, AluOp::Mov, whole, Operand::Reg(source)));
            }
            insns.push(alu(width, shifts[1], whole, Operand::Imm(second)));
            insns.push(alu(width, AluOp::Or, whole, Operand::Reg(part)));
            insns
        },
    );
    let two =
        (width(), prop::collection::vec((operation(), number(), number()), 1..4)).prop_map(|(width, all)| {
            all.into_iter().map(|(op, dst, src)| alu(width, op, dst, Operand::Reg(src))).collect()
        });
    prop_oneof![moved, rotated, two]
}

/// An element of memory, now and then one that is not there.
fn access() -> impl Strategy<Value = Vec<Insn>> {
    let size = prop::sample::select(&[MemSize::B, MemSize::H, MemSize::W, MemSize::DW]);
    let offset = prop_oneof![20 => 0i16..9, 1 => 10i16..18];
    (size, any::<bool>(), number(), number(), offset).prop_map(|(size, is_store, t, value, offset)| {
        let last = if is_store {
            Insn::Store { size, base: t, offset, src: Operand::Reg(value) }
        } else {
            Insn::Load { size, sign_extend: false, dst: value, base: t, offset }
        };
        vec![
            alu(Width::W64, AluOp::Mov, t, Operand::Reg(Reg::R1)),
            alu(Width::W64, AluOp::Add, t, Operand::Reg(Reg::R2)),
            last,
        ]
    })
}

/// A value and a jump on it, forward or back.
fn branch() -> impl Strategy<Value = Vec<Insn>> {
    let value = prop_oneof![
        (width(), prop::sample::select(&[AluOp::Add, AluOp::And]), number(), constant())
            .prop_map(|(width, op, dst, imm)| alu(width, op, dst, Operand::Imm(imm))),
        (width(), number(), number()).prop_map(|(width, dst, src)| alu(
            width,
            AluOp::Add,
            dst,
            Operand::Reg(src)
        )),
        (prop::sample::select(&[MemSize::B, MemSize::W]), number(), 0i16..13).prop_map(
            |(size, dst, offset)| Insn::Load { size, sign_extend: false, dst, base: Reg::R1, offset }
        ),
    ];
    let condition = prop::sample::select(&[JumpOp::Eq, JumpOp::Ne, JumpOp::Lt, JumpOp::Gt, JumpOp::Slt]);
    (value, width(), condition, -1i32..6, -7i16..7).prop_map(|(value, width, op, imm, offset)| {
        let (Insn::Alu { dst, .. } | Insn::Load { dst, .. }) = value else { return vec![value] };
        vec![value, Insn::Jump { width, op, dst, src: Operand::Imm(imm), offset }]
    })
}

fn program() -> impl Strategy<Value = Vec<Insn>> {
    let runs = prop::collection::vec(prop_oneof![4 => arithmetic(), 2 => access(), 2 => branch()], 1..12);
    runs.prop_map(|runs| {
        let mut insns: Vec<Insn> = runs.concat();
        let sum = |src| alu(Width::W64, AluOp::Xor, Reg::R0, Operand::Reg(src));
        insns.extend([3, 4, 5, 6].map(|number| sum(Reg::new(number).expect("there are so many"))));
        insns.push(Insn::Exit);
        while let Err(error) = Prepared::unproved(&insns, &Helpers::none()) {
            insns.remove(error.insn);
        }
        insns
    })
}

/// Runs with memory at the same place, so that addresses in registers are the same.
fn outcome(program: &Prepared, memory: &mut [u8; 24], seed: [u64; 3]) -> Result<Finished, Fault> {
    let mut stack = Stack::new();
    let mut regions = Regions::new(&mut stack);
    let at = regions.lend(&mut memory[..16]);
    let (mut maps, mut context, mut host) = (Maps::new(1), Context::default(), NoHelpers);
    let mut sandbox = Run::new(&mut regions, &mut maps, &mut context, &mut host);
    let budget = Budget { instructions: 500, time: None };
    run(program, [at, seed[0] % 3, seed[1], seed[2], seed[0]], &mut sandbox, budget)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_run_does_what_its_instructions_do(insns in program(), seed in any::<[u64; 3]>()) {
        let prepare = || Prepared::unproved(&insns, &Helpers::none()).expect("it can run");
        let fill = |memory: &mut [u8; 24]| memory.copy_from_slice(&[seed[0].to_ne_bytes(), seed[1].to_ne_bytes(), seed[2].to_ne_bytes()].concat());
        let (fused, plain) = (prepare(), prepare().one_by_one());
        let mut memory = [0; 24];
        fill(&mut memory);
        let one = outcome(&fused, &mut memory, seed);
        let after = memory;
        fill(&mut memory);
        prop_assert_eq!(outcome(&plain, &mut memory, seed), one);
        prop_assert_eq!(memory, after);
    }
}

#[test]
fn known_runs_are_found() {
    for (text, is_known) in [
        ("r3 = r4; r3 >>= 51; r5 = r4; r5 <<= 13; r5 |= r3", true),
        ("w3 = w4; w3 >>= 28; w4 <<= 4; w4 |= w3", true),
        ("r3 = r1; r3 += r2; r4 = *(u8 *)(r3 +0)", true),
        ("r3 = r1; r3 += r2; *(u16 *)(r3 +2) = r4", true),
        ("r3 += 1; if r3 != 0x100 goto pc-2", true),
        ("r3 = *(u16 *)(r1 +12); if r3 == 0x8 goto pc-2", true),
        ("r3 = r4; r3 *= 3", true),
        ("r3 ^= r4; r4 += r3", true),
        ("r3 = r4; r3 += r3", false),
        ("r3 += 1; if r4 != 0x100 goto pc-2", false),
        ("r3 = *(u64 *)(r10 -8); if r3 == 0x8 goto pc-2", false),
        ("r3 += 1; exit", false),
    ] {
        let insns = nonna_bpf::assemble(&text.replace("; ", "\n")).expect("the text is right");
        assert_eq!(longest(&insns).is_some(), is_known, "{text}");
    }
}
