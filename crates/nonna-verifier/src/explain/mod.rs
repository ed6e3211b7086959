//! Turns a broken rule into a diagnostic: what, where, how the program comes there, and what to write instead.
//!
//! It only tells; whether a rule is broken is decided in `prove`. The path is walked again (`trace`), cut down to what matters (`slice`) and
//! put into words (`words`, `value`). What to write instead is tried on a copy of the program before it is shown (`suggest`).

mod lines;
mod shape;
mod slice;
mod suggest;
mod trace;
mod value;
mod walk;
mod words;

use std::cell::OnceCell;

use nonna_bpf::{Callee, Helper, Insn, Object, Program, ProgramType};
use nonna_btf::{Btf, TypeId};
use nonna_diag::{Diagnostic, Sources, Span};

use crate::context::Holds;
use crate::environment::{Environment, Rules};
use crate::prove::Failure;
use crate::prove::demand::Demand;
use crate::slugs;

use lines::{Line, Lines};
use shape::Shape;
use slice::{Slice, Step, What};
use trace::{Made, NodeIdx, Trace};

/// Everything that an explanation can look at.
pub(crate) struct Case<'a> {
    object: &'a Object,
    program: &'a Program,
    environment: &'a Environment,
    failure: &'a Failure,
    shape: Shape<'a>,
    trace: Option<Trace>,
    lines: Lines<'a>,
    types: Option<Btf>,
    demand: OnceCell<Demand>,
}

/// The diagnostic of a failure. With the texts of source lines it speaks their language, and suggests edits that were tried.
pub(crate) fn diagnostic(
    object: &Object,
    index: usize,
    environment: &Environment,
    failure: &Failure,
    sources: Option<&Sources>,
) -> Diagnostic {
    let case = Case::new(object, index, environment, failure, sources);
    let diagnostic = case.headline();
    let slice = case.slice();
    let diagnostic = match &slice {
        Some(slice) => words::tell(&case, slice, diagnostic),
        None => diagnostic,
    };
    match sources {
        Some(_) => suggest::add(&case, slice.as_ref(), diagnostic),
        None if failure.help.is_empty() => diagnostic,
        None => diagnostic.help(failure.help.clone()),
    }
}

