//! What an object names and only the running kernel knows: descriptors, BTF ids, addresses.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nonna_bpf::{
    AttachType, Callee, Imm64, Insn, MapIdx, Object, Program, ProgramType, Relocation, RelocationTarget,
    SlotMap,
};
use nonna_btf::{Kind, TypeId};
use rustc_hash::FxHashMap;

use super::LoadError;
use crate::btf::{self, ModuleBtf};
use crate::kernel::Kernel;
use crate::map::KernelMap;

/// A call that no kernel has: a weak function that is missing becomes it, and the verifier objects only if it is reached.
const ABSENT_HELPER: u32 = 0x7fff_ffff;

/// Where a type was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Found {
    id: TypeId,
    /// Index into [`Resolver::modules`]; `None` is the kernel itself.
    module: Option<usize>,
}

/// Resolves names for one object; each is looked up once.
pub(super) struct Resolver<'l> {
    kernel: &'l Kernel,
    maps: &'l [KernelMap],
    found: FxHashMap<(Kind, String), Option<Found>>,
    modules: Vec<ModuleBtf>,
}

impl<'l> Resolver<'l> {
    pub fn new(kernel: &'l Kernel, maps: &'l [KernelMap]) -> Self {
        Self { kernel, maps, found: FxHashMap::default(), modules: Vec::new() }
    }

    /// Looks up everything that the object names in one pass over the kernel's BTF.
    pub fn look_up(&mut self, object: &Object) -> Result<(), LoadError> {
        let mut wanted: Vec<(Kind, String)> = Vec::new();
        for program in &object.programs {
            wanted.extend(attach_name(program));
            wanted.extend(program.relocations.iter().filter_map(|r| btf_name(&r.target)));
        }
        wanted.sort();
        wanted.dedup();
        if wanted.is_empty() {
            return Ok(());
        }
        let vmlinux = self.kernel.btf()?;
        let names: Vec<(Kind, &str)> = wanted.iter().map(|(kind, name)| (*kind, name.as_str())).collect();
        let ids = vmlinux.find_many(&names);
        for ((kind, name), id) in wanted.into_iter().zip(ids) {
            let found = match id {
                Some(id) => Some(Found { id, module: None }),
                None => btf::find_in_modules(&vmlinux, kind, &name)?.map(|(module, id)| {
                    self.modules.push(module);
                    Found { id, module: Some(self.modules.len() - 1) }
                }),
            };
            self.found.insert((kind, name), found);
        }
        Ok(())
    }

    fn find(&self, kind: Kind, name: &str) -> Option<Found> {
        self.found.get(&(kind, name.to_owned())).copied().flatten()
    }

    /// The BTF id that the load call names, and the module it counts in.
    pub fn attach_id(&self, program: &Program) -> Result<(u32, Option<BorrowedFd<'_>>), LoadError> {
        let Some((kind, name)) = attach_name(program) else { return Ok((0, None)) };
        match self.find(kind, &name) {
            Some(found) => Ok((found.id.0, found.module.map(|m| self.modules[m].fd.as_fd()))),
            None => Err(LoadError::Missing { program: program.name.clone(), what: what_is(program), name }),
        }
    }

    /// The instructions with everything filled in, and the descriptors that they name by index.
    pub fn relocate(&self, program: &Program) -> Result<(Vec<Insn>, Vec<i32>), LoadError> {
        let mut insns = program.insns.clone();
        let mut fd_array = Vec::new();
        let slots = SlotMap::new(&program.insns);
        for relocation in &program.relocations {
            let malformed = |reason: &str| LoadError::Malformed {
                program: program.name.clone(),
                slot: relocation.slot,
                reason: reason.to_owned(),
            };
            let idx = slots.index(relocation.slot).ok_or_else(|| malformed("no instruction starts here"))?;
            insns[idx] = match (insns[idx], &relocation.target) {
                (Insn::Call(_), RelocationTarget::Kfunc { name, weak }) => {
                    Insn::Call(self.kfunc(program, name, *weak, &mut fd_array)?)
                }
                (Insn::LoadImm64 { dst, .. }, _) => {
                    let value = self.imm64(program, relocation)?;
                    Insn::LoadImm64 { dst, value: value.ok_or_else(|| malformed("a call belongs here"))? }
                }
                (_, RelocationTarget::Kfunc { .. }) => return Err(malformed("no call to fill in")),
                _ => return Err(malformed("no 64-bit immediate load to fill in")),
            };
        }
        Ok((insns, fd_array))
    }

