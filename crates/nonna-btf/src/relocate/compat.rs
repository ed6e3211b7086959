//! When types of two BTFs mean the same.
//!
//! Three relations, from loose to strict: a field's types are compatible, whole types are compatible, a type matches. Each is
//! libbpf's of the same name (`bpf_core_fields_are_compat`, `bpf_core_types_are_compat`, `bpf_core_types_match` in
//! tools/lib/bpf/relo_core.c). Depth and work are bounded, since both BTFs may be hostile.

use crate::error::Error;
use crate::file::Btf;
use crate::kind::TypeId;
use crate::resolve::{MAX_DEPTH, Visits};
use crate::types::{Composite, Enum, FuncProto, Int, Type};

use super::{essential_name, same_as};

/// A type in one of the two BTFs.
type Place<'b> = (&'b Btf, TypeId);

/// Whether a field of type `local` may be read where the target has `target`: structs and unions are all compatible, so are
/// pointers, numbers of any size and sign; arrays by their elements; enumerations and declarations by name where both have one.
pub(super) fn fields_are_compatible(local: Place<'_>, target: Place<'_>) -> Result<bool, Error> {
    let (mut local, mut target) = (local, target);
    for _ in 0..MAX_DEPTH {
        let (local_type, target_type) = (local.0.bare_type(local.1)?, target.0.bare_type(target.1)?);
        return Ok(match (local_type, target_type) {
            (Type::Struct(_) | Type::Union(_), Type::Struct(_) | Type::Union(_)) => true,
            (Type::Ptr { .. }, Type::Ptr { .. }) | (Type::Float { .. }, Type::Float { .. }) => true,
            (Type::Int(local), Type::Int(target)) => are_whole(&local, &target),
            (Type::Enum(local) | Type::Enum64(local), Type::Enum(target) | Type::Enum64(target)) => {
                names_allow(local.name, target.name)
            }
            (Type::Fwd { name: local, .. }, Type::Fwd { name: target, .. }) => names_allow(local, target),
            (Type::Array(local_array), Type::Array(target_array)) => {
                (local.1, target.1) = (local_array.element, target_array.element);
                continue;
            }
            _ => false,
        });
    }
    Err(Error::TooDeep { id: local.1 })
}

/// Neither hides a bit field, as old BTF does.
fn are_whole(local: &Int<'_>, target: &Int<'_>) -> bool {
    local.bit_offset == 0 && target.bit_offset == 0
}

/// One has no name, or both have the same but for the flavor.
fn names_allow(local: &str, target: &str) -> bool {
    let (local, target) = (essential_name(local), essential_name(target));
    local.is_empty() || target.is_empty() || local == target
}

/// Both have the same name but for the flavor, or none.
fn names_match(local: &str, target: &str) -> bool {
    essential_name(local) == essential_name(target)
}

/// Whether type `target` counts as `local` for "does it exist, how large is it, what is its number". The names were compared
/// before; the kinds must be the same, through pointers, arrays and functions. Members are not looked at.
pub(super) fn types_are_compatible(local: Place<'_>, target: Place<'_>) -> Result<bool, Error> {
    if same_as(local.0.kind(local.1)?) != same_as(target.0.kind(target.1)?) {
        return Ok(false);
    }
    compatible_within(local, target, MAX_DEPTH, &mut Visits::new(target.1))
}

fn compatible_within(
    mut local: Place<'_>,
    mut target: Place<'_>,
    levels: usize,
    visits: &mut Visits,
) -> Result<bool, Error> {
    for _ in 0..MAX_DEPTH {
        visits.count(1)?;
        let (local_type, target_type) = (local.0.bare_type(local.1)?, target.0.bare_type(target.1)?);
        match (local_type, target_type) {
            (Type::Void, Type::Void)
            | (Type::Struct(_), Type::Struct(_))
            | (Type::Union(_), Type::Union(_))
            | (Type::Fwd { .. }, Type::Fwd { .. })
            | (Type::Enum(_) | Type::Enum64(_), Type::Enum(_) | Type::Enum64(_)) => return Ok(true),
            (Type::Int(local), Type::Int(target)) => return Ok(are_whole(&local, &target)),
            (Type::Ptr { target: local_target }, Type::Ptr { target: target_target }) => {
                (local.1, target.1) = (local_target, target_target);
            }
            (Type::Array(local_array), Type::Array(target_array)) => {
                (local.1, target.1) = (local_array.element, target_array.element);
            }
            (Type::FuncProto(local_proto), Type::FuncProto(target_proto)) => {
                let params = ((local.0, &local_proto), (target.0, &target_proto));
                let mut compatible = |local: Place<'_>, target: Place<'_>| {
                    let levels = visits.descend(levels)?;
                    compatible_within(local, target, levels, visits)
                };
                if !params_fit(params.0, params.1, &mut compatible)? {
                    return Ok(false);
                }
                (local.1, target.1) = (local_proto.return_type, target_proto.return_type);
            }
            _ => return Ok(false),
        }
    }
    Err(Error::TooDeep { id: local.1 })
}

