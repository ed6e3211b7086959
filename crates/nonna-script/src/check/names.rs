//! Words: builtin variables, constants of the kernel and of the preamble, positional parameters.

use std::collections::HashMap;

use nonna_bpf::Target;
use nonna_btf::Kind;
use nonna_diag::{Diagnostic, Span, nearest};

use super::Checker;
use crate::ast::{self, ExprKind as Ast};
use crate::builtins::{Variable, find_variable, function_names, variable_names};
use crate::hir::{Builtin, Expr, ExprKind, NsecsClock};
use crate::lexer::parse_int;
use crate::probes::Context;
use crate::slugs;
use crate::types::{OwnTypes, RecordRef, Shape, Space, Type};

/// Bytes of a command's name in the kernel (`TASK_COMM_LEN`).
pub(super) const COMM_BYTES: u32 = 16;
/// Arguments in registers that the system call and function conventions have.
const MAX_REGISTER_ARGS: u8 = 6;
/// Arguments that a tracepoint can have.
const MAX_RAW_ARGS: u8 = 12;

/// Constants that scripts take from headers and BTF does not hold, since they are macros.
const MACROS: &[(&str, i64)] = &[
    ("AF_UNSPEC", 0),
    ("AF_UNIX", 1),
    ("AF_INET", 2),
    ("AF_INET6", 10),
    ("AF_NETLINK", 16),
    ("AF_PACKET", 17),
    ("AF_VSOCK", 40),
    ("TASK_RUNNING", 0),
    ("TASK_INTERRUPTIBLE", 1),
    ("TASK_UNINTERRUPTIBLE", 2),
    ("TASK_COMM_LEN", 16),
];

/// Values of the words that are neither builtins nor defined in the preamble, all looked up at once.
pub(super) fn constants<'s>(
    script: &'s ast::Script,
    target: &Target,
    own: &OwnTypes,
) -> HashMap<String, Option<i64>> {
    let mut names: Vec<&'s str> = Vec::new();
    let mut visit = |expr: &'s ast::Expr| {
        let name = match &expr.kind {
            Ast::Ident(name) => name.as_str(),
            _ => return,
        };
        let is_known = find_variable(name).is_some()
            || own.constant(name).is_some()
            || MACROS.iter().any(|(n, _)| *n == name)
            || numbered_arg(name).is_some();
        if !is_known && !names.contains(&name) {
            names.push(name);
        }
    };
    for probe in &script.probes {
        probe.predicate.iter().for_each(|predicate| predicate.visit(&mut visit));
        probe.body.visit(&mut visit);
    }
    if names.is_empty() {
        return HashMap::new();
    }
    let values = target.btf.find_enumerators(&names);
    names
        .into_iter()
        .zip(values)
        .map(|(name, value)| (name.to_owned(), value.and_then(|v| i64::try_from(v.value).ok())))
        .collect()
}

fn numbered_arg(name: &str) -> Option<u8> {
    name.strip_prefix("arg").filter(|n| n.bytes().all(|b| b.is_ascii_digit())).and_then(|n| n.parse().ok())
}

