//! Long chains of operations, as programs make them: sets that rules have made are the operands of further rules.
//!
//! Each set of a small pool carries witnesses, numbers that the same operations on single numbers have made; a set that does not admit one
//! of its witnesses is wrong. Sets drawn afresh (`random`) never look like those that come out of a loop or a hundred comparisons.

use nonna_bpf::{AluOp, Endian, MemSize, Width};

use super::super::Scalar;
use super::super::concrete::{evaluate, holds};
use super::{ALU_OPS, JUMP_OPS};

/// Operations of one run of this test. Ten million take some seconds.
const OPERATIONS: u32 = 300_000;
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
const POOL: usize = 16;
const WITNESSES: usize = 8;

/// Numbers by xorshift: a seed gives the same chains on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 33) as usize % limit
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Small numbers, ends of types and their neighbours, and any.
    fn number(&mut self) -> u64 {
        match self.below(4) {
            0 => self.next() % 100,
            1 => (1u64 << self.below(64)).wrapping_add(self.next() % 5).wrapping_sub(2),
            2 => (self.next() as i64 >> self.below(64)) as u64,
            _ => self.next() >> self.below(64),
        }
    }
}

/// A set and some of its members; witness `n` of every set belongs to run `n` of the same chain.
#[derive(Clone, Debug)]
struct Tracked {
    set: Scalar,
    witnesses: [u64; WITNESSES],
}

impl Tracked {
    fn constant(number: u64) -> Tracked {
        Tracked { set: Scalar::constant(number), witnesses: [number; WITNESSES] }
    }

    /// What a load of a size gives: each run finds other bytes.
    fn loaded(random: &mut Random) -> Tracked {
        let size = random.one_of(&[MemSize::B, MemSize::H, MemSize::W, MemSize::DW]);
        let mask = u64::MAX >> (64 - size.bytes() * 8);
        Tracked {
            set: Scalar::loaded(size, false),
            witnesses: std::array::from_fn(|_| random.number() & mask),
        }
    }

    fn map(&self, set: Scalar, function: impl Fn(u64) -> u64) -> Tracked {
        Tracked { set, witnesses: self.witnesses.map(function) }
    }

    fn check(&self, what: &dyn std::fmt::Debug) {
        for witness in self.witnesses {
            assert!(self.set.admits(witness), "{what:?}: {witness:#x} not in {:#x?}", self.set);
        }
    }
}

const WIDTHS: [(Width, u32); 2] = [(Width::W32, 32), (Width::W64, 64)];

fn binary(random: &mut Random, left: &Tracked, right: &Tracked) -> Tracked {
    let (op, (width, bits)) = (random.one_of(&ALU_OPS), random.one_of(&WIDTHS));
    let result = Tracked {
        set: Scalar::alu(op, width, &left.set, &right.set),
        witnesses: std::array::from_fn(|run| evaluate(op, bits, left.witnesses[run], right.witnesses[run])),
    };
    result.check(&(op, width, left, right));
    result
}

fn unary(random: &mut Random, operand: &Tracked) -> Tracked {
    let set = &operand.set;
    let result = match random.below(6) {
        0 => operand.map(set.neg(Width::W64), u64::wrapping_neg),
        1 => operand.map(set.neg(Width::W32), |number| evaluate(AluOp::Sub, 32, 0, number)),
        2 => operand.map(set.sign_extend(8, Width::W64), |number| number as i8 as u64),
        3 => operand.map(set.sign_extend(16, Width::W32), |number| u64::from(number as i16 as u32)),
        4 => operand.map(set.truncate(MemSize::H), |number| u64::from(number as u16)),
        _ => operand.map(set.endian(Endian::Swap, 32), |number| u64::from((number as u32).swap_bytes())),
    };
    result.check(operand);
    result
}

/// Takes the way that the first run takes. The runs that part from it repeat a run that did not.
fn compare(random: &mut Random, pool: &mut [Tracked], left: usize, right: usize) {
    let (op, (width, bits)) = (random.one_of(&JUMP_OPS), random.one_of(&WIDTHS));
    let (first, second) = (&pool[left], &pool[right]);
    let way = |run: usize| holds(op, bits, first.witnesses[run], second.witnesses[run]);
    let taken = way(0);
    let runs: [usize; WITNESSES] = std::array::from_fn(|run| if way(run) == taken { run } else { 0 });
    let refined = Scalar::refine(op, width, &first.set, &second.set, taken);
    let Some((a, b)) = refined else {
        panic!("{op:?} {width:?} {taken} is dead between {first:#x?} and {second:#x?}");
    };
    (pool[left].set, pool[right].set) = (a, b);
    for tracked in pool.iter_mut() {
        tracked.witnesses = runs.map(|run| tracked.witnesses[run]);
    }
    pool[left].check(&(op, width, taken, "left"));
    pool[right].check(&(op, width, taken, "right"));
}

/// A union holds whichever of the two a run has.
fn unite(random: &mut Random, left: &Tracked, right: &Tracked) -> Tracked {
    let thresholds = [random.number(), random.number()];
    let set = match random.below(3) {
        0 => Scalar::widen(&left.set, &right.set, &thresholds),
        1 => Scalar::widen(&left.set, &left.set.join(&right.set), &[]),
        _ => left.set.join(&right.set),
    };
    assert!(set.contains(&left.set) && set.contains(&right.set), "{set:#x?} of {left:#x?} and {right:#x?}");
    let choice = random.next();
    let result = Tracked {
        set,
        witnesses: std::array::from_fn(|run| {
            if choice >> run & 1 == 1 { left.witnesses[run] } else { right.witnesses[run] }
        }),
    };
    result.check(&(left, right));
    result
}

#[test]
fn chains_of_operations_never_lose_a_run() {
    let mut random = Random(SEED);
    let mut pool: Vec<Tracked> = (0..POOL).map(|_| Tracked::loaded(&mut random)).collect();
    let mut precise = 0u32;
    for _ in 0..OPERATIONS {
        let (left, right, result) = (random.below(POOL), random.below(POOL), random.below(POOL));
        let (first, second) = (pool[left].clone(), pool[right].clone());
        match random.below(16) {
            0 => pool[result] = Tracked::loaded(&mut random),
            1 => pool[result] = Tracked::constant(random.number()),
            2..=7 => pool[result] = binary(&mut random, &first, &second),
            8 => pool[result] = unary(&mut random, &first),
            9 | 10 => pool[result] = unite(&mut random, &first, &second),
            // A register compared with itself is for those who know registers.
            _ if left != right => compare(&mut random, &mut pool, left, right),
            _ => {}
        }
        let set = &pool[result].set;
        precise += u32::from(!set.is_unknown() && set.as_constant().is_none());
    }
    // Chains that are all constants or all unknown would prove nothing.
    assert!(precise > OPERATIONS / 4, "only {precise} of {OPERATIONS} sets say something");
}
