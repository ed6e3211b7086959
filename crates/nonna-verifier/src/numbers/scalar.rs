//! The abstract number that a register or a stack slot holds.
//!
//! Known bits, ranges of the full number and of its low half, and a stride, always in a form in which none of them could
//! say more by looking at the others. Here are its constructors, what it can be asked, and how its two widths keep in step.

use nonna_bpf::{AluOp, Endian, MemSize, Width};

use super::arithmetic::{compute, negate};
use super::known_bits::KnownBits;
use super::lane::Lane;
use super::ranges::Ranges;
use super::stride::Stride;

/// A set of 64-bit numbers: what is known of a value that is not a pointer.
///
/// Sets are never empty: an operation that finds that no number is left says so with `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scalar {
    pub(super) bits: KnownBits,
    pub(super) full: Ranges,
    pub(super) low: Ranges,
    pub(super) stride: Stride,
}

/// How often the two widths may tell each other news before a normal form is taken as it is, as [`super::lane`] limits what parts do.
const EXCHANGES: u32 = 4;

/// How many bits an operation of this width works on.
pub(super) const fn bits_of(width: Width) -> u32 {
    match width {
        Width::W32 => 32,
        Width::W64 => 64,
    }
}

impl Scalar {
    /// One number.
    pub const fn constant(number: u64) -> Scalar {
        Scalar {
            bits: KnownBits::constant(number),
            full: Ranges::constant(number, 64),
            low: Ranges::constant(number, 32),
            stride: Stride::constant(number),
        }
    }

    /// Every number.
    pub const fn unknown() -> Scalar {
        Scalar {
            bits: KnownBits::UNKNOWN,
            full: Ranges::full(64),
            low: Ranges::full(32),
            stride: Stride::ANY,
        }
    }

    /// The numbers from `min` to `max`, read as unsigned. `None` if `min > max`.
    pub fn range(min: u64, max: u64) -> Option<Scalar> {
        let full = Ranges { unsigned_min: min, unsigned_max: max, ..Ranges::full(64) };
        Scalar { full, ..Scalar::unknown() }.normalise()
    }

    /// The numbers from `min` to `max`, read as signed. `None` if `min > max`.
    pub fn signed_range(min: i64, max: i64) -> Option<Scalar> {
        let full = Ranges { signed_min: min, signed_max: max, ..Ranges::full(64) };
        Scalar { full, ..Scalar::unknown() }.normalise()
    }

    /// The numbers with these bits known.
    pub fn with_bits(bits: KnownBits) -> Scalar {
        Scalar { bits, ..Scalar::unknown() }.or_unknown()
    }

    /// The numbers of this stride. A constant stride gives a constant.
    pub fn with_stride(stride: Stride) -> Scalar {
        Scalar { stride, ..Scalar::unknown() }.or_unknown()
    }

    /// Whatever a load of this size can give: zero-extended, or sign-extended to 64 bits.
    pub fn loaded(size: MemSize, signed: bool) -> Scalar {
        if signed {
            Scalar::unknown().sign_extend(size.bytes() * 8, Width::W64)
        } else {
            Scalar::unknown().truncate(size)
        }
    }

    /// The one number, if there is only one.
    pub fn as_constant(&self) -> Option<u64> {
        (self.full.unsigned_min == self.full.unsigned_max).then_some(self.full.unsigned_min)
    }

    /// The one number of the low 32 bits, if there is only one.
    pub fn as_constant_low(&self) -> Option<u32> {
        (self.low.unsigned_min == self.low.unsigned_max).then_some(self.low.unsigned_min as u32)
    }

    /// The known bits.
    pub const fn bits(&self) -> KnownBits {
        self.bits
    }

    /// The ranges of the number at a width: of all of it, or of its low half.
    pub const fn ranges(&self, width: Width) -> &Ranges {
        match width {
            Width::W32 => &self.low,
            Width::W64 => &self.full,
        }
    }

