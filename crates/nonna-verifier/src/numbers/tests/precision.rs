//! What must not be lost: facts that programs in the wild prove their accesses with, and that the kernel's verifier keeps.

use nonna_bpf::{AluOp, Endian, JumpOp, MemSize, Width};

use super::super::{KnownBits, Scalar, Stride};
use super::{after, alu32, alu64, range, signed, signed_range, stride, unsigned};

#[test]
fn a_mask_bounds_and_a_shift_aligns() {
    let masked = alu64(AluOp::And, &Scalar::unknown(), 7);
    assert_eq!(unsigned(&masked), (0, 7));
    assert_eq!(signed(&masked), (0, 7));
    let scaled = alu64(AluOp::Lsh, &masked, 2);
    assert_eq!((unsigned(&scaled), stride(&scaled)), ((0, 28), (4, 0)));
    assert_eq!(scaled.bits(), KnownBits::new(0, 0x1c));
    let unbounded = alu64(AluOp::Lsh, &Scalar::unknown(), 2);
    assert_eq!(stride(&unbounded), (4, 0));
    let aligned = alu64(AluOp::And, &range(0, 1500), !3);
    assert_eq!((unsigned(&aligned), stride(&aligned)), ((0, 1500), (4, 0)));
    let rounded = alu64(AluOp::And, &signed_range(-13, 100), !7);
    assert_eq!((signed(&rounded), stride(&rounded)), ((-16, 96), (8, 0)));
    assert_eq!(unsigned(&alu64(AluOp::And, &range(77, 100), !7)), (72, 96));
}

#[test]
fn sums_without_overflow_keep_ranges_and_strides() {
    let sum = Scalar::alu(AluOp::Add, Width::W64, &range(10, 20), &range(5, 7));
    assert_eq!((unsigned(&sum), signed(&sum)), ((15, 27), (15, 27)));
    let below = alu64(AluOp::Add, &range(10, 20), -15i64 as u64);
    assert_eq!(signed(&below), (-5, 5));
    let down = alu64(
        AluOp::Add,
        &range(3, 3000).meet(&Scalar::with_stride(Stride::new(3, 0))).unwrap(),
        -3i64 as u64,
    );
    assert_eq!((unsigned(&down), stride(&down)), ((0, 2997), (3, 0)));
    let both_wrap = alu64(AluOp::Add, &range(u64::MAX - 4, u64::MAX - 2), 10);
    assert_eq!(unsigned(&both_wrap), (5, 7));
    let low = alu32(AluOp::Add, &range(0, 10), 0xffff_ffff);
    assert_eq!((low.ranges(Width::W32).signed_min, low.ranges(Width::W32).signed_max), (-1, 9));
    assert_eq!(unsigned(&low), (0, 0xffff_ffff));
}

#[test]
fn products_and_quotients_keep_ranges_and_strides() {
    let scaled = alu64(AluOp::Mul, &range(0, 15), 24);
    assert_eq!((unsigned(&scaled), stride(&scaled)), ((0, 360), (24, 0)));
    let offset = alu64(AluOp::Add, &scaled, 5);
    assert_eq!(stride(&offset), (24, 5));
    assert_eq!(alu64(AluOp::Mul, &signed_range(-3, 4), -2i64 as u64).ranges(Width::W64).signed_min, -8);
    let back = alu64(AluOp::Div, &scaled, 24);
    assert_eq!((unsigned(&back), stride(&back)), ((0, 15), (1, 0)));
    assert_eq!(unsigned(&alu64(AluOp::Div, &range(100, 1000), 10)), (10, 100));
    let by_any = Scalar::alu(AluOp::Div, Width::W64, &range(100, 1000), &Scalar::unknown());
    assert_eq!(unsigned(&by_any), (0, 1000));
    assert_eq!(signed(&alu64(AluOp::Sdiv, &signed_range(-100, 50), 7)), (-14, 7));
    assert_eq!(signed(&alu64(AluOp::Sdiv, &signed_range(-100, 50), -1i64 as u64)), (-50, 100));
}

#[test]
fn remainders_are_below_their_divisor() {
    assert_eq!(unsigned(&alu64(AluOp::Mod, &Scalar::unknown(), 10)), (0, 9));
    assert_eq!(alu64(AluOp::Mod, &Scalar::unknown(), 16).bits(), KnownBits::new(0, 15));
    assert_eq!(unsigned(&alu64(AluOp::Mod, &range(3, 8), 10)), (3, 8));
    assert_eq!(unsigned(&alu64(AluOp::Mod, &range(23, 28), 10)), (3, 8));
    assert_eq!(signed(&alu64(AluOp::Smod, &Scalar::unknown(), 10)), (-9, 9));
    assert_eq!(signed(&alu64(AluOp::Smod, &range(0, 500), 10)), (0, 9));
    let by_any = Scalar::alu(AluOp::Mod, Width::W64, &range(0, 20), &range(0, 4));
    assert_eq!(unsigned(&by_any), (0, 20));
    let by_some = Scalar::alu(AluOp::Mod, Width::W64, &range(0, 20), &range(1, 4));
    assert_eq!(unsigned(&by_some), (0, 3));
}

