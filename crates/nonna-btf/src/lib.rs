//! BTF type information: lazy reader, writer and CO-RE matching; knows no files and no bytecode.

/// BTF of one object.
pub struct Btf {}
/// A type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(pub u32);
