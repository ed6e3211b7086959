//! Assembles the object: maps, and programs of their functions.

use nonna_bpf::{Callee, FuncInfo, Imm64, Insn, LineInfo, Map, MapExtra, Object, Program, Relocation};
use nonna_diag::Span;
use nonna_ir::{FuncId, Function, FunctionKind, Inst, MapDecl, Module};
use rustc_hash::FxHashMap;

use crate::btf::ObjectTypes;
use crate::data::DataLayout;
use crate::emit::Code;
use crate::expand::Shared;
use crate::hook::Placement;
use crate::{CodegenError, Options};

/// Instructions of a program at most (`BPF_COMPLEXITY_LIMIT_INSNS` for privileged loaders).
const MAX_INSNS: usize = 1_000_000;

/// A function that was compiled.
pub struct Compiled {
    /// Its instructions.
    pub code: Code,
    /// How it is placed, if it is a program.
    pub placement: Option<Placement>,
}

/// What the object is assembled of.
pub struct Parts<'a> {
    /// The module after all passes.
    pub module: &'a Module,
    /// Compiled functions.
    pub functions: &'a FxHashMap<FuncId, Compiled>,
    /// Functions that the kernel proves by themselves.
    pub shared: &'a [Shared],
    /// Where global data is.
    pub data: &'a DataLayout,
    /// Choices of the caller.
    pub options: &'a Options<'a>,
}

/// Functions that a function names, in the order of their mention.
pub fn callees(function: &Function) -> Vec<FuncId> {
    let mut found = Vec::new();
    for block in function.blocks.values() {
        for &id in &block.insts {
            if let Inst::Call { function, .. } | Inst::FunctionAddress(function) = function.insts[id].inst
                && !found.contains(&function)
            {
                found.push(function);
            }
        }
    }
    found
}

/// Assembles the object.
///
/// # Errors
///
/// [`CodegenError::ProgramTooLarge`].
pub fn assemble(parts: &Parts<'_>) -> Result<Object, CodegenError> {
    let mut types = ObjectTypes::new();
    let mut maps = Vec::new();
    for section in &parts.data.sections {
        let mut map = section.map();
        types.section(section, &mut map, |nth| &parts.module.data[section.places[nth].0]);
        maps.push(map);
    }
    for decl in parts.module.maps.values() {
        let mut map = declared(decl);
        types.map(&mut map);
        maps.push(map);
    }
    let mut programs = Vec::new();
    for (id, function) in parts.module.functions.iter() {
        if matches!(function.kind, FunctionKind::Program { .. }) {
            programs.push(Linker::new(parts, &mut types).link(id)?);
        }
    }
    let license = parts.options.license.clone();
    Ok(Object { license, maps, programs, btf: types.finish()? })
}

fn declared(decl: &MapDecl) -> Map {
    Map {
        name: decl.name.clone(),
        map_type: decl.map_type,
        key_size: decl.key_bytes,
        value_size: decl.value_bytes,
        max_entries: decl.max_entries,
        flags: decl.flags,
        inner: None,
        initial_value: None,
        frozen: false,
        btf_key_type_id: 0,
        btf_value_type_id: 0,
        extra: MapExtra::default(),
    }
}

/// Puts the functions of one program together.
struct Linker<'a, 'p> {
    parts: &'a Parts<'p>,
    types: &'a mut ObjectTypes,
    insns: Vec<Insn>,
    spans: Vec<Option<Span>>,
    /// First instruction of each function, in order.
    starts: Vec<(FuncId, usize)>,
}

impl<'a, 'p> Linker<'a, 'p> {
    fn new(parts: &'a Parts<'p>, types: &'a mut ObjectTypes) -> Self {
        Self { parts, types, insns: Vec::new(), spans: Vec::new(), starts: Vec::new() }
    }

    fn link(mut self, entry: FuncId) -> Result<Program, CodegenError> {
        let function = &self.parts.module.functions[entry];
        let members = self.members(entry);
        for &id in &members {
            self.starts.push((id, self.insns.len()));
            let code = &self.parts.functions[&id].code;
            self.insns.extend(&code.insns);
            self.spans.extend(&code.spans);
        }
        if self.insns.len() > MAX_INSNS {
            let (insns, limit) = (self.insns.len(), MAX_INSNS);
            return Err(CodegenError::ProgramTooLarge { function: function.name.clone(), insns, limit });
        }
        let slots = self.slots();
        self.resolve_functions(&slots);
        let placement = self.parts.functions[&entry]
            .placement
            .clone()
            .ok_or_else(|| CodegenError::InvalidModule(format!("`{}` is no program", function.name)))?;
        let FunctionKind::Program { hook } = function.kind.clone() else {
            return Err(CodegenError::InvalidModule(format!("`{}` is no program", function.name)));
        };
        Ok(Program {
            name: function.name.clone(),
            section: placement.section,
            program_type: placement.program_type,
            attach_type: placement.attach_type,
            attach_target: placement.attach_target,
            hook,
            sleepable: placement.sleepable,
            relocations: self.relocations(&slots),
            func_info: self.func_info(&slots),
            line_info: self.line_info(&slots),
            locations: self.locations(&slots),
            insns: self.insns,
        })
    }

