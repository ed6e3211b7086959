//! Copies BTF types with all that they refer to from one BTF into another that is being made.
//!
//! Numbers and string offsets change on the way; nothing that no wanted type leads to is copied. Names that the kernel
//! would not take, as languages other than C have them, are mended.

use nonna_btf::{Btf, BtfBuilder, EnumValue, Error, Kind, Member, Param, Type, TypeId};
use rustc_hash::{FxHashMap, FxHashSet};
use std::borrow::Cow;

/// Copies types; each is copied once.
pub(super) struct TypeCopier<'a> {
    from: &'a Btf,
    numbers: FxHashMap<TypeId, TypeId>,
}

impl<'a> TypeCopier<'a> {
    pub(super) fn new(from: &'a Btf) -> Self {
        TypeCopier { from, numbers: FxHashMap::default() }
    }

    /// The number of a type in the copy, if it was copied.
    pub(super) fn number(&self, id: TypeId) -> Option<TypeId> {
        if id == TypeId::VOID { Some(id) } else { self.numbers.get(&id).copied() }
    }

    /// Says that `id` is called `number` in the copy, so that it is not copied.
    pub(super) fn set(&mut self, id: TypeId, number: TypeId) {
        self.numbers.insert(id, number);
    }

    /// Copies `root` and what it refers to.
    ///
    /// # Errors
    ///
    /// If a type cannot be read, or contains itself without a struct or union in between.
    pub(super) fn copy(&mut self, root: TypeId, into: &mut BtfBuilder) -> Result<TypeId, Error> {
        let mut stack = vec![(root, false)];
        let mut open = FxHashSet::default();
        let mut composites = Vec::new();
        // What members refer to waits until nothing is open: it may lead back to what is, and only a struct or union can be
        // referred to before it is copied.
        let mut waiting = Vec::new();
        while let Some((id, is_ready)) = stack.pop().or_else(|| waiting.pop().map(|id| (id, false))) {
            if self.number(id).is_some() {
                continue;
            }
            let ty = self.from.ty(id)?;
            if matches!(ty, Type::Struct(_) | Type::Union(_)) {
                // Its number must be known before its members are, since they may point back to it.
                self.numbers.insert(id, into.reserve());
                composites.push(id);
                waiting.extend(references(&ty));
            } else if is_ready {
                open.remove(&id);
                let number = self.add(&ty, into);
                self.numbers.insert(id, number);
            } else if open.insert(id) {
                stack.push((id, true));
                stack.extend(references(&ty).into_iter().map(|id| (id, false)));
            } else {
                return Err(Error::TooDeep { id });
            }
        }
        for id in composites {
            self.fill(id, into)?;
        }
        Ok(self.number(root).unwrap_or(TypeId::VOID))
    }

    /// Adds a type whose references were copied before.
    fn add(&self, ty: &Type<'_>, into: &mut BtfBuilder) -> TypeId {
        let number = |id| self.number(id).unwrap_or(TypeId::VOID);
        match *ty {
            Type::Typedef { name, target } => into.add_typedef(&identifier(name), number(target)),
            Type::Fwd { name, is_union } => into.add_fwd(&identifier(name), is_union),
            Type::Var(var) => into.add_var(&identifier(var.name), number(var.target), var.linkage),
            Type::Func(func) => into.add_func(&identifier(func.name), number(func.proto), func.linkage),
            Type::Enum(found) | Type::Enum64(found) => {
                let names: Vec<_> = found.values().map(|value| identifier(value.name)).collect();
                let values: Vec<_> = found
                    .values()
                    .zip(&names)
                    .map(|(value, name)| EnumValue { name, value: value.value })
                    .collect();
                let add =
                    if matches!(ty, Type::Enum(_)) { BtfBuilder::add_enum } else { BtfBuilder::add_enum64 };
                add(into, &identifier(found.name), found.size_bytes, found.is_signed, &values)
            }
            Type::FuncProto(proto) => {
                let names: Vec<_> = proto.params().map(|param| identifier(param.name)).collect();
                let params: Vec<_> = proto
                    .params()
                    .zip(&names)
                    .map(|(param, name)| Param { name, type_id: number(param.type_id) })
                    .collect();
                into.add_func_proto(number(proto.return_type), &params)
            }
            _ => into.add_copy(ty, number),
        }
    }

