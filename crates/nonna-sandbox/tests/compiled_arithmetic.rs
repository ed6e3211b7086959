//! Random straight arithmetic, rich in what the compiler makes one instruction of: machine code and interpreter agree.
#![cfg(target_arch = "x86_64")]

use nonna_bpf::{AluOp, Endian, Imm64, Insn, JumpOp, Operand, Reg, Width};
use nonna_sandbox::jit::Code;
use nonna_sandbox::{Budget, Context, Helpers, Maps, NoHelpers, Prepared, Regions, Run, Stack, run};
use proptest::prelude::*;

const REGISTERS: u8 = 6;

fn register() -> impl Strategy<Value = Reg> {
    (0..REGISTERS).prop_map(|number| Reg::new(number).expect("there are eleven"))
}

fn width() -> impl Strategy<Value = Width> {
    prop_oneof![Just(Width::W64), Just(Width::W32)]
}

fn op() -> impl Strategy<Value = AluOp> {
    use AluOp::*;
    prop_oneof![
        6 => prop::sample::select(vec![Mov]),
        6 => prop::sample::select(vec![Lsh, Rsh, Arsh, Or, And, Xor, Add, Sub]),
        2 => prop::sample::select(vec![Mul, Div, Mod, Sdiv, Smod]),
    ]
}

fn constant() -> impl Strategy<Value = i32> {
    prop_oneof![
        4 => prop::sample::select(vec![0, 1, 2, 3, 5, 8, 13, 16, 31, 32, 48, 51, 56, 63, 64, 127, 128, -128, 255, 65535, -1, 7, 10, 641, 1021, -5, i32::MAX, i32::MIN]),
        1 => any::<i32>(),
    ]
}

fn alu(width: Width, op: AluOp, dst: Reg, src: Operand) -> Insn {
    Insn::Alu { width, op, dst, src }
}

