//! Abstract numbers: what a verifier can know of a value without running the program.
//!
//! A [`Scalar`] is a set of 64-bit numbers, said by [`KnownBits`], by [`Ranges`] in both readings of the full number and of its low
//! half, and by a [`Stride`]. Each operation of the machine has a rule that gives at least the results of all members (soundness) and
//! as little more as these parts can say. The rules follow from RFC 9669 alone; nothing here knows programs, registers or memory.
//!
//! ```
//! use nonna_bpf::{AluOp, JumpOp, Width};
//! use nonna_verifier::numbers::Scalar;
//!
//! // x is anything; (x & 7) << 2 is a multiple of 4 up to 28.
//! let masked = Scalar::alu(AluOp::And, Width::W64, &Scalar::unknown(), &Scalar::constant(7));
//! let scaled = Scalar::alu(AluOp::Lsh, Width::W64, &masked, &Scalar::constant(2));
//! assert_eq!(scaled.ranges(Width::W64).unsigned_max, 28);
//! assert_eq!(scaled.stride().modulus(), 4);
//!
//! // Where it is not 28, it is at most 24.
//! let (less, _) = Scalar::refine(JumpOp::Ne, Width::W64, &scaled, &Scalar::constant(28), true).unwrap();
//! assert_eq!(less.ranges(Width::W64).unsigned_max, 24);
//! ```

mod arithmetic;
mod bitwise;
mod compare;
mod concrete;
mod division;
mod join;
mod known_bits;
mod lane;
mod ranges;
mod scalar;
mod stride;
#[cfg(test)]
mod tests;

pub use known_bits::KnownBits;
pub use ranges::Ranges;
pub use scalar::Scalar;
pub use stride::Stride;
