//! What a program asks of the world around it: helper calls.
//!
//! The machine knows no helper itself. A [`Host`] answers by number and touches guest memory only through
//! [`Regions`], which checks.

use crate::memory::{AccessFault, Regions};

/// Arguments of a helper call: `r1` to `r5`.
pub type Arguments = [u64; 5];

/// How a program goes on after a helper call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// With this value in `r0`.
    Return(u64),
    /// Not at all: the whole run ends with this value, whatever functions are active.
    End(u64),
}

/// Why a helper call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HelperError {
    /// The host has no helper of this number.
    #[error("there is no helper with this number")]
    Unknown,
    /// The helper was given memory that the program may not touch.
    #[error("its argument means {0}")]
    Memory(#[from] AccessFault),
}

/// Answers helper calls.
pub trait Host {
    /// Answers one call.
    ///
    /// # Errors
    ///
    /// [`HelperError`] ends the run with a fault.
    fn call(
        &mut self,
        number: u32,
        arguments: Arguments,
        memory: &mut Regions<'_>,
    ) -> Result<Answer, HelperError>;
}

/// A host without any helper.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHelpers;

impl Host for NoHelpers {
    fn call(&mut self, _: u32, _: Arguments, _: &mut Regions<'_>) -> Result<Answer, HelperError> {
        Err(HelperError::Unknown)
    }
}
