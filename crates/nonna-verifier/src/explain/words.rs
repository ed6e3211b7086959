//! The steps of a path, told.

use nonna_bpf::{AluOp, Callee, Helper, Insn, JumpOp, MapIdx, Operand, RelocationTarget, Returns};

use super::Case;
use super::slice::{Slice, Step, What};
use super::trace::{Made, Node, Place, Trace, Went};
use super::value;
use crate::context::{self, AccessKind, Layout};
use crate::environment::Rules;
use crate::numbers::Scalar;
use crate::slugs;
use nonna_diag::Diagnostic;

/// Adds the steps of a path to a diagnostic.
pub(super) fn tell(case: &Case<'_>, slice: &Slice, mut diagnostic: Diagnostic) -> Diagnostic {
    let Some(trace) = &case.trace else { return diagnostic };
    let steps = slice.steps.iter().filter_map(|step| Some((step, message(case, trace, step)?)));
    let mut told: Vec<(usize, Option<nonna_diag::Span>, String)> = Vec::new();
    // Where bytes are missing, it matters which were written.
    let tells_writes = case.failure.slug.name == slugs::UNINITIALIZED_STACK.name;
    for (step, message) in steps {
        let span = case.span(step.insn);
        // What compilers move about inside of a line nobody wants to know.
        if span.is_some() && is_move(trace, step) && !tells_writes {
            continue;
        }
        match told.last_mut() {
            Some((_, known, text)) if span.is_some() && *known == span => {
                if !text.contains(&message) {
                    text.push_str("; ");
                    text.push_str(&message);
                }
            }
            _ => told.push((step.insn, span, message)),
        }
    }
    let n_told = told.len();
    for (index, (insn, span, message)) in told.into_iter().enumerate() {
        let message = match span {
            Some(_) => message,
            None => format!("instruction {}: {message}", case.shape.slots.slot(insn)),
        };
        let message = match slice.left_out {
            left_out @ 1.. if index == 2 || index + 1 == n_told && index < 2 => {
                format!("{left_out} steps later: {message}")
            }
            _ => message,
        };
        diagnostic = diagnostic.step(span, message);
    }
    diagnostic
}

/// Whether a step only moves a value.
fn is_move(trace: &Trace, step: &Step) -> bool {
    let What::Made(node) = step.what else { return false };
    trace.node(node).is_some_and(|node| {
        matches!(node.made, Made::Copied | Made::Spilled | Made::Filled)
            // A constant that is stored is worth a word.
            && trace.node(trace.origin(node.inputs[0])).is_some_and(|from| from.constant.is_none())
    })
}

fn message(case: &Case<'_>, trace: &Trace, step: &Step) -> Option<String> {
    let text = match step.what {
        What::Made(node) => made(case, trace, step.insn, trace.node(node)?),
        What::Compared => comparison(case, trace, step, None)?,
        What::Turned => comparison(case, trace, step, Some(turned(case)))?,
        What::Stayed => comparison(case, trace, step, Some("so the loop goes on"))?,
        What::Acquired => format!("{}, which must be given back", acquired(case, step.insn)),
        What::Locked => "the lock is taken".to_owned(),
        What::Voided => voided(case, step.insn),
    };
    let is_loop = step.times > 1 && matches!(step.what, What::Compared | What::Turned);
    Some(if is_loop { format!("{text} (the last of {} rounds)", step.times) } else { text })
}

