//! `args.NAME`: the fields of a tracepoint's record, and typed arguments.

use std::rc::Rc;

use nonna_bpf::{SyscallPhase, TracepointField, TracepointFormat};
use nonna_diag::{Diagnostic, Span, nearest};

use super::Checker;
use super::access::whole;
use crate::ast::Name;
use crate::hir::{Builtin, Expr, ExprKind};
use crate::probes::Context;
use crate::slugs;
use crate::types::{Shape, Space, Type, c_shape, integer_type, split_c_name};

/// First byte of a system call's arguments in the record of its entry (kernel/trace/trace_syscalls.c).
const SYSCALL_ARGS_AT: u32 = 16;
/// What follows a system call's arguments: its number, and that of a 32-bit call with 1,024 more.
const SYSCALL_NUMBER: u8 = 6;

impl Checker<'_> {
    pub(super) fn argument(&mut self, name: &Name, args_span: Span, span: Span) -> Expr {
        match self.body.context.clone() {
            Context::Tracepoint { format, is_syscall } => match find(&format, &name.text) {
                Some(field) => self.record_field(field, is_syscall, span),
                None => self.no_argument(name),
            },
            Context::Syscall { format, phase } => self.syscall_argument(name, &format, phase, span),
            Context::Raw { args: Some(args) } | Context::Function { args, .. } => {
                let Some(idx) = args.iter().position(|arg| arg.name == name.text) else {
                    return self.no_argument(name);
                };
                let number = u8::try_from(idx).unwrap_or(u8::MAX);
                let raw = Expr::new(ExprKind::Builtin(Builtin::Arg(number)), Type::U64, span);
                self.register_value(raw, &Shape::Btf(args[idx].type_id))
            }
            Context::Unknown => Expr::error(span),
            other => self.wrong(
                Diagnostic::new(&slugs::NOT_HERE, "there is no `args` here")
                    .label(args_span, format!("{} has no named arguments", other.describe()))
                    .help("use `arg0`, `arg1` … where the probe has numbered arguments"),
            ),
        }
    }

    fn no_argument(&mut self, name: &Name) -> Expr {
        let names = self.body.context.argument_names();
        let mut diagnostic =
            Diagnostic::new(&slugs::UNKNOWN_FIELD, format!("`args` has no field `{}`", name.text))
                .label(name.span, "this probe has no such argument");
        let near = nearest(&name.text, names.iter().map(String::as_str), 1);
        if let Some(near) = near.first() {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?")).fix(name.span, *near);
        } else if !names.is_empty() {
            let own = names.iter().filter(|n| !n.starts_with("common_"));
            let list: Vec<String> = own.take(12).map(|n| format!("`{n}`")).collect();
            diagnostic = diagnostic.help(format!("there are {}", list.join(", ")));
        }
        self.wrong(diagnostic)
    }

    /// An argument of a system call at its entry or exit, or its result.
    fn syscall_argument(
        &mut self,
        name: &Name,
        format: &TracepointFormat,
        phase: SyscallPhase,
        span: Span,
    ) -> Expr {
        if name.text == "ret" && phase == SyscallPhase::Exit {
            return Expr::new(ExprKind::Builtin(Builtin::Return), Type::I64, span);
        }
        if name.text == "__syscall_nr" {
            return Expr::new(ExprKind::Builtin(Builtin::Arg(SYSCALL_NUMBER)), Type::U64, span);
        }
        let field = find(format, &name.text).filter(|field| field.offset >= SYSCALL_ARGS_AT);
        let Some(field) = field else { return self.no_argument(name) };
        let number = u8::try_from((field.offset - SYSCALL_ARGS_AT) / 8).unwrap_or(u8::MAX);
        let raw = Expr::new(ExprKind::Builtin(Builtin::Arg(number)), Type::U64, span);
        let shape = self.declared_shape(field);
        match self.shapes.value_type(&shape, Space::User) {
            ty @ Type::Pointer { .. } => Expr { ty, ..raw },
            _ => self.register_value(raw, &shape),
        }
    }

    /// A field of the record that a tracepoint's program is given.
    fn record_field(&mut self, field: &TracepointField, is_syscall: bool, span: Span) -> Expr {
        let record = Type::Pointer { to: Rc::new(Shape::Void), space: Space::Context };
        let context = Expr::new(ExprKind::Builtin(Builtin::Context), record, span);
        let declared = field.c_type.trim();
        if let Some(element) = declared.strip_prefix("__data_loc").or(declared.strip_prefix("__rel_loc")) {
            return self.dynamic_array(field, element.trim().trim_end_matches("[]").trim(), span);
        }
        let mut shape = self.declared_shape(field);
        let size = self.shapes.size(&shape).unwrap_or(0);
        let is_scalar = !matches!(shape, Shape::Array { .. } | Shape::Record(_));
        if is_scalar && (size > field.size || size == 0) {
            shape = sized_int(field);
        }
        let value = self.place(context, field.offset, &whole(shape), span);
        match value.ty.clone() {
            // Addresses in the record of a system call are the caller's.
            Type::Pointer { to, .. } if is_syscall => {
                Expr { ty: Type::Pointer { to, space: Space::User }, ..value }
            }
            _ => value,
        }
    }

    /// A field whose bytes lie further on in the record, where a descriptor says.
    fn dynamic_array(&mut self, field: &TracepointField, element: &str, span: Span) -> Expr {
        let of = self.named_shape(element);
        let is_text = self.shapes.resolve(&of) == Shape::Char;
        let relative = field.c_type.trim().starts_with("__rel_loc");
        // A relative descriptor counts from its own end.
        let base = if relative { field.offset.saturating_add(4) } else { 0 };
        let ty = Type::Array { of: Rc::new(of), len: 0, space: Space::Kernel };
        let address = Expr::new(ExprKind::DataLoc { offset: field.offset, base }, ty, span);
        if !is_text {
            return address;
        }
        let bytes = self.settings.max_strlen;
        let kind = ExprKind::ReadText { address: address.into(), length: None, max_bytes: bytes };
        Expr::new(kind, Type::Text { bytes }, span)
    }

    /// The shape that a field's C type says, where that is known, else an integer of its size.
    fn declared_shape(&mut self, field: &TracepointField) -> Shape {
        let declared = field.c_type.trim().trim_start_matches("const ").trim();
        if let Some(base) = declared.strip_suffix('*') {
            let stars = base.trim_end().ends_with('*');
            let to = if stars {
                Shape::Pointer { to: Rc::new(Shape::Char), is_user: true }
            } else {
                self.named_shape(base.trim().trim_end_matches(" const").trim())
            };
            return Shape::Pointer { to: Rc::new(to), is_user: false };
        }
        if let Some((base, len)) = declared.trim_end_matches(']').split_once('[') {
            let of = self.named_shape(base.trim());
            let size = self.shapes.size(&of).filter(|n| *n > 0).unwrap_or(1);
            let len = len.trim().parse().unwrap_or(field.size / size);
            return Shape::Array { of: Rc::new(of), len };
        }
        match integer_type(declared) {
            // The format knows the sign of what fills the field; a narrower type says which part of it counts.
            Some((bytes, _)) if u32::from(bytes) == field.size => sized_int(field),
            Some((bytes, signed)) => Shape::Int { bytes, signed },
            None if declared == "bool" => Shape::Bool,
            None => match self.named_shape(declared) {
                Shape::Void => sized_int(field),
                shape => shape,
            },
        }
    }

    /// The shape of a C type's name as a format file has it.
    fn named_shape(&self, name: &str) -> Shape {
        let (keyword, name) = split_c_name(name);
        c_shape(keyword, name, &self.shapes.own, &self.target.btf).unwrap_or(Shape::Void)
    }
}

fn find<'f>(format: &'f TracepointFormat, name: &str) -> Option<&'f TracepointField> {
    format.fields.iter().find(|field| field.name == name)
}

/// An integer as wide as the field.
fn sized_int(field: &TracepointField) -> Shape {
    let bytes = match field.size {
        1 | 2 | 4 | 8 => u8::try_from(field.size).unwrap_or(8),
        _ => 8,
    };
    Shape::Int { bytes, signed: field.signed }
}
