//! Places in the kernel: tracepoints, functions, security hooks, iterators.

use std::rc::Rc;

use nonna_bpf::{Hook, ProbePoint, SyscallPhase, TracepointFormat};
use nonna_btf::{Kind, Param};

use super::glob;
use super::{Argument, Ask, Context, Found, Place};
use crate::lexer::parse_int;

const SYSCALLS: &str = "syscalls";

impl Ask<'_> {
    pub(super) fn tracepoint(&self) -> Found {
        let [category, event] = self.parts else {
            return Err(self.malformed("a group and an event must follow"));
        };
        let source = &self.env.target.tracepoints;
        if glob::is_pattern(category) || glob::is_pattern(event) {
            let found: Vec<_> = source
                .list()
                .into_iter()
                .filter(|(c, e)| glob::matches(category, c) && glob::matches(event, e))
                .filter_map(|(c, e)| self.one_tracepoint(&c, &e))
                .collect();
            let pattern = format!("{category}:{event}");
            return if found.is_empty() { Err(self.no_match(&pattern)) } else { Ok(found) };
        }
        match self.one_tracepoint(category, event) {
            Some(place) => Ok(vec![place]),
            None => {
                let full = format!("{category}:{event}");
                let all = || source.list().into_iter().map(|(c, e)| format!("{c}:{e}"));
                let mut near = self.near(&full, || all().collect(), 2);
                if near.is_empty() && self.env.suggest {
                    // The event may be right and the group wrong.
                    near = all().filter(|n| n.split(':').nth(1) == Some(*event)).take(2).collect();
                }
                Err(self.missing("tracepoint", &full, &near))
            }
        }
    }

    fn one_tracepoint(&self, category: &str, event: &str) -> Option<Place> {
        let source = &self.env.target.tracepoints;
        let name = format!("tracepoint:{category}:{event}");
        if self.env.options.sensors
            && category == SYSCALLS
            && let Some((phase, call, format)) = self.syscall(event)
        {
            let hook = Hook::Syscall { phase, name: call };
            return Some(self.place(hook, name, event, Context::Syscall { format, phase }));
        }
        let format = Rc::new(source.format(category, event)?);
        let hook = Hook::Tracepoint { category: category.to_owned(), event: event.to_owned() };
        let context = Context::Tracepoint { format, is_syscall: category == SYSCALLS };
        Some(self.place(hook, name, event, context))
    }

    /// Phase, name and entry format of a system call's event.
    fn syscall(&self, event: &str) -> Option<(SyscallPhase, String, Rc<TracepointFormat>)> {
        let (phase, call) = match event.strip_prefix("sys_enter_") {
            Some(call) => (SyscallPhase::Enter, call),
            None => (SyscallPhase::Exit, event.strip_prefix("sys_exit_")?),
        };
        let format = self.env.target.tracepoints.format(SYSCALLS, &format!("sys_enter_{call}"))?;
        Some((phase, call.to_owned(), Rc::new(format)))
    }

    pub(super) fn raw_tracepoint(&self) -> Found {
        let event = match self.parts {
            [event] | [_, event] => *event,
            _ => return Err(self.malformed("an event must follow")),
        };
        let btf = &self.env.target.btf;
        if glob::is_pattern(event) {
            let found: Vec<_> = btf
                .tracepoint_names()
                .filter(|name| glob::matches(event, name))
                .map(|name| self.one_raw(name, self.raw_args(name)))
                .collect();
            return if found.is_empty() { Err(self.no_match(event)) } else { Ok(found) };
        }
        if let Some(args) = self.raw_args(event) {
            return Ok(vec![self.one_raw(event, Some(args))]);
        }
        // A tracepoint of a module has no type in the kernel's BTF but can be attached to by name.
        let all = self.env.target.tracepoints.list();
        if all.iter().any(|(_, name)| name == event) {
            return Ok(vec![self.one_raw(event, None)]);
        }
        let near = self.near(event, || owned(btf.tracepoint_names()), 2);
        Err(self.missing("raw tracepoint", event, &near))
    }

    fn raw_args(&self, event: &str) -> Option<Rc<[Argument]>> {
        let found = self.env.target.btf.tracepoint(event).ok()??;
        Some(arguments(&found.args))
    }

    fn one_raw(&self, event: &str, args: Option<Rc<[Argument]>>) -> Place {
        let hook = Hook::RawTracepoint { event: event.to_owned() };
        self.place(hook, format!("rawtracepoint:{event}"), event, Context::Raw { args })
    }

    pub(super) fn kprobe(&self, point: ProbePoint) -> Found {
        let function = match self.parts {
            [function] | [_, function] if !function.is_empty() => *function,
            _ => return Err(self.malformed("a function of the kernel must follow")),
        };
        let symbols = &self.env.target.symbols;
        let place = |function: &str, offset: u64, shown: &str| {
            let hook = Hook::Kprobe { function: function.to_owned(), offset, point };
            let context = Context::Kprobe { at_return: point == ProbePoint::Return };
            self.place(hook, format!("{}:{shown}", self.kind.name), function, context)
        };
        if glob::is_pattern(function) {
            let all = self.probed_functions();
            let found: Vec<_> = all
                .iter()
                .filter(|name| glob::matches(function, name))
                .map(|name| place(name, 0, name))
                .collect();
            return if found.is_empty() { Err(self.no_match(function)) } else { Ok(found) };
        }
        let (name, plus) = function.split_once('+').map_or((function, None), |(n, o)| (n, Some(o)));
        let offset = match plus {
            None => 0,
            Some(_) if point == ProbePoint::Return => return Err(self.malformed("a return has no offset")),
            Some(text) => parse_int(text).map_err(|reason| self.malformed(reason))?,
        };
        if self.env.target.btf.find(Kind::Func, name).is_none() && symbols.kernel_address(name).is_none() {
            let near = self.near(name, || self.probed_functions(), 2);
            return Err(self.missing("kernel function", name, &near));
        }
        Ok(vec![place(name, offset, function)])
    }

    /// Functions that a wildcard can mean: those that the kernel lists, else those that its types name.
    fn probed_functions(&self) -> Vec<String> {
        let listed = self.env.target.symbols.kernel_functions();
        if !listed.is_empty() {
            return listed;
        }
        let mut named = owned(self.env.target.btf.types().of_kind(Kind::Func).map(|(_, name)| name));
        named.sort_unstable();
        named.dedup();
        named
    }

    pub(super) fn fentry(&self, point: ProbePoint) -> Found {
        let function = match self.parts {
            [function] | [_, function] if !function.is_empty() => *function,
            _ => return Err(self.malformed("a function of the kernel must follow")),
        };
        let btf = &self.env.target.btf;
        let one = |function: &str| {
            let prototype = btf.function(function).ok()??;
            let result = (point == ProbePoint::Return).then_some(prototype.return_type);
            let context = Context::Function { args: arguments(&prototype.params), result };
            let hook = Hook::Fentry { function: function.to_owned(), point };
            Some(self.place(hook, format!("{}:{function}", self.kind.name), function, context))
        };
        if glob::is_pattern(function) {
            let names: Vec<&str> = btf.types().of_kind(Kind::Func).map(|(_, name)| name).collect();
            let found: Vec<_> =
                names.into_iter().filter(|name| glob::matches(function, name)).filter_map(one).collect();
            return if found.is_empty() { Err(self.no_match(function)) } else { Ok(found) };
        }
        match one(function) {
            Some(place) => Ok(vec![place]),
            None => {
                let known = || owned(btf.types().of_kind(Kind::Func).map(|(_, name)| name));
                let near = self.near(function, known, 2);
                Err(self.missing("kernel function", function, &near))
            }
        }
    }

    pub(super) fn lsm(&self) -> Found {
        let [hook] = self.parts else { return Err(self.malformed("a security hook must follow")) };
        let btf = &self.env.target.btf;
        let known =
            || btf.find_with_prefix(Kind::Func, LSM_PREFIX).map(|(_, name)| &name[LSM_PREFIX.len()..]);
        let one = |hook: &str| {
            let prototype = btf.lsm_hook(hook).ok()??;
            let context = Context::Function { args: arguments(&prototype.params), result: None };
            let found = Hook::Lsm { hook: hook.to_owned(), sleepable: false };
            Some(self.place(found, format!("lsm:{hook}"), hook, context))
        };
        if glob::is_pattern(hook) {
            return self.matching(hook, known().filter(|name| glob::matches(hook, name)).filter_map(one));
        }
        match one(hook) {
            Some(place) => Ok(vec![place]),
            None => Err(self.missing("security hook", hook, &self.near(hook, || owned(known()), 2))),
        }
    }

    /// Places that a wildcard found.
    fn matching(&self, pattern: &str, found: impl Iterator<Item = Place>) -> Found {
        let found: Vec<_> = found.collect();
        if found.is_empty() { Err(self.no_match(pattern)) } else { Ok(found) }
    }

    pub(super) fn iter(&self) -> Found {
        let target = match self.parts {
            [target] | [target, _] if !target.is_empty() => *target,
            _ => return Err(self.malformed("what to iterate over must follow")),
        };
        let btf = &self.env.target.btf;
        let known =
            || btf.find_with_prefix(Kind::Struct, ITER_PREFIX).map(|(_, name)| &name[ITER_PREFIX.len()..]);
        let one = |target: &str| {
            let hook = Hook::Iter { target: target.to_owned() };
            let context = Context::Iter { context: btf.iter_context(target)? };
            Some(self.place(hook, format!("iter:{target}"), target, context))
        };
        if glob::is_pattern(target) {
            return self.matching(target, known().filter(|name| glob::matches(target, name)).filter_map(one));
        }
        match one(target) {
            Some(place) => Ok(vec![place]),
            None => Err(self.missing("iterator", target, &self.near(target, || owned(known()), 3))),
        }
    }
}

const LSM_PREFIX: &str = "bpf_lsm_";
const ITER_PREFIX: &str = "bpf_iter__";

fn arguments(params: &[Param<'_>]) -> Rc<[Argument]> {
    params.iter().map(|p| Argument { name: p.name.to_owned(), type_id: p.type_id }).collect()
}

fn owned<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    names.into_iter().map(str::to_owned).collect()
}
