//! Every rule on every interval, every pattern of known bits and every stride of 4-bit numbers.
//!
//! Rules are written for any width; four bits are enough for each carry, sign and seam, and few enough to try all members. How much more
//! than the best possible result a rule gives is measured as well, and may not grow.

use nonna_bpf::{AluOp, JumpOp};

use super::super::arithmetic::{compute, negate};
use super::super::compare::{relate, relation};
use super::super::concrete::{evaluate, holds};
use super::super::known_bits::KnownBits;
use super::super::lane::Lane;
use super::super::ranges::Ranges;
use super::super::stride::Stride;
use super::{ALU_OPS, JUMP_OPS};

const WIDTH: u32 = 4;

/// Sets of 4-bit numbers: bit `n` stands for the number `n`.
type Members = u16;

fn members(lane: &Lane) -> Members {
    (0..16).filter(|number| lane.admits(*number)).map(|number| 1 << number).sum()
}

fn numbers(members: Members) -> impl Iterator<Item = u64> {
    (0..16).filter(move |number| members >> number & 1 == 1)
}

/// The least lane around a set that is not empty.
fn abstraction(members: Members) -> Lane {
    numbers(members).map(|number| Lane::constant(number, WIDTH)).reduce(|all, one| all.join(&one)).unwrap()
}

/// All unsigned and signed intervals, all patterns of known bits, all strides; each once.
fn lanes() -> Vec<(Lane, Members)> {
    let mut lanes: Vec<Lane> = Vec::new();
    for min in 0..16 {
        for max in min..16 {
            lanes.push(Lane::of_unsigned(min, max, WIDTH));
            lanes.push(Lane::of_signed(min as i64 - 8, max as i64 - 8, WIDTH));
        }
    }
    for unknown in 0..16 {
        for value in (0..16).filter(|value| value & unknown == 0) {
            lanes.push(Lane::of_bits(KnownBits::new(value, unknown), WIDTH));
        }
    }
    for modulus in 1..8 {
        for residue in 0..modulus {
            lanes.push(Lane { stride: Stride::new(modulus, residue), ..Lane::unknown(WIDTH) }.or_unknown());
        }
    }
    let mut seen: Vec<(Lane, Members)> = Vec::new();
    for lane in lanes {
        if seen.iter().all(|(known, _)| *known != lane) {
            seen.push((lane, members(&lane)));
        }
    }
    seen
}

/// What the results may hold beyond the best lane around them, in percent of the members of these, over all pairs.
fn allowed_excess_percent(op: AluOp) -> u64 {
    match op {
        AluOp::Mov => 0,
        _ => 100,
    }
}

#[test]
fn every_operation_has_all_results() {
    let lanes = lanes();
    for op in ALU_OPS {
        let results: Vec<Members> =
            (0..256u64).map(|pair| 1 << evaluate(op, WIDTH, pair >> 4, pair & 15)).collect();
        let (mut given, mut best) = (0u64, 0u64);
        let mut excess = std::collections::HashMap::new();
        for (left, left_members) in &lanes {
            for (right, right_members) in &lanes {
                let mut exact: Members = 0;
                for a in numbers(*left_members) {
                    for b in numbers(*right_members) {
                        exact |= results[(a << 4 | b) as usize];
                    }
                }
                let abstracted = members(&compute(op, left, right));
                assert_eq!(exact & !abstracted, 0, "{op:?}\n{left:?}\n{right:?}");
                given += u64::from(abstracted.count_ones());
                best += u64::from(
                    *excess.entry(exact).or_insert_with(|| members(&abstraction(exact)).count_ones()),
                );
            }
        }
        let percent = (given - best) * 1000 / best;
        println!("{op:?}: {percent} per mille");
        assert!(percent <= 10 * allowed_excess_percent(op), "{op:?}: {given} members where {best} do");
    }
}

#[test]
fn unary_operations_and_widths_have_all_results() {
    for (lane, set) in &lanes() {
        let negative = negate(lane);
        let extended = lane.sign_extend(8);
        let wide = lane.zero_extend(8);
        let narrow = lane.truncate(2);
        for number in numbers(*set) {
            assert!(negative.admits(number.wrapping_neg() & 15), "{lane:?}");
            let sign = if number >= 8 { 0xf0 } else { 0 };
            assert!(extended.admits(number | sign), "{lane:?} {extended:?}");
            assert!(wide.admits(number), "{lane:?}");
            assert!(narrow.admits(number & 3), "{lane:?}");
        }
        for number in 0..256 {
            let sign = if number & 8 != 0 { 0xf0 } else { 0 };
            assert!(!wide.admits(number) || number < 16, "zero extension of {lane:?} admits {number}");
            if extended.admits(number) && lane.ranges.signed_min >= 0 {
                assert_eq!(number & 0xf0, sign, "sign extension of {lane:?}");
            }
        }
    }
}

