//! Pointers that the verifier trusts, given up for ones that it does not: it then has less to prove.
//!
//! For every pointer loaded through a trusted one, Linux from 6.3 on asks whether the trust goes on, and looks through
//! all types of the kernel several times for the answer (`type_is_trusted` and its like in kernel/bpf/verifier.c). What
//! is loaded through an untrusted pointer is untrusted without further ado, and may be read all the same: a fault yields
//! 0. So where a program follows a pointer, it begins at a cast (`bpf_rdonly_cast`, which becomes a move). Only calls
//! that want a trusted pointer get the one that was cast.

use nonna_bpf::{Argument, Helper};
use nonna_btf::TypeId;
use nonna_ir::{Function, Inst, InstId, KernelField, Region, Type, Value};
use rustc_hash::FxHashMap;

use super::Legalizer;
use super::origin::{Origin, Origins, Sources, is_context};
use super::walk::Found;

/// The kernel's function that makes an untrusted pointer of anything (Linux 6.2).
pub const CAST_FUNCTION: &str = "bpf_rdonly_cast";

/// What the verifier trusts.
pub struct Trust<'a> {
    /// Pointers among the arguments.
    pub arguments: bool,
    /// Whether there is [`CAST_FUNCTION`] and it may be called; finding out costs a search through all types.
    pub can_cast: &'a dyn Fn() -> bool,
}

/// Pointers that are cast where they are made, and the structures that they point to.
pub type Casts = FxHashMap<Value, TypeId>;

/// Which pointers to cast: trusted ones through which other pointers are loaded.
pub fn casts(
    function: &Function,
    members: &FxHashMap<InstId, (Value, KernelField)>,
    origins: &Origins,
    (sources, trust): (Sources<'_>, &Trust<'_>),
) -> Casts {
    let bases = bases(function, origins, trust);
    let mut casts = Casts::default();
    // Structures read through a pointer that may be one of several, and whether a pointer was.
    let mut several: Vec<(TypeId, bool)> = Vec::new();
    for (pointer, field) in members.values().filter(|_| !bases.is_empty()) {
        let origin = origins.of(*pointer);
        let Origin::Typed { pointee, .. } = origin else { continue };
        let leads_on = matches!(sources.load(origin, field), Some(Found::Pointer { .. }));
        if function.definition(*pointer).is_none() {
            several.push((pointee, leads_on));
        } else if leads_on && bases.contains_key(pointer) {
            casts.insert(*pointer, pointee);
        }
    }
    // It stays a pointer to read through only where all that it may be are cast, or none.
    for (pointee, leads_on) in several {
        if leads_on || casts.values().any(|of| *of == pointee) {
            casts.extend(bases.iter().filter(|(_, of)| **of == pointee).map(|(base, of)| (*base, *of)));
        }
    }
    if casts.is_empty() || wants_loaded_pointers(function, origins, &bases) || !(trust.can_cast)() {
        return Casts::default();
    }
    casts
}

/// Pointers that are trusted for what they are, not for what they were loaded through.
fn bases(function: &Function, origins: &Origins, trust: &Trust<'_>) -> Casts {
    let mut bases = Casts::default();
    for &id in function.blocks.values().flat_map(|data| &data.insts) {
        let data = &function.insts[id];
        let is_trusted = match data.inst {
            Inst::CurrentTask => true,
            Inst::Arg { .. } => trust.arguments,
            Inst::Load { pointer, .. } => trust.arguments && is_context(function, pointer),
            _ => false,
        };
        if let Some(result) = data.result.filter(|_| is_trusted)
            && let Origin::Typed { pointee, .. } = origins.of(result)
        {
            bases.insert(result, pointee);
        }
    }
    bases
}

/// Whether a helper that wants a trusted pointer is given one that was loaded.
fn wants_loaded_pointers(function: &Function, origins: &Origins, bases: &Casts) -> bool {
    let mut insts = function.blocks.values().flat_map(|data| &data.insts);
    insts.any(|&id| {
        let Inst::CallHelper { helper, args } = &function.insts[id].inst else { return false };
        let mut trusting = args.iter().enumerate().filter(|(idx, _)| wants_trusted(*helper, *idx));
        trusting.any(|(_, &arg)| {
            let mut root = arg;
            while let Some(Inst::Cast(inner)) = function.definition(root) {
                root = *inner;
            }
            origins.of(arg).is_pointer() && !bases.contains_key(&root)
        })
    })
}

/// Whether a helper takes a kernel pointer that the verifier must vouch for.
fn wants_trusted(helper: Helper, idx: usize) -> bool {
    matches!(
        helper.info().signature.arguments.get(idx),
        Some(
            Argument::Kernel { .. }
                | Argument::KernelPointer
                | Argument::SockCommon
                | Argument::SocketOrNull
                | Argument::Socket { .. }
        )
    )
}

impl Legalizer<'_> {
    pub(super) fn is_cast(&self, id: InstId) -> bool {
        self.structure_of_cast(id).is_some()
    }

    fn structure_of_cast(&self, id: InstId) -> Option<TypeId> {
        self.casts.get(&self.b.function().insts[id].result?).copied()
    }

    /// What stands for an instruction whose value this is: the value, or its cast.
    pub(super) fn distrust(&mut self, id: InstId, value: Value) -> Value {
        let Some(structure) = self.structure_of_cast(id) else { return value };
        let result = Type::Pointer(Region::Kernel(Some(structure)));
        let cast = self.b.inst(Inst::Distrust(value), result);
        self.trusted.insert(cast, value);
        cast
    }

    /// Gives a helper the pointers that were cast, where it would refuse the casts.
    pub(super) fn restore_trust(&self, helper: Helper, args: &mut [Value]) {
        for (idx, arg) in args.iter_mut().enumerate() {
            if wants_trusted(helper, idx)
                && let Some(trusted) = self.trusted.get(&self.root(*arg))
            {
                *arg = *trusted;
            }
        }
    }
}
