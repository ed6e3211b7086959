//! What stands at a place of a structure: the member that an access of so many bytes hits.
//!
//! After `btf_struct_walk` in `kernel/bpf/btf.c` (Linux 6.12). Types only; who may read there is decided in `typed`.

use nonna_btf::{Btf, Kind as BtfKind, Type, TypeId};

use super::value::Trust;

/// A place in a kernel structure: its type, the first byte and how many.
pub(super) type Place = (u32, u64, u8);

/// What stands at a place of a structure.
#[derive(Clone, Copy)]
pub(super) enum Found {
    /// A number, or bytes of one.
    Number,
    /// A pointer to a structure.
    Structure(TypeId, Trust),
    /// A pointer to something else: a number for all that is known.
    Other,
}

/// What stands at a place of a structure, or `None` where no field does.
pub(super) fn walk(btf: &Btf, type_id: TypeId, place: u64, bytes: u64) -> Option<Found> {
    let mut at = btf.skip_modifiers(type_id).ok()?;
    let mut place = place;
    for _ in 0..32 {
        match btf.ty(at).ok()? {
            Type::Struct(found) | Type::Union(found) => {
                let total = u64::from(found.size_bytes);
                let members = found.members();
                let last_is_flexible = found.members().last().is_some_and(
                    |member| matches!(btf.resolved(member.type_id), Ok(Type::Array(array)) if array.len == 0),
                );
                if place + bytes > total && !last_is_flexible {
                    return None;
                }
                let mut inner = None;
                for member in members {
                    let start = u64::from(member.bit_offset / 8);
                    if member.bit_width != 0 {
                        let end = u64::from(member.bit_offset + u32::from(member.bit_width)).div_ceil(8);
                        if place < end && start < place + bytes {
                            return Some(Found::Number);
                        }
                        continue;
                    }
                    if place < start {
                        continue;
                    }
                    let size = match btf.resolved(member.type_id).ok()? {
                        Type::Array(array) if array.len == 0 => u64::MAX / 2,
                        _ => btf.size_of(member.type_id).ok()?,
                    };
                    if place + bytes <= start.saturating_add(size) {
                        inner = Some((member.type_id, place - start));
                        break;
                    }
                }
                let (next, rest) = inner?;
                (at, place) = (btf.skip_modifiers(next).ok()?, rest);
                if let Some(found) = leaf(btf, next, place, bytes) {
                    return Some(found);
                }
            }
            Type::Array(array) => {
                let element = btf.size_of(array.element).ok().filter(|size| *size > 0)?;
                place %= element;
                if place + bytes > element {
                    return Some(Found::Number);
                }
                if let Some(found) = leaf(btf, array.element, place, bytes) {
                    return Some(found);
                }
                at = btf.skip_modifiers(array.element).ok()?;
            }
            _ => return leaf(btf, at, place, bytes),
        }
    }
    None
}

pub(super) fn leaf(btf: &Btf, type_id: TypeId, place: u64, bytes: u64) -> Option<Found> {
    match btf.resolved(type_id).ok()? {
        Type::Int(_) | Type::Enum(_) | Type::Enum64(_) | Type::Float { .. } => Some(Found::Number),
        Type::Ptr { .. } => {
            let pointer = btf.pointer(type_id).ok()??;
            let target = btf.skip_modifiers(pointer.target).ok()?;
            let is_structure = matches!(btf.kind(target).ok()?, BtfKind::Struct | BtfKind::Union);
            if place != 0 || bytes != 8 || !is_structure {
                return Some(Found::Other);
            }
            let trust = if pointer.is_user {
                Trust::User
            } else if pointer.is_percpu {
                Trust::PerCpu
            } else if pointer.is_rcu {
                Trust::Rcu
            } else {
                Trust::Plain
            };
            Some(Found::Structure(target, trust))
        }
        _ => None,
    }
}