#[test]
fn right_shifts_keep_both_readings() {
    assert_eq!(unsigned(&alu64(AluOp::Rsh, &Scalar::unknown(), 60)), (0, 15));
    assert_eq!(signed(&alu64(AluOp::Arsh, &signed_range(-100, 100), 2)), (-25, 25));
    assert_eq!(
        signed(&alu64(AluOp::Arsh, &alu64(AluOp::Lsh, &Scalar::unknown(), 32), 32)),
        (i32::MIN.into(), i32::MAX.into())
    );
    assert_eq!(unsigned(&alu64(AluOp::Rsh, &alu64(AluOp::Lsh, &Scalar::unknown(), 56), 56)), (0, 255));
    let by_some = Scalar::alu(AluOp::Lsh, Width::W64, &Scalar::constant(1), &range(2, 5));
    assert_eq!(unsigned(&by_some), (4, 32));
    let low = alu32(AluOp::Arsh, &Scalar::unknown(), 31);
    assert_eq!((low.ranges(Width::W32).signed_min, low.ranges(Width::W32).signed_max), (-1, 0));
}

#[test]
fn bitwise_operations_keep_what_a_sum_or_a_sign_tells() {
    let high = alu64(AluOp::Mul, &range(0, 10), 48);
    let sum = Scalar::alu(AluOp::Or, Width::W64, &high, &range(0, 3));
    assert_eq!(unsigned(&sum), (0, 483));
    assert_eq!(stride(&alu64(AluOp::Or, &high, 5)), (48, 5));
    assert_eq!(unsigned(&alu64(AluOp::Or, &range(0, 100), 0x40)).0, 0x40);
    // clang makes `x < 0 ? x : 0` of `x & (x >> 63)`.
    let sign = alu64(AluOp::Arsh, &Scalar::unknown(), 63);
    let either = Scalar::alu(AluOp::And, Width::W64, &sign, &Scalar::constant(10));
    assert_eq!((unsigned(&either), either.bits()), ((0, 10), KnownBits::new(0, 10)));
    assert_eq!(
        signed(&Scalar::alu(AluOp::And, Width::W64, &signed_range(-5, -2), &signed_range(-3, 4))),
        (-8, 4)
    );
    assert_eq!(signed(&alu64(AluOp::Xor, &signed_range(-3, 8), u64::MAX)), (-9, 2));
    assert_eq!(unsigned(&Scalar::alu(AluOp::Xor, Width::W64, &range(0, 6), &range(0, 15))), (0, 15));
}

#[test]
fn comparisons_of_the_low_half_bound_it() {
    let less = after(JumpOp::Lt, Width::W32, &Scalar::unknown(), 100, true).unwrap();
    assert_eq!(less.ranges(Width::W32).unsigned_max, 99);
    assert_eq!(unsigned(&less).1, 0xffff_ffff_0000_0063);
    // A register whose upper half is 0 is bounded as a whole.
    let word = Scalar::loaded(MemSize::W, false);
    let less = after(JumpOp::Lt, Width::W32, &word, 100, true).unwrap();
    assert_eq!(unsigned(&less), (0, 99));
    let positive = after(JumpOp::Sgt, Width::W32, &word, -1i32 as u64, true).unwrap();
    assert_eq!(unsigned(&positive), (0, 0x7fff_ffff));
    let copied = Scalar::alu(AluOp::Mov, Width::W32, &Scalar::constant(0), &less);
    assert_eq!(unsigned(&copied), (0, 99));
    let extended = positive.sign_extend(32, Width::W64);
    assert_eq!(signed(&extended), (0, 0x7fff_ffff));
    let equal = after(JumpOp::Eq, Width::W32, &word, 7, true).unwrap();
    assert_eq!(equal.as_constant(), Some(7));
}

#[test]
fn comparisons_bound_both_operands_and_both_readings() {
    let (a, b) = Scalar::refine(JumpOp::Lt, Width::W64, &range(5, 100), &range(0, 50), true).unwrap();
    assert_eq!((unsigned(&a), unsigned(&b)), ((5, 49), (6, 50)));
    let (a, b) =
        Scalar::refine(JumpOp::Sgt, Width::W64, &signed_range(-10, 10), &signed_range(-3, 30), true).unwrap();
    assert_eq!((signed(&a), signed(&b)), ((-2, 10), (-3, 9)));
    let bounded = after(JumpOp::Le, Width::W64, &Scalar::unknown(), 4096, true).unwrap();
    assert_eq!(signed(&bounded), (0, 4096));
    let not_negative = after(JumpOp::Sge, Width::W64, &Scalar::unknown(), 0, true).unwrap();
    let below = after(JumpOp::Slt, Width::W64, &not_negative, 64, true).unwrap();
    assert_eq!(unsigned(&below), (0, 63));
    assert!(after(JumpOp::Gt, Width::W64, &range(0, 9), 9, true).is_none());
    assert_eq!(Scalar::decide(JumpOp::Gt, Width::W64, &range(0, 9), &Scalar::constant(9)), Some(false));
    assert_eq!(Scalar::decide(JumpOp::Le, Width::W64, &range(0, 9), &range(9, 20)), Some(true));
    assert_eq!(Scalar::decide(JumpOp::Le, Width::W64, &range(0, 9), &range(8, 20)), None);
}

