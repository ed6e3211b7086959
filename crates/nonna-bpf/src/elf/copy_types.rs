//! Copies BTF types with all that they refer to from one BTF into another that is being made.
//!
//! Numbers and string offsets change on the way; nothing that no wanted type leads to is copied.

use nonna_btf::{Btf, BtfBuilder, Error, Kind, Member, Type, TypeId};
use rustc_hash::{FxHashMap, FxHashSet};

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
        while let Some((id, is_ready)) = stack.pop() {
            if self.number(id).is_some() {
                continue;
            }
            let ty = self.from.ty(id)?;
            if matches!(ty, Type::Struct(_) | Type::Union(_)) {
                // Its number must be known before its members are, since they may point back to it.
                self.numbers.insert(id, into.reserve());
                composites.push(id);
                stack.extend(references(&ty).into_iter().map(|id| (id, false)));
            } else if is_ready {
                open.remove(&id);
                let number = into.add_copy(&ty, |id| self.number(id).unwrap_or(TypeId::VOID));
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

    fn fill(&self, id: TypeId, into: &mut BtfBuilder) -> Result<(), Error> {
        let ty = self.from.ty(id)?;
        let (Type::Struct(found) | Type::Union(found)) = ty else { return Ok(()) };
        let kind = if matches!(ty, Type::Struct(_)) { Kind::Struct } else { Kind::Union };
        let number = |id| self.number(id).unwrap_or(TypeId::VOID);
        let members: Vec<Member<'_>> =
            found.members().map(|member| Member { type_id: number(member.type_id), ..member }).collect();
        into.fill(number(id), kind, found.name, found.size_bytes, &members);
        Ok(())
    }

    /// Copies the notes on declarations whose target was copied (such as `arg:ctx`, which the verifier reads).
    ///
    /// # Errors
    ///
    /// If a note cannot be read.
    pub(super) fn copy_notes(&mut self, into: &mut BtfBuilder) -> Result<(), Error> {
        for (id, _) in self.from.types().of_kind(Kind::DeclTag) {
            let ty = self.from.ty(id)?;
            if matches!(ty, Type::DeclTag { target, .. } if self.number(target).is_some()) {
                self.copy(id, into)?;
            }
        }
        Ok(())
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