    /// The stride of the 64-bit number, read as unsigned.
    pub const fn stride(&self) -> Stride {
        self.stride
    }

    /// Whether this number is in the set.
    pub fn admits(&self, number: u64) -> bool {
        self.bits.admits(number)
            && self.full.admits(number, 64)
            && self.low.admits(number, 32)
            && self.stride.admits(number)
    }

    /// Whether this is every number.
    pub fn is_unknown(&self) -> bool {
        *self == Scalar::unknown()
    }

    /// Everything known about the number at a width.
    pub(super) fn lane(&self, width: Width) -> Lane {
        let full = Lane { width: 64, bits: self.bits, ranges: self.full, stride: self.stride };
        match width {
            Width::W64 => full,
            Width::W32 => self.low_lane(),
        }
    }

    fn low_lane(&self) -> Lane {
        let full = &self.full;
        let (first, last) = (full.unsigned_min >> 32, full.unsigned_max >> 32);
        let carries = (first == last).then_some(i128::from(first));
        let stride = Stride::reduced(self.stride.modulus(), i128::from(self.stride.residue()), carries, 32);
        Lane { width: 32, bits: self.bits.truncate(32), ranges: self.low, stride }
    }

    /// This number, of which more has become known at a width. `None` where that leaves nothing.
    pub(super) fn with_lane(mut self, lane: &Lane) -> Option<Scalar> {
        let before = self;
        self.take_lane(lane)?;
        if self == before {
            return Some(self);
        }
        if lane.width == 32 {
            // The normal form would find this last and start over.
            self.full = self.full.sharpen_by_low_half(&self.low)?;
        }
        self.normalise()
    }

    fn take_lane(&mut self, lane: &Lane) -> Option<()> {
        if lane.width == 64 {
            self.bits = self.bits.meet(lane.bits)?;
            self.full = self.full.meet(&lane.ranges)?;
            self.stride = self.stride.meet(lane.stride)?;
            return Some(());
        }
        self.bits = self.bits.meet(lane.bits.with_unknown_above(32))?;
        self.low = self.low.meet(&lane.ranges)?;
        if self.full.unsigned_max <= u64::from(u32::MAX) {
            self.stride = self.stride.meet(lane.stride)?;
        }
        Some(())
    }

    /// The 64-bit numbers of a lane; of a narrower one zero-extended, as every 32-bit operation leaves its register.
    pub(super) fn from_lane(lane: &Lane) -> Scalar {
        let full = lane.zero_extend(64);
        // Zero-extension turns signed ends below 0 into everything; the low half still has them.
        let low = if lane.width == 32 { lane.ranges } else { Ranges::full(32) };
        Scalar { bits: full.bits, full: full.ranges, low, stride: full.stride }.or_unknown()
    }

    /// The normal form, or every number where the set is found empty: an operand was empty then, and no run gets there.
    pub(super) fn or_unknown(self) -> Scalar {
        self.normalise().unwrap_or(Scalar::unknown())
    }

    /// Lets all parts at both widths sharpen each other until nothing changes. `None` where they contradict.
    pub(super) fn normalise(mut self) -> Option<Scalar> {
        for _ in 0..EXCHANGES {
            let full = self.lane(Width::W64).normalise()?;
            if let Some(number) = full.as_constant() {
                return self.low.admits(number, 32).then_some(Scalar::constant(number));
            }
            (self.bits, self.full, self.stride) = (full.bits, full.ranges, full.stride);
            let mut low = self.low_lane();
            low.ranges = low.ranges.meet(&self.full.truncate(32))?;
            let low = low.normalise()?;
            self.take_lane(&low)?;
            self.full = self.full.sharpen_by_low_half(&self.low)?;
            if (self.bits, self.full, self.stride) == (full.bits, full.ranges, full.stride) {
                break;
            }
        }
        Some(self)
    }

