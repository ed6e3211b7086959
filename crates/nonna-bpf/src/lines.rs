//! Source lines as texts that diagnostics can point into.
//!
//! Compilers write the text of each line that became code into the object's BTF, with file, line and column. That is enough to show
//! the user's own lines without the file, which may be gone or another by now: lines that became no code are left empty. Nothing is
//! read from disk here, since an object could name any file.

use std::collections::BTreeMap;

use nonna_btf::Btf;
use nonna_diag::{SourceId, Sources, Span};

use crate::object::{LineInfo, Object};

/// Bytes of all texts of one object; what an object of lies asks for beyond this is left out.
const TEXT_BYTES_MAX: usize = 16 << 20;

impl Object {
    /// Gives programs that know no places in a text those of their source lines, and adds the lines as texts.
    ///
    /// Nothing happens to programs without line information, or with information that contradicts itself.
    pub fn locate_lines(&mut self, sources: &mut Sources) {
        if self.btf.is_empty() {
            return;
        }
        let Ok(btf) = Btf::parse(self.btf.clone()) else { return };
        let mut files: BTreeMap<&str, BTreeMap<u32, &str>> = BTreeMap::new();
        let lines = |programs: &[crate::Program]| -> Vec<LineInfo> {
            let unlocated = programs.iter().filter(|program| program.locations.is_empty());
            unlocated.flat_map(|program| program.line_info.iter().copied()).collect()
        };
        for info in lines(&self.programs) {
            let (Ok(file), Ok(text)) = (btf.string(info.file_name_offset), btf.string(info.line_offset))
            else {
                continue;
            };
            // A line of several statements is there several times; a cut one must not win over the whole.
            let known = files.entry(file).or_default().entry(info.line).or_default();
            if text.len() > known.len() {
                *known = text;
            }
        }
        let mut placed: BTreeMap<&str, (SourceId, Vec<u32>)> = BTreeMap::new();
        let mut left = TEXT_BYTES_MAX;
        for (file, lines) in &files {
            let Some((text, starts)) = text_of(lines, left) else { continue };
            left -= text.len();
            placed.insert(file, (sources.add(*file, text), starts));
        }
        for program in self.programs.iter_mut().filter(|program| program.locations.is_empty()) {
            for info in &program.line_info {
                let found =
                    btf.string(info.file_name_offset).ok().and_then(|file| Some((file, placed.get(file)?)));
                let Some((file, (source, starts))) = found else { continue };
                let line = files[file].get(&info.line).copied().unwrap_or_default();
                let Some(start) = (info.line as usize).checked_sub(1).and_then(|at| starts.get(at)) else {
                    continue;
                };
                let (from, to) = part(line, info.column);
                let start = *start as usize;
                program.locations.push((info.slot, Span::new(*source, start + from, start + to)));
            }
        }
    }
}

/// Lines of one file beyond which none is shown. A number of lines costs a file nothing to claim, and whoever shows a place in the text
/// looks at each of them.
const LINES_MAX: u32 = 1 << 18;

/// A text in which every line stands where it stood, and where each begins; `None` where it would be longer than `most` bytes. Lines
/// beyond [`LINES_MAX`] are left out.
fn text_of(lines: &BTreeMap<u32, &str>, most: usize) -> Option<(String, Vec<u32>)> {
    let shown = || lines.range(..=LINES_MAX);
    let last = *shown().next_back()?.0 as usize;
    let bytes = last + shown().map(|(_, line)| line.len()).sum::<usize>();
    if bytes > most {
        return None;
    }
    let (mut text, mut starts) = (String::with_capacity(bytes), Vec::with_capacity(last));
    for number in 1..=last as u32 {
        starts.push(text.len() as u32);
        // A line end inside would move all lines after it.
        text.extend(lines.get(&number).unwrap_or(&"").chars().filter(|c| !matches!(c, '\n' | '\r')));
        text.push('\n');
    }
    Some((text, starts))
}

/// The bytes of a line from a column on, without the space around them.
fn part(line: &str, column: u32) -> (usize, usize) {
    let end = line.trim_end().len();
    let first = end - line[..end].trim_start().len();
    let start = (column as usize).saturating_sub(1).max(first);
    if start < end && line.is_char_boundary(start) { (start, end) } else { (first, end) }
}

#[cfg(test)]
mod tests {
    use nonna_btf::BtfBuilder;

    use super::*;
    use crate::{Hook, Insn, Program, ProgramType};

    fn object(lines: &[(u32, &str, u32, u32)]) -> Object {
        let mut btf = BtfBuilder::new();
        let file = btf.string("filter.c");
        let line_info = lines
            .iter()
            .map(|(slot, text, line, column)| LineInfo {
                slot: *slot,
                file_name_offset: file,
                line_offset: btf.string(text),
                line: *line,
                column: *column,
            })
            .collect();
        let program = Program {
            name: "filter".to_owned(),
            section: "socket".to_owned(),
            program_type: ProgramType::SocketFilter,
            attach_type: None,
            attach_target: None,
            hook: Hook::Section("socket".to_owned()),
            sleepable: false,
            insns: vec![Insn::Exit],
            relocations: Vec::new(),
            func_info: Vec::new(),
            line_info,
            locations: Vec::new(),
        };
        let btf = btf.finish().expect("strings alone are no trouble");
        Object { programs: vec![program], btf, ..Object::default() }
    }

    #[test]
    fn lines_stand_where_they_stood() {
        let mut object = object(&[(0, "\tu32 *n = look(1);", 7, 11), (1, "\treturn *n; ", 9, 2)]);
        let mut sources = Sources::new();
        object.locate_lines(&mut sources);
        let places: Vec<(u32, &str, usize, usize)> = object.programs[0]
            .locations
            .iter()
            .map(|(slot, span)| {
                let source = sources.get(span.source).expect("it was added");
                let at = source.line_column(span.start);
                (*slot, sources.text_of(*span), at.line, at.column)
            })
            .collect();
        assert_eq!(places, [(0, "look(1);", 7, 11), (1, "return *n;", 9, 2)]);
    }

    #[test]
    fn lies_about_lines_cost_nothing() {
        let mut object = object(&[(0, "x", 0, 0), (1, "y", u32::MAX >> 10, 2_000), (2, "z\n\nz", 3, 1)]);
        object.programs[0].line_info.push(LineInfo {
            slot: 3,
            file_name_offset: u32::MAX,
            line_offset: u32::MAX,
            line: 1,
            column: 1,
        });
        let mut sources = Sources::new();
        object.locate_lines(&mut sources);
        // The line of millions is left out, that with line ends in it is not.
        assert_eq!(object.programs[0].locations.len(), 1);
        assert!(sources.iter().map(|(_, source)| source.text().len()).sum::<usize>() <= TEXT_BYTES_MAX);
    }
}
