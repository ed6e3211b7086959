//! Through typedefs and qualifiers: what a type really is, its size, its alignment, what its pointers say.
//!
//! Chains and nestings are followed to the kernel's own limit of 32 levels (`MAX_RESOLVE_DEPTH` in kernel/bpf/btf.c), so
//! cyclic BTF ends in an error.

use crate::error::Error;
use crate::file::Btf;
use crate::kind::{Kind, TypeId};
use crate::record::Record;
use crate::types::Type;

/// Size of a pointer: BPF and every kernel that it is used with here are 64-bit.
pub const POINTER_BYTES: u32 = 8;

/// Levels of types that one question may pass through.
pub(crate) const MAX_DEPTH: usize = 32;
/// Types that one question may visit: far more than the most intricate struct of a kernel has.
const MAX_VISITS: u32 = 1 << 18;

/// Counts the types that a question visits, so that hostile nestings end.
pub(crate) struct Visits {
    of: TypeId,
    left: u32,
}

impl Visits {
    pub(crate) fn new(of: TypeId) -> Visits {
        Visits { of, left: MAX_VISITS }
    }

    /// Counts `types` more.
    pub(crate) fn count(&mut self, types: usize) -> Result<(), Error> {
        let left = u32::try_from(types).ok().and_then(|types| self.left.checked_sub(types));
        self.left = left.ok_or(Error::TooIntricate { id: self.of })?;
        Ok(())
    }

    /// The error for nesting below `levels` left.
    pub(crate) fn descend(&self, levels: usize) -> Result<usize, Error> {
        levels.checked_sub(1).ok_or(Error::TooDeep { id: self.of })
    }
}

/// What a pointer points to, and what its type tags say about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// The type pointed to, behind the tags; its qualifiers are kept.
    pub target: TypeId,
    /// `__user`: an address in user space.
    pub is_user: bool,
    /// `__percpu`: an offset into per-CPU memory.
    pub is_percpu: bool,
    /// `__rcu`: protected by RCU.
    pub is_rcu: bool,
}

impl Btf {
    /// The type behind typedefs, `const`, `volatile`, `restrict` and type tags.
    ///
    /// # Errors
    /// If a type in the chain does not exist or the chain does not end.
    pub fn skip_modifiers(&self, id: TypeId) -> Result<TypeId, Error> {
        Ok(self.bare(id)?.id)
    }

    /// The type behind `const`, `volatile`, `restrict` and type tags; typedefs stay, for their names.
    ///
    /// # Errors
    /// If a type in the chain does not exist or the chain does not end.
    pub fn skip_qualifiers(&self, id: TypeId) -> Result<TypeId, Error> {
        Ok(self.behind(id, |kind| kind.is_modifier() && kind != Kind::Typedef)?.id)
    }

