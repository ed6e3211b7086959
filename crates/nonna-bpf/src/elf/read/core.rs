//! CO-RE: instructions that depend on the kernel's types.
//!
//! What belongs into an instruction is found by [`Relocator`]; here it is put there, by the rules of
//! `bpf_core_patch_insn` (tools/lib/bpf/relo_core.c), since compilers write for them.

use nonna_btf::{Btf, CoreRelocation, RelocationKind, Relocator, Resolution, TypeId};
use rustc_hash::FxHashMap;

use super::ElfError;
use super::types::Types;
use crate::codec::{SLOT_BYTES, SlotMap};
use crate::insn::{Callee, Imm64, Insn, MemSize, Operand};

/// The helper that stands for what the kernel does not have: verifiers print it as `unknown#195896080`, and refuse it if
/// it can be reached. The number is libbpf's (`0xbad2310`).
pub const UNRESOLVED_RELOCATION: u32 = 195_896_080;

/// Relocates sections against a kernel's types.
pub(super) struct Core<'b> {
    relocator: Option<Relocator<'b>>,
}

/// What an instruction becomes.
enum Patched {
    Insn(Insn),
    /// Something that the verifier refuses, in each of its slots.
    Refused,
}

impl<'b> Core<'b> {
    pub(super) fn new(types: &Types<'b>, target: Option<&'b Btf>) -> Result<Core<'b>, ElfError> {
        let mut relocator = target.map(|target| Relocator::new(types.local, target, []));
        if let Some(relocator) = &mut relocator {
            let wanted = types.ext.relocations.iter().flat_map(|part| &part.records);
            let ids: Vec<TypeId> = wanted
                .filter(|relocation| relocation.kind != RelocationKind::TypeIdLocal)
                .map(|relocation| relocation.type_id)
                .collect();
            relocator.prepare(ids).map_err(|source| ElfError::Btf { section: ".BTF.ext", source })?;
        }
        Ok(Core { relocator })
    }

    /// Relocates the instructions of a section; `blame` hears which slot cannot be.
    pub(super) fn relocate(
        &mut self,
        types: &mut Types<'b>,
        section: &str,
        insns: Vec<Insn>,
        mut blame: impl FnMut(u64, ElfError) -> Result<(), ElfError>,
    ) -> Result<Vec<Insn>, ElfError> {
        let slots = SlotMap::new(&insns);
        let mut patches = FxHashMap::default();
        for part in types.ext.relocations.iter().filter(|part| part.name == section) {
            for relocation in &part.records {
                let slot = u64::from(relocation.offset_bytes) / SLOT_BYTES as u64;
                let failed =
                    |reason: String| ElfError::Relocation { section: section.to_owned(), slot, reason };
                let index = slots.index(relocation.offset_bytes / SLOT_BYTES as u32);
                let index = index.ok_or_else(|| failed("a CO-RE relocation stands on no instruction".into()));
                let patched = index.and_then(|index| {
                    let resolution = self.resolve(types, relocation, failed)?;
                    Ok((index, patch(insns[index], &resolution).map_err(failed)?))
                });
                match patched {
                    Ok((index, patched)) => _ = patches.insert(index, patched),
                    Err(ElfError::TargetNeeded) => return Err(ElfError::TargetNeeded),
                    Err(error) => blame(slot, error)?,
                }
            }
        }
        if patches.is_empty() {
            return Ok(insns);
        }
        let refused = Insn::Call(Callee::Helper(UNRESOLVED_RELOCATION));
        let mut patched = Vec::with_capacity(insns.len());
        for (index, insn) in insns.into_iter().enumerate() {
            match patches.remove(&index) {
                None => patched.push(insn),
                Some(Patched::Insn(insn)) => patched.push(insn),
                Some(Patched::Refused) => patched.extend((0..insn.slots()).map(|_| refused)),
            }
        }
        Ok(patched)
    }

    fn resolve(
        &mut self,
        types: &mut Types<'b>,
        relocation: &CoreRelocation,
        failed: impl Fn(String) -> ElfError,
    ) -> Result<Resolution, ElfError> {
        if relocation.kind == RelocationKind::TypeIdLocal {
            // The object's types are numbered anew.
            let value = types.copy(relocation.type_id)?;
            return Ok(Resolution {
                original: relocation.type_id.0.into(),
                must_hold_original: false,
                value: Some(value.0.into()),
                load: None,
                found: None,
            });
        }
        let relocator = self.relocator.as_mut().ok_or(ElfError::TargetNeeded)?;
        relocator.resolve(relocation).map_err(|error| failed(error.to_string()))
    }
}

/// Puts the answer into an instruction.
fn patch(insn: Insn, resolution: &Resolution) -> Result<Patched, String> {
    let is_original = |held: u64| !resolution.must_hold_original || held == resolution.original;
    let unexpected = |held: u64| {
        Err(format!("`{insn}` holds {held}, which is not {} as the types say", resolution.original))
    };
    let Some(value) = resolution.value else { return Ok(Patched::Refused) };
    match insn {
        Insn::Alu { width, op, dst, src: Operand::Imm(imm) } => {
            let held = i64::from(imm) as u64;
            if !is_original(held) && !is_original(held & 0xffff_ffff) {
                return unexpected(held);
            }
            Ok(Patched::Insn(Insn::Alu { width, op, dst, src: Operand::Imm(value as u32 as i32) }))
        }
        Insn::LoadImm64 { dst, value: Imm64::Value(held) } => {
            if !is_original(held) {
                return unexpected(held);
            }
            Ok(Patched::Insn(Insn::LoadImm64 { dst, value: Imm64::Value(value) }))
        }
        Insn::Load { size, offset, .. }
        | Insn::Store { size, offset, .. }
        | Insn::Atomic { size, offset, .. } => {
            if !is_original(i64::from(offset) as u64) {
                return unexpected(i64::from(offset) as u64);
            }
            let new_offset =
                i16::try_from(value).map_err(|_| format!("`{insn}` cannot reach {value} bytes far"))?;
            match resolution.load {
                Some(load) if !load.is_safe => Ok(Patched::Refused),
                Some(load) => {
                    if u64::from(size.bytes()) != load.original_bytes {
                        return Err(format!("`{insn}` does not access {} bytes", load.original_bytes));
                    }
                    let new_size = u32::try_from(load.bytes).ok().and_then(MemSize::from_bytes);
                    let new_size =
                        new_size.ok_or_else(|| format!("`{insn}` cannot access {} bytes", load.bytes))?;
                    Ok(Patched::Insn(with_access(insn, new_offset, new_size)))
                }
                None => Ok(Patched::Insn(with_access(insn, new_offset, size))),
            }
        }
        _ => Err(format!("a CO-RE relocation stands on `{insn}`, which takes none")),
    }
}

/// A load, store or atomic operation with another offset and size.
fn with_access(mut insn: Insn, new_offset: i16, new_size: MemSize) -> Insn {
    if let Insn::Load { size, offset, .. }
    | Insn::Store { size, offset, .. }
    | Insn::Atomic { size, offset, .. } = &mut insn
    {
        (*offset, *size) = (new_offset, new_size);
    }
    insn
}