/// A few instructions: any, or a pattern that may or may not be whole.
fn piece() -> impl Strategy<Value = Vec<Insn>> {
    let operand = || prop_oneof![register().prop_map(Operand::Reg), constant().prop_map(Operand::Imm)];
    let single =
        (width(), op(), register(), operand()).prop_map(|(w, op, dst, src)| vec![alu(w, op, dst, src)]);
    let unary = (width(), register(), prop::sample::select(vec![16u8, 32, 64]), 0..5u8).prop_map(
        |(width, dst, bits, which)| {
            vec![match which {
                0 => Insn::Neg { width, dst },
                1 => Insn::Endian { kind: Endian::Be, dst, bits },
                2 => Insn::Endian { kind: Endian::Le, dst, bits },
                3 => Insn::Endian { kind: Endian::Swap, dst, bits },
                _ => Insn::MovSx { width, dst, src: Reg::R1, from_bits: 8 },
            }]
        },
    );
    let rotation = (width(), width(), width(), register(), register(), 1..64i32, any::<[bool; 4]>())
        .prop_map(|(outer, inner, joining, copy, from, by, [swapped, other, off, add])| {
            let bits = if inner == Width::W64 { 64 } else { 32 };
            let by = by % (bits - 1) + 1;
            let back = if off && by % 5 == 0 { by } else { bits - by };
            let (first, second) = if swapped { (AluOp::Lsh, AluOp::Rsh) } else { (AluOp::Rsh, AluOp::Lsh) };
            let (left, right) = if other { (copy, from) } else { (from, copy) };
            let join = if add { AluOp::Add } else { AluOp::Or };
            vec![
                alu(outer, AluOp::Mov, copy, Operand::Reg(from)),
                alu(inner, first, left, Operand::Imm(by)),
                alu(inner, second, right, Operand::Imm(back)),
                alu(joining, join, right, Operand::Reg(left)),
                // Mostly nobody wants the other half.
                alu(Width::W64, AluOp::Mov, if add { left } else { copy }, Operand::Imm(1)),
            ]
        });
    let rotation_of_copies =
        (any::<[bool; 4]>(), [width(), width(), width()], [register(), register(), register()], 1..64i32)
            .prop_map(|([swapped, other, off, dead], [outer, inner, joining], [first, second, from], by)| {
                let bits = if inner == Width::W64 { 64 } else { 32 };
                let by = by % (bits - 1) + 1;
                let back = if off && by % 5 == 0 { by } else { bits - by };
                let (one, two) = if swapped { (AluOp::Lsh, AluOp::Rsh) } else { (AluOp::Rsh, AluOp::Lsh) };
                let (to, joined) = if other { (first, second) } else { (second, first) };
                let mut insns = vec![
                    alu(outer, AluOp::Mov, first, Operand::Reg(from)),
                    alu(inner, one, first, Operand::Imm(by)),
                    alu(joining, AluOp::Mov, second, Operand::Reg(from)),
                    alu(inner, two, second, Operand::Imm(back)),
                    alu(joining, AluOp::Or, to, Operand::Reg(joined)),
                ];
                if dead || by % 3 != 0 {
                    insns.push(alu(Width::W64, AluOp::Mov, joined, Operand::Imm(1)));
                }
                insns
            });
    // Whether the result is zero decides what becomes of another register.
    let decision = (width(), width(), op(), register(), constant(), register(), any::<bool>()).prop_map(
        |(width, compared, op, dst, by, other, is_equal)| {
            let op_of_jump = if is_equal { JumpOp::Eq } else { JumpOp::Ne };
            vec![
                alu(Width::W64, AluOp::And, dst, Operand::Imm(0xff)),
                alu(width, op, dst, Operand::Imm(by)),
                Insn::Jump { width: compared, op: op_of_jump, dst, src: Operand::Imm(0), offset: 1 },
                alu(Width::W64, AluOp::Add, other, Operand::Imm(77)),
            ]
        },
    );
    let extension = (width(), register(), register(), constant(), any::<bool>()).prop_map(
        |(width, dst, src, by, signed)| {
            let back = if signed { AluOp::Arsh } else { AluOp::Rsh };
            vec![
                alu(width, AluOp::Mov, dst, Operand::Reg(src)),
                alu(Width::W64, AluOp::Lsh, dst, Operand::Imm(by & 63)),
                alu(Width::W64, back, dst, Operand::Imm(by & 63)),
            ]
        },
    );
    let address =
        (width(), register(), register(), register(), 0..5i32).prop_map(|(width, dst, src, base, by)| {
            vec![
                alu(width, AluOp::Mov, dst, Operand::Reg(src)),
                alu(width, AluOp::Lsh, dst, Operand::Imm(by)),
                alu(width, AluOp::Add, base, Operand::Reg(dst)),
            ]
        });
    prop_oneof![4 => single, 1 => unary, 2 => rotation, 2 => rotation_of_copies, 2 => decision, 1 => extension, 1 => address]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn machine_code_computes_what_the_interpreter_does(
        pieces in prop::collection::vec(piece(), 1..20),
        values in any::<[u64; REGISTERS as usize]>(),
    ) {
        let registers = || (0..REGISTERS).map(|number| Reg::new(number).expect("there are eleven"));
        let mut insns: Vec<Insn> = registers()
            .zip(values)
            .map(|(dst, value)| Insn::LoadImm64 { dst, value: Imm64::Value(value) })
            .collect();
        insns.extend(pieces.into_iter().flatten());
        // The result depends on every register.
        for src in registers().skip(1) {
            insns.push(alu(Width::W64, AluOp::Mul, Reg::R0, Operand::Imm(0x0100_01b3)));
            insns.push(alu(Width::W64, AluOp::Xor, Reg::R0, Operand::Reg(src)));
        }
        insns.push(Insn::Exit);
        let program = Prepared::unproved(&insns, &Helpers::none()).expect("it can run");
        let code = Code::compile(&program).expect("there is memory for code");
        let (mut stack, mut maps, mut context, mut host) =
            (Stack::new(), Maps::new(1), Context::default(), NoHelpers);
        let mut regions = Regions::new(&mut stack);
        let mut sandbox = Run::new(&mut regions, &mut maps, &mut context, &mut host);
        let budget = Budget { instructions: 1_000, time: None };
        let interpreted = run(&program, [0; 5], &mut sandbox, budget);
        prop_assert_eq!(code.run([0; 5], &mut sandbox, budget), interpreted);
    }
}
