//! Which registers an operation reads and writes.
//!
//! Liveness, allocation and rewriting all ask here, so that they cannot disagree.

use nonna_bpf::AtomicOp;

use super::{Base, End, Op, Operand, Place, VReg};

/// How an operation touches a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reads it before anything is written.
    Use,
    /// Writes it after everything is read.
    Def,
    /// Reads and writes it.
    Change,
}

/// Whether an atomic operation returns the old value in its source register.
pub fn fetches_into_src(op: AtomicOp) -> bool {
    match op {
        AtomicOp::Add { fetch }
        | AtomicOp::Or { fetch }
        | AtomicOp::And { fetch }
        | AtomicOp::Xor { fetch } => fetch,
        AtomicOp::Exchange => true,
        AtomicOp::CompareExchange => false,
    }
}

/// Calls `$f` on each explicit register with its access; written once for shared and exclusive access.
macro_rules! visit {
    ($op:expr, $f:expr) => {{
        let mut f = $f;
        match $op {
            Op::Mov { dst, src, .. } => {
                if let Operand::Reg(src) = src {
                    f(src, Access::Use);
                }
                f(dst, Access::Def);
            }
            Op::Alu { dst, src, .. } => {
                if let Operand::Reg(src) = src {
                    f(src, Access::Use);
                }
                f(dst, Access::Change);
            }
            Op::MovSx { dst, src, .. } => {
                f(src, Access::Use);
                f(dst, Access::Def);
            }
            Op::Neg { dst } | Op::Endian { dst, .. } => f(dst, Access::Change),
            Op::LoadConstant { dst, .. } | Op::FrameAddress { dst, .. } => f(dst, Access::Def),
            Op::Load { dst, base, .. } => {
                if let Base::Reg(base) = base {
                    f(base, Access::Use);
                }
                f(dst, Access::Def);
            }
            Op::Store { base, src, .. } => {
                if let Base::Reg(base) = base {
                    f(base, Access::Use);
                }
                if let Operand::Reg(src) = src {
                    f(src, Access::Use);
                }
            }
            Op::Atomic { op, base, src, .. } => {
                let fetches = fetches_into_src(*op);
                if let Base::Reg(base) = base {
                    f(base, Access::Use);
                }
                f(src, if fetches { Access::Change } else { Access::Use });
            }
            Op::Call { .. } => {}
            Op::Copies(copies) => {
                for (to, from) in copies {
                    if let Place::Reg(from) = from {
                        f(from, Access::Use);
                    }
                    if let Place::Reg(to) = to {
                        f(to, Access::Def);
                    }
                }
            }
        }
    }};
}

impl Op {
    /// Calls `f` on each register that is named, with its access.
    pub fn for_each_reg(&self, mut f: impl FnMut(VReg, Access)) {
        visit!(self, |reg: &VReg, access| f(*reg, access));
    }

    /// Calls `f` on each register that is named, to replace it.
    pub fn for_each_reg_mut(&mut self, f: impl FnMut(&mut VReg, Access)) {
        visit!(self, f);
    }

    /// Calls `f` on each register that is read or written without being named.
    pub fn for_each_implicit(&self, mut f: impl FnMut(VReg, Access)) {
        match self {
            Op::Call { n_args, .. } => {
                for idx in 0..usize::from(*n_args) {
                    f(VReg::argument(idx), Access::Use);
                }
                for idx in 0..=5 {
                    f(VReg::from_idx(idx), Access::Def);
                }
            }
            Op::Atomic { op: AtomicOp::CompareExchange, .. } => f(VReg::R0, Access::Change),
            _ => {}
        }
    }

    /// Calls `f` on every register that is touched.
    pub fn for_each_access(&self, mut f: impl FnMut(VReg, Access)) {
        self.for_each_reg(&mut f);
        self.for_each_implicit(f);
    }

    /// Whether it does nothing but write registers: unneeded where they are not read.
    pub fn is_pure(&self) -> bool {
        !matches!(self, Op::Store { .. } | Op::Atomic { .. } | Op::Call { .. } | Op::Copies(_))
    }

    /// The registers of a plain 64-bit copy: to, from.
    pub fn as_copy(&self) -> Option<(VReg, VReg)> {
        match *self {
            Op::Mov { width: nonna_bpf::Width::W64, dst, src: Operand::Reg(src) } => Some((dst, src)),
            _ => None,
        }
    }
}

impl End {
    /// Calls `f` on each register that is read.
    pub fn for_each_use(&self, mut f: impl FnMut(VReg)) {
        match *self {
            End::Goto(_) => {}
            End::Jump { left, right, .. } => {
                f(left);
                if let Operand::Reg(right) = right {
                    f(right);
                }
            }
            End::Exit => f(VReg::R0),
        }
    }

    /// Calls `f` on each register that is named, to replace it.
    pub fn for_each_use_mut(&mut self, mut f: impl FnMut(&mut VReg)) {
        if let End::Jump { left, right, .. } = self {
            f(left);
            if let Operand::Reg(right) = right {
                f(right);
            }
        }
    }
}
