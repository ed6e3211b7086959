//! Statements that ask user space to do something: printing, clearing, ending.

use nonna_diag::{Diagnostic, Span};
use nonna_event::{EventSchema, Field, FieldType, Ring};

use super::Checker;
use super::event_fields::FieldDraft;
use super::names::literal;
use crate::ast::{self, ExprKind as Ast};
use crate::builtins::Output;
use crate::hir::{Expr, FieldValue, Key, MapKind, StmtKind};
use crate::host_data::{Action, ActionArg, ActionKind, Format, Stream};
use crate::slugs;
use crate::types::{Shape, Space, Type};

/// Strings that `join` reads, and bytes of each.
const JOIN_STRINGS: u32 = 16;
const JOIN_STRING_BYTES: u32 = 1000;

impl Checker<'_> {
    pub(super) fn output(
        &mut self,
        output: Output,
        name: &ast::Name,
        args: &[ast::Expr],
        span: Span,
    ) -> Option<StmtKind> {
        if !self.has_argument_count(name, args.len(), span) {
            return None;
        }
        match output {
            Output::Printf => self.printf(Stream::Plain, args, span),
            Output::Errorf => self.printf(Stream::Error, args, span),
            Output::Warnf => self.printf(Stream::Warning, args, span),
            Output::Cat => {
                let (format, values) = self.formatted(args)?;
                Some(self.action(ActionKind::Cat { format }, values))
            }
            Output::System => {
                let allowed = self.is_allowed(name, span);
                let (format, values) = self.formatted(args)?;
                allowed.then(|| self.action(ActionKind::System { format }, values))
            }
            Output::Join => self.join(args),
            Output::Time => {
                let format = match args.first() {
                    Some(arg) => self.constant_text(arg)?,
                    None => "%H:%M:%S\n".to_owned(),
                };
                Some(self.action(ActionKind::Time { format }, Vec::new()))
            }
            Output::Print => self.print(args),
            Output::Clear => {
                let map_idx = self.whole_map(name, &args[0])?;
                Some(self.action(ActionKind::Clear { map_idx }, Vec::new()))
            }
            Output::Zero => {
                let map_idx = self.whole_map(name, &args[0])?;
                Some(self.action(ActionKind::Zero { map_idx }, Vec::new()))
            }
            Output::Exit => self.exit(args.first(), span),
            Output::Signal => self.signal(name, &args[0], span),
        }
    }

    fn is_allowed(&mut self, name: &ast::Name, span: Span) -> bool {
        if !self.options.allow_unsafe {
            self.report(
                Diagnostic::new(&slugs::NEEDS_UNSAFE, format!("`{}` changes the system", name.text))
                    .label(span, "this is not allowed by default")
                    .help("add `--unsafe` to the command if you want it"),
            );
        }
        self.options.allow_unsafe
    }

    fn printf(&mut self, stream: Stream, args: &[ast::Expr], span: Span) -> Option<StmtKind> {
        let (format, values) = self.formatted(args)?;
        let (line, column) = (self.place_of)(span);
        Some(self.action(ActionKind::Printf { stream, format, line, column }, values))
    }

    /// A format and its values.
    fn formatted(&mut self, args: &[ast::Expr]) -> Option<(Format, Vec<Expr>)> {
        let (format_arg, rest) = args.split_first()?;
        let values: Vec<Expr> = rest.iter().map(|arg| self.value(arg)).collect();
        let Ast::Text(bytes) = &format_arg.kind else {
            let text = self.constant_text(format_arg)?;
            return self.format(text.as_bytes(), format_arg.span, values);
        };
        self.format(bytes, format_arg.span, values)
    }

    /// `join(argv)`
    fn join(&mut self, args: &[ast::Expr]) -> Option<StmtKind> {
        let value = self.value(&args[0]);
        let separator = match args.get(1) {
            Some(arg) => self.constant_text(arg)?,
            None => " ".to_owned(),
        };
        let ty = value.ty.clone();
        let to = Shape::Pointer { to: Shape::Char.into(), is_user: self.body.context.space() == Space::User };
        let Some(argv) = self.address(value, to) else {
            if !ty.is_unknown() {
                self.wrong_argument("join", args[0].span, "an array of strings", &ty);
            }
            return None;
        };
        let fields = (0..JOIN_STRINGS).map(|idx| Field {
            name: format!("arg{idx}"),
            field_type: FieldType::Text { max_bytes: JOIN_STRING_BYTES },
            description: String::new(),
        });
        let args = (0..JOIN_STRINGS as usize).map(|idx| ActionArg {
            field_idx: idx,
            host_type: crate::host_data::HostType::Text { bytes: JOIN_STRING_BYTES },
            pid_field_idx: None,
        });
        let (fields, args) = (fields.collect(), args.collect());
        let schema = self.new_action(ActionKind::Join { separator }, fields, args);
        Some(StmtKind::Send { schema, fields: vec![FieldValue::Arguments { argv, count: JOIN_STRINGS }] })
    }

    /// `print(@map)`, `print(@map, top, div)`, `print(@map[key])`, `print(value)`
    fn print(&mut self, args: &[ast::Expr]) -> Option<StmtKind> {
        let Ast::Map(access) = &args[0].kind else { return self.print_value(args) };
        let map_idx = self.map(&access.name);
        if !self.is_filled(map_idx, args[0].span) {
            return None;
        }
        let is_scalar = self.map_key_types(map_idx).is_some_and(<[Type]>::is_empty);
        if access.key.is_none() && !is_scalar || args.len() == 1 && access.key.is_none() {
            let top = args.get(1).map_or(Some(0), |arg| self.constant_int(arg))?;
            let div = args.get(2).map_or(Some(0), |arg| self.constant_int(arg))?;
            let (top, div) = (top.max(0).unsigned_abs(), div.max(0).unsigned_abs());
            return Some(self.action(ActionKind::PrintMap { map_idx, top, div }, Vec::new()));
        }
        if let Some(extra) = args.get(1) {
            self.report(
                Diagnostic::new(&slugs::WRONG_ARGUMENTS, "`print` takes one argument for a single entry")
                    .label(extra.span, "only a whole map can be cut and divided"),
            );
            return None;
        }
        let key = self.map_key(map_idx, access.key.as_deref(), args[0].span);
        let mut parts = match key {
            Key::None => Vec::new(),
            Key::Parts(parts) => parts,
            Key::Whole(whole) => vec![*whole],
        };
        if matches!(self.map_value(map_idx), MapKind::Plain(_)) {
            parts.push(self.read_map(access, args[0].span));
        }
        Some(self.action(ActionKind::PrintEntry { map_idx }, parts))
    }

    fn print_value(&mut self, args: &[ast::Expr]) -> Option<StmtKind> {
        if let Some(extra) = args.get(1) {
            self.report(
                Diagnostic::new(&slugs::WRONG_ARGUMENTS, "`print` takes one argument for a value")
                    .label(extra.span, "only a map can be cut and divided"),
            );
        }
        let value = self.value(&args[0]);
        Some(self.action(ActionKind::PrintValue, vec![value]))
    }

    /// A map without a key.
    fn whole_map(&mut self, name: &ast::Name, arg: &ast::Expr) -> Option<usize> {
        match &arg.kind {
            Ast::Map(access) if access.key.is_none() => {
                let map = self.map(&access.name);
                self.is_filled(map, arg.span).then_some(map)
            }
            Ast::Map(_) => {
                self.report(
                    Diagnostic::new(&slugs::WRONG_ARGUMENT, format!("`{}` works on a whole map", name.text))
                        .label(arg.span, "this is one entry of it")
                        .help("to remove one entry, use `delete(@map[key])`"),
                );
                None
            }
            _ => {
                let value = self.expr(arg);
                if !value.ty.is_unknown() {
                    self.wrong_argument(&name.text, arg.span, "a map", &value.ty);
                }
                None
            }
        }
    }

    fn exit(&mut self, code: Option<&ast::Expr>, span: Span) -> Option<StmtKind> {
        let code = match code {
            Some(code) => self.integer(code, "`exit`"),
            None => literal(0, span),
        };
        if code.ty.is_unknown() {
            return None;
        }
        let StmtKind::Send { schema, .. } = self.action(ActionKind::Exit, vec![code.clone()]) else {
            return None;
        };
        Some(StmtKind::Exit { schema, code })
    }

    fn signal(&mut self, name: &ast::Name, arg: &ast::Expr, span: Span) -> Option<StmtKind> {
        let allowed = self.is_allowed(name, span);
        let number = if let Ast::Text(bytes) = &arg.kind {
            let wanted = String::from_utf8_lossy(bytes).to_uppercase();
            let full = if wanted.starts_with("SIG") { wanted } else { format!("SIG{wanted}") };
            let named = |n: &u64| matches!(nonna_event::NameSet::Signal.names(*n), nonna_event::Named::One(Some(name)) if name == full);
            match (1..=31).find(named) {
                Some(n) => literal(n.cast_signed(), arg.span),
                None => {
                    self.report(
                        Diagnostic::new(&slugs::WRONG_ARGUMENT, format!("there is no signal `{full}`"))
                            .label(arg.span, "not a signal"),
                    );
                    return None;
                }
            }
        } else {
            self.integer(arg, "`signal`")
        };
        (allowed && !number.ty.is_unknown()).then_some(StmtKind::Signal(number))
    }

    /// A record that asks for an action, with these values.
    pub(super) fn action(&mut self, kind: ActionKind, values: Vec<Expr>) -> StmtKind {
        let (mut fields, mut args, mut sources) = (Vec::new(), Vec::new(), Vec::new());
        for value in values {
            if value.ty.is_unknown() {
                continue;
            }
            let FieldDraft { field_type, host_type, value, needs_pid } = self.field_draft(value);
            let field_idx = fields.len();
            fields.push(Field { name: format!("arg{field_idx}"), field_type, description: String::new() });
            sources.push(value);
            let mut pid_field_idx = None;
            if needs_pid {
                pid_field_idx = Some(fields.len());
                let field_type = FieldType::Unsigned { bytes: 4 };
                fields.push(Field {
                    name: format!("pid{field_idx}"),
                    field_type,
                    description: String::new(),
                });
                sources.push(FieldValue::Pid);
            }
            args.push(ActionArg { field_idx, host_type, pid_field_idx });
        }
        let schema = self.new_action(kind, fields, args);
        StmtKind::Send { schema, fields: sources }
    }

    /// A schema of its own for an action.
    fn new_action(&mut self, kind: ActionKind, fields: Vec<Field>, args: Vec<ActionArg>) -> usize {
        let schema = self.schemas.len();
        let id = self.schema_id(schema);
        self.schemas.push(EventSchema { id, name: format!("print#{schema}"), fields, ring: Ring::Volume });
        self.actions.push(Action { schema_id: id, kind, args });
        schema
    }

    pub(super) fn schema_id(&self, schema: usize) -> u32 {
        self.options.first_schema_id.saturating_add(u32::try_from(schema).unwrap_or(u32::MAX))
    }
}