#[test]
fn comparisons_keep_every_pair() {
    let lanes = lanes();
    for op in JUMP_OPS {
        for taken in [true, false] {
            let mut missed = 0u32;
            for (left, left_members) in &lanes {
                for (right, right_members) in &lanes {
                    let refined = relate(&relation(op, taken), left, right)
                        .and_then(|(first, second)| Some((first.normalise()?, second.normalise()?)));
                    let kept = refined.map_or((0, 0), |(first, second)| (members(&first), members(&second)));
                    let mut possible = false;
                    for a in numbers(*left_members) {
                        for b in numbers(*right_members).filter(|b| holds(op, WIDTH, a, *b) == taken) {
                            possible = true;
                            assert!(
                                kept.0 >> a & 1 == 1 && kept.1 >> b & 1 == 1,
                                "{op:?} {taken} {a} {b}\n{left:?}\n{right:?}"
                            );
                        }
                    }
                    assert_eq!(
                        kept.0 & !left_members | kept.1 & !right_members,
                        0,
                        "{op:?} gave members\n{left:?}\n{right:?}"
                    );
                    missed += u32::from(refined.is_some() && !possible);
                }
            }
            let ordered = !matches!((op, taken), (JumpOp::Set, _));
            assert!(!ordered || missed == 0, "{op:?} {taken}: {missed} dead branches not seen");
        }
    }
}

#[test]
fn the_order_of_sets_is_that_of_members() {
    let lanes = lanes();
    for (left, left_members) in &lanes {
        for (right, right_members) in &lanes {
            assert_eq!(
                (left_members | right_members) & !members(&left.join(right)),
                0,
                "join of\n{left:?}\n{right:?}"
            );
            let both = left.meet(right);
            let both_members = both.as_ref().map_or(0, members);
            assert_eq!(left_members & right_members, both_members, "meet of\n{left:?}\n{right:?}");
            let (bits, stride) = (left.bits.contains(right.bits), left.stride.contains(right.stride));
            if bits && stride && left.ranges.contains(&right.ranges) {
                assert_eq!(right_members & !left_members, 0, "{left:?} contains {right:?}");
            }
        }
    }
}

#[test]
fn normal_forms_keep_members_and_are_final() {
    for (first, _) in &lanes() {
        for pattern in (0..256u64).map(|pair| KnownBits::new(pair >> 4, pair & 15)) {
            for stride in [Stride::ANY, Stride::new(3, 1), Stride::new(5, 2), Stride::new(6, 0)] {
                let parts = Lane { width: WIDTH, bits: pattern, ranges: first.ranges, stride };
                let Some(normal) = parts.normalise() else {
                    assert_eq!(members(&parts), 0, "{parts:?}");
                    continue;
                };
                assert_eq!(members(&normal), members(&parts), "{parts:?}");
                assert_eq!(normal.normalise(), Some(normal), "{parts:?}");
                let Ranges { unsigned_min, unsigned_max, signed_min, signed_max } = normal.ranges;
                for end in [unsigned_min, unsigned_max, signed_min as u64 & 15, signed_max as u64 & 15] {
                    assert!(
                        normal.bits.admits(end) && normal.stride.admits(end),
                        "{normal:?} has the end {end}"
                    );
                }
            }
        }
    }
}

#[test]
fn sums_with_every_uncertain_carry_are_exact_in_their_bits() {
    for pair in 0..65536u64 {
        let left = KnownBits::new(pair & 15, pair >> 4 & 15);
        let right = KnownBits::new(pair >> 8 & 15, pair >> 12 & 15);
        let all = |combine: fn(u64, u64) -> u64| {
            let of = |bits: KnownBits| (0..16).filter(move |number| bits.admits(*number));
            of(left)
                .flat_map(|a| of(right).map(move |b| KnownBits::constant(combine(a, b))))
                .reduce(KnownBits::join)
                .unwrap()
        };
        assert_eq!(left.add(right), all(u64::wrapping_add), "{left:?} + {right:?}");
        assert_eq!(left.sub(right), all(u64::wrapping_sub), "{left:?} - {right:?}");
        assert!(left.mul(right).contains(all(u64::wrapping_mul)), "{left:?} * {right:?}");
    }
}