    fn map_fd(&self, program: &Program, slot: u32, MapIdx(idx): MapIdx) -> Result<i32, LoadError> {
        match self.maps.get(idx as usize) {
            Some(map) => Ok(map.as_fd().as_raw_fd()),
            None => Err(LoadError::Malformed {
                program: program.name.clone(),
                slot,
                reason: format!("there is no map {idx}"),
            }),
        }
    }

    /// What a 64-bit immediate load takes; `None` for what belongs in a call.
    fn imm64(&self, program: &Program, relocation: &Relocation) -> Result<Option<Imm64>, LoadError> {
        Ok(Some(match &relocation.target {
            RelocationTarget::Map(map) => Imm64::MapFd(self.map_fd(program, relocation.slot, *map)?),
            RelocationTarget::MapValue { map, offset } => {
                Imm64::MapValueFd { fd: self.map_fd(program, relocation.slot, *map)?, offset: *offset }
            }
            RelocationTarget::KernelSymbol { name, typed: true, weak } => {
                match (self.find(Kind::Var, name), weak) {
                    (Some(found), _) => Imm64::BtfVariable {
                        type_id: found.id.0,
                        btf_fd: found.module.map_or(0, |m| self.modules[m].fd.as_raw_fd().cast_unsigned()),
                    },
                    (None, true) => Imm64::Value(0),
                    (None, false) => return Err(missing(program, "variable", name)),
                }
            }
            RelocationTarget::KernelSymbol { name, typed: false, weak } => {
                match (self.kernel.symbol_address(name)?, weak) {
                    (Some(address), _) => Imm64::Value(address),
                    (None, true) => Imm64::Value(0),
                    (None, false) => return Err(missing(program, "symbol", name)),
                }
            }
            RelocationTarget::Kfunc { .. } => return Ok(None),
        }))
    }

    fn kfunc(
        &self,
        program: &Program,
        name: &str,
        weak: bool,
        fd_array: &mut Vec<i32>,
    ) -> Result<Callee, LoadError> {
        let Some(found) = self.find(Kind::Func, name) else {
            return if weak {
                Ok(Callee::Helper(ABSENT_HELPER))
            } else {
                Err(missing(program, "function", name))
            };
        };
        let fd_index = match found.module {
            None => 0,
            Some(module) => {
                // Index 0 is the kernel itself, so the array starts with a place that nobody reads.
                if fd_array.is_empty() {
                    fd_array.push(0);
                }
                let fd = self.modules[module].fd.as_raw_fd();
                let idx = fd_array.iter().position(|&have| have == fd).unwrap_or_else(|| {
                    fd_array.push(fd);
                    fd_array.len() - 1
                });
                i16::try_from(idx).map_err(|_| missing(program, "room for the module of", name))?
            }
        };
        Ok(Callee::Kfunc { type_id: found.id.0.cast_signed(), fd_index })
    }
}

fn missing(program: &Program, what: &'static str, name: &str) -> LoadError {
    LoadError::Missing { program: program.name.clone(), what, name: name.to_owned() }
}

/// The type whose id the load call names: `Program::attach_target` with the prefix that the kernel's types have. The name is taken with
/// or without it.
fn attach_name(program: &Program) -> Option<(Kind, String)> {
    let target = program.attach_target.as_deref()?;
    let (kind, prefix) = match (program.program_type, program.attach_type) {
        (ProgramType::Tracing, Some(AttachType::TraceRawTp)) => (Kind::Typedef, "btf_trace_"),
        (ProgramType::Tracing, Some(AttachType::TraceIter)) => (Kind::Func, "bpf_iter_"),
        (ProgramType::Lsm, _) => (Kind::Func, "bpf_lsm_"),
        _ => (Kind::Func, ""),
    };
    let name = if target.starts_with(prefix) { target.to_owned() } else { format!("{prefix}{target}") };
    Some((kind, name))
}

/// What [`attach_name`] names, for messages.
fn what_is(program: &Program) -> &'static str {
    match (program.program_type, program.attach_type) {
        (_, Some(AttachType::TraceRawTp)) => "typed tracepoint",
        (_, Some(AttachType::TraceIter)) => "iterator",
        (ProgramType::Lsm, _) => "security hook",
        _ => "function",
    }
}

/// The type that a relocation names, if it names one.
fn btf_name(target: &RelocationTarget) -> Option<(Kind, String)> {
    match target {
        RelocationTarget::Kfunc { name, .. } => Some((Kind::Func, name.clone())),
        RelocationTarget::KernelSymbol { name, typed: true, .. } => Some((Kind::Var, name.clone())),
        _ => None,
    }
}
