//! The functions of a file.

use rustc_hash::FxHashMap;

use super::ElfError;
use super::file::File;
use crate::codec::SLOT_BYTES;

/// A function, in slots of its section.
#[derive(Debug)]
pub(super) struct Function<'d> {
    pub(super) name: &'d str,
    pub(super) section: usize,
    pub(super) start: u32,
    pub(super) end: u32,
    /// A program can begin with it: it stands in a section that names a hook, for everybody to see.
    pub(super) is_entry: bool,
    /// Nobody outside the file can call it.
    pub(super) is_static: bool,
}

/// All functions, by section and place.
#[derive(Debug, Default)]
pub(super) struct Functions<'d> {
    pub(super) all: Vec<Function<'d>>,
    by_start: FxHashMap<(usize, u32), usize>,
}

impl<'d> Functions<'d> {
    pub(super) fn read(file: &File<'d>) -> Result<Functions<'d>, ElfError> {
        let mut all = Vec::new();
        for symbol in file.symbols.iter().filter(|symbol| symbol.is_function) {
            let Some(section) = symbol.section else { continue };
            let holder = &file.sections[section];
            if !holder.is_code {
                continue;
            }
            let length = holder.data.len() as u64;
            let wrong = |reason: &str| ElfError::Code {
                section: holder.name.to_owned(),
                slot: symbol.value / SLOT_BYTES as u64,
                reason: format!("function `{}` {reason}", symbol.name),
            };
            let end = symbol.value.checked_add(symbol.size).filter(|end| *end <= length);
            let end = end.ok_or_else(|| wrong("does not lie in its section"))?;
            if symbol.value >= length || symbol.value % 8 != 0 || end % 8 != 0 {
                return Err(wrong("does not lie in its section, or not between instructions"));
            }
            let is_text = holder.name == ".text" || holder.name.starts_with(".text.");
            all.push(Function {
                name: symbol.name,
                section,
                start: (symbol.value / 8) as u32,
                end: (end / 8) as u32,
                is_entry: !is_text && !symbol.is_local,
                is_static: symbol.is_local || symbol.is_hidden,
            });
        }
        // Of two names for one place, the one that others can call counts.
        all.sort_by_key(|function| {
            (function.section, function.start, !function.is_entry, function.is_static)
        });
        all.dedup_by_key(|function| (function.section, function.start));
        for i in 0..all.len() {
            let next = all.get(i + 1).filter(|next| next.section == all[i].section).map(|next| next.start);
            let limit = next.unwrap_or((file.sections[all[i].section].data.len() / 8) as u32);
            // A size of 0 means that nobody wrote it down; functions do not overlap.
            all[i].end = if all[i].end == all[i].start { limit } else { all[i].end.min(limit) };
        }
        let by_start = all.iter().enumerate().map(|(i, f)| ((f.section, f.start), i)).collect();
        Ok(Functions { all, by_start })
    }

    /// The function that starts at a slot.
    pub(super) fn at(&self, section: usize, slot: u32) -> Option<usize> {
        self.by_start.get(&(section, slot)).copied()
    }

    /// The function that a slot is part of.
    pub(super) fn around(&self, section: usize, slot: u32) -> Option<usize> {
        let after = self.all.partition_point(|f| (f.section, f.start) <= (section, slot));
        let before = after.checked_sub(1)?;
        let function = &self.all[before];
        (function.section == section && (function.start..function.end).contains(&slot)).then_some(before)
    }
}
