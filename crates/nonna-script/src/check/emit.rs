//! `emit`: events of the user's own.

use nonna_diag::{Diagnostic, Span};
use nonna_event::{ARGS_MAX_BYTES, EventSchema, Field, FieldType, NameSet, PATH_MAX_BYTES, Ring};

use super::access::{split, whole};
use super::{Checker, origin};
use crate::ast::{self, ExprKind as Ast};
use crate::hir::{Expr, FieldValue, StmtKind};
use crate::slugs;
use crate::types::{Shape, Type};

/// Bytes of an environment variable's value that are kept.
const ENV_MAX_BYTES: u32 = 256;

impl Checker<'_> {
    /// `emit name { field: value, … }`
    pub(super) fn emit(&mut self, emit: &ast::Emit) -> Option<StmtKind> {
        let (mut fields, mut values) = (Vec::new(), Vec::new());
        let mut is_whole = true;
        let origin = if self.options.sensors { origin::fields(emit.name.span) } else { Vec::new() };
        for field in origin.iter().chain(&emit.fields) {
            if let Some(first) = emit.fields.iter().find(|f| f.name.text == field.name.text)
                && !std::ptr::eq(first, field)
            {
                self.report(
                    Diagnostic::new(
                        &slugs::BAD_EVENT,
                        format!("the event has two fields `{}`", field.name.text),
                    )
                    .label(field.name.span, "the second one")
                    .label(first.name.span, "the first one"),
                );
                is_whole = false;
            }
            match self.emit_field(&field.value) {
                Some((field_type, value)) => {
                    let (name, description) = (field.name.text.clone(), field.description.clone());
                    fields.push(Field { name, field_type, description });
                    values.push(value);
                }
                None => is_whole = false,
            }
        }
        if !is_whole {
            return None;
        }
        let ring = if emit.critical { Ring::Critical } else { Ring::Volume };
        let schema = self.event(&emit.name, fields, ring)?;
        Some(StmtKind::Send { schema, fields: values })
    }

    /// The schema of an event; where the event is known, both descriptions must agree.
    fn event(&mut self, name: &ast::Name, fields: Vec<Field>, ring: Ring) -> Option<usize> {
        let Some((schema, first)) = self.events.get(&name.text).copied() else {
            let schema = self.schemas.len();
            let id = self.schema_id(schema);
            self.schemas.push(EventSchema { id, name: name.text.clone(), fields, ring });
            self.events.insert(name.text.clone(), (schema, name.span));
            return Some(schema);
        };
        let known = &mut self.schemas[schema];
        let clash = if known.ring != ring {
            Some("one is `critical`, the other is not".to_owned())
        } else {
            join_fields(&mut known.fields, fields)
        };
        match clash {
            None => Some(schema),
            Some(why) => {
                self.report(
                    Diagnostic::new(&slugs::EVENT_CLASH, format!("`{}` is described in two ways", name.text))
                        .label(name.span, why)
                        .label(first, "first described here"),
                );
                None
            }
        }
    }

    /// Type and value of a field.
    fn emit_field(&mut self, expr: &ast::Expr) -> Option<(FieldType, FieldValue)> {
        if let Ast::Call { name, args } = &expr.kind {
            match (name.text.as_str(), args.as_slice()) {
                ("path", [arg]) => {
                    let (source, pointer) = self.path_source(arg)?;
                    return Some((FieldType::Path, FieldValue::Path { source, pointer }));
                }
                ("args", [arg]) => {
                    let task = self.task(arg)?;
                    let max_bytes = ARGS_MAX_BYTES;
                    let field_type = FieldType::TextList { max_bytes };
                    return Some((field_type, FieldValue::TaskArgs { task, max_bytes }));
                }
                ("env", [task, variable]) => {
                    let task = self.task(task)?;
                    let name = self.constant_text(variable)?;
                    let max_bytes = ENV_MAX_BYTES;
                    let value = FieldValue::TaskEnv { task, name, max_bytes };
                    return Some((FieldType::Text { max_bytes }, value));
                }
                (text, [arg]) => {
                    if let Some(set) = NameSet::by_function(text) {
                        let number = self.named_number(arg, text);
                        let bytes = match number.ty {
                            Type::Int { bytes, .. } | Type::Enum { bytes, .. } => bytes,
                            Type::Bool => 1,
                            _ => return None,
                        };
                        return Some((FieldType::Named { set, bytes }, FieldValue::Value(number)));
                    }
                }
                _ => {}
            }
        }
        let value = self.value(expr);
        if value.ty.is_unknown() {
            return None;
        }
        match self.event_field(&value) {
            Some(field_type) => Some((field_type, FieldValue::Value(value))),
            None => {
                self.not_a_field(&value, expr.span);
                None
            }
        }
    }

    /// A number that gets names; a small structure around one counts as its bytes (`kernel_cap_t`).
    fn named_number(&mut self, arg: &ast::Expr, function: &str) -> Expr {
        let value = self.value(arg);
        let Type::Record { of, .. } = &value.ty else { return self.integer(arg, &format!("`{function}`")) };
        let bytes = self.shapes.size(&Shape::Record(*of)).and_then(|bytes| u8::try_from(bytes).ok());
        match bytes.filter(|bytes| matches!(bytes, 1 | 2 | 4 | 8)) {
            Some(bytes) => {
                let (root, offset) = split(value);
                self.place(root, offset, &whole(Shape::Int { bytes, signed: false }), arg.span)
            }
            None => self.integer(arg, &format!("`{function}`")),
        }
    }

    fn not_a_field(&mut self, value: &Expr, span: Span) {
        let what = self.describe(&value.ty);
        self.report(
            Diagnostic::new(&slugs::BAD_EVENT, format!("an event cannot hold {what}"))
                .label(span, format!("this is {what}"))
                .help("choose the parts of it that matter"),
        );
    }

    fn task(&mut self, arg: &ast::Expr) -> Option<Expr> {
        let value = self.value(arg);
        let name = self.record_of(&value.ty).map(|of| self.shapes.shape_name(&Shape::Record(of)));
        if name.as_deref() == Some("struct task_struct") {
            return Some(value);
        }
        if !value.ty.is_unknown() {
            self.wrong_argument("args", arg.span, "a `struct task_struct *` such as `curtask`", &value.ty);
        }
        None
    }
}

/// Joins a second description of an event into the first; what is wrong where they differ. Capacities may differ: the larger
/// one counts.
fn join_fields(known: &mut [Field], fields: Vec<Field>) -> Option<String> {
    if known.len() != fields.len() {
        return Some(format!("{} fields here, {} elsewhere", fields.len(), known.len()));
    }
    for (a, b) in known.iter_mut().zip(fields) {
        if a.name != b.name {
            return Some(format!("field `{}` stands where `{}` stands elsewhere", b.name, a.name));
        }
        match (&mut a.field_type, &b.field_type) {
            (FieldType::Text { max_bytes: x }, FieldType::Text { max_bytes: y })
            | (FieldType::Bytes { max_bytes: x }, FieldType::Bytes { max_bytes: y }) => *x = (*x).max(*y),
            // A path is text that the kernel itself wrote.
            (FieldType::Path, FieldType::Text { max_bytes }) if *max_bytes <= PATH_MAX_BYTES => {}
            (x @ FieldType::Text { .. }, FieldType::Path) if x.max_tail_bytes() <= PATH_MAX_BYTES => {
                *x = FieldType::Path;
            }
            (x, y) if x == y => {}
            _ => return Some(format!("field `{}` is of another type", a.name)),
        }
        if a.description.is_empty() {
            a.description = b.description;
        }
    }
    None
}
