//! Types as C text: names, declarations and whole definitions.
//!
//! For people and for messages; nothing is decided by this text. What cannot be read, and what is longer or nested deeper
//! than any real type, shows as `...`, so hostile BTF yields short text instead of an endless one.

use std::cell::Cell;
use std::fmt::Write as _;

use crate::error::Error;
use crate::file::Btf;
use crate::kind::{Kind, TypeId};
use crate::resolve::MAX_DEPTH;
use crate::types::{Composite, Enum, FuncProto, Type};

/// Whether a definition says where its members stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offsets {
    /// Plain C.
    Hidden,
    /// With a comment behind each member: byte offset and size; for bit fields byte and bit offset.
    Shown,
}

/// Bytes of names, plus a few for each declaration, that a definition may take: no real one needs as many.
const DEFINITION_BUDGET_BYTES: usize = 1 << 20;
/// The same for a name or a single declaration.
const NAME_BUDGET_BYTES: usize = 16 << 10;
/// What a declaration takes besides its names, roughly.
const DECLARATION_BYTES: usize = 16;
/// What stands for the part that is left out.
const CUT: &str = "...";

impl Btf {
    /// The type's name as C writes it: `struct task_struct *`, `char[16]`, `int (*)(void *, int)`. What cannot be read
    /// shows as `...`.
    #[must_use]
    pub fn type_name(&self, id: TypeId) -> String {
        self.declaration(id, "")
    }

    /// A declaration of `name` with type `id`: `char comm[16]`, `struct task_struct *parent`.
    #[must_use]
    pub fn declaration(&self, id: TypeId, name: &str) -> String {
        Writer::new(self, Offsets::Hidden, NAME_BUDGET_BYTES).declare(
            id,
            name,
            Place { levels: MAX_DEPTH, bodies: Bodies::None, indent: 0 },
        )
    }

    /// A full definition in C: of structs, unions, enumerations and typedefs with what is in them; of functions and
    /// variables their declaration.
    ///
    /// # Errors
    /// If there is no such type or it cannot be read.
    pub fn definition(&self, id: TypeId, offsets: Offsets) -> Result<String, Error> {
        let writer = Writer::new(self, offsets, DEFINITION_BUDGET_BYTES);
        let place = Place { levels: MAX_DEPTH, bodies: Bodies::Anonymous, indent: 0 };
        Ok(match self.ty(id)? {
            Type::Struct(_) | Type::Union(_) | Type::Enum(_) | Type::Enum64(_) => {
                format!("{};", writer.base(id, Place { bodies: Bodies::All, ..place }))
            }
            Type::Typedef { name, target } => format!("typedef {};", writer.declare(target, name, place)),
            Type::Func(func) => format!("{};", writer.declare(func.proto, func.name, place)),
            Type::Var(var) => format!("{};", writer.declare(var.target, var.name, place)),
            _ => writer.declare(id, "", place),
        })
    }
}

/// Which types are written out with their braces.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bodies {
    None,
    Anonymous,
    All,
}

/// Where in the text a type is written.
#[derive(Clone, Copy)]
struct Place {
    /// Levels of nesting that are left.
    levels: usize,
    bodies: Bodies,
    indent: usize,
}

impl Place {
    fn pad(self) -> String {
        "    ".repeat(self.indent)
    }
}

struct Writer<'a> {
    btf: &'a Btf,
    offsets: Offsets,
    left_bytes: Cell<usize>,
}

impl<'a> Writer<'a> {
    fn new(btf: &'a Btf, offsets: Offsets, budget_bytes: usize) -> Self {
        Writer { btf, offsets, left_bytes: Cell::new(budget_bytes) }
    }

    /// Takes `text` from the budget; false when it is used up.
    fn spend(&self, text: &str) -> bool {
        let left = self.left_bytes.get().saturating_sub(text.len() + DECLARATION_BYTES);
        self.left_bytes.set(left);
        left > 0
    }

    /// Wraps a declarator outwards from `name`, as C's declarations grow, then puts the innermost type in front.
    fn declare(&self, id: TypeId, name: &str, place: Place) -> String {
        let mut declarator = String::from(name);
        let mut at = id;
        let (mut before, mut after) = (String::new(), String::new());
        if !self.spend(name) {
            return CUT.into();
        }
        for _ in 0..MAX_DEPTH {
            if !self.spend("") {
                return CUT.into();
            }
            match self.btf.peek(at) {
                Ok(Type::Ptr { target }) => {
                    let wrapped = matches!(self.pointee_kind(target), Some(Kind::Array | Kind::FuncProto));
                    declarator = if wrapped { format!("(*{declarator})") } else { format!("*{declarator}") };
                    at = target;
                }
                Ok(Type::Array(array)) => {
                    let _ = write!(declarator, "[{}]", Dimension(array.len));
                    at = array.element;
                }
                Ok(Type::FuncProto(proto)) => {
                    declarator = format!("{declarator}({})", self.params(&proto, place));
                    at = proto.return_type;
                }
                Ok(Type::Const { target }) => {
                    at = self.qualify("const", target, &mut before, &mut declarator);
                }
                Ok(Type::Volatile { target }) => {
                    at = self.qualify("volatile", target, &mut before, &mut declarator);
                }
                Ok(Type::Restrict { target }) => {
                    at = self.qualify("restrict", target, &mut before, &mut declarator);
                }
                Ok(Type::TypeTag { text, target, is_attribute }) => {
                    if !self.spend(text) {
                        return CUT.into();
                    }
                    let _ = if is_attribute {
                        write!(after, " __attribute__(({text}))")
                    } else {
                        write!(after, " __{text}")
                    };
                    at = target;
                }
                Ok(_) => {
                    let base = self.base(at, place);
                    let gap = if declarator.is_empty() || declarator.starts_with('[') { "" } else { " " };
                    return format!("{before}{base}{after}{gap}{declarator}");
                }
                Err(_) => break,
            }
        }
        format!("{before}{CUT} {declarator}").trim_end().into()
    }

