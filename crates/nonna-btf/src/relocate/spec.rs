//! `Spec`: one access, spelled out in the terms of one BTF.
//!
//! The access text `0:1:2` counts members and elements of the local types. A spec keeps what means something elsewhere
//! too: the named members and array indexes on the way, and the bit offset that they add up to. Finding an access in
//! another BTF is making a spec for it by those names.

use crate::error::Error;
use crate::ext::CoreRelocation;
use crate::file::Btf;
use crate::kind::{Kind, TypeId};
use crate::resolve::{MAX_DEPTH, Visits};
use crate::types::{Array, Composite, Member, Type};

use super::compat::{fields_are_compatible, types_are_compatible, types_match};
use super::{essential_name, same_as};
use crate::relocation_kind::RelocationKind;

/// Steps of an access, anonymous members included (`BPF_CORE_SPEC_MAX_LEN`).
const MAX_STEPS: usize = 64;

/// No access reaches this far (128 GiB); below it, sums of offsets cannot overflow.
const MAX_BITS: u64 = 1 << 40;

/// An access in one BTF.
#[derive(Clone, Debug)]
pub(super) struct Spec<'b> {
    pub(super) btf: &'b Btf,
    /// The type that the access starts from.
    pub(super) root: TypeId,
    /// What means something in other BTFs too: first the root as an array element (or the enumeration value), then named
    /// members and array elements.
    pub(super) steps: Vec<Step<'b>>,
    /// Where it ends, in bits from the start of the root.
    pub(super) bit_offset: u64,
    /// Steps with those into anonymous members.
    depth: usize,
}

/// A step of an access.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step<'b> {
    /// The struct or union of a member; the element's type otherwise.
    pub(super) type_id: TypeId,
    /// Number of the member, element or enumeration value.
    pub(super) nth: u32,
    /// Set for members and enumeration values.
    pub(super) name: Option<&'b str>,
}

