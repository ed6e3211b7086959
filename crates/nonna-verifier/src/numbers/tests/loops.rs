//! Loops to their fixpoints: joins, widening with the loop's own limits, and the way out by `!=`.

use nonna_bpf::{AluOp, JumpOp, Width};

use super::super::Scalar;
use super::{after, alu32, alu64, range, signed, stride, unsigned};

/// Runs `do { body } while (i OP limit)` to its fixpoint: the header's value, the value after the loop, and the visits it took.
fn fixpoint(
    start: Scalar,
    op: JumpOp,
    limit: u64,
    thresholds: &[u64],
    body: impl Fn(&Scalar) -> Scalar,
) -> (Scalar, Scalar, u32) {
    let mut header = start;
    for visit in 1..100 {
        let next = body(&header);
        let back = after(op, Width::W64, &next, limit, true);
        let Some(back) = back.filter(|back| !header.contains(back)) else {
            return (header, after(op, Width::W64, &next, limit, false).unwrap(), visit);
        };
        header = Scalar::widen(&header, &header.join(&back), thresholds);
    }
    panic!("no fixpoint in 100 visits: {header:?}");
}

#[test]
fn a_step_of_three_to_exactly_three_thousand_keeps_its_bound() {
    let (header, left, visits) =
        fixpoint(Scalar::constant(0), JumpOp::Ne, 3000, &[2999, 3000, 3001], |i| alu64(AluOp::Add, i, 3));
    assert_eq!((unsigned(&header), stride(&header)), ((0, 2997), (3, 0)));
    assert_eq!(left.as_constant(), Some(3000));
    assert!(visits <= 4, "{visits} visits");
}

#[test]
fn counting_in_32_bits_keeps_its_bound() {
    let (header, _, visits) =
        fixpoint(Scalar::constant(1), JumpOp::Ne, 1_000_001, &[1_000_000, 1_000_001, 1_000_002], |i| {
            alu32(AluOp::Add, i, 1)
        });
    assert_eq!(unsigned(&header), (1, 1_000_000));
    assert!(visits <= 4, "{visits} visits");
}

#[test]
fn counting_down_keeps_its_bound() {
    let (header, left, visits) = fixpoint(Scalar::constant(700), JumpOp::Ne, 0, &[0, 1, u64::MAX], |i| {
        alu64(AluOp::Add, i, -7i64 as u64)
    });
    assert_eq!((unsigned(&header), stride(&header)), ((7, 700), (7, 0)));
    assert_eq!(left.as_constant(), Some(0));
    assert!(visits <= 4, "{visits} visits");
}

#[test]
fn signed_and_unsigned_limits_hold() {
    let step = |i: &Scalar| alu64(AluOp::Add, i, 8);
    let (header, left, _) = fixpoint(Scalar::constant(0), JumpOp::Lt, 1000, &[999, 1000, 1001], step);
    assert_eq!((unsigned(&header), unsigned(&left)), ((0, 992), (1000, 1000)));
    let (header, _, _) = fixpoint(Scalar::constant(-20i64 as u64), JumpOp::Slt, 40, &[39, 40, 41], step);
    assert_eq!(signed(&header), (-20, 36));
}

#[test]
fn a_bound_does_not_cost_more_visits_than_a_small_one() {
    let visits = |limit: u64| {
        let thresholds = [limit - 1, limit, limit + 1];
        fixpoint(Scalar::constant(0), JumpOp::Lt, limit, &thresholds, |i| alu64(AluOp::Add, i, 1)).2
    };
    assert_eq!(visits(100), visits(100_000));
    assert_eq!(visits(100), visits(1 << 40));
}

#[test]
fn widening_without_thresholds_ends_at_the_limits_of_types() {
    let widened = Scalar::widen(&range(0, 10), &range(0, 11), &[]);
    assert_eq!(unsigned(&widened), (0, 255));
    assert_eq!(Scalar::widen(&widened, &range(5, 20), &[]), widened);
    let mut state = Scalar::constant(0);
    let mut moves = 0;
    for _ in 0..500 {
        let next = state.join(&alu64(AluOp::Add, &state, 1));
        let widened = Scalar::widen(&state, &next, &[]);
        moves += u32::from(widened != state);
        state = widened;
    }
    assert!(state.is_unknown() && moves <= 12, "{moves} moves to {state:?}");
}

#[test]
fn narrowing_takes_back_what_the_condition_rules_out() {
    let widened = Scalar::widen(&Scalar::constant(0), &range(0, 1), &[]);
    let once_more = Scalar::constant(0)
        .join(&after(JumpOp::Lt, Width::W64, &alu64(AluOp::Add, &widened, 1), 50, true).unwrap());
    assert_eq!(unsigned(&Scalar::narrow(&widened, &once_more)), (0, 49));
}
