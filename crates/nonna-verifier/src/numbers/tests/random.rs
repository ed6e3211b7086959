//! Every rule on random sets of full-width numbers: whatever members give, the result admits.
//!
//! A set is drawn around a member, so that the member is known to be in it; further members are found by trying its neighbours.

use nonna_bpf::{AluOp, Endian, MemSize, Width};
use proptest::prelude::*;
use proptest::sample::select;

use super::super::concrete::{evaluate, holds};
use super::super::{KnownBits, Scalar, Stride};
use super::{ALU_OPS, JUMP_OPS};

/// Numbers at which types end, small ones, and any.
fn number() -> impl Strategy<Value = u64> {
    let edges = vec![
        0u64,
        1,
        0x7f,
        0x80,
        0x7fff,
        0xffff,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_ffff,
        0x1_0000_0000,
        0x7fff_ffff_ffff_ffff,
        0x8000_0000_0000_0000,
        0xffff_ffff_8000_0000,
        0xffff_ffff_ffff_fff0,
        u64::MAX,
    ];
    prop_oneof![
        3 => (select(edges), -3i64..4).prop_map(|(edge, by)| edge.wrapping_add(by as u64)),
        3 => 0u64..100,
        2 => any::<u64>(),
        1 => any::<u32>().prop_map(u64::from),
    ]
}

/// One fact that holds of the number `member`, made of two random words.
fn fact(kind: u8, member: u64, x: u64, y: u64) -> Option<Scalar> {
    let low = |width_low: &Scalar| Scalar::alu(AluOp::Or, Width::W64, &upper_unknown(), width_low);
    match kind {
        0 => Scalar::range(member.saturating_sub(x), member.saturating_add(y)),
        1 => Scalar::signed_range(
            (member as i64).saturating_sub((x >> 1) as i64),
            (member as i64).saturating_add((y >> 1) as i64),
        ),
        2 => Some(Scalar::with_bits(KnownBits::new(member, x & y))),
        3 => Some(Scalar::with_stride(Stride::new((x % 1000).max(1), member))),
        4 => {
            let half = member as u32;
            let range =
                Scalar::range(half.saturating_sub(x as u32).into(), half.saturating_add(y as u32).into());
            range.map(|range| low(&range))
        }
        _ => Some(Scalar::constant(member)),
    }
}

/// Numbers with an unknown upper half and a lower half of 0.
fn upper_unknown() -> Scalar {
    Scalar::with_bits(KnownBits::new(0, 0xffff_ffff_0000_0000))
}

prop_compose! {
    /// A set and some of its members.
    fn set()(
        member in number(),
        facts in prop::collection::vec((0u8..5, number(), number()), 0..4),
        constant in prop::bool::weighted(0.1),
        others in prop::collection::vec(number(), 12),
    ) -> (Scalar, Vec<u64>) {
        let mut scalar = if constant { Scalar::constant(member) } else { Scalar::unknown() };
        for (kind, x, y) in facts {
            let known = fact(kind, member, x, y).expect("a range around a member");
            scalar = scalar.meet(&known).expect("both have the member");
        }
        let full = scalar.ranges(Width::W64);
        let ends = [full.unsigned_min, full.unsigned_max, full.signed_min as u64, full.signed_max as u64];
        let near = others.iter().map(|by| member.wrapping_add(*by)).chain(others.iter().copied()).chain(ends);
        let mut members: Vec<u64> = near.filter(|number| scalar.admits(*number)).collect();
        members.push(member);
        (scalar, members)
    }
}

fn pairs<'a>(left: &'a [u64], right: &'a [u64]) -> impl Iterator<Item = (u64, u64)> + 'a {
    left.iter().flat_map(move |a| right.iter().map(move |b| (*a, *b)))
}

