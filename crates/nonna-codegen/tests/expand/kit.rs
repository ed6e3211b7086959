//! What the tests of this directory share: a target of the running kernel's types and modules of one program.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nonna_bpf::{
    Features, Hook, IsaLevel, SymbolError, SymbolSource, Target, TracepointFormat, TracepointSource,
    UserSymbol,
};
use nonna_btf::Btf;
use nonna_codegen::{Options, expand};
use nonna_event::{EventSchema, Field, FieldType, Ring};
use nonna_ir::{EventId, FunctionBuilder, FunctionKind, Inst, Module, Type};

struct Nothing;

impl TracepointSource for Nothing {
    fn format(&self, _category: &str, _event: &str) -> Option<TracepointFormat> {
        None
    }
    fn list(&self) -> Vec<(String, String)> {
        Vec::new()
    }
}

impl SymbolSource for Nothing {
    fn kernel_address(&self, _name: &str) -> Option<u64> {
        None
    }
    fn kernel_functions(&self) -> Vec<String> {
        Vec::new()
    }
    fn find_binary(&self, _name: &str, _pid: Option<u32>) -> Option<PathBuf> {
        None
    }
    fn user_symbol(&self, binary: &Path, name: &str) -> Result<UserSymbol, SymbolError> {
        Err(SymbolError::NotFound {
            path: binary.display().to_string(),
            name: name.to_owned(),
            near: Vec::new(),
        })
    }
    fn user_symbols(&self, _binary: &Path) -> Result<Vec<UserSymbol>, SymbolError> {
        Ok(Vec::new())
    }
}

/// The running kernel's types and nothing else.
pub fn target() -> Target {
    let bytes = std::fs::read("/sys/kernel/btf/vmlinux").expect("Linux with BTF");
    Target {
        btf: Arc::new(Btf::parse(bytes).expect("the kernel's BTF is well-formed")),
        isa: IsaLevel::V4,
        features: Features::new(),
        tracepoints: Arc::new(Nothing),
        symbols: Arc::new(Nothing),
        n_possible_cpus: 2,
    }
}

/// A schema with these fields.
pub fn schema(fields: &[(&str, FieldType)]) -> EventSchema {
    EventSchema {
        id: 41,
        name: "sample".to_owned(),
        fields: fields
            .iter()
            .map(|(name, field_type)| Field {
                name: (*name).to_owned(),
                field_type: field_type.clone(),
                description: String::new(),
            })
            .collect(),
        ring: Ring::Volume,
    }
}

/// A module of one event and one program on `hook`, whose body `build` writes.
pub fn module(hook: Hook, event: EventSchema, build: impl FnOnce(&mut FunctionBuilder, EventId)) -> Module {
    module_with(hook, event, |_, builder, event| build(builder, event))
}

/// As [`module`]; `build` may also add to the module.
pub fn module_with(
    hook: Hook,
    event: EventSchema,
    build: impl FnOnce(&mut Module, &mut FunctionBuilder, EventId),
) -> Module {
    let mut module = Module::default();
    let event = module.events.push(event);
    let mut builder = FunctionBuilder::new("program", FunctionKind::Program { hook }, &[], Type::Int);
    build(&mut module, &mut builder, event);
    let zero = builder.iconst(0);
    builder.ret(zero);
    module.functions.push(builder.finish());
    module
}

/// Expands a module and holds the outcome against the rules of the IR.
pub fn expanded(mut module: Module) -> Module {
    assert_eq!(nonna_ir::validate(&module), Ok(()), "{module}");
    expand(&mut module, &target(), &Options::default()).expect("the target has all it needs");
    assert_eq!(nonna_ir::validate(&module), Ok(()), "{module}");
    let is_big = |inst: &Inst| {
        matches!(
            inst,
            Inst::Emit { .. }
                | Inst::ReadPath { .. }
                | Inst::EqualText { .. }
                | Inst::EqualBytes { .. }
                | Inst::Zero { .. }
                | Inst::Copy { .. }
        )
    };
    assert_eq!(count(&module, is_big), 0);
    module
}

/// How often instructions that `wanted` picks occur in the module.
pub fn count(module: &Module, wanted: impl Fn(&Inst) -> bool) -> usize {
    let functions = module.functions.values();
    functions
        .flat_map(|f| f.blocks.values().flat_map(|b| b.insts.iter().map(|&id| &f.insts[id].inst)))
        .filter(|inst| wanted(inst))
        .count()
}
