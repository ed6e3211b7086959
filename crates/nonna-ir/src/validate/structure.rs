//! Checks that a function hangs together: references lead somewhere, values are defined once and before use.

use super::finding::{Location, ValidateError, Violation};
use crate::cfg::ControlFlow;
use crate::entity::{Arena, Block, Entity, FuncId, InstId, Value};
use crate::inst::{FieldSource, Inst, Terminator};
use crate::module::{Function, Module, ValueDef};

/// Where a value is defined: block, and position in it (0 for parameters, instructions from 1).
type Site = (Block, usize);

struct Structure<'a> {
    module: &'a Module,
    id: FuncId,
    function: &'a Function,
    sites: Arena<Value, Option<Site>>,
    findings: &'a mut Vec<ValidateError>,
}

/// Checks the structure; whether everything that is referred to exists, so that types can be looked at.
pub(super) fn check_structure(
    module: &Module,
    id: FuncId,
    flow: &ControlFlow,
    findings: &mut Vec<ValidateError>,
) -> bool {
    let function = &module.functions[id];
    let n_before = findings.len();
    let mut sites = Arena::new();
    for _ in function.values.keys() {
        sites.push(None);
    }
    let mut structure = Structure { module, id, function, sites, findings };
    structure.collect_definitions();
    for block in function.blocks.keys() {
        structure.check_references(block);
    }
    let sound = structure.findings.len() == n_before;
    if sound {
        structure.check_dominance(flow);
    }
    sound
}

impl<'a> Structure<'a> {
    fn report(&mut self, location: Location, violation: Violation) {
        let span = match location {
            Location::Inst { inst, .. } => self.function.insts.get(inst).and_then(|data| data.span),
            Location::Terminator(_, block) => self.function.blocks[block].terminator_span,
            _ => None,
        };
        self.findings.push(ValidateError { location, span, violation });
    }

    fn inst_location(&self, block: Block, position: usize, inst: InstId) -> Location {
        Location::Inst { function: self.id, block, position, inst }
    }

    fn collect_definitions(&mut self) {
        let function = self.function;
        let mut listed = vec![false; function.insts.len()];
        for (block, data) in function.blocks.iter() {
            for (&param, position) in data.params.iter().zip(0..) {
                let location = Location::Block(self.id, block);
                self.define(param, ValueDef::Param(block, position), (block, 0), location);
            }
            for (position, &id) in data.insts.iter().enumerate() {
                let location = self.inst_location(block, position, id);
                let Some(inst) = function.insts.get(id) else {
                    self.report(location, Violation::Missing(id.to_string()));
                    continue;
                };
                if std::mem::replace(&mut listed[id.idx()], true) {
                    self.report(location, Violation::Definition(id.to_string()));
                    continue;
                }
                if let Some(result) = inst.result {
                    self.define(result, ValueDef::Result(id), (block, position + 1), location);
                }
                if inst.result.is_some() != inst.inst.has_result() {
                    self.report(location, Violation::Result(inst.inst.has_result()));
                }
            }
        }
    }

    fn define(&mut self, value: Value, def: ValueDef, site: Site, location: Location) {
        match self.function.values.get(value) {
            None => self.report(location, Violation::Missing(value.to_string())),
            Some(data) if data.def != def || self.sites[value].is_some() => {
                self.report(location, Violation::Definition(value.to_string()));
            }
            Some(_) => self.sites[value] = Some(site),
        }
    }

    fn check_references(&mut self, block: Block) {
        let function = self.function;
        let data = &function.blocks[block];
        for (position, &id) in data.insts.iter().enumerate() {
            let Some(inst) = function.insts.get(id) else { continue };
            let location = self.inst_location(block, position, id);
            inst.inst.for_each_operand(|value| self.check_defined(*value, location));
            self.check_entities(&inst.inst, location);
        }
        let Some(terminator) = &data.terminator else {
            self.report(Location::Block(self.id, block), Violation::NoTerminator);
            return;
        };
        let location = Location::Terminator(self.id, block);
        terminator.for_each_operand(|value| self.check_defined(*value, location));
        self.check_jumps(terminator, location);
    }

    fn check_jumps(&mut self, terminator: &Terminator, location: Location) {
        for jump in terminator.jumps() {
            match self.function.blocks.get(jump.block) {
                None => self.report(location, Violation::Missing(jump.block.to_string())),
                Some(_) if jump.block == self.function.entry() => {
                    self.report(location, Violation::EntryIsTarget);
                }
                Some(target) if target.params.len() != jump.args.len() => {
                    let (expected, found) = (target.params.len(), jump.args.len());
                    let what = "values for the target's parameters";
                    self.report(location, Violation::Count { what, expected, found });
                }
                Some(_) => {}
            }
        }
    }

    fn check_defined(&mut self, value: Value, location: Location) {
        if self.sites.get(value).is_none_or(Option::is_none) {
            self.report(location, Violation::Missing(value.to_string()));
        }
    }

    /// Slots, data, maps, functions and events that an instruction names.
    fn check_entities(&mut self, inst: &Inst, location: Location) {
        fn unless<E: Entity + ToString>(exists: bool, entity: E) -> Option<String> {
            (!exists).then(|| entity.to_string())
        }
        let module = self.module;
        let mut missing = Vec::new();
        match inst {
            Inst::SlotAddress(slot) => {
                missing.extend(unless(self.function.slots.get(*slot).is_some(), *slot));
            }
            Inst::DataAddress(data) => missing.extend(unless(module.data.get(*data).is_some(), *data)),
            Inst::FunctionAddress(function) | Inst::Call { function, .. } => {
                missing.extend(unless(module.functions.get(*function).is_some(), *function));
            }
            Inst::MapHandle(map)
            | Inst::MapLookup { map, .. }
            | Inst::MapUpdate { map, .. }
            | Inst::MapDelete { map, .. } => missing.extend(unless(module.maps.get(*map).is_some(), *map)),
            Inst::Emit { event, fields, .. } => {
                missing.extend(unless(module.events.get(*event).is_some(), *event));
                for source in fields {
                    if let FieldSource::TaskEnv { name, .. } = source {
                        missing.extend(unless(module.data.get(*name).is_some(), *name));
                    }
                }
            }
            _ => {}
        }
        for name in missing {
            self.report(location, Violation::Missing(name));
        }
    }

    fn check_dominance(&mut self, flow: &ControlFlow) {
        let function = self.function;
        for &block in flow.reverse_post_order() {
            let data = &function.blocks[block];
            for (position, &id) in data.insts.iter().enumerate() {
                let location = self.inst_location(block, position, id);
                let site = (block, position + 1);
                function.insts[id]
                    .inst
                    .for_each_operand(|value| self.check_use(*value, site, flow, location));
            }
            if let Some(terminator) = &data.terminator {
                let location = Location::Terminator(self.id, block);
                let site = (block, usize::MAX);
                terminator.for_each_operand(|value| self.check_use(*value, site, flow, location));
            }
        }
    }

    fn check_use(&mut self, value: Value, (block, position): Site, flow: &ControlFlow, location: Location) {
        let Some((defined_in, at)) = self.sites[value] else { return };
        let dominates = if defined_in == block { at < position } else { flow.dominates(defined_in, block) };
        if !dominates {
            self.report(location, Violation::NotDominated(value));
        }
    }
}
