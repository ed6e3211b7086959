//! Programs before the verifier and on every engine: what is accepted never faults, and all engines do the same.
//!
//! The judge of the verifier is the interpreter that checks every access and counts every instruction. What runs on machine
//! code without checks was run by that judge before, so that a hole is reported and not fallen into.

mod hosted;
mod plain;

use std::fmt;

pub use hosted::{Ran, try_verified};
pub use plain::{object, try_plain};

/// What became of a program that broke no promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tried {
    /// It cannot run at all: it leaves its own instructions, or calls what is not there.
    Nothing,
    /// The verifier refuses it; unproved, it did the same on all engines.
    Refused,
    /// The verifier accepts it, but a run may take longer than a test should.
    TooLong,
    /// The verifier accepts it, and it did the same on all engines without a fault.
    Ran,
}

/// A promise that does not hold, with the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken(String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Broken {}