    /// The entry function, then every function that it reaches, in the order of mention.
    fn members(&self, entry: FuncId) -> Vec<FuncId> {
        let mut members = vec![entry];
        let mut idx = 0;
        while let Some(&id) = members.get(idx) {
            for (_, callee) in &self.parts.functions[&id].code.functions {
                if !members.contains(callee) {
                    members.push(*callee);
                }
            }
            idx += 1;
        }
        members
    }

    /// The slot of each instruction, and one past the last.
    fn slots(&self) -> Vec<u32> {
        let mut slots = Vec::with_capacity(self.insns.len() + 1);
        let mut next = 0;
        slots.push(0);
        for insn in &self.insns {
            next += insn.slots();
            slots.push(next);
        }
        slots
    }

    fn start_of(&self, id: FuncId) -> usize {
        let found = self.starts.iter().find(|(function, _)| *function == id);
        found.expect("every function that is named is a member").1
    }

    fn resolve_functions(&mut self, slots: &[u32]) {
        for (id, start) in self.starts.clone() {
            for &(at, callee) in &self.parts.functions[&id].code.functions {
                let insn = start + at;
                let target = i64::from(slots[self.start_of(callee)]);
                // Calls count from the next instruction, addresses from the second slot of their load.
                let offset =
                    i32::try_from(target - i64::from(slots[insn]) - 1).expect("programs are far below 2^31");
                match &mut self.insns[insn] {
                    Insn::Call(Callee::Local(to)) | Insn::LoadImm64 { value: Imm64::Function(to), .. } => {
                        *to = offset;
                    }
                    _ => {}
                }
            }
        }
    }

    fn relocations(&self, slots: &[u32]) -> Vec<Relocation> {
        let mut found = Vec::new();
        for &(id, start) in &self.starts {
            for (at, target) in &self.parts.functions[&id].code.relocations {
                found.push(Relocation { slot: slots[start + at], target: target.clone() });
            }
        }
        found.sort_by_key(|relocation| relocation.slot);
        found
    }

    fn func_info(&mut self, slots: &[u32]) -> Vec<FuncInfo> {
        let mut found = Vec::with_capacity(self.starts.len());
        for &(id, start) in &self.starts {
            let shared = self.parts.shared.iter().find(|shared| shared.function == id);
            let memory_bytes = shared.map(|shared| shared.memory_bytes);
            let type_id = self.types.function(&self.parts.module.functions[id], memory_bytes).0;
            found.push(FuncInfo { slot: slots[start], type_id });
        }
        found
    }

    /// Where the origin changes; what has none counts as what is before it.
    fn locations(&self, slots: &[u32]) -> Vec<(u32, Span)> {
        let mut found: Vec<(u32, Span)> = Vec::new();
        for (span, slot) in self.spans.iter().zip(slots) {
            if let Some(span) = span
                && found.last().is_none_or(|(_, last)| last != span)
            {
                found.push((*slot, *span));
            }
        }
        found
    }

    /// Source lines. The kernel wants one at the start of every function, so code of our own gets an empty one.
    fn line_info(&mut self, slots: &[u32]) -> Vec<LineInfo> {
        let Some(sources) = self.parts.options.sources else { return Vec::new() };
        let mut found: Vec<LineInfo> = Vec::new();
        for (insn, span) in self.spans.clone().into_iter().enumerate() {
            let is_start = self.starts.iter().any(|(_, start)| *start == insn);
            let line = span.and_then(|span| self.types.line(slots[insn], span, sources));
            match line {
                Some(line) => {
                    let same = |last: &LineInfo| {
                        (last.line, last.column, last.line_offset)
                            == (line.line, line.column, line.line_offset)
                    };
                    if is_start || !found.last().is_some_and(same) {
                        found.push(line);
                    }
                }
                None if is_start => {
                    let file = found.last().map_or(0, |last| last.file_name_offset);
                    found.push(self.types.line_without_text(slots[insn], file));
                }
                None => {}
            }
        }
        found
    }
}
