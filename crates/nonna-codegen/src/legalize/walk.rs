//! What the kernel's verifier says of a load through a typed kernel pointer.
//!
//! The rules are those of `btf_struct_walk` and `check_ptr_to_btf_access` (kernel/bpf/btf.c, kernel/bpf/verifier.c), in
//! their strictest form from Linux 6.1 on: a load that is allowed here is allowed by each of these kernels.

use nonna_btf::{Btf, Composite, Kind, Member, Type, TypeId};

/// What a load that the verifier accepts yields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// A number.
    Number,
    /// A pointer to something without members; newer verifiers keep it a pointer, older make it a number.
    Address,
    /// A pointer that may be read through.
    Pointer {
        /// The structure pointed to.
        pointee: TypeId,
        /// The verifier of some kernel wants a null test first.
        nullable: bool,
    },
}

/// Nesting deeper than this is not walked (`MAX_RESOLVE_DEPTH`).
const MAX_DEPTH: usize = 32;

/// Members that newer verifiers take for pointers that may be null (`BTF_TYPE_SAFE_RCU_OR_NULL`,
/// `BTF_TYPE_SAFE_TRUSTED_OR_NULL`): the test is by name only, since it costs one instruction.
const NULLABLE_MEMBERS: &[&str] = &["exe_file", "owner", "sk", "d_inode", "vm_mm", "vm_file"];

/// What loading `size` bytes at `offset` of structure `id` yields; `None` where the verifier refuses it.
pub fn walk(btf: &Btf, id: TypeId, offset: u32, size: u32) -> Option<Found> {
    let (mut id, mut offset) = (id, offset);
    for _ in 0..MAX_DEPTH {
        match step(btf, id, (offset, size))? {
            Step::Into(inner, rest) => (id, offset) = (inner, rest),
            Step::End(found) => return Some(found),
        }
    }
    None
}

enum Step {
    Into(TypeId, u32),
    End(Found),
}

/// Finds the first member that holds the offset; of a union too, where the pointer that it holds is less trusted but
/// may be read through all the same.
fn step(btf: &Btf, id: TypeId, (offset, size): (u32, u32)) -> Option<Step> {
    let (Type::Struct(structure) | Type::Union(structure)) = btf.resolved(id).ok()? else { return None };
    let end = offset.checked_add(size)?;
    if end > structure.size_bytes {
        return flexible_tail(btf, &structure, offset);
    }
    let is_union = btf.kind(btf.skip_modifiers(id).ok()?).ok()? == Kind::Union;
    let mut members = structure.members().peekable();
    while let Some(member) = members.next() {
        // Members of a structure do not overlap: where the next one begins before, this one ends before, however large it is.
        if !is_union
            && members.peek().is_some_and(|next| next.bit_width == 0 && next.bit_offset / 8 <= offset)
        {
            continue;
        }
        let start = member.bit_offset / 8;
        if end <= start {
            break;
        }
        if member.bit_width != 0 {
            let last = (member.bit_offset + u32::from(member.bit_width)).div_ceil(8);
            if offset <= start && last <= end {
                return Some(Step::End(Found::Number));
            }
            continue;
        }
        if offset < start {
            break;
        }
        let bytes = u32::try_from(btf.size_of(member.type_id).ok()?).ok()?;
        if offset < start.checked_add(bytes)? {
            return in_member(btf, &member, (offset, size), (start, bytes));
        }
    }
    None
}

/// A structure may end in an array of unknown length, whose elements may be read.
fn flexible_tail(btf: &Btf, structure: &Composite<'_>, offset: u32) -> Option<Step> {
    let last = structure.members().last()?;
    let Type::Array(array) = btf.resolved(last.type_id).ok()? else { return None };
    let from_start = offset.checked_sub(last.bit_offset / 8)?;
    if array.len != 0 {
        return None;
    }
    match btf.resolved(array.element).ok()? {
        Type::Int(_) => Some(Step::End(Found::Number)),
        Type::Struct(element) if element.size_bytes > 0 => {
            Some(Step::Into(array.element, from_start % element.size_bytes))
        }
        _ => None,
    }
}

fn in_member(
    btf: &Btf,
    member: &Member<'_>,
    (offset, size): (u32, u32),
    (mut start, bytes): (u32, u32),
) -> Option<Step> {
    let end = start + bytes;
    // Arrays of any dimension are a row of elements.
    let mut element = btf.skip_modifiers(member.type_id).ok()?;
    while let Type::Array(array) = btf.ty(element).ok()? {
        element = btf.skip_modifiers(array.element).ok()?;
    }
    let element_bytes = u32::try_from(btf.size_of(element).ok()?).ok()?;
    start += (offset - start).checked_div(element_bytes)? * element_bytes;
    match btf.ty(element).ok()? {
        Type::Struct(_) | Type::Union(_) => Some(Step::Into(element, offset - start)),
        Type::Ptr { .. } if element_bytes != size || offset != start => None,
        Type::Ptr { .. } => match crate::hook::structure_behind(btf, element).ok()? {
            None => Some(Step::End(Found::Address)),
            Some(pointee) => {
                Some(Step::End(Found::Pointer { pointee, nullable: is_nullable(btf, element, member.name) }))
            }
        },
        _ => (offset + size <= end).then_some(Step::End(Found::Number)),
    }
}

fn is_nullable(btf: &Btf, pointer: TypeId, name: &str) -> bool {
    NULLABLE_MEMBERS.contains(&name) || btf.pointer(pointer).ok().flatten().is_some_and(|found| found.is_rcu)
}
