//! Arguments of kernel functions and tracepoints, as BTF describes them: a JSON value becomes the bytes of its C type.
//!
//! Numbers are arguments as they are. What a pointer points to is given in place of the pointer: an object for a structure, a text for
//! characters, a list for several values. Members that are not given are zero.

use nonna_bpf::{Hook, Program, ProgramType};
use nonna_btf::{Btf, FieldAccess, Kind, Type, TypeId};
use serde_json::Value;

use super::{ArgumentImages, Wrong, value};
use crate::context::{StructImage, Word};

/// `MAX_BPF_FUNC_ARGS`
const ARGUMENTS_MAX: usize = 12;
/// Bytes that the images of one context take at most.
const IMAGE_BYTES_MAX: usize = 1 << 20;
/// How deep values lie in each other at most.
const DEPTH_MAX: usize = 32;

/// The arguments of a program, by name and type where they are known.
pub(super) struct Arguments<'a> {
    types: Option<&'a Btf>,
    params: Vec<(String, TypeId)>,
}

impl<'a> Arguments<'a> {
    /// Finds out what the program's hook gives it.
    pub(super) fn of(program: &Program, types: Option<&'a Btf>) -> Arguments<'a> {
        let params = types.and_then(|types| params(program, types)).unwrap_or_default();
        Arguments { types, params }
    }

    /// Reads `args`: a list in order, or an object by name.
    pub(super) fn read(&self, value: &Value) -> Result<ArgumentImages, Wrong> {
        let mut images = Images { types: self.types, images: Vec::new(), bytes: 0 };
        let mut words = Vec::new();
        match value {
            Value::Array(items) => {
                if items.len() > ARGUMENTS_MAX {
                    return Err(Wrong::new("args", format!("there are {ARGUMENTS_MAX} arguments at most")));
                }
                for (index, item) in items.iter().enumerate() {
                    let type_id = self.params.get(index).map(|(_, type_id)| *type_id);
                    words.push(images.argument(type_id, item)?);
                }
            }
            Value::Object(members) => {
                words = vec![Word::Number(0); self.params.len()];
                for (name, item) in members {
                    let index = self.params.iter().position(|(known, _)| known == name);
                    let index = index.ok_or_else(|| self.no_argument(name))?;
                    words[index] = images.argument(Some(self.params[index].1), item)?;
                }
            }
            _ => return Err(Wrong::new("args", "arguments are a list in order, or an object by name")),
        }
        // A program may look at more arguments than there are where nobody told it how many there are.
        words.resize(words.len().max(ARGUMENTS_MAX), Word::Number(0));
        Ok((words, images.images))
    }

    fn no_argument(&self, name: &str) -> Wrong {
        let known: Vec<&str> = self.params.iter().map(|(name, _)| name.as_str()).collect();
        let help = match known[..] {
            [] => "the types of the arguments are not known here: give them as a list".to_owned(),
            _ => format!("there are {}", known.join(", ")),
        };
        Wrong { help: Some(help), ..Wrong::new(name, format!("there is no argument `{name}`")) }
    }
}

/// Name and type of each argument.
fn params(program: &Program, types: &Btf) -> Option<Vec<(String, TypeId)>> {
    let from_section = || program.section.split_once('/').map(|(_, target)| target);
    let target = match &program.hook {
        Hook::RawTracepoint { event } => Some(event.as_str()),
        _ => program.attach_target.as_deref().or_else(from_section),
    }?;
    let params = match program.program_type {
        ProgramType::Lsm => types.lsm_hook(target).ok()??.params,
        ProgramType::RawTracepoint | ProgramType::RawTracepointWritable => {
            types.tracepoint(target).ok()??.args
        }
        _ => match types.tracepoint(target).ok()? {
            Some(tracepoint) => tracepoint.args,
            None => types.function(target).ok()??.params,
        },
    };
    Some(params.into_iter().map(|param| (param.name.to_owned(), param.type_id)).collect())
}

/// Images that are being made.
struct Images<'a> {
    types: Option<&'a Btf>,
    images: Vec<StructImage>,
    bytes: usize,
}