#[test]
fn tests_of_bits_set_and_clear_them() {
    let flagged = after(JumpOp::Set, Width::W64, &Scalar::unknown(), 4, true).unwrap();
    assert_eq!(flagged.bits(), KnownBits::new(4, !4));
    let clear = after(JumpOp::Set, Width::W64, &Scalar::unknown(), !0xff, false).unwrap();
    assert_eq!(unsigned(&clear), (0, 255));
    assert!(after(JumpOp::Set, Width::W64, &flagged, 4, false).is_none());
    assert!(after(JumpOp::Set, Width::W64, &clear, 0x100, true).is_none());
    assert_eq!(unsigned(&after(JumpOp::Set, Width::W64, &clear, 0xf0, true).unwrap()), (1, 255));
}

#[test]
fn a_value_that_is_left_out_moves_the_end_to_the_next_member() {
    let either = Scalar::constant(0).join(&Scalar::constant(64));
    assert_eq!(after(JumpOp::Ne, Width::W64, &either, 0, true).unwrap().as_constant(), Some(64));
    let thirds = range(0, 3000).meet(&Scalar::with_stride(Stride::new(3, 0))).unwrap();
    assert_eq!(unsigned(&after(JumpOp::Ne, Width::W64, &thirds, 3000, true).unwrap()), (0, 2997));
    assert_eq!(unsigned(&after(JumpOp::Eq, Width::W32, &thirds, 0, false).unwrap()), (3, 3000));
    assert!(after(JumpOp::Eq, Width::W64, &thirds, 3001, true).is_none(), "3001 is no multiple of 3");
    assert_eq!(
        signed(&after(JumpOp::Ne, Width::W64, &signed_range(-1, 5), -1i64 as u64, true).unwrap()),
        (0, 5)
    );
}

#[test]
fn loads_and_extensions_are_bounded_by_their_size() {
    assert_eq!(unsigned(&Scalar::loaded(MemSize::H, false)), (0, 0xffff));
    assert_eq!(signed(&Scalar::loaded(MemSize::B, true)), (-128, 127));
    assert!(Scalar::loaded(MemSize::DW, true).is_unknown());
    assert_eq!(signed(&signed_range(-5, 100).sign_extend(8, Width::W64)), (-5, 100));
    assert_eq!(signed(&range(0, 200).sign_extend(8, Width::W64)), (-128, 127));
    assert_eq!(signed(&range(250, 255).sign_extend(8, Width::W64)), (-6, -1));
    assert_eq!(unsigned(&range(250, 255).sign_extend(8, Width::W32)), (0xffff_fffa, 0xffff_ffff));
    assert_eq!(unsigned(&range(0x1_0000_0010, 0x1_0000_0020).truncate(MemSize::W)), (0x10, 0x20));
    assert_eq!(unsigned(&Scalar::unknown().endian(Endian::Be, 16)), (0, 0xffff));
    assert_eq!(Scalar::constant(0x1234).endian(Endian::Swap, 64).as_constant(), Some(0x3412_0000_0000_0000));
    assert_eq!(range(0, 255).endian(Endian::Be, 16).bits(), KnownBits::new(0, 0xff00));
    assert_eq!(signed(&range(3, 9).neg(Width::W64)), (-9, -3));
}

#[test]
fn each_width_tells_the_other() {
    let upper_known = range(0x7_0000_0005, 0x7_0000_0009);
    assert_eq!(upper_known.ranges(Width::W32).unsigned_max, 9);
    let crossing = range(0xffff_fffe, 0x1_0000_0001);
    assert_eq!((crossing.ranges(Width::W32).signed_min, crossing.ranges(Width::W32).signed_max), (-2, 1));
    let low = after(JumpOp::Ge, Width::W32, &range(0, 0x1_0000_0003), 10, true).unwrap();
    assert_eq!(unsigned(&low), (10, 0xffff_ffff));
    let sum = alu64(AluOp::Add, &after(JumpOp::Lt, Width::W32, &Scalar::unknown(), 10, true).unwrap(), 5);
    assert_eq!((sum.ranges(Width::W32).unsigned_min, sum.ranges(Width::W32).unsigned_max), (5, 14));
    // Above 32 bits too, the sum of full numbers tells its low half.
    let sum = alu64(AluOp::Add, &range(0, 10), 1 << 33);
    assert_eq!((unsigned(&sum), sum.ranges(Width::W32).unsigned_max), ((1 << 33, (1 << 33) + 10), 10));
}
