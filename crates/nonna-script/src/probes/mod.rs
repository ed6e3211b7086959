//! From attach points to hooks: what each probe type needs, wildcards, and what a body can see there.
//!
//! What is there is asked of the [`Target`]; nothing here touches the kernel.

mod glob;
mod kernel;
mod kinds;
mod list;
mod perf;
mod user;

use std::rc::Rc;

use nonna_bpf::{SyscallPhase, Target, TracepointFormat};
use nonna_btf::TypeId;
use nonna_diag::{Diagnostic, Span, nearest};

use crate::ast::AttachPoint;
use crate::hir::Attach;
use crate::options::Options;
use crate::slugs;
use crate::types::Space;

pub use list::{ListedArgument, ListedProbe, list_probes};

/// Where a body runs: a hook and what the body can see there.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub attach: Attach,
    pub context: Context,
}

/// A named argument with its type in the kernel's BTF.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Argument {
    pub name: String,
    pub type_id: TypeId,
}

/// What a body can see.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Context {
    /// `BEGIN`, `END`, on demand.
    Plain,
    /// Clocks and counters: registers and stacks.
    Perf,
    /// A tracepoint's record.
    Tracepoint { format: Rc<TracepointFormat>, is_syscall: bool },
    /// A system call of the shared dispatcher; the format is the entry's.
    Syscall { format: Rc<TracepointFormat>, phase: SyscallPhase },
    /// Arguments of a raw tracepoint; `None` where they have no types.
    Raw { args: Option<Rc<[Argument]>> },
    /// Registers at a kernel function.
    Kprobe { at_return: bool },
    /// Typed arguments of a kernel function, and its result.
    Function { args: Rc<[Argument]>, result: Option<TypeId> },
    /// Registers at a user function.
    Uprobe { at_return: bool },
    /// An iterator's context structure.
    Iter { context: TypeId },
    /// The attach point is wrong. The body is checked for everything that does not depend on it.
    Unknown,
}

impl Context {
    /// Where untyped addresses lie.
    pub fn space(&self) -> Space {
        match self {
            Context::Uprobe { .. }
            | Context::Syscall { .. }
            | Context::Tracepoint { is_syscall: true, .. } => Space::User,
            _ => Space::Kernel,
        }
    }

    /// What to call such a probe in messages.
    pub fn describe(&self) -> &'static str {
        match self {
            Context::Plain => "a `BEGIN` or `END` probe",
            Context::Perf => "a timer or counter",
            Context::Tracepoint { .. } => "a tracepoint",
            Context::Syscall { .. } => "a system call",
            Context::Raw { .. } => "a raw tracepoint",
            Context::Kprobe { at_return: false } => "a kprobe",
            Context::Kprobe { at_return: true } => "a kretprobe",
            Context::Function { .. } => "a kernel function",
            Context::Uprobe { at_return: false } => "a uprobe",
            Context::Uprobe { at_return: true } => "a uretprobe",
            Context::Iter { .. } => "an iterator",
            Context::Unknown => "an unknown probe",
        }
    }

    /// Whether two bodies that use no typed arguments are the same in both.
    pub fn is_alike(&self, other: &Context) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
            && match (self, other) {
                (Context::Kprobe { at_return: a }, Context::Kprobe { at_return: b })
                | (Context::Uprobe { at_return: a }, Context::Uprobe { at_return: b })
                | (Context::Tracepoint { is_syscall: a, .. }, Context::Tracepoint { is_syscall: b, .. }) => {
                    a == b
                }
                (Context::Syscall { phase: a, .. }, Context::Syscall { phase: b, .. }) => a == b,
                _ => true,
            }
    }
}

/// Adds a fact to a complaint.
fn noted(mut complaint: Box<Diagnostic>, note: impl Into<String>) -> Box<Diagnostic> {
    complaint.notes.push(note.into());
    complaint
}

/// What resolving asks.
pub(crate) struct Env<'a> {
    pub target: &'a Target,
    pub options: &'a Options,
    /// Whether names near a missing one are wanted; to find them takes milliseconds.
    pub suggest: bool,
}