/// What cannot happen any more once the path has turned.
fn turned(case: &Case<'_>) -> &'static str {
    let name = case.failure.slug.name;
    if name == slugs::LEAKED_REFERENCE.name {
        "and from here on nothing gives it back"
    } else if name == slugs::LOCK_HELD.name {
        "and from here on nothing unlocks"
    } else if name == slugs::UNINITIALIZED_STACK.name {
        "and from here on nothing writes these bytes"
    } else {
        "and from here on nothing sets it"
    }
}

/// Why pointers lead nowhere after a call.
fn voided(case: &Case<'_>, insn: usize) -> String {
    let Insn::Call(callee) = case.shape.insns[insn] else { return "this takes it away".to_owned() };
    let name = callee_name(case, insn, callee);
    if super::slice::gives_back(&case.shape, insn, false) {
        format!("`{name}` gives it back, and it is not the program's any more")
    } else {
        format!("`{name}` may move the packet: pointers into it lead nowhere from here on")
    }
}

fn acquired(case: &Case<'_>, insn: usize) -> String {
    let Insn::Call(callee) = case.shape.insns[insn] else { return "this is acquired".to_owned() };
    format!(
        "`{}` acquires {}",
        callee_name(case, insn, callee),
        match helper_returns(case, callee) {
            Some(Returns::RingbufRecordOrNull) => "a record of the ring buffer",
            Some(Returns::SocketOrNull | Returns::SockCommonOrNull) => "a socket",
            _ => "something",
        }
    )
}

fn helper_returns(case: &Case<'_>, callee: Callee) -> Option<Returns> {
    let Callee::Helper(number) = callee else { return None };
    Some(Helper::from_id(number)?.signature(case.program.program_type).returns)
}

/// The name of what a call calls.
pub(super) fn callee_name(case: &Case<'_>, insn: usize, callee: Callee) -> String {
    let slot = case.shape.slots.slot(insn);
    let relocation = case.program.relocations.iter().find(|relocation| relocation.slot == slot);
    match (callee, relocation.map(|relocation| &relocation.target)) {
        (Callee::Helper(number), _) => Helper::from_id(number)
            .map_or_else(|| format!("helper {number}"), |helper| helper.name().to_owned()),
        (Callee::Kfunc { .. }, Some(RelocationTarget::Kfunc { name, .. })) => name.clone(),
        (Callee::Local(_), _) => case
            .shape
            .target(insn)
            .and_then(|first| case.function_name(first))
            .unwrap_or_else(|| "this function".to_owned()),
        _ => "this call".to_owned(),
    }
}

fn made(case: &Case<'_>, trace: &Trace, insn: usize, node: &Node) -> String {
    let text = case.shape.text(insn);
    let named = match node.place {
        Place::Register(register) => format!("`r{register}`"),
        Place::Stack(offset) => format!("the stack at {offset}"),
    };
    match node.made {
        Made::Returned => returned(case, insn, &named),
        Made::Loaded => loaded(case, trace, node, insn, &named),
        Made::Constant => match node.constant {
            Some(constant) => format!("{named} is {constant} here"),
            None => {
                map_at(case, insn).map_or_else(|| format!("`{text}`"), |map| format!("{named} is map {map}"))
            }
        },
        Made::Calculated => calculated(case, insn, &named),
        Made::Varied => format!("each round of this loop changes it: `{text}`"),
        Made::Clobbered => {
            let Insn::Call(callee) = case.shape.insns[insn] else { return format!("`{text}`") };
            format!(
                "this call of `{}` leaves nothing usable in `r1` to `r5`",
                callee_name(case, insn, callee)
            )
        }
        Made::Passed => passed(case, insn, node),
        Made::Handed => match case.function_name(case.shape.function(insn).start) {
            Some(name) => format!("`{name}` returns it"),
            None => format!("`{text}` returns it"),
        },
        Made::Given => given(case, insn, &named),
        Made::Written => "this call fills these stack bytes".to_owned(),
        Made::Spilled => match node.place {
            Place::Stack(offset) => format!("the stack from {offset} on is written: `{text}`"),
            Place::Register(_) => format!("`{text}`"),
        },
        _ => format!("`{text}`"),
    }
}

fn passed(case: &Case<'_>, insn: usize, node: &Node) -> String {
    let Place::Register(number) = node.place else { return format!("`{}`", case.shape.text(insn)) };
    match case.shape.insns[insn] {
        Insn::Call(callee @ Callee::Local(_)) => {
            format!("argument {number} of `{}`", callee_name(case, insn, callee))
        }
        Insn::Call(callee) => {
            format!("`{}` hands it to the function that it calls", callee_name(case, insn, callee))
        }
        _ => format!("`{}`", case.shape.text(insn)),
    }
}

fn given(case: &Case<'_>, insn: usize, named: &str) -> String {
    let Insn::Call(callee) = case.shape.insns[insn] else { return format!("`{}`", case.shape.text(insn)) };
    let name = callee_name(case, insn, callee);
    if name == "bpf_loop" && named == "`r1`" {
        return format!(
            "`{name}` calls the function with the number of the round, of which nothing is known"
        );
    }
    format!("`{name}` calls the function with {named}")
}

fn calculated(case: &Case<'_>, insn: usize, named: &str) -> String {
    let text = case.shape.text(insn);
    match case.shape.insns[insn] {
        Insn::Alu { op: AluOp::And, src: Operand::Imm(mask), .. } if mask >= 0 => {
            format!("{named} is masked to at most {mask}: `{text}`")
        }
        _ => format!("`{text}`"),
    }
}

fn returned(case: &Case<'_>, insn: usize, named: &str) -> String {
    let Insn::Call(callee) = case.shape.insns[insn] else { return format!("`{}`", case.shape.text(insn)) };
    let name = callee_name(case, insn, callee);
    match helper_returns(case, callee) {
        Some(Returns::Integer) => format!("{named} is what `{name}` returns: it may be any number"),
        Some(Returns::Nothing) => format!("`{name}` returns nothing"),
        Some(_) => {
            let when = value::null_when(case, insn);
            let when = when.as_deref().and_then(|when| when.split_once("returns ")).map(|(_, when)| when);
            match when {
                Some(when) => format!("{named} is what `{name}` returned: {when}"),
                None => format!("{named} is what `{name}` returned"),
            }
        }
        None => format!("{named} is what `{name}` returned"),
    }
}

/// The map that the loader puts into an instruction.
fn map_at(case: &Case<'_>, insn: usize) -> Option<String> {
    let slot = case.shape.slots.slot(insn);
    let map: MapIdx = super::trace::map_at(case.program, slot)?;
    case.object.maps.get(map.0 as usize).map(|map| format!("`{}`", map.name))
}

fn loaded(case: &Case<'_>, trace: &Trace, node: &Node, insn: usize, named: &str) -> String {
    let Insn::Load { offset, size, sign_extend, .. } = case.shape.insns[insn] else {
        return format!("{named} is read from memory: it may be any number");
    };
    let base = trace.visits.get(node.visit as usize).map(|visit| visit.operands[0]);
    if base.is_some_and(|base| is_context(case, trace, base)) {
        return match context_field(case, offset) {
            Some((_, context::Holds::PacketData)) => format!("{named} is where the packet begins"),
            Some((_, context::Holds::PacketEnd)) => format!("{named} is where the packet ends"),
            Some((name, context::Holds::Number)) => format!("{named} is `{name}` of the context: anything"),
            Some((name, _)) => format!("{named} is `{name}` of the context"),
            None => format!("{named} is read from the context"),
        };
    }
    let range = value::number_words(&Scalar::loaded(size, sign_extend));
    format!("{named} is read from memory: {range}")
}

/// The field of the context at an offset.
pub(super) fn context_field(case: &Case<'_>, offset: i16) -> Option<(&'static str, context::Holds)> {
    let Layout::Fields { table, .. } = context::layout(case.program.program_type, case.program.attach_type)
    else {
        return None;
    };
    let field = table.field_at(u16::try_from(offset).ok()?)?;
    Some((field.name, field.holds))
}

/// Whether a value is the context as the program got it.
pub(super) fn is_context(case: &Case<'_>, trace: &Trace, node: super::trace::NodeIdx) -> bool {
    let origin = trace.node(trace.origin(node));
    case.failure.start == (0, 0)
        && case.environment.rules == Rules::Kernel
        && origin.is_some_and(|node| {
            node.made == Made::Entry && node.place == Place::Register(1) && node.visit == 0
        })
}

/// Whether an access loads a field of the context that holds this.
pub(super) fn loads_context(case: &Case<'_>, trace: &Trace, node: &Node, holds: context::Holds) -> bool {
    let Insn::Load { offset, size, .. } = case.shape.insns[trace.insn_of(node)] else { return false };
    let base = trace.visits.get(node.visit as usize).map(|visit| visit.operands[0]);
    node.made == Made::Loaded
        && base.is_some_and(|base| is_context(case, trace, base))
        && context_field(case, offset).is_some_and(|(_, found)| found == holds)
        && context::access(
            case.program.program_type,
            case.program.attach_type,
            i64::from(offset),
            size.bytes() as u16,
            AccessKind::Load,
        )
        .is_ok()
}

/// What a comparison said on this path.
fn comparison(case: &Case<'_>, trace: &Trace, step: &Step, why: Option<&str>) -> Option<String> {
    let visit = trace.visits.get(step.visit)?;
    let taken = visit.went == Went::Jumped;
    let condition = match case.shape.insns[step.insn] {
        Insn::Jump { op, dst, src, .. } => {
            let left = case.term(visit.operands[0], dst.number());
            let right = match src {
                Operand::Reg(src) => case.term(visit.operands[1], src.number()),
                Operand::Imm(imm) => imm.to_string(),
            };
            condition(op, &left, &right, taken)
        }
        Insn::MayGoto { .. } => "`may_goto` allows another round".to_owned(),
        Insn::Call(callee) => {
            format!("`{}` calls the function once more", callee_name(case, step.insn, callee))
        }
        _ => return None,
    };
    let target = case.shape.target(step.insn).filter(|_| taken);
    let goes = match target {
        Some(target) => format!("jumps to {}", case.place(target)),
        None => "goes on".to_owned(),
    };
    Some(match why {
        Some(why) => format!("{condition} here, {why}"),
        None => format!("{goes}, because {condition}"),
    })
}

fn condition(op: JumpOp, left: &str, right: &str, holds: bool) -> String {
    let sign = match if holds { op } else { negated(op) } {
        JumpOp::Eq => "==",
        JumpOp::Ne => "!=",
        JumpOp::Gt | JumpOp::Sgt => ">",
        JumpOp::Ge | JumpOp::Sge => ">=",
        JumpOp::Lt | JumpOp::Slt => "<",
        JumpOp::Le | JumpOp::Sle => "<=",
        JumpOp::Set => return format!("`{left} & {right}` is {}", if holds { "not 0" } else { "0" }),
    };
    format!("`{left} {sign} {right}`")
}

fn negated(op: JumpOp) -> JumpOp {
    match op {
        JumpOp::Eq => JumpOp::Ne,
        JumpOp::Ne => JumpOp::Eq,
        JumpOp::Gt => JumpOp::Le,
        JumpOp::Ge => JumpOp::Lt,
        JumpOp::Lt => JumpOp::Ge,
        JumpOp::Le => JumpOp::Gt,
        JumpOp::Sgt => JumpOp::Sle,
        JumpOp::Sge => JumpOp::Slt,
        JumpOp::Slt => JumpOp::Sge,
        JumpOp::Sle => JumpOp::Sgt,
        JumpOp::Set => JumpOp::Set,
    }
}
