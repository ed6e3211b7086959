//! BTF type information: lazy reader, writer and CO-RE matching.
//!
//! BTF is the kernel's compact form of C type information (Documentation/bpf/btf.rst; the structures are in
//! include/uapi/linux/btf.h). This room turns bytes into types and back. It exists apart so that the front ends can ask
//! "where is `task_struct.real_parent->tgid`?" without knowing where the bytes came from.
//!
//! - [`Btf`] opens bytes that somebody else owns (a mapped file, a vector, a section of an ELF file) without copying
//!   them, keeps a sparse index and decodes a type when it is asked for.
//! - [`Btf::find`] and [`Btf::find_many`] look names up, [`Btf::member`] and [`Btf::resolve_path`] find fields,
//!   [`Btf::function`], [`Btf::tracepoint`] and [`Btf::lsm_hook`] find prototypes, [`Btf::type_name`] and
//!   [`Btf::definition`] write C text.
//! - [`BtfBuilder`] makes BTF, [`BtfExt`] reads and writes the section that ties it to instructions.
//! - [`Relocator`] finds the fields, types and enumeration values of an object in a kernel's BTF (CO-RE).
//!
//! Bytes are never trusted: wrong, truncated or cyclic BTF yields an [`Error`], never a panic and never a loop without
//! end. This room opens no files and makes no system calls.

mod decode;
mod error;
mod ext;
mod field;
mod file;
mod find;
mod header;
mod kind;
mod name_cache;
mod names;
mod path;
mod proto;
mod record;
mod relocate;
mod relocation_kind;
mod render;
mod resolve;
mod strings;
mod types;
mod walk;
mod writer;

pub use error::Error;
pub use ext::{BtfExt, CoreRelocation, ExtSection, FuncInfo, LineInfo};
pub use field::{BitField, FieldAccess, NamedField};
pub use file::Btf;
pub use find::{Enumerator, Types};
pub use header::ByteOrder;
pub use kind::{Kind, TypeId};
pub use path::FieldPath;
pub use proto::{Prototype, Tracepoint};
pub use relocate::{LoadSize, Relocator, Resolution};
pub use relocation_kind::RelocationKind;
pub use render::Offsets;
pub use resolve::{POINTER_BYTES, Pointer};
pub use types::{
    Array, Composite, DataSec, Entries, Enum, EnumValue, Func, FuncProto, Int, Linkage, Member, Param,
    SectionVar, Type, Var,
};
pub use writer::{BtfBuilder, IntEncoding};