/// The hooks of one attach point; several where it holds a wildcard.
///
/// # Errors
///
/// A diagnostic where the attach point means nothing or nothing is there.
pub(crate) fn resolve(point: &AttachPoint, env: &Env<'_>) -> Found {
    let (kind_text, rest) = match point.text.split_once(':') {
        Some((kind, rest)) => (kind, Some(rest)),
        None => (point.text.as_str(), None),
    };
    let Some(kind) = kinds::find(kind_text) else { return Err(unknown_kind(point, kind_text).into()) };
    let parts: Vec<&str> = rest.map(|rest| rest.split(':').collect()).unwrap_or_default();
    let ask = Ask { point, kind, parts: &parts, env };
    let found = match kind.resolver {
        kinds::Resolver::Plain(hook) => ask.plain(hook),
        kinds::Resolver::OnDemand => ask.on_demand(),
        kinds::Resolver::Tracepoint => ask.tracepoint(),
        kinds::Resolver::RawTracepoint => ask.raw_tracepoint(),
        kinds::Resolver::Kprobe(at) => ask.kprobe(at),
        kinds::Resolver::Fentry(at) => ask.fentry(at),
        kinds::Resolver::Lsm => ask.lsm(),
        kinds::Resolver::Iter => ask.iter(),
        kinds::Resolver::Uprobe(at) => ask.uprobe(rest.unwrap_or(""), at),
        kinds::Resolver::Profile => ask.clock(nonna_bpf::CpuScope::Every),
        kinds::Resolver::Interval => ask.clock(nonna_bpf::CpuScope::One),
        kinds::Resolver::Software => ask.counter(perf::SOFTWARE),
        kinds::Resolver::Hardware => ask.counter(perf::HARDWARE),
    }?;
    Ok(found)
}

fn unknown_kind(point: &AttachPoint, kind: &str) -> Diagnostic {
    let shown: String = kind.chars().take(40).collect();
    let start = point.span;
    let span = Span {
        end: start.start + u32::try_from(kind.len()).unwrap_or(0).min(start.end - start.start),
        ..start
    };
    let mut diagnostic =
        Diagnostic::new(&slugs::UNKNOWN_PROBE, format!("there is no kind of probe `{shown}`"))
            .label(span, "not a kind of probe");
    let near = nearest(kind, kinds::names(), 1);
    if let Some(near) = near.first() {
        diagnostic = diagnostic.help(format!("did you mean `{near}`?")).fix(span, *near);
    } else {
        diagnostic = diagnostic.help("`nonna list` shows every probe of this machine");
    }
    diagnostic
}

/// One attach point that is being resolved.
struct Ask<'a> {
    point: &'a AttachPoint,
    kind: &'a kinds::Kind,
    /// What follows the kind, cut at `:`.
    parts: &'a [&'a str],
    env: &'a Env<'a>,
}

type Found = Result<Vec<Place>, Box<Diagnostic>>;

impl<'a> Ask<'a> {
    /// The complaint about wrong parts.
    fn malformed(&self, why: impl Into<String>) -> Box<Diagnostic> {
        let diagnostic = Diagnostic::new(
            &slugs::MALFORMED_PROBE,
            format!("`{}` has missing or wrong parts", self.kind.name),
        )
        .label(self.point.span, why)
        .help(format!("write it as `{}`", self.kind.syntax));
        diagnostic.into()
    }

    /// The names nearest to one that is missing, where they are wanted.
    fn near(&self, name: &str, known: impl FnOnce() -> Vec<String>, most: usize) -> Vec<String> {
        if !self.env.suggest {
            return Vec::new();
        }
        nearest(name, known().iter().map(String::as_str), most).into_iter().map(str::to_owned).collect()
    }

    /// The complaint that nothing of this name is there, with near names.
    fn missing(&self, what: &str, name: &str, near: &[String]) -> Box<Diagnostic> {
        let shown: String = name.chars().take(50).collect();
        let mut diagnostic = Diagnostic::new(&slugs::NO_SUCH_PROBE, format!("there is no {what} `{shown}`"))
            .label(self.point.span, "nothing to attach to on this machine");
        if !near.is_empty() {
            let list: Vec<String> = near.iter().map(|n| format!("`{n}`")).collect();
            diagnostic = diagnostic.help(format!("did you mean {}?", list.join(" or ")));
        }
        diagnostic.into()
    }

    /// The complaint that a pattern matches nothing.
    fn no_match(&self, pattern: &str) -> Box<Diagnostic> {
        let diagnostic = Diagnostic::new(&slugs::NO_SUCH_PROBE, format!("nothing matches `{pattern}`"))
            .label(self.point.span, "no probe of this machine has such a name");
        diagnostic.into()
    }

    fn place(&self, hook: nonna_bpf::Hook, name: String, function: &str, context: Context) -> Place {
        Place { attach: Attach { hook, name, function: function.to_owned() }, context }
    }

    fn plain(&self, hook: kinds::Plain) -> Found {
        if !self.parts.is_empty() {
            return Err(self.malformed("nothing may follow"));
        }
        let hook = match hook {
            kinds::Plain::Begin => nonna_bpf::Hook::Begin,
            kinds::Plain::End => nonna_bpf::Hook::End,
        };
        Ok(vec![self.place(hook, self.kind.name.to_owned(), "", Context::Plain)])
    }

    fn on_demand(&self) -> Found {
        match self.parts {
            ["signal", name] if !name.is_empty() => {
                let full = format!("self:signal:{name}");
                let hook = nonna_bpf::Hook::OnDemand(format!("signal:{name}"));
                Ok(vec![self.place(hook, full, "", Context::Plain)])
            }
            _ => Err(self.malformed("a signal is missing")),
        }
    }
}
