//! Lowering: from the checked script to the intermediate representation and the data for user space.
//!
//! Integers and addresses are SSA values; text, tuples and their like are slots that are always written whole and padded
//! with zeros, so that they can be compared and used as keys byte by byte. Counting happens in place in the map's value; what
//! a key needs the first time is in a block of its own.

mod aggregate;
mod body;
mod builtin;
mod callback;
mod closure;
mod expr;
mod flow;
mod inet;
mod map_ops;
mod maps;
mod memory;
mod place;
mod send;
mod stmt;
mod visit;

use std::collections::HashMap;

use nonna_bpf::{Helper, Hook, MemSize, Target};
use nonna_ir::{DataDecl, DataId, FunctionBuilder, FunctionKind, MapId, Module, Type};

use crate::compile::Compiled;
use crate::hir;
use crate::host_data::{HostProbe, ScriptHost};
use crate::types::Shapes;

use self::body::Body;

/// Lowers a checked script.
pub(crate) fn lower(script: hir::Script, target: &Target) -> Compiled {
    let hir::Script { programs, maps, schemas, actions, events, config, uses_start, own } = script;
    let events_by_id = events.iter().map(|idx| (schemas[*idx].id, schemas[*idx].name.clone())).collect();
    let host = ScriptHost { actions, events: events_by_id, config, ..ScriptHost::default() };
    let mut lowering = Lowering {
        module: Module::default(),
        host,
        shapes: Shapes::new(&target.btf, own),
        target,
        maps: Vec::new(),
        hir_maps: maps,
        constants: HashMap::new(),
        start: None,
        events: Vec::new(),
        n_callbacks: 0,
    };
    lowering.events = schemas.into_iter().map(|schema| lowering.module.events.push(schema)).collect();
    lowering.declare_maps();
    if uses_start {
        lowering.note_start();
    }
    for (idx, program) in programs.iter().enumerate() {
        for (nth, attach) in program.hooks.iter().enumerate() {
            let name = function_name(idx, nth, attach);
            let probe = HostProbe { name: attach.name.clone(), function: name.clone() };
            lowering.host.probes.push(probe);
            let function = Body::program(&mut lowering, program, attach, name).lower();
            lowering.module.functions.push(function);
        }
    }
    Compiled { module: lowering.module, host: lowering.host }
}

/// What is common to all functions of the module.
struct Lowering<'a> {
    module: Module,
    host: ScriptHost,
    shapes: Shapes<'a>,
    target: &'a Target,
    /// In the order of the checked script's maps.
    maps: Vec<MapId>,
    hir_maps: Vec<hir::Map>,
    /// Global data by content.
    constants: HashMap<Vec<u8>, DataId>,
    /// Where the time of the start is kept.
    start: Option<DataId>,
    /// In the order of the checked script's schemas.
    events: Vec<nonna_ir::EventId>,
    n_callbacks: usize,
}

impl Lowering<'_> {
    /// Constant bytes.
    fn constant(&mut self, bytes: Vec<u8>) -> DataId {
        if let Some(found) = self.constants.get(&bytes) {
            return *found;
        }
        let name = format!("text_{}", self.constants.len());
        let decl = DataDecl { name, bytes: bytes.clone(), align: 8, mutable: false };
        let id = self.module.data.push(decl);
        self.constants.insert(bytes, id);
        id
    }

    /// A program that keeps the time of the start; it runs before all others.
    fn note_start(&mut self) {
        let decl = DataDecl { name: "start_ns".to_owned(), bytes: vec![0; 8], align: 8, mutable: true };
        let data = self.module.data.push(decl);
        self.start = Some(data);
        let kind = FunctionKind::Program { hook: Hook::Begin };
        let mut b = FunctionBuilder::new("begin_clock", kind, &[], Type::Int);
        let now = b.call_helper(Helper::KTIME_GET_NS, &[]);
        let address = b.data_address(data);
        b.store(address, 0, MemSize::DW, now);
        let zero = b.iconst(0);
        b.ret(zero);
        self.module.functions.push(b.finish());
    }
}

/// A name that is unique in the module and says where the program runs.
fn function_name(program: usize, nth: usize, attach: &hir::Attach) -> String {
    let clean: String =
        attach.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(48).collect();
    if nth == 0 { format!("p{program}_{clean}") } else { format!("p{program}_{nth}_{clean}") }
}