impl Images<'_> {
    /// An argument: a number, null, or what it points to. `{"type": "struct file", "value": …}` names a type that is not known.
    fn argument(&mut self, type_id: Option<TypeId>, item: &Value) -> Result<Word, Wrong> {
        if let Value::Object(members) = item
            && let (Some(Value::String(name)), Some(inner), 2) =
                (members.get("type"), members.get("value"), members.len())
        {
            let named = self.named(name)?;
            return Ok(Word::Image(self.image(named, inner, 0)?));
        }
        match (item, type_id) {
            (Value::Null, _) => Ok(Word::Number(0)),
            (Value::Object(_) | Value::Array(_), None) => Err(Wrong::new(
                "args",
                "the type of this argument is not known here: write {\"type\": \"struct …\", \"value\": …}",
            )),
            (Value::Object(_) | Value::Array(_), Some(type_id)) => {
                let pointee = self.pointee(type_id)?;
                Ok(Word::Image(self.image(pointee, item, 0)?))
            }
            (Value::String(text), Some(type_id)) if value::number(item).is_err() => {
                match self.pointee(type_id) {
                    Ok(_) => Ok(Word::Image(self.text(text)?)),
                    Err(_) => Ok(Word::Number(self.enumerator(type_id, text)?)),
                }
            }
            _ => value::number(item).map(Word::Number).map_err(|message| Wrong::new("args", message)),
        }
    }

    fn types(&self) -> Result<&Btf, Wrong> {
        self.types.ok_or_else(|| Wrong::new("args", "types are not known here"))
    }

    fn named(&self, name: &str) -> Result<TypeId, Wrong> {
        let (kinds, bare): (&[Kind], &str) = match name.split_once(' ') {
            Some(("struct", bare)) => (&[Kind::Struct], bare),
            Some(("union", bare)) => (&[Kind::Union], bare),
            _ => (&[Kind::Struct, Kind::Union, Kind::Typedef, Kind::Int], name),
        };
        let types = self.types()?;
        let found = kinds.iter().find_map(|kind| types.find(*kind, bare));
        found.ok_or_else(|| Wrong::new(name, format!("there is no type `{name}`")))
    }

    fn pointee(&self, type_id: TypeId) -> Result<TypeId, Wrong> {
        let types = self.types()?;
        let not =
            |_| Wrong::new("args", format!("`{}` is no pointer: give a number", types.type_name(type_id)));
        types.deref(type_id).map_err(not)
    }

    fn enumerator(&self, type_id: TypeId, name: &str) -> Result<u64, Wrong> {
        let types = self.types()?;
        let unreadable = |error: nonna_btf::Error| Wrong::new(name, error.to_string());
        if let Type::Enum(found) | Type::Enum64(found) = types.resolved(type_id).map_err(unreadable)?
            && let Some(value) = found.values().find(|value| value.name == name)
        {
            return Ok(value.value as u64);
        }
        let of = types.type_name(type_id);
        Err(Wrong::new(name, format!("`{name}` is neither a number nor a value of `{of}`")))
    }

    /// Makes an image; yields its index.
    fn new_image(&mut self, bytes: Vec<u8>) -> Result<usize, Wrong> {
        self.bytes += bytes.len();
        if self.bytes > IMAGE_BYTES_MAX {
            return Err(Wrong::new("args", "what the arguments point to is larger than 1 MiB"));
        }
        self.images.push(StructImage { bytes, pointers: Vec::new() });
        Ok(self.images.len() - 1)
    }

    fn text(&mut self, text: &str) -> Result<usize, Wrong> {
        self.new_image([text.as_bytes(), &[0]].concat())
    }

    /// The image of what a pointer to `type_id` points to: one value, or a list of them.
    fn image(&mut self, type_id: TypeId, item: &Value, depth: usize) -> Result<usize, Wrong> {
        let types = self.types()?;
        let unreadable = |error: nonna_btf::Error| Wrong::new("args", error.to_string());
        let is_array = matches!(types.resolved(type_id).map_err(unreadable)?, Type::Array(_));
        let whole = types.whole(type_id).map_err(unreadable)?;
        let items: Vec<&Value> = match item {
            Value::Array(items) if !is_array => items.iter().collect(),
            one => vec![one],
        };
        let size = usize::try_from(whole.size_bytes).unwrap_or(usize::MAX);
        let bytes = size.checked_mul(items.len()).filter(|bytes| *bytes <= IMAGE_BYTES_MAX);
        let bytes =
            bytes.ok_or_else(|| Wrong::new("args", "what the arguments point to is larger than 1 MiB"))?;
        let image = self.new_image(vec![0; bytes])?;
        for (index, item) in items.into_iter().enumerate() {
            let at = FieldAccess { byte_offset: (index * size) as u32, ..whole };
            self.fill(image, at, item, "args", depth)?;
        }
        Ok(image)
    }

    /// Fills a field of an image.
    fn fill(
        &mut self,
        image: usize,
        field: FieldAccess,
        item: &Value,
        name: &str,
        depth: usize,
    ) -> Result<(), Wrong> {
        if depth > DEPTH_MAX {
            return Err(Wrong::new(name, "values lie too deep in each other"));
        }
        let types = self.types()?;
        let unreadable = |error: nonna_btf::Error| Wrong::new(name, error.to_string());
        let resolved = types.resolved(field.type_id).map_err(unreadable)?;
        match (resolved, item) {
            (Type::Struct(_) | Type::Union(_), Value::Object(members)) => {
                let mut inner_fields = Vec::new();
                for (inner, item) in members {
                    let access =
                        types.member(field.type_id, inner).map_err(|_| no_member(types, field, inner))?;
                    let access = field.then(access).map_err(unreadable)?;
                    inner_fields.push((access, inner, item));
                }
                for (access, inner, item) in inner_fields {
                    self.fill(image, access, item, inner, depth + 1)?;
                }
                Ok(())
            }
            (Type::Array(_), Value::String(text)) => self.set(image, field, text.as_bytes(), name),
            (Type::Array(_), Value::Array(items)) => {
                let mut elements = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    let element = types.element(field.type_id, index as u64).map_err(unreadable)?;
                    elements.push((field.then(element).map_err(unreadable)?, item));
                }
                elements.into_iter().try_for_each(|(at, item)| self.fill(image, at, item, name, depth + 1))
            }
            (Type::Ptr { .. }, Value::Object(_) | Value::Array(_)) => {
                let pointee = self.pointee(field.type_id)?;
                let target = self.image(pointee, item, depth + 1)?;
                self.images[image].pointers.push((field.byte_offset as usize, target));
                Ok(())
            }
            (Type::Ptr { .. }, Value::String(text)) if value::number(item).is_err() => {
                let target = self.text(text)?;
                self.images[image].pointers.push((field.byte_offset as usize, target));
                Ok(())
            }
            (Type::Enum(_) | Type::Enum64(_), Value::String(text)) if value::number(item).is_err() => {
                let number = self.enumerator(field.type_id, text)?;
                self.set_number(image, field, number, name)
            }
            (_, Value::Null) => Ok(()),
            _ => {
                let number = value::number(item).map_err(|message| Wrong::new(name, message))?;
                self.set_number(image, field, number, name)
            }
        }
    }

    fn set_number(&mut self, image: usize, field: FieldAccess, number: u64, name: &str) -> Result<(), Wrong> {
        let size = usize::try_from(field.size_bytes).ok().filter(|size| matches!(size, 1 | 2 | 4 | 8));
        let size = size.ok_or_else(|| Wrong::new(name, format!("`{name}` is not a number")))?;
        let (shift, width) =
            field.bits.map_or((0, 8 * size as u32), |bits| (bits.shift.into(), bits.width.into()));
        let mask = if width >= 64 { u64::MAX } else { (1 << width) - 1 };
        let fits = number & !mask == 0 || number | mask >> 1 == u64::MAX;
        if !fits {
            return Err(Wrong::new(name, format!("{number} does not fit the {width} bits of `{name}`")));
        }
        let at = field.byte_offset as usize;
        let mut unit = [0; 8];
        unit[..size].copy_from_slice(&self.images[image].bytes[at..at + size]);
        let unit = u64::from_le_bytes(unit) & !(mask << shift) | (number & mask) << shift;
        self.images[image].bytes[at..at + size].copy_from_slice(&unit.to_le_bytes()[..size]);
        Ok(())
    }

    fn set(&mut self, image: usize, field: FieldAccess, bytes: &[u8], name: &str) -> Result<(), Wrong> {
        let room = usize::try_from(field.size_bytes).unwrap_or(usize::MAX);
        if bytes.len() > room {
            return Err(Wrong::new(name, format!("`{name}` has room for {room} bytes")));
        }
        let at = field.byte_offset as usize;
        self.images[image].bytes[at..at + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}

fn no_member(types: &Btf, field: FieldAccess, name: &str) -> Wrong {
    let of = types.type_name(field.type_id);
    let fields = types.fields(field.type_id).unwrap_or_default();
    let near = nonna_diag::nearest(name, fields.iter().map(|field| field.name), 3);
    let help = (!near.is_empty()).then(|| format!("did you mean {}?", near.join(" or ")));
    Wrong { help, ..Wrong::new(name, format!("`{of}` has no member `{name}`")) }
}
