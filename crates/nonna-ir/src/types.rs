//! Types of values.
//!
//! A value is what one register holds: a 64-bit integer or a pointer into a known kind of memory. Strings, keys,
//! tuples and records are memory ([`Slot`](crate::Slot)s and map values), not values.

use nonna_btf::TypeId;

/// What a register holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Type {
    /// A 64-bit integer. Signedness is in the operation.
    Int,
    /// A pointer.
    Pointer(Region),
}

/// The memory that a pointer points into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Region {
    /// The program's context.
    Context,
    /// A slot of the function, initialised where it was written.
    Slot,
    /// Global data of the module.
    Data,
    /// A value of a map; `nullable` until it was compared with 0.
    MapValue {
        /// May be 0.
        nullable: bool,
    },
    /// Kernel memory: read by direct load where the pointer's provenance allows it, else by a checked copy that
    /// yields 0 on a fault. The type is that of the pointee in the kernel's BTF, where known.
    Kernel(Option<TypeId>),
    /// User memory of the current process: read by a checked copy that yields 0 on a fault.
    User,
    /// A map itself, for helpers.
    Map,
    /// A function of the module, for helpers that call back.
    Function,
}

impl Type {
    /// A pointer to kernel memory of unknown type.
    pub const KERNEL: Type = Type::Pointer(Region::Kernel(None));
    /// A pointer to user memory.
    pub const USER: Type = Type::Pointer(Region::User);
    /// A pointer into a slot.
    pub const SLOT: Type = Type::Pointer(Region::Slot);

    /// Whether it is a pointer of any kind.
    pub const fn is_pointer(self) -> bool {
        matches!(self, Type::Pointer(_))
    }
}
