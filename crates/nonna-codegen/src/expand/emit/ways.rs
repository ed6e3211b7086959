//! Where the test of a filter leads.

use nonna_ir::Block;

/// Targets of a test.
#[derive(Clone, Copy)]
pub struct Ways {
    pub yes: Block,
    pub no: Block,
    /// Where it cannot be told.
    pub unknown: Block,
}