impl<'a> Case<'a> {
    fn new(
        object: &'a Object,
        index: usize,
        environment: &'a Environment,
        failure: &'a Failure,
        sources: Option<&'a Sources>,
    ) -> Case<'a> {
        let program = &object.programs[index];
        let shape = Shape::new(program);
        let trace = Trace::new(&shape, failure);
        let types = if object.btf.is_empty() { None } else { Btf::parse(object.btf.clone()).ok() };
        let (lines, demand) = (Lines::new(sources), OnceCell::new());
        Case { object, program, environment, failure, shape, trace, lines, types, demand }
    }

    /// The steps that matter.
    fn slice(&self) -> Option<Slice> {
        let mut slice = slice::slice(&self.shape, self.trace.as_ref()?, self.failure);
        slice.steps.extend(self.voided());
        slice.steps.sort_by_key(|step| step.visit);
        Some(slice)
    }

    /// Which registers somebody still reads.
    fn demand(&self) -> &Demand {
        let shape = &self.shape;
        self.demand.get_or_init(|| Demand::new(self.program, &shape.flow, &shape.functions, &shape.slots))
    }

    /// What is wrong, where, and what is known there.
    fn headline(&self) -> Diagnostic {
        let failure = self.failure;
        let mut message = failure.message.clone();
        if let Some(register) = failure.register
            && let Some(name) = self.register_name(register)
        {
            message = message.replace(&format!("`r{register}`"), &format!("`{name}`"));
        }
        if let Some(origin) = failure.origin.map(|origin| origin as usize) {
            message = self.held(origin, message);
        }
        if self.voided().is_some() {
            message = message.replace("but it holds a number", "but it leads nowhere any more");
        }
        let mut diagnostic = Diagnostic::new(failure.slug, message);
        let slot = self.shape.slots.slot(failure.insn);
        let text = self.insn_text(failure.insn);
        let span = self.loop_span().or_else(|| Lines::span(&self.shape, failure.insn));
        if let Some(span) = span {
            diagnostic = diagnostic.label(span, self.label(&text));
        }
        if let Some(known) = value::sentence(self).filter(|_| self.voided().is_none()) {
            diagnostic = diagnostic.note(known);
        }
        if self.program.program_type == ProgramType::Unspecified && self.environment.rules == Rules::Kernel {
            diagnostic = diagnostic.note(format!(
                "section `{}` names no kind of program, so nothing is known of its context and its helpers",
                self.program.section
            ));
        }
        let function = match self.function_name(self.shape.function(failure.insn).start) {
            Some(name) if name != self.program.name => format!(", function `{name}`"),
            _ => String::new(),
        };
        diagnostic.note(format!("program `{}`{function}, instruction {slot}: {text}", self.program.name))
    }

    /// The step after which a pointer, used here, led nowhere any more.
    fn voided(&self) -> Option<Step> {
        let (trace, register) = (self.trace.as_ref()?, self.failure.register?);
        if self.failure.slug.name != slugs::NOT_A_POINTER.name
            && self.failure.slug.name != slugs::BAD_ARGUMENT.name
        {
            return None;
        }
        let is_number =
            self.failure.state.as_ref().is_some_and(|state| state.register(register).number().is_some());
        let node = trace.node(trace.base(trace.registers[usize::from(register)])).filter(|_| is_number)?;
        let in_packet = words::loads_context(self, trace, node, Holds::PacketData)
            || words::loads_context(self, trace, node, Holds::PacketMeta);
        let voids = |insn: usize| match self.shape.insns[insn] {
            Insn::Call(Callee::Helper(number)) if in_packet => Helper::from_id(number)
                .is_some_and(|helper| helper.info().changes_packet || helper.name() == "bpf_tail_call"),
            _ => node.made == Made::Returned && slice::gives_back(&self.shape, insn, false),
        };
        let made = node.visit as usize;
        let visit = (made + 1..trace.visits.len().saturating_sub(1))
            .rev()
            .find(|visit| voids(trace.visits[*visit].insn as usize))?;
        let insn = trace.visits[visit].insn as usize;
        Some(Step { visit, insn, what: What::Voided, times: 1 })
    }

    /// A message in terms of what was acquired, rather than of the instruction that did.
    fn held(&self, origin: usize, message: String) -> String {
        let Insn::Call(callee) = self.shape.insns[origin] else { return message };
        let slot = self.shape.slots.slot(origin);
        let (name, place) = (words::callee_name(self, origin, callee), self.place(origin));
        message
            .replace(&format!("what instruction {slot} acquired"), &format!("what `{name}` gave at {place}"))
            .replace(&format!("taken at instruction {slot}"), &format!("taken at {place}"))
    }

    /// The line at which an endless loop begins, where one of its own lines looks like that.
    fn loop_span(&self) -> Option<Span> {
        if self.failure.slug.name != slugs::ENDLESS_LOOP.name {
            return None;
        }
        let which = self.shape.flow.innermost(self.failure.insn);
        let inside = self.shape.function(self.failure.insn);
        let begins = |insn: &usize| self.line(*insn).is_some_and(|line| line.begins_loop());
        let found = inside.filter(|insn| self.shape.flow.innermost(*insn) == which).find(begins)?;
        Lines::span(&self.shape, found)
    }

    /// What stands beside the marked line.
    fn label(&self, text: &str) -> String {
        let slug = self.failure.slug.name;
        if slug == slugs::ENDLESS_LOOP.name {
            return "this loop".to_owned();
        }
        if slug == slugs::LEAKED_REFERENCE.name || slug == slugs::LOCK_HELD.name {
            return format!("`{text}`");
        }
        format!("here: `{text}`")
    }

    /// An instruction as the kernel prints it, with the name of what it calls.
    fn insn_text(&self, insn: usize) -> String {
        match self.shape.insns[insn] {
            Insn::Call(callee @ (Callee::Local(_) | Callee::Kfunc { .. })) => {
                format!("call {}", words::callee_name(self, insn, callee))
            }
            _ => self.shape.text(insn),
        }
    }

    /// The name of the function that begins at an instruction.
    fn function_name(&self, first: usize) -> Option<String> {
        let slot = self.shape.slots.slot(first);
        let info = self.program.func_info.iter().find(|info| info.slot == slot)?;
        let name = self.types.as_ref()?.name(TypeId(info.type_id)).ok()?;
        Some(name.to_owned())
    }

    /// An instruction by the line it comes from, or by its slot.
    fn place(&self, insn: usize) -> String {
        match self.lines.line(&self.shape, insn).filter(|line| !line.is_assembly()) {
            Some(line) => format!("line {}", line.number),
            None => format!("instruction {}", self.shape.slots.slot(insn)),
        }
    }

    /// The line of C of an instruction; a block of assembly is none, as all its instructions are on one.
    fn line(&self, insn: usize) -> Option<Line<'a>> {
        let found = self.lines.line(&self.shape, insn);
        found.filter(|line| !line.is_assembly() && self.lines.is_c(line.source))
    }

    /// The pointer that an instruction follows, as its line has it.
    fn followed(&self, insn: usize) -> Option<&'a str> {
        let (line, span) = (self.line(insn)?, Lines::span(&self.shape, insn)?);
        let at = (span.start as usize).checked_sub(line.start);
        at.and_then(|at| line.followed_at(at)).or_else(|| line.followed())
    }

    /// Where an instruction comes from, if that says which instruction of its line it is.
    fn span(&self, insn: usize) -> Option<Span> {
        let is_assembly = self.lines.line(&self.shape, insn).is_some_and(|line| line.is_assembly());
        Lines::span(&self.shape, insn).filter(|_| !is_assembly)
    }

    /// A register at the end of the path by the variable that it holds, with the register.
    fn named(&self, register: u8) -> String {
        match self.register_name(register) {
            Some(name) => format!("`{name}` (in `r{register}`)"),
            None => format!("`r{register}`"),
        }
    }

    /// The variable that a register at the end of the path holds.
    fn register_name(&self, register: u8) -> Option<String> {
        let node = *self.trace.as_ref()?.registers.get(usize::from(register))?;
        self.name(node)
    }

    /// A value as the source calls it, else by its register.
    fn term(&self, node: NodeIdx, register: u8) -> String {
        self.name(node).unwrap_or_else(|| format!("r{register}"))
    }

    /// What the source calls a value: the variable that it was assigned to when it came to be.
    fn name(&self, node: NodeIdx) -> Option<String> {
        let trace = self.trace.as_ref()?;
        let (base, moved) = trace.displaced(node);
        let name = self.assigned(base)?;
        match moved? {
            0 => Some(name.to_owned()),
            more @ 1.. => Some(format!("{name} + {more}")),
            less => Some(format!("{name} - {}", less.unsigned_abs())),
        }
    }

    /// The variable that a fresh value was assigned to.
    fn assigned(&self, node: NodeIdx) -> Option<&'a str> {
        let trace = self.trace.as_ref()?;
        let found = trace.node(node)?;
        let insn = trace.insn_of(found);
        let line = self.line(insn)?;
        match (found.made, self.shape.insns[insn]) {
            (Made::Returned, Insn::Call(callee)) => {
                line.assigned_from(&words::callee_name(self, insn, callee))
            }
            (Made::Loaded, Insn::Load { offset, .. }) => {
                let base = trace.visits.get(found.visit as usize)?.operands[0];
                if !words::is_context(self, trace, base) {
                    return None;
                }
                let (field, _) = words::context_field(self, offset)?;
                line.assigned_member(field)
            }
            _ => None,
        }
    }
}
