//! RFC 9669, sections 4.1 and 4.3, on both engines: every operation and every condition at both widths and in both forms, on numbers at
//! the edges. What is expected is computed here, in 128 bits.

use nonna_bpf::{AluOp, Imm64, Insn, JumpOp, Operand, Reg, Width};
use nonna_sandbox::{Budget, Context, Engine, Helpers, Maps, NoHelpers, Prepared, Regions, Run, Stack};

const EDGES: [u64; 14] = [
    0,
    1,
    2,
    7,
    31,
    33,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fffe,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0xffff_ffff_ffff_ffff,
];

const OPERATIONS: [AluOp; 14] = [
    AluOp::Add,
    AluOp::Sub,
    AluOp::Mul,
    AluOp::Div,
    AluOp::Sdiv,
    AluOp::Mod,
    AluOp::Smod,
    AluOp::Or,
    AluOp::And,
    AluOp::Xor,
    AluOp::Lsh,
    AluOp::Rsh,
    AluOp::Arsh,
    AluOp::Mov,
];

const CONDITIONS: [JumpOp; 11] = [
    JumpOp::Eq,
    JumpOp::Ne,
    JumpOp::Gt,
    JumpOp::Ge,
    JumpOp::Lt,
    JumpOp::Le,
    JumpOp::Set,
    JumpOp::Sgt,
    JumpOp::Sge,
    JumpOp::Slt,
    JumpOp::Sle,
];

fn bits(width: Width) -> u32 {
    if width == Width::W64 { 64 } else { 32 }
}

/// A number cut to the width, and the same with its sign.
fn read(width: Width, value: u64) -> (i128, i128) {
    let unsigned = i128::from(value) & ((1 << bits(width)) - 1);
    let is_negative = unsigned >> (bits(width) - 1) == 1;
    (unsigned, if is_negative { unsigned - (1 << bits(width)) } else { unsigned })
}

/// What the standard says about `left op right`.
fn computed(width: Width, op: AluOp, left: u64, right: u64) -> u64 {
    let ((a, signed_a), (b, signed_b)) = (read(width, left), read(width, right));
    let shift = (b % i128::from(bits(width))) as u32;
    let result = match op {
        AluOp::Add => a + b,
        AluOp::Sub => a - b,
        // The product of two numbers of 64 bits may take 128, of which the low half counts.
        AluOp::Mul => (a as u128).wrapping_mul(b as u128) as i128,
        AluOp::Div => a.checked_div(b).unwrap_or(0),
        AluOp::Sdiv => signed_a.checked_div(signed_b).unwrap_or(0),
        AluOp::Mod => a.checked_rem(b).unwrap_or(a),
        AluOp::Smod => signed_a.checked_rem(signed_b).unwrap_or(a),
        AluOp::Or => a | b,
        AluOp::And => a & b,
        AluOp::Xor => a ^ b,
        AluOp::Lsh => ((a as u128) << shift) as i128,
        AluOp::Rsh => a >> shift,
        AluOp::Arsh => signed_a >> shift,
        AluOp::Mov => b,
    };
    (result & ((1 << bits(width)) - 1)) as u64
}

fn holds(width: Width, op: JumpOp, left: u64, right: u64) -> bool {
    let ((a, signed_a), (b, signed_b)) = (read(width, left), read(width, right));
    match op {
        JumpOp::Eq => a == b,
        JumpOp::Ne => a != b,
        JumpOp::Gt => a > b,
        JumpOp::Ge => a >= b,
        JumpOp::Lt => a < b,
        JumpOp::Le => a <= b,
        JumpOp::Set => a & b != 0,
        JumpOp::Sgt => signed_a > signed_b,
        JumpOp::Sge => signed_a >= signed_b,
        JumpOp::Slt => signed_a < signed_b,
        JumpOp::Sle => signed_a <= signed_b,
    }
}

/// What each engine makes of a program.
fn results(insns: &[Insn]) -> Vec<(&'static str, u64)> {
    let program = Prepared::unproved(insns, &Helpers::none()).expect("the program can run");
    let run = |engine: &dyn Engine| {
        let mut stack = Stack::new();
        let mut regions = Regions::new(&mut stack);
        let (mut maps, mut context, mut host) = (Maps::new(1), Context::default(), NoHelpers);
        let mut run = Run::new(&mut regions, &mut maps, &mut context, &mut host);
        run.execute(engine, [0; 5], Budget::default()).expect("it ends").result
    };
    let mut results = vec![("interpreter", run(&program))];
    #[cfg(target_arch = "x86_64")]
    results.push(("compiler", run(&nonna_sandbox::jit::Code::compile(&program).expect("it compiles"))));
    results
}

fn long(dst: Reg, value: u64) -> Insn {
    Insn::LoadImm64 { dst, value: Imm64::Value(value) }
}

/// The right operand in a register, and as a constant where it is one.
fn forms(right: u64) -> Vec<Operand> {
    let constant = i32::try_from(right as i64).ok().map(Operand::Imm);
    [Operand::Reg(Reg::R2)].into_iter().chain(constant).collect()
}

#[test]
fn every_operation_yields_what_the_standard_says() {
    let mut n_cases = 0;
    for (width, op) in [Width::W64, Width::W32].into_iter().flat_map(|w| OPERATIONS.map(|op| (w, op))) {
        for (left, right) in EDGES.into_iter().flat_map(|left| EDGES.map(|right| (left, right))) {
            let expected = computed(width, op, left, right);
            for src in forms(right) {
                let alu = Insn::Alu { width, op, dst: Reg::R0, src };
                for (engine, result) in results(&[long(Reg::R0, left), long(Reg::R2, right), alu, Insn::Exit])
                {
                    assert_eq!(result, expected, "{alu} with {left:#x} and {right:#x}, {engine}");
                    n_cases += 1;
                }
            }
        }
    }
    assert!(n_cases > 8_000);
}

#[test]
fn every_condition_holds_where_the_standard_says() {
    let mov = |imm| Insn::Alu { width: Width::W64, op: AluOp::Mov, dst: Reg::R0, src: Operand::Imm(imm) };
    for (width, op) in [Width::W64, Width::W32].into_iter().flat_map(|w| CONDITIONS.map(|op| (w, op))) {
        for (left, right) in EDGES.into_iter().flat_map(|left| EDGES.map(|right| (left, right))) {
            let expected = u64::from(holds(width, op, left, right));
            for src in forms(right) {
                let jump = Insn::Jump { width, op, dst: Reg::R1, src, offset: 1 };
                let insns = [long(Reg::R1, left), long(Reg::R2, right), mov(1), jump, mov(0), Insn::Exit];
                for (engine, result) in results(&insns) {
                    assert_eq!(result, expected, "{jump} with {left:#x} and {right:#x}, {engine}");
                }
            }
        }
    }
}
