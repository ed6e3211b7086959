//! Function and line info, moved to where the linked functions stand.

use nonna_btf::BtfExt;
use rustc_hash::FxHashMap;

use super::ElfError;
use super::file::File;
use super::functions::Functions;
use super::link::Linked;
use super::types::Types;
use crate::codec::SLOT_BYTES;
use crate::object::{FuncInfo, LineInfo, Program};

/// Records about the instructions of one section, by offset in bytes.
#[derive(Default)]
struct Records<'e> {
    functions: Vec<&'e nonna_btf::FuncInfo>,
    lines: Vec<&'e nonna_btf::LineInfo>,
}

/// All records, by section: each program wants few of them.
pub(super) struct Index<'e>(FxHashMap<&'e str, Records<'e>>);

impl<'e> Index<'e> {
    pub(super) fn new(ext: &'e BtfExt) -> Index<'e> {
        let mut sections: FxHashMap<&str, Records<'_>> = FxHashMap::default();
        for part in &ext.func_info {
            sections.entry(&part.name).or_default().functions.extend(&part.records);
        }
        for part in &ext.line_info {
            sections.entry(&part.name).or_default().lines.extend(&part.records);
        }
        // Nothing says that a file keeps them in order.
        for records in sections.values_mut() {
            records.functions.sort_by_key(|info| info.offset_bytes);
            records.lines.sort_by_key(|info| info.offset_bytes);
        }
        Index(sections)
    }
}

/// The records whose slot lies in this range.
fn within<R>(records: &[R], slots: std::ops::Range<u32>, offset: impl Fn(&R) -> u32) -> &[R] {
    let slot = |record: &R| offset(record) / SLOT_BYTES as u32;
    let start = records.partition_point(|record| slot(record) < slots.start);
    let length = records[start..].partition_point(|record| slot(record) < slots.end);
    &records[start..start + length]
}

/// Fills in the function and line info of a linked program.
pub(super) fn read(
    file: &File<'_>,
    functions: &Functions<'_>,
    (types, index): (&mut Types<'_>, &Index<'_>),
    linked: &Linked,
    program: &mut Program,
) -> Result<(), ElfError> {
    for &(number, base) in &linked.functions {
        let function = &functions.all[number];
        let Some(records) = index.0.get(file.sections[function.section].name) else { continue };
        for info in within(&records.functions, function.start..function.start + 1, |info| info.offset_bytes) {
            if let Some(type_id) = types.function(info.type_id, function.is_static)? {
                program.func_info.push(FuncInfo { slot: base, type_id: type_id.0 });
            }
        }
        for info in within(&records.lines, function.start..function.end, |info| info.offset_bytes) {
            program.line_info.push(LineInfo {
                slot: base + (info.offset_bytes / SLOT_BYTES as u32 - function.start),
                file_name_offset: types.string(info.file_name)?,
                line_offset: types.string(info.text)?,
                line: info.line,
                column: info.column,
            });
        }
    }
    // Kernels want one for each function, in order, or none.
    program.func_info.dedup_by_key(|info| info.slot);
    if program.func_info.len() != linked.functions.len() {
        program.func_info.clear();
    }
    program.line_info.sort_by_key(|info| info.slot);
    program.line_info.dedup_by_key(|info| info.slot);
    Ok(())
}