    fn pointee_kind(&self, target: TypeId) -> Option<Kind> {
        self.btf.skip_qualifiers(target).and_then(|id| self.btf.kind(id)).ok()
    }

    /// A qualifier belongs behind the star of a pointer, else in front of the whole.
    fn qualify(&self, word: &str, target: TypeId, before: &mut String, declarator: &mut String) -> TypeId {
        if self.pointee_kind(target) == Some(Kind::Ptr) {
            let gap = if declarator.is_empty() { "" } else { " " };
            *declarator = format!("{word}{gap}{declarator}");
        } else {
            before.push_str(word);
            before.push(' ');
        }
        target
    }

    fn params(&self, proto: &FuncProto<'_>, place: Place) -> String {
        let Some(levels) = place.levels.checked_sub(1) else { return CUT.into() };
        let place = Place { levels, bodies: Bodies::None, indent: 0 };
        let mut params = Vec::new();
        let last = proto.params().len();
        for (nth, param) in proto.params().enumerate() {
            if self.left_bytes.get() == 0 || (nth + 1 == last && param.type_id == TypeId::VOID) {
                params.push(CUT.into());
                break;
            }
            params.push(self.declare(param.type_id, param.name, place));
        }
        if params.is_empty() { "void".into() } else { params.join(", ") }
    }

    /// The innermost type: keyword and name, and the body where `place` wants it.
    fn base(&self, id: TypeId, place: Place) -> String {
        let Ok(found) = self.btf.peek(id) else { return CUT.into() };
        let (word, name) = match found {
            Type::Void => ("", "void"),
            Type::Struct(found) => ("struct", found.name),
            Type::Union(found) => ("union", found.name),
            Type::Enum(found) | Type::Enum64(found) => ("enum", found.name),
            Type::Fwd { name, is_union: false } => ("struct", name),
            Type::Fwd { name, is_union: true } => ("union", name),
            Type::Int(crate::Int { name, .. }) | Type::Float { name, .. } | Type::Typedef { name, .. } => {
                ("", name)
            }
            Type::Func(crate::Func { name, .. }) | Type::Var(crate::Var { name, .. }) => ("", name),
            Type::DataSec(crate::DataSec { name, .. }) => ("", name),
            Type::DeclTag { text, .. } if self.spend(text) => {
                return format!("__attribute__((btf_decl_tag(\"{text}\")))");
            }
            _ => ("", CUT),
        };
        if !self.spend(name) {
            return CUT.into();
        }
        let inner = Place {
            levels: place.levels.saturating_sub(1),
            bodies: Bodies::Anonymous,
            indent: place.indent + 1,
        };
        let wanted = place.levels > 0
            && match place.bodies {
                Bodies::None => false,
                Bodies::Anonymous => name.is_empty(),
                Bodies::All => true,
            };
        let body = match found {
            Type::Struct(found) | Type::Union(found) if wanted => self.members(&found, place, inner),
            Type::Enum(found) | Type::Enum64(found) if wanted => self.values(&found, place, inner),
            _ if name.is_empty() => format!("{{{CUT}}}"),
            _ => String::new(),
        };
        let parts = [word, name, &body];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    }

    fn members(&self, found: &Composite<'_>, outer: Place, inner: Place) -> String {
        let mut text = String::from("{\n");
        let pad = inner.pad();
        for member in found.members() {
            if self.left_bytes.get() == 0 {
                let _ = writeln!(text, "{pad}{CUT}");
                break;
            }
            let declared = self.declare(member.type_id, member.name, inner);
            let width = if member.bit_width == 0 { String::new() } else { format!(":{}", member.bit_width) };
            let comment = self.comment(member.type_id, member.bit_offset, member.bit_width);
            let _ = writeln!(text, "{pad}{declared}{width};{comment}");
        }
        text + &outer.pad() + "}"
    }

    /// The comment behind a member.
    fn comment(&self, id: TypeId, bit_offset: u32, bit_width: u8) -> String {
        if self.offsets == Offsets::Hidden {
            return String::new();
        }
        let (byte, bit) = (bit_offset / 8, bit_offset % 8);
        if bit_width != 0 || bit != 0 {
            return format!(" // {byte}, bit {bit}");
        }
        match self.btf.size_of(id) {
            Ok(size) => format!(" // {byte}, size {size}"),
            Err(_) => format!(" // {byte}"),
        }
    }

    fn values(&self, found: &Enum<'_>, outer: Place, inner: Place) -> String {
        let mut text = String::from("{\n");
        let pad = inner.pad();
        for value in found.values() {
            if !self.spend(value.name) {
                let _ = writeln!(text, "{pad}{CUT}");
                break;
            }
            let _ = writeln!(text, "{pad}{} = {},", value.name, value.value);
        }
        text + &outer.pad() + "}"
    }
}

/// An array's length; nothing for a flexible one.
struct Dimension(u32);

impl std::fmt::Display for Dimension {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 == 0 { Ok(()) } else { write!(f, "{}", self.0) }
    }
}
