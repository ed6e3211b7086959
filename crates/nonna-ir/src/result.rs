//! Result types that an instruction has by itself.

use nonna_bpf::AtomicOp;

use crate::inst::Inst;
use crate::types::{Region, Type};

/// Whether an atomic operation returns the old value.
pub(crate) const fn fetches(op: AtomicOp) -> bool {
    match op {
        AtomicOp::Add { fetch }
        | AtomicOp::Or { fetch }
        | AtomicOp::And { fetch }
        | AtomicOp::Xor { fetch } => fetch,
        AtomicOp::Exchange | AtomicOp::CompareExchange => true,
    }
}

impl Inst {
    /// Whether it defines a value.
    pub const fn has_result(&self) -> bool {
        match self {
            Inst::Store { .. } | Inst::Zero { .. } | Inst::Copy { .. } | Inst::Emit { .. } => false,
            Inst::Atomic { op, .. } => fetches(*op),
            _ => true,
        }
    }

    /// The type of the result where it follows from the kind of instruction or is most often this one; the text
    /// form leaves it out then. `None` for casts and where there is no result.
    pub const fn default_result_type(&self) -> Option<Type> {
        match self {
            Inst::Cast(_) => None,
            Inst::Context => Some(Type::Pointer(Region::Context)),
            Inst::CurrentTask | Inst::Distrust(_) => Some(Type::KERNEL),
            Inst::SlotAddress(_) => Some(Type::SLOT),
            Inst::DataAddress(_) => Some(Type::Pointer(Region::Data)),
            Inst::MapHandle(_) => Some(Type::Pointer(Region::Map)),
            Inst::FunctionAddress(_) => Some(Type::Pointer(Region::Function)),
            Inst::MapLookup { .. } => Some(Type::Pointer(Region::MapValue { nullable: true })),
            _ => {
                if self.has_result() {
                    Some(Type::Int)
                } else {
                    None
                }
            }
        }
    }
}
