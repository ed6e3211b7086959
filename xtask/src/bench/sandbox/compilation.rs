//! What compiling costs: time an instruction for a small, a middle and two large programs, beside the peers' compilers; into memory for code
//! that is kept from one program to the next, as an embedder that compiles often has it, and into pages of the program's own.

use std::path::Path;

use anyhow::Result;
use nonna_bpf::{AluOp, Insn, JumpOp, MemSize, Object, Operand, Reg, Width};
use nonna_sandbox::jit::{Code, CodeMemory, CompileError};

use super::goals::goal;
use super::ours::Ours;
use super::peers::Peers;
use super::{Engine, now_ns, object, proved};
use crate::bench::measure::{Series, Subject, in_turns};

/// Instructions of the large programs.
const N_LARGE: usize = 12_741;
/// Compilations in each turn; the best counts.
const TIMES: u32 = 5;
/// Nanoseconds an instruction, whatever the size.
const BOUND_NS: f64 = 20.0;

/// Measures and prints all of them.
pub fn print(folder: &Path, mut peers: Option<&mut Peers>, rounds: usize) -> Result<()> {
    let programs = [
        ("small", object(folder, "parse5")?),
        ("middle", object(folder, "siphash")?),
        ("straight", straight(object(folder, "siphash")?)),
        ("random", random(object(folder, "arith")?)),
    ];
    for (size, object) in programs {
        let ours = Ours::new(&proved(object.clone())?, false)?;
        let n_insns = object.programs[0].insns.len();
        let memory = CodeMemory::new();
        let mut subjects = vec![
            subject("jit", || Code::compile_in(ours.prepared(), &memory)),
            subject("own pages", || Code::compile(ours.prepared())),
        ];
        let mut beside = Vec::new();
        if let Some(peers) = peers.as_deref_mut() {
            peers.program(size, &object)?;
            let peers = std::rc::Rc::new(std::cell::RefCell::new(peers));
            for engine in [Engine::RbpfJit, Engine::SbpfJit] {
                let tried = peers.borrow_mut().compile(engine, size, 1);
                if let Err(error) = tried {
                    beside.push(format!("{}: {error:#}", engine.name()));
                    continue;
                }
                let peers = peers.clone();
                subjects.push(Subject {
                    name: engine.name().to_owned(),
                    run: Box::new(move || Ok(vec![peers.borrow_mut().compile(engine, size, TIMES)?])),
                });
            }
        }
        let all = in_turns(rounds, &mut subjects)?;
        #[expect(clippy::cast_precision_loss, reason = "thousands")]
        let each = |series: &Vec<Series>| series[0].median() / n_insns as f64;
        for (subject, series) in subjects.iter().zip(&all).skip(1) {
            beside.push(format!("{} {:.1}", subject.name, each(series)));
        }
        let what = format!("compilation, an instruction of {n_insns} ({size})");
        goal(&what, each(&all[0]), Some(BOUND_NS), "ns", &beside.join(", "));
    }
    Ok(())
}

/// A way to compile with the machine; the best time of each turn counts.
fn subject<'a>(name: &str, compile: impl Fn() -> Result<Code, CompileError> + 'a) -> Subject<'a> {
    Subject {
        name: name.to_owned(),
        run: Box::new(move || {
            let mut best = f64::INFINITY;
            for _ in 0..TIMES {
                let start = now_ns();
                let code = compile()?;
                best = best.min(now_ns() - start);
                drop(code);
            }
            Ok(vec![(best - clock_ns()).max(0.0)])
        }),
    }
}

/// What asking the clock takes by itself, in nanoseconds: as much as compiling some instructions. The peers' times are without it too.
fn clock_ns() -> f64 {
    let once = |_| {
        let start = now_ns();
        now_ns() - start
    };
    (0..64).map(once).fold(f64::INFINITY, f64::min)
}

/// Numbers without a pattern, always the same (Marsaglia's xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from((self.0 >> 16) % end).expect("bounds are small")
    }
}

/// A long straight line, as compilers make of loops that they unroll: the longest one of the given program, again and again before it.
fn straight(mut object: Object) -> Object {
    let program = &mut object.programs[0];
    let is_straight = |insn: &Insn| {
        !matches!(
            insn,
            Insn::Jump { .. } | Insn::Goto { .. } | Insn::GotoLong { .. } | Insn::Call(_) | Insn::Exit
        )
    };
    let lines = program.insns.chunk_by(|left, right| is_straight(left) && is_straight(right));
    let line = lines.max_by_key(|line| line.len()).expect("a program has instructions").to_vec();
    let start = program.insns.windows(line.len()).position(|part| part == line).expect("it is part of it");
    let room = N_LARGE - program.insns.len();
    let again: Vec<Insn> = line.iter().copied().cycle().take(room / line.len() * line.len()).collect();
    program.insns.splice(start..start, again);
    program.line_info.clear();
    program.locations.clear();
    object
}

/// A long program in which nothing can be foreseen, the worst for whoever tells instructions apart: arithmetic of both widths, accesses to the memory and short jumps forward, by numbers that
/// are the same every time. The first instruction of the given program, the address of the memory, stays the first.
fn random(mut object: Object) -> Object {
    let program = &mut object.programs[0];
    let mut insns = vec![program.insns[0]];
    let registers = [Reg::R0, Reg::R2, Reg::R3, Reg::R4, Reg::R5, Reg::R6, Reg::R7, Reg::R8];
    for (register, number) in registers.iter().zip(0x1234_5678..) {
        insns.push(alu(Width::W64, AluOp::Mov, *register, Operand::Imm(number)));
    }
    let mut random = Numbers(12_741);
    while insns.len() < N_LARGE - 1 {
        let (dst, src) = (registers[random.below(8) as usize], registers[random.below(8) as usize]);
        let width = if random.below(2) == 0 { Width::W32 } else { Width::W64 };
        let constant = random.below(1 << 20) as i32;
        let size = [MemSize::B, MemSize::H, MemSize::W, MemSize::DW][random.below(4) as usize];
        let offset = (random.below(500) * 8) as i16;
        let operand = if random.below(2) == 0 { Operand::Reg(src) } else { Operand::Imm(constant) };
        insns.push(match random.below(16) {
            0..=1 => Insn::Load { size, sign_extend: false, dst, base: Reg::R1, offset },
            2 => Insn::Store { size, base: Reg::R1, offset, src: Operand::Reg(src) },
            3 if insns.len() + 4 < N_LARGE => {
                let offset = 1 + random.below(3) as i16;
                Insn::Jump { width, op: JumpOp::Gt, dst, src: Operand::Imm(constant), offset }
            }
            4 => alu(width, AluOp::Lsh, dst, Operand::Imm(1 + constant % 31)),
            5 => alu(width, AluOp::Rsh, dst, Operand::Imm(1 + constant % 31)),
            6..=7 => alu(Width::W64, AluOp::Mov, dst, Operand::Reg(src)),
            8 => alu(width, AluOp::Mul, dst, operand),
            9..=10 => alu(width, AluOp::Xor, dst, operand),
            11 => alu(width, AluOp::And, dst, operand),
            12 => alu(width, AluOp::Or, dst, operand),
            13 => alu(width, AluOp::Sub, dst, operand),
            _ => alu(width, AluOp::Add, dst, operand),
        });
    }
    insns.push(Insn::Exit);
    program.insns = insns;
    program.line_info.clear();
    program.locations.clear();
    object
}

fn alu(width: Width, op: AluOp, dst: Reg, src: Operand) -> Insn {
    Insn::Alu { width, op, dst, src }
}