impl<'b> Spec<'b> {
    /// Reads the access of a relocation against its own BTF.
    pub(super) fn parse(btf: &'b Btf, relocation: &CoreRelocation) -> Result<Spec<'b>, Error> {
        let (root, kind) = (relocation.type_id, relocation.kind);
        let mut spec = Spec { btf, root, steps: Vec::new(), bit_offset: 0, depth: 0 };
        let text = btf.string(relocation.access)?;
        let malformed = || spec.bad("its access text is malformed");
        let path: Vec<u32> =
            text.split(':').map(str::parse).collect::<Result<_, _>>().map_err(|_| malformed())?;
        let Some((first, rest)) = path.split_first() else { return Err(malformed()) };
        // The root has to exist even where nothing else is asked of it.
        let bare = btf.skip_modifiers(root)?;
        if kind.is_about_type() {
            return if path == [0] { Ok(spec) } else { Err(malformed()) };
        }
        if kind.is_about_enum_value() {
            let value = enum_value_name(btf, bare, *first).filter(|_| rest.is_empty());
            let name = value.ok_or_else(|| spec.bad("it names no enumeration value"))?;
            spec.steps.push(Step { type_id: bare, nth: *first, name: Some(name) });
            return Ok(spec);
        }
        if path.len() > MAX_STEPS {
            return Err(malformed());
        }
        spec.enter_element(bare, *first)?;
        let mut at = bare;
        for nth in rest {
            at = spec.enter_local(btf.skip_modifiers(at)?, *nth)?;
        }
        Ok(spec)
    }

    /// Steps into member or element `nth` of the local type `id`; returns its type.
    fn enter_local(&mut self, id: TypeId, nth: u32) -> Result<TypeId, Error> {
        match self.btf.peek(id)? {
            Type::Struct(found) | Type::Union(found) => {
                let Some(member) = nth_member(&found, nth) else {
                    return Err(self.bad("it names no member"));
                };
                self.enter_member(id, nth, &member);
                Ok(member.type_id)
            }
            Type::Array(array) => {
                if nth >= array.len && !self.is_flexible(&array) {
                    return Err(self.bad("its index is past the end of the array"));
                }
                let element = self.btf.skip_modifiers(array.element)?;
                self.enter_element(element, nth)?;
                Ok(element)
            }
            _ => Err(self.bad("it reaches into a type that has no parts")),
        }
    }

    fn enter_member(&mut self, id: TypeId, nth: u32, member: &Member<'b>) {
        self.bit_offset += u64::from(member.bit_offset);
        self.depth += 1;
        if !member.name.is_empty() {
            self.steps.push(Step { type_id: id, nth, name: Some(member.name) });
        }
    }

    fn enter_element(&mut self, element: TypeId, nth: u32) -> Result<(), Error> {
        self.depth += 1;
        if self.depth > MAX_STEPS {
            return Err(Error::TooDeep { id: self.root });
        }
        self.steps.push(Step { type_id: element, nth, name: None });
        let bits =
            self.btf.size_of(element)?.checked_mul(u64::from(nth)).and_then(|bytes| bytes.checked_mul(8));
        let offset = bits.and_then(|bits| self.bit_offset.checked_add(bits));
        self.bit_offset = offset.filter(|bits| *bits < MAX_BITS).ok_or(Error::Overflow { id: element })?;
        Ok(())
    }

    /// Whether `array`, into which the next step leads, is the flexible last member of its struct.
    fn is_flexible(&self, array: &Array) -> bool {
        let Some(Step { type_id, nth, name: Some(_) }) = self.steps.last() else { return false };
        let Ok(Type::Struct(found) | Type::Union(found)) = self.btf.peek(*type_id) else { return false };
        array.len == 0 && *nth as usize + 1 == found.members().len()
    }

    /// The same access from type `id` of another BTF; `None` if it is not there or not compatible.
    pub(super) fn find_in<'t>(
        &self,
        btf: &'t Btf,
        id: TypeId,
        kind: RelocationKind,
    ) -> Result<Option<Spec<'t>>, Error> {
        let mut found = Spec { btf, root: id, steps: Vec::new(), bit_offset: 0, depth: 0 };
        if kind.is_about_type() {
            let (local, target) = ((self.btf, self.root), (btf, id));
            let fits = if kind == RelocationKind::TypeMatches {
                types_match(local, target)?
            } else {
                types_are_compatible(local, target)?
            };
            return Ok(fits.then_some(found));
        }
        if kind.is_about_enum_value() {
            return self.find_enum_value(found);
        }
        let mut at = id;
        for (nth, step) in self.steps.iter().enumerate() {
            at = btf.skip_modifiers(at)?;
            let next = match step.name {
                Some(name) => found.find_member((self.btf, step), name, at)?,
                None if nth == 0 => Some(at),
                None => match btf.peek(at)? {
                    Type::Array(array) if step.nth < array.len || found.is_flexible(&array) => {
                        Some(btf.skip_modifiers(array.element)?)
                    }
                    _ => None,
                },
            };
            let Some(next) = next else { return Ok(None) };
            if step.name.is_none() {
                found.enter_element(next, step.nth)?;
            }
            at = next;
        }
        Ok(Some(found))
    }

    fn find_enum_value<'t>(&self, mut found: Spec<'t>) -> Result<Option<Spec<'t>>, Error> {
        let id = found.btf.skip_modifiers(found.root)?;
        let wanted = self.steps.first().and_then(|step| step.name).unwrap_or("");
        let (Type::Enum(target) | Type::Enum64(target)) = found.btf.peek(id)? else { return Ok(None) };
        for (nth, value) in (0u32..).zip(target.values()) {
            if essential_name(value.name) == essential_name(wanted) {
                found.steps.push(Step { type_id: id, nth, name: Some(value.name) });
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Enters the member called `name` of `id` or of its anonymous members, if its type is compatible with the local one's.
    fn find_member(
        &mut self,
        local: (&Btf, &Step<'_>),
        name: &str,
        id: TypeId,
    ) -> Result<Option<TypeId>, Error> {
        let (local_btf, step) = local;
        let (Type::Struct(holder) | Type::Union(holder)) = local_btf.peek(step.type_id)? else {
            return Ok(None);
        };
        let Some(local_member) = nth_member(&holder, step.nth) else { return Ok(None) };
        let start = (self.bit_offset, self.depth);
        let found = self.search_members(name, id, MAX_DEPTH, &mut Visits::new(id))?;
        let fits = match found {
            Some(type_id) => fields_are_compatible((local_btf, local_member.type_id), (self.btf, type_id))?,
            None => false,
        };
        if !fits {
            (self.bit_offset, self.depth) = start;
            if found.is_some() {
                self.steps.pop();
            }
        }
        Ok(found.filter(|_| fits))
    }

    /// Enters the first member called `name`, depth first; returns its type.
    fn search_members(
        &mut self,
        name: &str,
        id: TypeId,
        levels: usize,
        visits: &mut Visits,
    ) -> Result<Option<TypeId>, Error> {
        let levels = visits.descend(levels)?;
        let (Type::Struct(found) | Type::Union(found)) = self.btf.peek(id)? else { return Ok(None) };
        visits.count(found.members().len())?;
        for (nth, member) in (0u32..).zip(found.members()) {
            if member.name != name && !member.name.is_empty() {
                continue;
            }
            if self.depth >= MAX_STEPS {
                return Err(Error::TooDeep { id: self.root });
            }
            let before = (self.bit_offset, self.depth);
            self.enter_member(id, nth, &member);
            if !member.name.is_empty() {
                return Ok(Some(member.type_id));
            }
            let inner = self.btf.skip_modifiers(member.type_id)?;
            if let Some(found) = self.search_members(name, inner, levels, visits)? {
                return Ok(Some(found));
            }
            (self.bit_offset, self.depth) = before;
        }
        Ok(None)
    }

    /// The access as C writes it, for messages: `task_struct.comm[3]`.
    pub(super) fn text(&self) -> String {
        let mut text = String::from(self.btf.name(self.root).unwrap_or(""));
        for (at, step) in self.steps.iter().enumerate() {
            match step.name {
                Some(name) => text.extend([".", name]),
                None if at == 0 && step.nth == 0 => {}
                None => text += &format!("[{}]", step.nth),
            }
        }
        text
    }

    /// The error that this access makes no sense.
    pub(super) fn bad(&self, reason: &'static str) -> Error {
        Error::BadRelocation { name: self.btf.type_name(self.root), access: self.text(), reason }
    }
}

fn nth_member<'b>(found: &Composite<'b>, nth: u32) -> Option<Member<'b>> {
    found.members().nth(usize::try_from(nth).ok()?)
}

fn enum_value_name(btf: &Btf, id: TypeId, nth: u32) -> Option<&str> {
    if same_as(btf.kind(id).ok()?) != Kind::Enum {
        return None;
    }
    let (Type::Enum(found) | Type::Enum64(found)) = btf.peek(id).ok()? else { return None };
    found.values().nth(usize::try_from(nth).ok()?).map(|value| value.name)
}