/// Whether both functions take as many parameters and `fits` holds for each pair.
fn params_fit(
    local: (&Btf, &FuncProto<'_>),
    target: (&Btf, &FuncProto<'_>),
    fits: &mut dyn FnMut(Place<'_>, Place<'_>) -> Result<bool, Error>,
) -> Result<bool, Error> {
    if local.1.params().len() != target.1.params().len() {
        return Ok(false);
    }
    for (local_param, target_param) in local.1.params().zip(target.1.params()) {
        if !fits((local.0, local_param.type_id), (target.0, target_param.type_id))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether type `target` agrees in everything that `local` says: members and enumeration values of the local type exist by
/// name, numbers have the same size and sign, arrays the same length. Behind a pointer, structs and unions are compared by name
/// and kind only, and a declaration counts as the thing declared.
pub(super) fn types_match(local: Place<'_>, target: Place<'_>) -> Result<bool, Error> {
    Matching { visits: Visits::new(target.1) }.types(local, target, false, MAX_DEPTH)
}

struct Matching {
    visits: Visits,
}

impl Matching {
    fn types(
        &mut self,
        mut local: Place<'_>,
        mut target: Place<'_>,
        mut behind_pointer: bool,
        levels: usize,
    ) -> Result<bool, Error> {
        let levels = self.visits.descend(levels)?;
        for _ in 0..MAX_DEPTH {
            self.visits.count(1)?;
            let (local_id, target_id) =
                (local.0.skip_modifiers(local.1)?, target.0.skip_modifiers(target.1)?);
            if !names_match(local.0.name(local_id)?, target.0.name(target_id)?) {
                return Ok(false);
            }
            match (local.0.peek(local_id)?, target.0.peek(target_id)?) {
                (Type::Void, Type::Void) => return Ok(true),
                (Type::Fwd { is_union: local, .. }, Type::Fwd { is_union: target, .. }) => {
                    return Ok(local == target);
                }
                (Type::Fwd { is_union, .. }, Type::Struct(_))
                | (Type::Struct(_), Type::Fwd { is_union, .. }) => {
                    return Ok(behind_pointer && !is_union);
                }
                (Type::Fwd { is_union, .. }, Type::Union(_))
                | (Type::Union(_), Type::Fwd { is_union, .. }) => {
                    return Ok(behind_pointer && is_union);
                }
                (Type::Enum(local) | Type::Enum64(local), Type::Enum(target) | Type::Enum64(target)) => {
                    return self.enums(&local, &target);
                }
                (Type::Struct(local_type), Type::Struct(target_type))
                | (Type::Union(local_type), Type::Union(target_type)) => {
                    return if behind_pointer {
                        Ok(true)
                    } else {
                        self.members((local.0, &local_type), (target.0, &target_type), levels)
                    };
                }
                (Type::Int(local), Type::Int(target)) => {
                    return Ok(local.size_bytes == target.size_bytes && local.is_signed == target.is_signed);
                }
                (Type::Ptr { target: local_target }, Type::Ptr { target: target_target }) => {
                    behind_pointer = true;
                    (local.1, target.1) = (local_target, target_target);
                }
                (Type::Array(local_array), Type::Array(target_array))
                    if local_array.len == target_array.len =>
                {
                    (local.1, target.1) = (local_array.element, target_array.element);
                }
                (Type::FuncProto(local_proto), Type::FuncProto(target_proto)) => {
                    let mut fits = |local: Place<'_>, target: Place<'_>| {
                        self.types(local, target, behind_pointer, levels)
                    };
                    if !params_fit((local.0, &local_proto), (target.0, &target_proto), &mut fits)? {
                        return Ok(false);
                    }
                    (local.1, target.1) = (local_proto.return_type, target_proto.return_type);
                }
                _ => return Ok(false),
            }
        }
        Err(Error::TooDeep { id: local.1 })
    }

    /// Every local value exists by name; sizes agree, numbers need not.
    fn enums(&mut self, local: &Enum<'_>, target: &Enum<'_>) -> Result<bool, Error> {
        if local.size_bytes != target.size_bytes || local.values().len() > target.values().len() {
            return Ok(false);
        }
        for value in local.values() {
            self.visits.count(target.values().len())?;
            if !target.values().any(|other| names_match(value.name, other.name)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Every local member exists by name with a type that matches.
    fn members(
        &mut self,
        local: (&Btf, &Composite<'_>),
        target: (&Btf, &Composite<'_>),
        levels: usize,
    ) -> Result<bool, Error> {
        if local.1.members().len() > target.1.members().len() {
            return Ok(false);
        }
        for member in local.1.members() {
            self.visits.count(target.1.members().len())?;
            let mut fits = false;
            for other in target.1.members().filter(|other| names_match(member.name, other.name)) {
                if self.types((local.0, member.type_id), (target.0, other.type_id), false, levels)? {
                    fits = true;
                    break;
                }
            }
            if !fits {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