const WIDTHS: [(Width, u32); 2] = [(Width::W32, 32), (Width::W64, 64)];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn sets_admit_the_members_they_were_drawn_around((scalar, members) in set()) {
        for member in &members {
            prop_assert!(scalar.admits(*member));
        }
        let again = scalar.normalise().expect("it has members");
        prop_assert!(scalar.contains(&again) && members.iter().all(|member| again.admits(*member)));
    }

    #[test]
    fn operations_have_all_results((a, left) in set(), (b, right) in set()) {
        for op in ALU_OPS {
            for (width, bits) in WIDTHS {
                let result = Scalar::alu(op, width, &a, &b);
                for (x, y) in pairs(&left, &right) {
                    let number = evaluate(op, bits, x, y);
                    prop_assert!(result.admits(number), "{:?} {:?} {:#x} {:#x} = {:#x} not in {:?}", op, width, x, y, number, result);
                }
            }
        }
    }

    #[test]
    fn unary_operations_have_all_results((a, members) in set()) {
        for x in members {
            prop_assert!(a.neg(Width::W64).admits(x.wrapping_neg()));
            prop_assert!(a.neg(Width::W32).admits(u64::from((x as u32).wrapping_neg())));
            for (bits, extended) in [(8, i64::from(x as i8)), (16, i64::from(x as i16)), (32, i64::from(x as i32))] {
                prop_assert!(a.sign_extend(bits, Width::W64).admits(extended as u64));
                prop_assert!(a.sign_extend(bits, Width::W32).admits(u64::from(extended as u32)));
            }
            let sizes = [(MemSize::B, u64::from(x as u8)), (MemSize::H, u64::from(x as u16)), (MemSize::W, u64::from(x as u32)), (MemSize::DW, x)];
            for (size, low) in sizes {
                prop_assert!(a.truncate(size).admits(low));
                prop_assert!(a.endian(Endian::Le, size.bytes() * 8).admits(low) || size == MemSize::B);
            }
            for kind in [Endian::Be, Endian::Swap] {
                prop_assert!(a.endian(kind, 16).admits((x as u16).swap_bytes().into()));
                prop_assert!(a.endian(kind, 32).admits((x as u32).swap_bytes().into()));
                prop_assert!(a.endian(kind, 64).admits(x.swap_bytes()));
            }
        }
    }

    #[test]
    fn comparisons_keep_every_pair((a, left) in set(), (b, right) in set()) {
        for op in JUMP_OPS {
            for (width, bits) in WIDTHS {
                let ways = [true, false].map(|taken| Scalar::refine(op, width, &a, &b, taken));
                for (x, y) in pairs(&left, &right) {
                    let taken = holds(op, bits, x, y);
                    let kept = &ways[usize::from(!taken)];
                    prop_assert!(kept.is_some_and(|(a, b)| a.admits(x) && b.admits(y)), "{:?} {:?} {:#x} {:#x}: {:?}", op, width, x, y, kept);
                    prop_assert_ne!(Scalar::decide(op, width, &a, &b), Some(!taken));
                }
            }
        }
    }

    #[test]
    fn unions_and_intersections_have_their_members((a, left) in set(), (b, right) in set()) {
        let (joined, met) = (a.join(&b), a.meet(&b));
        prop_assert!(joined.contains(&a) && joined.contains(&b) && a.contains(&a));
        for x in left.iter().chain(&right) {
            prop_assert!(joined.admits(*x));
            prop_assert!(!(a.admits(*x) && b.admits(*x)) || met.is_some_and(|met| met.admits(*x)));
            prop_assert!(!(a.contains(&b) && b.admits(*x)) || a.admits(*x));
        }
        if let Some(met) = met {
            prop_assert!(a.contains(&met) && b.contains(&met));
        }
        if met.is_some() || a.contains(&b) {
            let narrowed = Scalar::narrow(&a, &b);
            prop_assert!(right.iter().filter(|x| a.admits(**x)).all(|x| narrowed.admits(*x)));
        }
    }

    #[test]
    fn widening_has_both_and_comes_to_an_end(
        (start, first) in set(),
        steps in prop::collection::vec(set(), 100),
        thresholds in prop::collection::vec(number(), 0..6),
    ) {
        let (mut state, mut members, mut moves) = (start, first, 0);
        for (step, more) in steps {
            let next = Scalar::widen(&state, &step, &thresholds);
            members.extend(more);
            prop_assert!(next.contains(&state) && next.contains(&step));
            moves += u32::from(next != state);
            state = next;
        }
        prop_assert!(members.iter().all(|member| state.admits(*member)));
        prop_assert!(moves <= 64, "{} moves", moves);
    }
}
