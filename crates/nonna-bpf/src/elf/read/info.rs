//! Function and line info, moved to where the linked functions stand.

use super::ElfError;
use super::file::File;
use super::functions::Functions;
use super::link::Linked;
use super::types::Types;
use crate::codec::SLOT_BYTES;
use crate::object::{FuncInfo, LineInfo, Program};

/// Fills in the function and line info of a linked program.
pub(super) fn read(
    file: &File<'_>,
    functions: &Functions<'_>,
    types: &mut Types<'_>,
    linked: &Linked,
    program: &mut Program,
) -> Result<(), ElfError> {
    let ext = types.ext;
    for &(number, base) in &linked.functions {
        let function = &functions.all[number];
        let section = file.sections[function.section].name;
        let moved = |offset_bytes: u32| {
            let slot = offset_bytes / SLOT_BYTES as u32;
            (function.start..function.end).contains(&slot).then(|| base + (slot - function.start))
        };
        for part in ext.func_info.iter().filter(|part| part.name == section) {
            for info in part.records.iter().filter(|info| moved(info.offset_bytes) == Some(base)) {
                if let Some(type_id) = types.function(info.type_id, function.is_static)? {
                    program.func_info.push(FuncInfo { slot: base, type_id: type_id.0 });
                }
            }
        }
        for part in ext.line_info.iter().filter(|part| part.name == section) {
            for info in &part.records {
                let Some(slot) = moved(info.offset_bytes) else { continue };
                program.line_info.push(LineInfo {
                    slot,
                    file_name_offset: types.string(info.file_name)?,
                    line_offset: types.string(info.text)?,
                    line: info.line,
                    column: info.column,
                });
            }
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