    /// The decoded type behind typedefs and qualifiers: [`Btf::skip_modifiers`], then [`Btf::ty`].
    ///
    /// # Errors
    /// As those.
    pub fn resolved(&self, id: TypeId) -> Result<Type<'_>, Error> {
        self.ty(self.skip_modifiers(id)?)
    }

    /// As [`Btf::resolved`], without looking at what the type contains.
    pub(crate) fn bare_type(&self, id: TypeId) -> Result<Type<'_>, Error> {
        self.peek(self.skip_modifiers(id)?)
    }

    /// The record behind typedefs and qualifiers.
    pub(crate) fn bare(&self, id: TypeId) -> Result<Record<'_>, Error> {
        self.behind(id, Kind::is_modifier)
    }

    fn behind(&self, id: TypeId, skip: impl Fn(Kind) -> bool) -> Result<Record<'_>, Error> {
        let mut record = self.part.record(id)?;
        for _ in 0..MAX_DEPTH {
            if !skip(record.kind()?) {
                return Ok(record);
            }
            record = self.follow(&record, record.target())?;
        }
        Err(Error::TooDeep { id })
    }

    /// The record that another refers to.
    pub(crate) fn follow(&self, from: &Record<'_>, target: TypeId) -> Result<Record<'_>, Error> {
        self.part.record(target).map_err(|_| Error::BadReference { id: from.id, target })
    }

    /// Bytes that a value of type `id` takes; of a variable, what its type takes. A flexible array takes none.
    ///
    /// # Errors
    /// If the type has no size, as functions, declarations and `void`; or cannot be read.
    pub fn size_of(&self, id: TypeId) -> Result<u64, Error> {
        let mut elements = 1u64;
        let mut at = self.part.record(id)?;
        for _ in 0..MAX_DEPTH {
            let kind = at.kind()?;
            let unit = match kind {
                Kind::Int
                | Kind::Struct
                | Kind::Union
                | Kind::Enum
                | Kind::Enum64
                | Kind::Float
                | Kind::DataSec => at.value,
                Kind::Ptr => POINTER_BYTES,
                Kind::Array => {
                    elements = elements.checked_mul(u64::from(at.word(2))).ok_or(Error::Overflow { id })?;
                    at = self.follow(&at, TypeId(at.word(0)))?;
                    continue;
                }
                Kind::Void | Kind::Fwd | Kind::Func | Kind::FuncProto | Kind::DeclTag => {
                    return Err(Error::NoSize { id: at.id, kind });
                }
                Kind::Typedef | Kind::Volatile | Kind::Const | Kind::Restrict | Kind::TypeTag | Kind::Var => {
                    at = self.follow(&at, at.target())?;
                    continue;
                }
            };
            return elements.checked_mul(u64::from(unit)).ok_or(Error::Overflow { id });
        }
        Err(Error::TooDeep { id })
    }

    /// Bytes to which a value of type `id` is aligned; 1 for packed structs, told by their members' offsets.
    ///
    /// # Errors
    /// If the type has no size, as functions, declarations and `void`; or cannot be read.
    pub fn align_of(&self, id: TypeId) -> Result<u32, Error> {
        self.align_within(id, MAX_DEPTH, &mut Visits::new(id))
    }

    fn align_within(&self, id: TypeId, levels: usize, visits: &mut Visits) -> Result<u32, Error> {
        let levels = visits.descend(levels)?;
        visits.count(1)?;
        let id = self.skip_modifiers(id)?;
        match self.peek(id)? {
            Type::Int(crate::Int { size_bytes, .. }) | Type::Float { size_bytes, .. } => {
                Ok(natural_align(size_bytes))
            }
            Type::Enum(found) | Type::Enum64(found) => Ok(natural_align(found.size_bytes)),
            Type::Ptr { .. } => Ok(POINTER_BYTES),
            Type::Array(array) => self.align_within(array.element, levels, visits),
            Type::Var(var) => self.align_within(var.target, levels, visits),
            Type::Struct(found) | Type::Union(found) => {
                visits.count(found.members().len())?;
                let mut align = 1;
                for member in found.members() {
                    let of_member = self.align_within(member.type_id, levels, visits)?;
                    // Only packing puts a member where its own type would not stand.
                    if member.bit_width == 0 && member.bit_offset % (8 * of_member) != 0 {
                        return Ok(1);
                    }
                    align = align.max(of_member);
                }
                Ok(if found.size_bytes.is_multiple_of(align) { align } else { 1 })
            }
            _ => Err(Error::NoSize { id, kind: self.kind(id)? }),
        }
    }

    /// What the pointer `id` points to and how it is tagged; `None` if it is no pointer (behind typedefs and qualifiers).
    ///
    /// # Errors
    /// If a type in the chain does not exist or the chain does not end.
    pub fn pointer(&self, id: TypeId) -> Result<Option<Pointer>, Error> {
        let record = self.bare(id)?;
        if record.kind()? != Kind::Ptr {
            return Ok(None);
        }
        let mut pointer =
            Pointer { target: record.target(), is_user: false, is_percpu: false, is_rcu: false };
        let mut at = self.follow(&record, record.target())?;
        for _ in 0..MAX_DEPTH {
            if at.kind()? != Kind::TypeTag {
                pointer.target = at.id;
                return Ok(Some(pointer));
            }
            match at.name()? {
                "user" => pointer.is_user = true,
                "percpu" => pointer.is_percpu = true,
                "rcu" => pointer.is_rcu = true,
                _ => {}
            }
            at = self.follow(&at, at.target())?;
        }
        Err(Error::TooDeep { id })
    }

    /// What the pointer `id` points to, tags skipped.
    ///
    /// # Errors
    /// If it is no pointer, or cannot be read.
    pub fn deref(&self, id: TypeId) -> Result<TypeId, Error> {
        match self.pointer(id)? {
            Some(pointer) => Ok(pointer.target),
            None => Err(Error::NotAPointer { id, found: self.type_name(id) }),
        }
    }
}

/// Alignment of a number of `size_bytes` bytes: its size up to a pointer's.
fn natural_align(size_bytes: u32) -> u32 {
    size_bytes.clamp(1, POINTER_BYTES)
}
