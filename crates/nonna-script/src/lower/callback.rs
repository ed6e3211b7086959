//! What the body of a called loop knows of the function around it.

use nonna_ir::Value;

/// Where a captured variable is kept while the loop runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Captured {
    pub local: usize,
    /// Bytes from the start of the frame.
    pub offset: i32,
    /// Its new value must be written back after each round.
    pub written: bool,
}

/// The frame of a called loop, seen from its body.
pub(super) struct Callback {
    /// Address of the frame.
    pub frame: Value,
    pub captured: Vec<Captured>,
    /// Values of the hook that the body reads, by expression: kind and value.
    pub builtins: Vec<(crate::hir::Builtin, Value)>,
}

/// Where the frame says that the program is to be left, and with which result.
pub(super) const LEAVE_AT: i32 = 0;
pub(super) const RESULT_AT: i32 = 8;
/// The first captured value.
pub(super) const CAPTURED_AT: i32 = 16;