impl Checker<'_> {
    /// A word that stands alone.
    pub(super) fn word(&mut self, name: &str, span: Span) -> Expr {
        if let Some(variable) = find_variable(name) {
            return self.variable(variable, name, span);
        }
        if let Some(n) = numbered_arg(name) {
            return self.numbered_argument(n, span);
        }
        if let Some(value) = self.shapes.own.constant(name) {
            return literal(value, span);
        }
        if let Some((_, value)) = MACROS.iter().find(|(n, _)| *n == name) {
            return literal(*value, span);
        }
        if let Some(Some(value)) = self.constants.get(name) {
            return literal(*value, span);
        }
        let mut diagnostic = Diagnostic::new(&slugs::UNKNOWN_NAME, format!("`{name}` has no meaning"))
            .label(span, "neither a builtin nor a constant");
        if function_names().any(|f| f == name) {
            diagnostic = diagnostic.help(format!("to call the function, write `{name}(…)`"));
        } else if let Some(near) = nearest(name, variable_names(), 1).first() {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?")).fix(span, *near);
        } else {
            diagnostic = diagnostic.help("variables start with `$`, maps with `@`, text stands in quotes");
        }
        self.wrong(diagnostic)
    }

    fn variable(&mut self, variable: Variable, name: &str, span: Span) -> Expr {
        let builtin = |builtin, ty| Expr::new(ExprKind::Builtin(builtin), ty, span);
        let text = |kind, bytes| Expr::new(kind, Type::Text { bytes }, span);
        match variable {
            Variable::Pid => builtin(Builtin::Pid, Type::U32),
            Variable::Tid => builtin(Builtin::Tid, Type::U32),
            Variable::Uid => builtin(Builtin::Uid, Type::U32),
            Variable::Gid => builtin(Builtin::Gid, Type::U32),
            Variable::UserName => builtin(Builtin::Uid, Type::UserName),
            Variable::Nsecs => builtin(Builtin::Nsecs(NsecsClock::Monotonic), Type::U64),
            Variable::Jiffies => builtin(Builtin::Jiffies, Type::U64),
            Variable::Cpu => builtin(Builtin::Cpu, Type::U32),
            Variable::Numa => builtin(Builtin::Numa, Type::U32),
            Variable::Random => builtin(Builtin::Random, Type::U32),
            Variable::Cgroup => builtin(Builtin::Cgroup, Type::U64),
            Variable::Elapsed => {
                self.uses_start = true;
                builtin(Builtin::Elapsed, Type::U64)
            }
            Variable::CpuCount => Expr::int(i64::from(self.target.n_possible_cpus), Type::U32, span),
            Variable::ChildPid => self.child_pid(span),
            Variable::HasChildPid => Expr::int(i64::from(self.options.cpid.is_some()), Type::Bool, span),
            Variable::Comm => text(ExprKind::Comm, COMM_BYTES),
            Variable::ProbeName => text(ExprKind::ProbeName, self.body.probe_name_bytes),
            Variable::FunctionName => text(ExprKind::FunctionName, self.body.function_name_bytes),
            Variable::CurrentTask => self.current_task(span),
            Variable::ParentPid => self.task_field(&["real_parent", "tgid"], span),
            Variable::ParentComm => self.task_field(&["real_parent", "comm"], span),
            Variable::Context => self.context(span),
            Variable::Return => self.return_value(span),
            Variable::KernelStack => self.stack(false, None, None, span),
            Variable::UserStack => self.stack(true, None, None, span),
            Variable::UserMode => self.user_mode(span),
            Variable::Args => self.wrong(
                Diagnostic::new(&slugs::MISPLACED, format!("`{name}` is no value of its own"))
                    .label(span, "a field of it is missing")
                    .help("write `args.NAME`; `nonna list -v` shows the names"),
            ),
        }
    }

    fn child_pid(&mut self, span: Span) -> Expr {
        match self.options.cpid {
            Some(pid) => Expr::int(i64::from(pid), Type::U32, span),
            None => self.wrong(
                Diagnostic::new(&slugs::NOT_HERE, "`cpid` is the process that `-c` starts")
                    .label(span, "no command was given")
                    .help("add `-c 'COMMAND'` to the command line"),
            ),
        }
    }

    fn current_task(&mut self, span: Span) -> Expr {
        let to = match self.target.btf.find(Kind::Struct, "task_struct") {
            Some(id) => Shape::Record(RecordRef::Btf(id)),
            None => Shape::Void,
        };
        let ty = Type::Pointer { to: to.into(), space: Space::Kernel };
        Expr::new(ExprKind::Builtin(Builtin::CurrentTask), ty, span)
    }

    fn task_field(&mut self, path: &[&str], span: Span) -> Expr {
        path.iter().fold(self.current_task(span), |base, name| self.field_by_name(base, name, span, span))
    }

    fn context(&mut self, span: Span) -> Expr {
        let to = match &self.body.context {
            Context::Iter { context } => Shape::Record(RecordRef::Btf(*context)),
            Context::Unknown => return Expr::error(span),
            _ => Shape::Void,
        };
        let ty = Type::Pointer { to: to.into(), space: Space::Context };
        Expr::new(ExprKind::Builtin(Builtin::Context), ty, span)
    }

    /// `arg0` …
    fn numbered_argument(&mut self, n: u8, span: Span) -> Expr {
        let most = match &self.body.context {
            Context::Kprobe { at_return: false } | Context::Uprobe { at_return: false } => MAX_REGISTER_ARGS,
            Context::Syscall { .. } => MAX_REGISTER_ARGS,
            Context::Raw { args } => {
                args.as_ref().map_or(MAX_RAW_ARGS, |args| u8::try_from(args.len()).unwrap_or(MAX_RAW_ARGS))
            }
            Context::Function { args, .. } => u8::try_from(args.len()).unwrap_or(MAX_RAW_ARGS),
            Context::Unknown => return Expr::error(span),
            _ => 0,
        };
        if n >= most {
            let fact = match most {
                0 => format!("{} has no numbered arguments", self.body.context.describe()),
                _ => format!("there are {most}, counted from `arg0`"),
            };
            return self.wrong(
                Diagnostic::new(&slugs::NOT_HERE, format!("there is no `arg{n}` here")).label(span, fact),
            );
        }
        Expr::new(ExprKind::Builtin(Builtin::Arg(n)), Type::U64, span)
    }

    fn return_value(&mut self, span: Span) -> Expr {
        let raw = Expr::new(ExprKind::Builtin(Builtin::Return), Type::U64, span);
        match self.body.context.clone() {
            Context::Kprobe { at_return: true } | Context::Uprobe { at_return: true } => raw,
            Context::Syscall { phase: nonna_bpf::SyscallPhase::Exit, .. } => Expr { ty: Type::I64, ..raw },
            Context::Function { result: Some(id), .. } => self.register_value(raw, &Shape::Btf(id)),
            Context::Unknown => Expr::error(span),
            other => self.wrong(
                Diagnostic::new(&slugs::NOT_HERE, "there is no `retval` here")
                    .label(span, format!("{} has no result", other.describe()))
                    .help("use a probe at the return: `kretprobe`, `fexit` or `uretprobe`"),
            ),
        }
    }

    fn user_mode(&mut self, span: Span) -> Expr {
        if self.body.context == Context::Unknown {
            return Expr::error(span);
        }
        let Some(offset) = self.register_offset("cs").filter(|_| self.body.context == Context::Perf) else {
            return self.wrong(
                Diagnostic::new(&slugs::NOT_HERE, "there is no `usermode` here")
                    .label(span, "only `profile`, `interval` and counters know it"),
            );
        };
        let segment = Expr::new(ExprKind::Builtin(Builtin::Register(offset)), Type::U64, span);
        // The two low bits of the code segment are the privilege level; 3 is user mode on x86.
        let level = self.arith(crate::hir::Arith::And, segment, literal(3, span), span);
        let is_user = ExprKind::Compare(nonna_ir::CompareOp::Eq, level.into(), literal(3, span).into());
        Expr::new(is_user, Type::Bool, span)
    }

    /// Bytes from the start of `struct pt_regs` to a register.
    pub(super) fn register_offset(&self, name: &str) -> Option<u32> {
        let regs = self.target.btf.find(Kind::Struct, "pt_regs")?;
        Some(self.shapes.field(RecordRef::Btf(regs), name)?.offset)
    }

    /// `$1`: a number if it looks like one, else text.
    pub(super) fn positional(&mut self, n: u32, span: Span) -> Expr {
        let param = self.param(n);
        let (negative, digits) = match param.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, param),
        };
        if param.is_empty() {
            return literal(0, span);
        }
        match parse_int(digits) {
            Ok(value) if negative => literal(value.cast_signed().wrapping_neg(), span),
            Ok(value) => unsigned_literal(value, span),
            Err(_) => text_literal(param.as_bytes(), span),
        }
    }

    /// The parameter `$n` as given; empty where it is missing.
    pub(super) fn param(&self, n: u32) -> &str {
        let idx = (n as usize).checked_sub(1);
        idx.and_then(|idx| self.options.params.get(idx)).map_or("", String::as_str)
    }
}

/// A number of the text: it counts as signed only where it is negative, so that it takes after its neighbour.
pub(super) fn literal(value: i64, span: Span) -> Expr {
    Expr::int(value, if value < 0 { Type::I64 } else { Type::U64 }, span)
}

pub(super) fn unsigned_literal(value: u64, span: Span) -> Expr {
    Expr::int(value.cast_signed(), Type::U64, span)
}

pub(super) fn text_literal(bytes: &[u8], span: Span) -> Expr {
    // One more than the NUL, since text that fills its memory counts as cut.
    let capacity = u32::try_from(bytes.len() + 2).unwrap_or(u32::MAX);
    Expr::new(ExprKind::Text(bytes.into()), Type::Text { bytes: capacity }, span)
}