    fn fill(&self, id: TypeId, into: &mut BtfBuilder) -> Result<(), Error> {
        let ty = self.from.ty(id)?;
        let (Type::Struct(found) | Type::Union(found)) = ty else { return Ok(()) };
        let kind = if matches!(ty, Type::Struct(_)) { Kind::Struct } else { Kind::Union };
        let number = |id| self.number(id).unwrap_or(TypeId::VOID);
        let names: Vec<_> = found.members().map(|member| identifier(member.name)).collect();
        let members: Vec<Member<'_>> = found
            .members()
            .zip(&names)
            .map(|(member, name)| Member { name, type_id: number(member.type_id), ..member })
            .collect();
        into.fill(number(id), kind, &identifier(found.name), found.size_bytes, &members);
        Ok(())
    }

    /// Copies the notes on declarations whose target was copied (such as `arg:ctx`, which the verifier reads). A note
    /// `contains:NAME:FIELD` on the head of a list names a struct that nothing else need refer to.
    ///
    /// # Errors
    ///
    /// If a note cannot be read.
    pub(super) fn copy_notes(&mut self, into: &mut BtfBuilder) -> Result<(), Error> {
        let notes: Vec<TypeId> = self.from.types().of_kind(Kind::DeclTag).map(|(id, _)| id).collect();
        loop {
            let mut is_complete = true;
            for &id in &notes {
                let Type::DeclTag { text, target, .. } = self.from.ty(id)? else { continue };
                if self.numbers.contains_key(&id) || target == TypeId::VOID || self.number(target).is_none() {
                    continue;
                }
                is_complete = false;
                self.copy(id, into)?;
                let name = text.strip_prefix("contains:").and_then(|rest| rest.split(':').next());
                if let Some(found) = name.and_then(|name| self.from.find(Kind::Struct, name)) {
                    self.copy(found, into)?;
                }
            }
            if is_complete {
                return Ok(());
            }
        }
    }
}

/// The types that a type refers to, in order.
fn references(ty: &Type<'_>) -> Vec<TypeId> {
    match ty {
        Type::Void
        | Type::Int(_)
        | Type::Enum(_)
        | Type::Enum64(_)
        | Type::Fwd { .. }
        | Type::Float { .. } => Vec::new(),
        Type::Ptr { target }
        | Type::Typedef { target, .. }
        | Type::Volatile { target }
        | Type::Const { target }
        | Type::Restrict { target }
        | Type::DeclTag { target, .. }
        | Type::TypeTag { target, .. } => vec![*target],
        Type::Array(array) => vec![array.element, array.index],
        Type::Struct(found) | Type::Union(found) => found.members().map(|member| member.type_id).collect(),
        Type::Func(func) => vec![func.proto],
        Type::FuncProto(proto) => {
            std::iter::once(proto.return_type).chain(proto.params().map(|param| param.type_id)).collect()
        }
        Type::Var(var) => vec![var.target],
        Type::DataSec(section) => section.vars().map(|var| var.type_id).collect(),
    }
}

/// A name as the kernel takes it for types, members and functions (`btf_name_valid_identifier` in kernel/bpf/btf.c).
pub(super) fn identifier(name: &str) -> Cow<'_, str> {
    let is_fine = |(i, c): (usize, char)| {
        c == '_' || c == '.' || if i == 0 { c.is_ascii_alphabetic() } else { c.is_ascii_alphanumeric() }
    };
    if name.chars().enumerate().all(is_fine) {
        return Cow::Borrowed(name);
    }
    let mended: String =
        name.chars().map(|c| if c == '.' || c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if mended.starts_with(|c: char| c.is_ascii_digit()) {
        Cow::Owned(format!("_{mended}"))
    } else {
        Cow::Owned(mended)
    }
}