    /// The results of a two-operand operation (RFC 9669 section 4.1) on members of both sets. 32-bit operations work on the low halves and
    /// zero the upper half; `Mov` gives the second operand.
    pub fn alu(op: AluOp, width: Width, left: &Scalar, right: &Scalar) -> Scalar {
        if width == Width::W32 {
            return Scalar::from_lane(&compute(op, &left.low_lane(), &right.low_lane()));
        }
        if op == AluOp::Mov {
            return *right;
        }
        let result = compute(op, &left.lane(Width::W64), &right.lane(Width::W64));
        if let Some(number) = result.as_constant() {
            return Scalar::constant(number);
        }
        let mut scalar =
            Scalar { bits: result.bits, full: result.ranges, low: Ranges::full(32), stride: result.stride };
        // The low half of these results depends on the low halves of the operands only. It is the whole number where the rest is 0.
        let low_follows = match op {
            AluOp::Add | AluOp::Sub | AluOp::Mul | AluOp::And | AluOp::Or | AluOp::Xor => true,
            AluOp::Lsh => right.as_constant().is_some_and(|amount| amount & 63 < 32),
            _ => false,
        };
        if low_follows && result.ranges.unsigned_max > u64::from(u32::MAX) {
            let low = compute(op, &left.low_lane(), &right.low_lane());
            if scalar.take_lane(&low).is_none() {
                return Scalar::unknown();
            }
        }
        scalar.or_unknown()
    }

    /// The negatives of the members at a width (RFC 9669 section 4.1, `NEG`).
    pub fn neg(&self, width: Width) -> Scalar {
        match width {
            Width::W32 => Scalar::from_lane(&negate(&self.low_lane())),
            Width::W64 => Scalar::alu(AluOp::Sub, Width::W64, &Scalar::constant(0), self),
        }
    }

    /// The low `from_bits` bits (8, 16 or 32), sign-extended to a width; at 32 bits the upper half is zeroed (RFC 9669 section 4.1,
    /// `MOVSX`; with [`Width::W64`] also the sign-extending loads of section 5.2). Other widths than those keep
    /// their meaning from 1 bit on; from 64 bits on nothing is left to extend.
    pub fn sign_extend(&self, from_bits: u32, width: Width) -> Scalar {
        if from_bits == 0 {
            return Scalar::constant(0);
        }
        Scalar::from_lane(&self.narrowed(from_bits).sign_extend(bits_of(width)).truncate(bits_of(width)))
    }

    /// The low bytes of this size, zero-extended: what a store of the size and a load of it leave.
    pub fn truncate(&self, size: MemSize) -> Scalar {
        self.zero_extend(size.bytes() * 8)
    }

    /// The low `from_bits` bits (1 to 64), zero-extended.
    pub fn zero_extend(&self, from_bits: u32) -> Scalar {
        match from_bits {
            0 => Scalar::constant(0),
            1..=63 => Scalar::from_lane(&self.narrowed(from_bits)),
            _ => *self,
        }
    }

    /// The low `bits` bits as a lane; up to the low half, its own ranges are the better start.
    fn narrowed(&self, bits: u32) -> Lane {
        let direct = self.lane(Width::W64).truncate(bits);
        if bits > 32 {
            return direct;
        }
        direct.meet(&self.low_lane().truncate(bits)).unwrap_or(direct)
    }

    /// The members after a byte order conversion (RFC 9669 section 4.2) of their low `bits` bits: 16, 32 or 64; the rest is zeroed. The
    /// machine is little-endian, as the `bpfel` target is: `Le` only truncates.
    pub fn endian(&self, kind: Endian, bits: u32) -> Scalar {
        match kind {
            Endian::Le => self.zero_extend(bits),
            Endian::Be | Endian::Swap if matches!(bits, 16 | 32 | 64) => {
                Scalar::with_bits(self.zero_extend(bits).bits.swap_bytes(bits))
            }
            Endian::Be | Endian::Swap => Scalar::unknown(),
        }
    }
}
