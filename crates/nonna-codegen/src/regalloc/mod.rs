//! Register allocation: from virtual registers to the machine's ten.
//!
//! Live ranges have holes, so registers are shared as tightly as values allow. Copies whose ends never live at the same
//! time are merged first; then classes get registers in order of what spilling them would cost: what lives across calls
//! takes `r6` to `r9`, the rest prefers the register that a copy from or to the machine's own wants. What finds none is
//! kept in the frame and reloaded, once for each stretch between calls; then everything starts anew.

mod assign;
mod coalesce;
mod copies;
mod ranges;
mod spill;

use crate::CodegenError;
use crate::mir::{FrameSlot, MFunction, VReg};
use coalesce::Classes;
use ranges::LiveRanges;

/// How far a register was spilled already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SpillLevel {
    /// Not at all.
    Whole,
    /// It is a copy of a frame slot for one stretch between calls.
    Stretch(FrameSlot),
    /// It is a copy of a frame slot for one operation; spilling it would gain nothing.
    Single,
}

/// More rounds than spilling down to single operations ever takes.
const MAX_ROUNDS: usize = 64;

/// Replaces every virtual register by one of the machine's; the frame grows by what does not fit.
///
/// # Errors
///
/// [`CodegenError::InvalidModule`] where one operation alone wants more registers than there are.
pub fn allocate(function: &mut MFunction) -> Result<(), CodegenError> {
    let mut levels = vec![SpillLevel::Whole; function.n_regs];
    for _ in 0..MAX_ROUNDS {
        let ranges = LiveRanges::new(function);
        let classes = Classes::merge_copies(function, &ranges, &levels);
        match assign::assign(function, &ranges, &classes, &levels) {
            Ok(assignment) => {
                copies::rewrite(function, &assignment);
                return Ok(());
            }
            Err(regs) => spill::spill(function, &classes, &regs, &mut levels),
        }
        debug_assert_eq!(levels.len(), function.n_regs);
    }
    Err(CodegenError::InvalidModule(format!("function `{}`: registers do not suffice", function.name)))
}

/// The level of a class: that of its members, which only merge with their like.
fn level_of(levels: &[SpillLevel], reg: VReg) -> SpillLevel {
    levels.get(reg.idx()).copied().unwrap_or(SpillLevel::Whole)
}
