//! The object's own types: what its functions, maps and lines are called in the kernel's and bpftool's eyes.

use nonna_bpf::{LineInfo, Map, MapType};
use nonna_btf::{BtfBuilder, IntEncoding, Linkage, Param, SectionVar, TypeId};
use nonna_diag::{Sources, Span};
use nonna_ir::{DataDecl, Function, FunctionKind};

use crate::data::Section;

/// Columns have 10 bits (`BPF_LINE_INFO_LINE_COL` in include/uapi/linux/bpf.h).
const MAX_COLUMN: usize = 1023;
/// Bytes of a source line that are kept: the kernel prints it in its verifier's log, and a script may be one huge line.
const MAX_LINE_TEXT_BYTES: usize = 240;
/// Lines have 22.
const MAX_LINE: usize = (1 << 22) - 1;

/// Types under construction.
pub struct ObjectTypes {
    builder: BtfBuilder,
}

impl ObjectTypes {
    /// No types yet.
    pub fn new() -> Self {
        Self { builder: BtfBuilder::new() }
    }

    /// The bytes.
    ///
    /// # Errors
    ///
    /// Where a name cannot be written.
    pub fn finish(self) -> Result<Vec<u8>, nonna_btf::Error> {
        self.builder.finish()
    }

    fn unsigned(&mut self, bytes: u32) -> TypeId {
        let name = match bytes {
            1 => "u8",
            2 => "u16",
            4 => "u32",
            _ => "u64",
        };
        self.builder.add_int(name, bytes, IntEncoding::Unsigned)
    }

    fn bytes(&mut self, bytes: u32) -> TypeId {
        if matches!(bytes, 1 | 2 | 4 | 8) {
            return self.unsigned(bytes);
        }
        let (element, index) = (self.unsigned(1), self.unsigned(4));
        self.builder.add_array(element, index, bytes)
    }

    /// The type of a function: a program takes its context, a subprogram numbers, one that the kernel proves by itself
    /// memory of so many bytes; all return a number.
    pub fn function(&mut self, function: &Function, memory_bytes: Option<u32>) -> TypeId {
        let result = self.builder.add_int("int", 4, IntEncoding::Signed);
        let is_program = matches!(function.kind, FunctionKind::Program { .. });
        let proto = if is_program {
            let context = self.builder.add_ptr(TypeId::VOID);
            self.builder.add_func_proto(result, &[Param { name: "ctx", type_id: context }])
        } else if let Some(bytes) = memory_bytes {
            let (number, memory) = (self.unsigned(8), self.bytes(bytes));
            let type_id = self.builder.add_ptr(memory);
            self.builder.add_func_proto(number, &[Param { name: "memory", type_id }])
        } else {
            let (number, entry) = (self.unsigned(8), function.entry());
            let names = ["a", "b", "c", "d", "e"];
            let params: Vec<Param<'_>> = function.blocks[entry]
                .params
                .iter()
                .zip(names)
                .map(|(_, name)| Param { name, type_id: number })
                .collect();
            self.builder.add_func_proto(number, &params)
        };
        let is_global = is_program || memory_bytes.is_some();
        let linkage = if is_global { Linkage::Global } else { Linkage::Static };
        self.builder.add_func(&identifier(&function.name), proto, linkage)
    }

    /// Gives a map's keys and values types, where its kind takes any.
    pub fn map(&mut self, map: &mut Map) {
        let takes_types = matches!(
            map.map_type,
            MapType::Hash
                | MapType::Array
                | MapType::PercpuHash
                | MapType::PercpuArray
                | MapType::LruHash
                | MapType::LruPercpuHash
                | MapType::TaskStorage
                | MapType::InodeStorage
                | MapType::SkStorage
                | MapType::CgrpStorage
        );
        if takes_types && map.key_size > 0 && map.value_size > 0 {
            map.btf_key_type_id = match map.map_type {
                MapType::TaskStorage | MapType::InodeStorage | MapType::SkStorage | MapType::CgrpStorage => {
                    self.builder.add_int("int", 4, IntEncoding::Signed).0
                }
                _ => self.bytes(map.key_size).0,
            };
            map.btf_value_type_id = self.bytes(map.value_size).0;
        }
    }

    /// Names the variables of a data map.
    pub fn section<'d>(&mut self, section: &Section, map: &mut Map, decl: impl Fn(usize) -> &'d DataDecl) {
        let mut vars = Vec::with_capacity(section.places.len());
        for (nth, &(_, offset_bytes)) in section.places.iter().enumerate() {
            let decl = decl(nth);
            let size_bytes = u32::try_from(decl.bytes.len()).expect("data of a script is small");
            if size_bytes == 0 {
                continue;
            }
            let mut target = self.bytes(size_bytes);
            if !section.mutable {
                target = self.builder.add_const(target);
            }
            let type_id = self.builder.add_var(&identifier(&decl.name), target, Linkage::Global);
            vars.push(SectionVar { type_id, offset_bytes, size_bytes });
        }
        map.btf_value_type_id = self.builder.add_datasec(section.name, map.value_size, &vars).0;
    }

    /// A source line for the kernel's log.
    pub fn line(&mut self, slot: u32, span: Span, sources: &Sources) -> Option<LineInfo> {
        let source = sources.get(span.source)?;
        let place = source.line_column(span.start);
        let text = source.line(place.line).unwrap_or_default().trim_start();
        let text = &text[..text.floor_char_boundary(MAX_LINE_TEXT_BYTES)];
        Some(LineInfo {
            slot,
            file_name_offset: self.text(source.name()),
            line_offset: self.text(text),
            line: u32::try_from(place.line.min(MAX_LINE)).expect("22 bits"),
            column: u32::try_from(place.column.min(MAX_COLUMN)).expect("10 bits"),
        })
    }

    /// A line for code that stands in nobody's text.
    pub fn line_without_text(&mut self, slot: u32, file_name_offset: u32) -> LineInfo {
        LineInfo { slot, file_name_offset, line_offset: 0, line: 0, column: 0 }
    }

    /// Strings end at NUL bytes.
    fn text(&mut self, text: &str) -> u32 {
        self.builder.string(&text.replace('\0', " "))
    }
}

/// The name as a C identifier, which is all that the kernel takes.
fn identifier(name: &str) -> String {
    let mut found: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if !found.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        found.insert(0, '_');
    }
    // KSYM_NAME_LEN in include/linux/kallsyms.h was 128 before it grew.
    found.truncate(127);
    found
}
