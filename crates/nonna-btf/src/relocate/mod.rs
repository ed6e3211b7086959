//! CO-RE: what an instruction must say on the kernel at hand.
//!
//! A compiler records "this offset is `task_struct.real_parent`" against its own copy of the types; [`Relocator`] finds the same
//! field, type or enumeration value in the kernel's BTF and answers with the value for that kernel. The rules are libbpf's
//! (tools/lib/bpf/relo_core.c and `bpf_core_add_cands` in libbpf.c), since objects are written against them. Patching
//! instructions is not done here: this room knows no bytecode.

mod compat;
mod spec;
mod value;

use rustc_hash::FxHashMap;

use crate::error::Error;
use crate::ext::CoreRelocation;
use crate::file::Btf;
use crate::kind::{Kind, TypeId};
use crate::relocation_kind::RelocationKind;

use spec::Spec;
pub use value::LoadSize;
use value::Value;

/// The answer to a relocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// What the instruction should hold now, from the local types.
    pub original: u64,
    /// Whether another value in the instruction means that object and relocation do not belong together. Where not, the
    /// compiler had a choice (bit fields) or linking may have changed it (type numbers).
    pub must_hold_original: bool,
    /// What the instruction must hold on this kernel. `None`: the kernel has no such field, type or value; the instruction
    /// becomes one that the verifier refuses if it can be reached.
    pub value: Option<u64>,
    /// Set where a plain field has another size on this kernel: then loads and stores change their width too.
    pub load: Option<LoadSize>,
    /// The type that was found: the number of the BTF it is in (0 is the kernel, then the modules in order) and its own.
    pub found: Option<(usize, TypeId)>,
}

/// Resolves the relocations of one object against a kernel and its modules. Candidates are looked up once for each local type;
/// [`Relocator::prepare`] looks up all of them in one pass.
#[derive(Debug)]
pub struct Relocator<'b> {
    local: &'b Btf,
    targets: Vec<&'b Btf>,
    candidates: FxHashMap<TypeId, Vec<Candidate>>,
}

/// A type with the right name and kind.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    target: usize,
    id: TypeId,
}

