//! Calls of functions that give a value.

use std::rc::Rc;

use nonna_diag::{Diagnostic, Span, nearest};
use nonna_ir::PathSource;

use super::Checker;
use super::names::{literal, text_literal};
use crate::ast::{self, ExprKind as Ast};
use crate::builtins::{Function, ValueFunction, find_function, function_names};
use crate::hir::{Builtin, Expr, ExprKind, MapKind, NsecsClock, StmtKind};
use crate::host_data::{ActionKind, Clock, SymbolTable};
use crate::slugs;
use crate::types::{Shape, Space, Type};

impl Checker<'_> {
    /// `name(args)` where a value is wanted.
    pub(super) fn call(&mut self, name: &ast::Name, args: &[ast::Expr], span: Span) -> Expr {
        let Some((_, function, ..)) = find_function(&name.text) else {
            return self.unknown_function(name, args, span);
        };
        if !self.has_argument_count(name, args.len(), span) {
            return Expr::error(span);
        }
        match function {
            Function::Value(function) => self.value_call(*function, name, args, span),
            Function::Output(_) => self.wrong(
                Diagnostic::new(&slugs::MISPLACED, format!("`{}` has no value", name.text))
                    .label(span, "this must stand alone, as a statement"),
            ),
            Function::Aggregate(_) => self.wrong(
                Diagnostic::new(&slugs::MISPLACED, format!("`{}` collects values in a map", name.text))
                    .label(span, "this must be assigned to a map")
                    .help(format!("write `@name = {}(…);`", name.text)),
            ),
        }
    }

    fn unknown_function(&mut self, name: &ast::Name, args: &[ast::Expr], span: Span) -> Expr {
        // Mistakes in the arguments are worth a report of their own.
        for arg in args {
            self.expr(arg);
        }
        let shown = &name.text;
        let mut diagnostic =
            Diagnostic::new(&slugs::UNKNOWN_FUNCTION, format!("there is no function `{shown}`"))
                .label(name.span, "not a function of the language");
        if let Some(set) = nonna_event::NameSet::by_function(shown) {
            diagnostic =
                Diagnostic::new(&slugs::MISPLACED, format!("`{}` gives names to numbers", set.function()))
                    .label(span, "this can only be a field of an event")
                    .help("use it as `emit NAME { field: …(number) }`");
        } else if let Some(near) = nearest(shown, function_names(), 1).first() {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?")).fix(name.span, *near);
        }
        self.wrong(diagnostic)
    }

    /// Whether a call has as many arguments as it may have, with a complaint if not.
    pub(super) fn has_argument_count(&mut self, name: &ast::Name, n: usize, span: Span) -> bool {
        let Some((_, _, fewest, most, usage)) = find_function(&name.text) else { return false };
        if (*fewest..=*most).contains(&n) {
            return true;
        }
        let expected = match (fewest, most) {
            (a, b) if a == b => format!("{a}"),
            (a, _) if n < *a => format!("at least {a}"),
            (_, b) => format!("at most {b}"),
        };
        self.report(
            Diagnostic::new(
                &slugs::WRONG_ARGUMENTS,
                format!(
                    "`{}` takes {expected} argument{}, found {n}",
                    name.text,
                    if expected.rsplit(' ').next() == Some("1") { "" } else { "s" }
                ),
            )
            .label(span, format!("{n} given"))
            .help(format!("write `{usage}`")),
        );
        false
    }

    pub(super) fn wrong_argument(&mut self, name: &str, arg: Span, expected: &str, found: &Type) -> Expr {
        let what = self.describe(found);
        self.wrong(
            Diagnostic::new(&slugs::WRONG_ARGUMENT, format!("`{name}` does not work on {what}"))
                .label(arg, format!("this is {what}"))
                .help(format!("it works on {expected}")),
        )
    }

    fn value_call(
        &mut self,
        function: ValueFunction,
        name: &ast::Name,
        args: &[ast::Expr],
        span: Span,
    ) -> Expr {
        use ValueFunction as F;
        let wrap = |kind: ExprKind, ty: Type| Expr::new(kind, ty, span);
        match function {
            F::Str => self.str_call(args, span),
            F::Buf => self.buf_call(args, span),
            F::Path => self.path_call(args, span),
            F::Ntop => self.ntop(args, span),
            F::Addr => self.addr(&args[0], span),
            F::Port => self.port(&args[0], span),
            F::MacAddr => self.mac(&args[0], span),
            F::ByteSwap => self.byte_swap(&args[0], span),
            F::KernelSymbol => {
                let address = self.number_or_address(&args[0], &name.text);
                wrap(ExprKind::Convert(address.into()), Type::KernelSymbol)
            }
            F::UserSymbol => {
                let address = self.number_or_address(&args[0], &name.text);
                wrap(ExprKind::UserSymbol(address.into()), Type::UserSymbol)
            }
            F::KernelAddress => self.kernel_address(&args[0], span),
            F::Register => self.register(&args[0], span),
            F::KernelStack => self.stack_call(false, args, span),
            F::UserStack => self.stack_call(true, args, span),
            F::Strftime => self.strftime(args, span),
            F::Nsecs => self.nsecs(args.first(), span),
            F::StrError => self.symbolic(&args[0], SymbolTable::ErrorMessage, name, span),
            F::SignalName => self.symbolic(&args[0], SymbolTable::SignalName, name, span),
            F::SyscallName => self.symbolic(&args[0], SymbolTable::SyscallName, name, span),
            F::CgroupPath => {
                let id = self.integer(&args[0], "`cgroup_path`");
                wrap(ExprKind::Convert(id.into()), Type::CgroupPath)
            }
            F::StrnCompare => self.strncmp(args, span),
            F::TextLength => self.text_length(&args[0], span),
            F::CgroupId => self.cgroup_id(&args[0], span),
            F::HasKey => self.key_call(name, args, span, |map, key| ExprKind::HasKey { map, key }),
            F::Delete => self.delete_value(name, args, span),
            F::Len => self.len(&args[0], span),
            F::OpenFile => self.open_file(&args[0], span),
            F::Folder => self.folder(&args[0], span),
            F::OverlayUpper => self.overlay_upper(&args[0], span),
            F::KernelPointer => self.move_pointer(&args[0], Space::Kernel, span),
            F::UserPointer => self.move_pointer(&args[0], Space::User, span),
            F::Comm => self.word("comm", span),
            F::TaskArgs | F::TaskEnv => self.wrong(
                Diagnostic::new(
                    &slugs::MISPLACED,
                    format!("`{}` can only be a field of an event", name.text),
                )
                .label(span, "not inside of an expression")
                .help(format!("use it as `emit NAME {{ field: {}(…) }}`", name.text)),
            ),
        }
    }

    /// `str(pointer)`, `str(pointer, length)`
    fn str_call(&mut self, args: &[ast::Expr], span: Span) -> Expr {
        if let Ast::Positional(n) = args[0].kind {
            return text_literal(self.param(n).to_owned().as_bytes(), span);
        }
        let value = self.value(&args[0]);
        if matches!(value.ty, Type::Text { .. } | Type::Unknown) && args.len() == 1 {
            return value;
        }
        // Text that is read from an array can be read up to another length.
        let value = match value.kind {
            ExprKind::ReadText { address, length: None, .. } => *address,
            kind => Expr { kind, ..value },
        };
        let ty = value.ty.clone();
        let Some(address) = self.address(value, Shape::Char) else {
            return match ty {
                Type::Unknown => Expr::error(span),
                _ => self.wrong_argument("str", args[0].span, "an address", &ty),
            };
        };
        let most = self.settings.max_strlen;
        let (length, bytes) = match args.get(1) {
            None => (None, most),
            Some(arg) => {
                let length = self.integer(arg, "`str`");
                match length.constant() {
                    Some(n) => (None, u32::try_from(n.saturating_add(1)).unwrap_or(most).clamp(1, most)),
                    None => (Some(Box::new(length)), most),
                }
            }
        };
        let address = self.either_side(address, &ty).into();
        let kind = ExprKind::ReadText { address, length, max_bytes: bytes };
        Expr::new(kind, Type::Text { bytes }, span)
    }

    /// An address of text or bytes that may lie in the kernel or in the process. Functions of the kernel are given both, and
    /// its types do not tell which; a number tells nothing.
    fn either_side(&self, address: Expr, of: &Type) -> Expr {
        let is_certain = match of {
            Type::Pointer { to, .. } => !matches!(**to, Shape::Char | Shape::Void | Shape::Int { .. }),
            of => !of.is_integral(),
        };
        match address.ty.clone() {
            Type::Pointer { to, space: Space::Kernel } if !is_certain && !self.options.sensors => {
                let ty = Type::Pointer { to, space: Space::Either };
                let span = address.span;
                Expr::new(ExprKind::Convert(address.into()), ty, span)
            }
            _ => address,
        }
    }

    /// `buf(pointer, length)`, `buf(array)`
    fn buf_call(&mut self, args: &[ast::Expr], span: Span) -> Expr {
        let value = self.value(&args[0]);
        let value = match value.kind {
            ExprKind::ReadText { address, length: None, .. } => *address,
            kind => Expr { kind, ..value },
        };
        let ty = value.ty.clone();
        let own_bytes = match &ty {
            Type::Array { of, len, .. } => self.shapes.size(of).map(|n| n.saturating_mul(*len)),
            _ => None,
        };
        let Some(address) = self.address(value, Shape::Char) else {
            return match ty {
                Type::Unknown => Expr::error(span),
                _ => self.wrong_argument("buf", args[0].span, "an address", &ty),
            };
        };
        let length = match (args.get(1), own_bytes) {
            (Some(arg), _) => self.integer(arg, "`buf`"),
            (None, Some(bytes)) => literal(i64::from(bytes), span),
            (None, None) => {
                return self.wrong(
                    Diagnostic::new(&slugs::WRONG_ARGUMENTS, "`buf` needs a length for an address")
                        .label(args[0].span, "how many bytes is not known")
                        .help("write `buf(pointer, length)`"),
                );
            }
        };
        let most = self.settings.max_strlen;
        let known = length.constant().and_then(|n| u32::try_from(n).ok());
        let bytes = known.or(own_bytes).unwrap_or(most).clamp(1, most);
        let address = self.either_side(address, &ty).into();
        let kind = ExprKind::ReadBytes { address, length: length.into(), max_bytes: bytes };
        Expr::new(kind, Type::Buffer { bytes }, span)
    }

    /// `path(file)` as text.
    fn path_call(&mut self, args: &[ast::Expr], span: Span) -> Expr {
        let Some((source, pointer)) = self.path_source(&args[0]) else { return Expr::error(span) };
        let bytes = match args.get(1) {
            Some(arg) => match self.constant_int(arg) {
                Some(n) => u32::try_from(n).unwrap_or(u32::MAX).clamp(1, nonna_event::PATH_MAX_BYTES),
                None => return Expr::error(span),
            },
            None => self.settings.max_strlen,
        };
        let kind = ExprKind::Path { source, pointer: pointer.into() };
        Expr::new(kind, Type::Text { bytes }, span)
    }

    /// What a path is taken from: a file, a path or a directory entry of the kernel.
    /// 0 is no path.
    pub(super) fn path_source(&mut self, arg: &ast::Expr) -> Option<(PathSource, Expr)> {
        let value = self.value(arg);
        if value.constant() == Some(0) {
            let ty = Type::Pointer { to: Rc::new(Shape::Void), space: Space::Kernel };
            return Some((PathSource::Path, Expr { ty, ..value }));
        }
        let name = self.record_of(&value.ty).map(|of| self.shapes.shape_name(&Shape::Record(of)));
        let source = match name.as_deref() {
            Some("struct file") => PathSource::File,
            Some("struct path") => PathSource::Path,
            Some("struct dentry") => PathSource::Dentry,
            _ => {
                if !value.ty.is_unknown() {
                    let expected = "a `struct file *`, `struct path *` or `struct dentry *`";
                    self.wrong_argument("path", arg.span, expected, &value.ty);
                }
                return None;
            }
        };
        Some((source, value))
    }

    /// A number or an address, as a number.
    fn number_or_address(&mut self, arg: &ast::Expr, who: &str) -> Expr {
        let value = self.value(arg);
        match &value.ty {
            ty if ty.is_integral() || matches!(ty, Type::Pointer { .. } | Type::Unknown) => value,
            ty => {
                let ty = ty.clone();
                self.wrong_argument(who, arg.span, "an address", &ty)
            }
        }
    }

    fn strftime(&mut self, args: &[ast::Expr], span: Span) -> Expr {
        let Some(format) = self.constant_text(&args[0]) else { return Expr::error(span) };
        let time = self.integer(&args[1], "`strftime`");
        let clock = match time.kind {
            ExprKind::Builtin(Builtin::Nsecs(NsecsClock::Boot)) => Clock::Boot,
            ExprKind::Builtin(Builtin::Nsecs(NsecsClock::Tai)) => Clock::Tai,
            _ => Clock::Monotonic,
        };
        Expr::new(ExprKind::Convert(time.into()), Type::Timestamp { format: Rc::from(format), clock }, span)
    }

    fn nsecs(&mut self, arg: Option<&ast::Expr>, span: Span) -> Expr {
        let clock = match arg.map(|arg| &arg.kind) {
            None => NsecsClock::Monotonic,
            Some(Ast::Ident(word)) => match word.as_str() {
                "monotonic" => NsecsClock::Monotonic,
                "boot" => NsecsClock::Boot,
                "tai" | "sw_tai" => NsecsClock::Tai,
                "coarse" => NsecsClock::Coarse,
                _ => return self.unknown_clock(arg.map_or(span, |a| a.span)),
            },
            Some(_) => return self.unknown_clock(arg.map_or(span, |a| a.span)),
        };
        Expr::new(ExprKind::Builtin(Builtin::Nsecs(clock)), Type::U64, span)
    }

    fn unknown_clock(&mut self, span: Span) -> Expr {
        self.wrong(
            Diagnostic::new(&slugs::WRONG_ARGUMENT, "`nsecs` does not know this clock")
                .label(span, "not a clock")
                .help("known are `monotonic`, `boot`, `tai` and `coarse`"),
        )
    }

    fn symbolic(&mut self, arg: &ast::Expr, table: SymbolTable, name: &ast::Name, span: Span) -> Expr {
        let number = self.integer(arg, &format!("`{}`", name.text));
        Expr::new(ExprKind::Convert(number.into()), Type::Symbolic(table), span)
    }

    /// `strncmp(a, b, n)`: 0 where the first `n` bytes agree, else 1.
    fn strncmp(&mut self, args: &[ast::Expr], span: Span) -> Expr {
        let mut text = |expr: &ast::Expr| {
            let value = self.value(expr);
            let value = self.param_as_text(expr, value);
            match &value.ty {
                Type::Text { .. } => Some(value),
                Type::Unknown => None,
                ty => {
                    let ty = ty.clone();
                    self.wrong_argument("strncmp", expr.span, "strings", &ty);
                    None
                }
            }
        };
        let (left, right) = (text(&args[0]), text(&args[1]));
        let n = self.constant_int(&args[2]);
        let (Some(left), Some(right), Some(n)) = (left, right, n) else { return Expr::error(span) };
        let max_bytes = Some(u32::try_from(n).unwrap_or(u32::MAX));
        let kind = ExprKind::TextEqual { left: left.into(), right: right.into(), max_bytes, negated: true };
        Expr::new(kind, Type::U64, span)
    }

    /// `has_key(@map, key)`, `delete(@map, key)`
    fn key_call(
        &mut self,
        name: &ast::Name,
        args: &[ast::Expr],
        span: Span,
        make: impl FnOnce(usize, crate::hir::Key) -> ExprKind,
    ) -> Expr {
        let Some((map, key)) = self.map_and_key(name, args, span) else { return Expr::error(span) };
        if !self.is_filled(map, args[0].span) {
            return Expr::error(span);
        }
        Expr::new(make(map, key), Type::Bool, span)
    }

    /// The map and key of `f(@map[key])` or `f(@map, key)`.
    fn map_and_key(
        &mut self,
        name: &ast::Name,
        args: &[ast::Expr],
        span: Span,
    ) -> Option<(usize, crate::hir::Key)> {
        let Ast::Map(access) = &args[0].kind else {
            let value = self.expr(&args[0]);
            if !value.ty.is_unknown() {
                self.wrong_argument(&name.text, args[0].span, "a map", &value.ty);
            }
            return None;
        };
        let map = self.map(&access.name);
        let key = match args.get(1) {
            None => self.map_key(map, access.key.as_deref(), args[0].span),
            Some(key) if access.key.is_none() => self.map_key(map, Some(std::slice::from_ref(key)), span),
            Some(key) => {
                self.report(
                    Diagnostic::new(&slugs::WRONG_ARGUMENTS, format!("`{}` has two keys here", name.text))
                        .label(args[0].span, "this has a key already")
                        .label(key.span, "and this is another"),
                );
                return None;
            }
        };
        Some((map, key))
    }

    fn delete_value(&mut self, name: &ast::Name, args: &[ast::Expr], span: Span) -> Expr {
        self.key_call(name, args, span, |map, key| ExprKind::DeleteKey { map, key })
    }

    /// `delete(…)` as a statement.
    pub(super) fn delete_stmt(
        &mut self,
        name: &ast::Name,
        args: &[ast::Expr],
        span: Span,
    ) -> Option<StmtKind> {
        if !self.has_argument_count(name, args.len(), span) {
            return None;
        }
        let (map, key) = self.map_and_key(name, args, span)?;
        if !self.is_filled(map, args[0].span) {
            return None;
        }
        if self.map_value(map).has_buckets() {
            // The kernel would have to delete bucket by bucket; user space knows which there are.
            let parts = match key {
                crate::hir::Key::None => {
                    return Some(self.action(ActionKind::Clear { map_idx: map }, Vec::new()));
                }
                crate::hir::Key::Parts(parts) => parts,
                crate::hir::Key::Whole(whole) => vec![*whole],
            };
            return Some(self.action(ActionKind::DeleteBuckets { map_idx: map }, parts));
        }
        Some(StmtKind::Delete { map, key })
    }

    /// `len(@map)`, `len(stack)`
    fn len(&mut self, arg: &ast::Expr, span: Span) -> Expr {
        if let Ast::Map(access) = &arg.kind
            && access.key.is_none()
        {
            let map = self.map(&access.name);
            if !self.is_filled(map, arg.span) {
                return Expr::error(span);
            }
            let is_scalar = self.map_key_types(map).is_some_and(<[Type]>::is_empty);
            if !is_scalar && *self.map_value(map) != MapKind::Unknown {
                return Expr::new(ExprKind::MapLen { map }, Type::U64, span);
            }
        }
        let value = self.value(arg);
        match &value.ty {
            Type::KernelStack { .. } | Type::UserStack { .. } => {
                Expr::new(ExprKind::StackLen(value.into()), Type::U64, span)
            }
            Type::Unknown => value,
            ty => {
                let ty = ty.clone();
                self.wrong_argument("len", arg.span, "a map with keys or a stack", &ty)
            }
        }
    }

    fn move_pointer(&mut self, arg: &ast::Expr, space: Space, span: Span) -> Expr {
        let value = self.value(arg);
        let to = match &value.ty {
            Type::Pointer { to, .. } => Rc::clone(to),
            ty if ty.is_integral() => Rc::new(Shape::Void),
            Type::Unknown => return value,
            ty => {
                let ty = ty.clone();
                return self.wrong_argument("kptr", arg.span, "an address", &ty);
            }
        };
        Expr::new(ExprKind::Convert(value.into()), Type::Pointer { to, space }, span)
    }
}
