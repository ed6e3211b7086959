//! Checks declarations and the call graph, and drives the check of functions.

use nonna_bpf::MapType;
use nonna_event::{EventSchema, FieldType, RECORD_MAX_BYTES};
use rustc_hash::FxHashSet;

use super::finding::{Location, ValidateError, Violation};
use super::function::validate_function;
use crate::entity::{Entity, FuncId};
use crate::inst::Inst;
use crate::module::{DataDecl, MapDecl, Module};

/// Checks every rule that the module documentation of the validator lists.
///
/// # Errors
///
/// All broken rules, in order of the module.
pub fn validate(module: &Module) -> Result<(), Vec<ValidateError>> {
    let mut findings = Vec::new();
    check_names(module, &mut findings);
    for (id, map) in module.maps.iter() {
        report(&mut findings, Location::Map(id), check_map(map));
    }
    for (id, data) in module.data.iter() {
        report(&mut findings, Location::Data(id), check_data(data));
    }
    let mut numbers = FxHashSet::default();
    for (id, event) in module.events.iter() {
        let taken = !numbers.insert(event.id);
        report(&mut findings, Location::Event(id), taken.then_some(Violation::EventNumber(event.id)));
        report(&mut findings, Location::Event(id), check_event(event));
    }
    for id in module.functions.keys() {
        validate_function(module, id, &mut findings);
    }
    check_recursion(module, &mut findings);
    if findings.is_empty() { Ok(()) } else { Err(findings) }
}

fn report(
    findings: &mut Vec<ValidateError>,
    location: Location,
    violations: impl IntoIterator<Item = Violation>,
) {
    let found = violations.into_iter().map(|violation| ValidateError { location, span: None, violation });
    findings.extend(found);
}

fn check_names(module: &Module, findings: &mut Vec<ValidateError>) {
    let mut check = |names: &mut dyn Iterator<Item = (Location, &String)>| {
        let mut taken = FxHashSet::default();
        for (location, name) in names {
            if name.is_empty() || !taken.insert(name) {
                report(findings, location, [Violation::Name(name.clone())]);
            }
        }
    };
    check(&mut module.maps.iter().map(|(id, map)| (Location::Map(id), &map.name)));
    check(&mut module.data.iter().map(|(id, data)| (Location::Data(id), &data.name)));
    check(&mut module.events.iter().map(|(id, event)| (Location::Event(id), &event.name)));
    check(&mut module.functions.iter().map(|(id, function)| (Location::Function(id), &function.name)));
}

/// Map types that are created with keys of 0 bytes (`map_alloc_check` of each type in `kernel/bpf/`).
const fn has_keys(map_type: MapType) -> bool {
    !matches!(
        map_type,
        MapType::Ringbuf
            | MapType::UserRingbuf
            | MapType::Queue
            | MapType::Stack
            | MapType::BloomFilter
            | MapType::Arena
    )
}

/// Map types that are created with values of 0 bytes.
const fn has_values(map_type: MapType) -> bool {
    !matches!(map_type, MapType::Ringbuf | MapType::UserRingbuf | MapType::Arena)
}

/// Map types that are created with no limit of entries.
const fn is_local_storage(map_type: MapType) -> bool {
    matches!(
        map_type,
        MapType::SkStorage
            | MapType::InodeStorage
            | MapType::TaskStorage
            | MapType::CgrpStorage
            | MapType::CgroupStorage
            | MapType::PercpuCgroupStorage
    )
}

fn check_map(map: &MapDecl) -> Vec<Violation> {
    let rules = [
        ((map.key_bytes > 0) != has_keys(map.map_type), "a key size that its type does not allow"),
        ((map.value_bytes > 0) != has_values(map.map_type), "a value size that its type does not allow"),
        // A perf event array without a number of entries gets one a processor from the loader.
        (
            map.max_entries == 0
                && !is_local_storage(map.map_type)
                && map.map_type != MapType::PerfEventArray,
            "no entries",
        ),
    ];
    rules.into_iter().filter(|(broken, _)| *broken).map(|(_, what)| Violation::MapShape(what)).collect()
}

/// Whether an alignment is one that code generation serves.
pub(super) const fn is_align(align: u32) -> bool {
    matches!(align, 1 | 2 | 4 | 8)
}

fn check_data(data: &DataDecl) -> Option<Violation> {
    (!is_align(data.align)).then_some(Violation::Align(data.align))
}

fn check_event(event: &EventSchema) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut taken = FxHashSet::default();
    for field in &event.fields {
        if field.name.is_empty() || !taken.insert(&field.name) {
            violations.push(Violation::Name(field.name.clone()));
        }
        let room = u64::from(field.field_type.max_tail_bytes());
        match &field.field_type {
            FieldType::Unsigned { bytes } | FieldType::Signed { bytes } | FieldType::Named { bytes, .. } => {
                if !is_align(u32::from(*bytes)) {
                    violations.push(Violation::FieldWidth(field.name.clone()));
                }
            }
            FieldType::Bool | FieldType::Inet => {}
            FieldType::Blob { bytes } => {
                violations.extend(check_size("a blob", u64::from(*bytes), RECORD_MAX_BYTES));
            }
            _ => violations.extend(check_size("a variable field", room, RECORD_MAX_BYTES)),
        }
    }
    // The layout is computed from widths that were found right; saturating sums keep absurd blobs from wrapping.
    if violations.is_empty() {
        let fixed = event.fields.iter().map(|field| u64::from(field.field_type.fixed_bytes())).sum();
        violations
            .extend(check_size("the fixed part of a record", fixed, RECORD_MAX_BYTES).filter(|_| fixed > 0));
    }
    violations
}

/// A finding where `found` is not in `1..=max`.
pub(super) fn check_size(what: &'static str, found: u64, max: u32) -> Option<Violation> {
    let max = u64::from(max);
    (found == 0 || found > max).then_some(Violation::Size { what, found, max })
}

/// Functions that a function calls or hands to a helper.
fn callees(module: &Module, function: FuncId) -> Vec<FuncId> {
    let function = &module.functions[function];
    let listed = function.blocks.values().flat_map(|block| &block.insts);
    let called = listed.filter_map(|id| match &function.insts.get(*id)?.inst {
        Inst::Call { function, .. } | Inst::FunctionAddress(function) => Some(*function),
        _ => None,
    });
    called.filter(|callee| callee.idx() < module.functions.len()).collect()
}

/// Reports each function from which a walk over the calls comes back to it, without recursing itself.
fn check_recursion(module: &Module, findings: &mut Vec<ValidateError>) {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    let mut states = vec![State::New; module.functions.len()];
    for root in module.functions.keys() {
        if states[root.idx()] != State::New {
            continue;
        }
        states[root.idx()] = State::Open;
        let mut path = vec![(root, callees(module, root))];
        while let Some((function, open)) = path.last_mut() {
            let function = *function;
            match open.pop() {
                None => {
                    states[function.idx()] = State::Done;
                    path.pop();
                }
                Some(callee) if states[callee.idx()] == State::Open => {
                    report(findings, Location::Function(function), [Violation::Recursion(callee)]);
                }
                Some(callee) if states[callee.idx()] == State::New => {
                    states[callee.idx()] = State::Open;
                    path.push((callee, callees(module, callee)));
                }
                Some(_) => {}
            }
        }
    }
}