impl<'b> Relocator<'b> {
    /// For an object with the types `local`, on a kernel and its modules. Modules are searched only for types that the kernel
    /// does not have.
    pub fn new(local: &'b Btf, kernel: &'b Btf, modules: impl IntoIterator<Item = &'b Btf>) -> Relocator<'b> {
        let targets = std::iter::once(kernel).chain(modules).collect();
        Relocator { local, targets, candidates: FxHashMap::default() }
    }

    /// Looks up the candidates of many local types in one pass.
    ///
    /// # Errors
    /// If a local type does not exist or cannot be read.
    pub fn prepare(&mut self, local_ids: impl IntoIterator<Item = TypeId>) -> Result<(), Error> {
        let mut wanted: FxHashMap<&str, Vec<(Kind, TypeId)>> = FxHashMap::default();
        for id in local_ids {
            if self.candidates.contains_key(&id) {
                continue;
            }
            let (name, kind) = (essential_name(self.local.name(id)?), self.local.kind(id)?);
            wanted.entry(name).or_default().push((kind, id));
            self.candidates.insert(id, Vec::new());
        }
        wanted.remove("");
        for target in 0..self.targets.len() {
            if wanted.is_empty() {
                break;
            }
            self.search(target, &wanted);
            if target == 0 {
                wanted.retain(|_, locals| {
                    locals.retain(|(_, id)| self.candidates.get(id).is_some_and(Vec::is_empty));
                    !locals.is_empty()
                });
            }
        }
        Ok(())
    }

    /// Adds what one BTF has to the candidates of the wanted types. A module's BTF counts without its base.
    fn search(&mut self, target: usize, wanted: &FxHashMap<&str, Vec<(Kind, TypeId)>>) {
        let kinds = wanted.values().flatten().fold(0u32, |bits, (kind, _)| bits | 1 << same_as(*kind).raw());
        for record in self.targets[target].part.records() {
            let Ok(kind) = record.kind() else { continue };
            if kinds >> same_as(kind).raw() & 1 == 0 {
                continue;
            }
            let Some(locals) = record.name().ok().and_then(|name| wanted.get(essential_name(name))) else {
                continue;
            };
            for (_, id) in locals.iter().filter(|(local, _)| same_as(*local) == same_as(kind)) {
                self.candidates.entry(*id).or_default().push(Candidate { target, id: record.id });
            }
        }
    }

    /// What the relocation's instruction must hold on this kernel.
    ///
    /// # Errors
    /// If the relocation does not fit the local types, several types of the kernel match and disagree, or a type cannot be read. That
    /// the kernel has no such thing is no error.
    pub fn resolve(&mut self, relocation: &CoreRelocation) -> Result<Resolution, Error> {
        let (kind, id) = (relocation.kind, relocation.type_id);
        let local = Spec::parse(self.local, relocation)?;
        if kind == RelocationKind::TypeIdLocal {
            let number = u64::from(id.0);
            let value = Some(number);
            return Ok(Resolution {
                original: number,
                must_hold_original: false,
                value,
                load: None,
                found: None,
            });
        }
        if self.local.name(id)?.is_empty() {
            return Err(local.bad("an anonymous type cannot be looked for"));
        }
        if !self.candidates.contains_key(&id) {
            self.prepare([id])?;
        }
        let original =
            Value::of(&local, kind)?.ok_or_else(|| local.bad("it has no value in the local types"))?;
        let mut answer: Option<(Resolution, u64)> = None;
        let mut fitting = Vec::new();
        for candidate in self.candidates.get(&id).into_iter().flatten() {
            let Some(target) = local.find_in(self.targets[candidate.target], candidate.id, kind)? else {
                continue;
            };
            fitting.push(*candidate);
            let resolution = resolution(&local, &original, Some((*candidate, &target)), kind)?;
            match &answer {
                None => answer = Some((resolution, target.bit_offset)),
                Some((first, bit_offset))
                    if first.value == resolution.value && *bit_offset == target.bit_offset => {}
                Some(_) => {
                    return Err(Error::AmbiguousRelocation {
                        name: self.local.type_name(id),
                        access: local.text(),
                    });
                }
            }
        }
        match answer {
            Some((resolution, _)) => {
                // What did not match once is not tried again.
                self.candidates.insert(id, fitting);
                Ok(resolution)
            }
            None => resolution(&local, &original, None, kind),
        }
    }
}

/// Puts an answer together from the local value and, if there is one, the target's.
fn resolution(
    local: &Spec<'_>,
    original: &Value,
    target: Option<(Candidate, &Spec<'_>)>,
    kind: RelocationKind,
) -> Result<Resolution, Error> {
    let found = target.map(|(candidate, _)| (candidate.target, candidate.id));
    let value = match target {
        Some((_, target)) => Value::of(target, kind)?,
        None => Value::missing(kind),
    };
    let load = match (&value, target) {
        (Some(value), Some((_, target))) => LoadSize::between((local, original), (target, value))?,
        _ => None,
    };
    Ok(Resolution {
        original: original.number,
        must_hold_original: original.is_certain,
        value: value.map(|value| value.number),
        load,
        found,
    })
}

/// Both widths of enumeration count as one kind (`btf_kind_core_compat`).
fn same_as(kind: Kind) -> Kind {
    if kind == Kind::Enum64 { Kind::Enum } else { kind }
}

/// The name without its flavor: `task_struct` for `task_struct___old`. The separator is three underscores with something
/// else on both sides; the last one counts (`bpf_core_essential_name_len`).
fn essential_name(name: &str) -> &str {
    let bytes = name.as_bytes();
    let separator = bytes
        .windows(5)
        .rposition(|window| window[0] != b'_' && &window[1..4] == b"___" && window[4] != b'_');
    separator.and_then(|at| name.get(..=at)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::essential_name;

    #[test]
    fn a_flavor_is_what_follows_the_last_three_underscores() {
        for (name, expected) in [
            ("task_struct", "task_struct"),
            ("task_struct___old", "task_struct"),
            ("a___b___c", "a___b"),
            ("___lead", "___lead"),
            ("trail___", "trail___"),
            ("four____x", "four____x"),
            ("a__b", "a__b"),
            ("", ""),
        ] {
            assert_eq!(essential_name(name), expected);
        }
    }
}
