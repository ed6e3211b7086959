//! An index or a length that nothing bounds is compared with what there is.

use nonna_bpf::{AluOp, Callee, Helper, Insn, JumpOp, Operand, Reg, RelocationTarget, Width};

use super::super::trace::{Made, NodeIdx, Place, Trace};
use super::super::value::{bytes, size_of};
use super::super::{Case, words};
use super::patch::{Goal, Patch};
use super::{Candidate, Leave, Piece, check_line, check_lines, leave, skip_if, statement_before};
use crate::prove::value::{Kind, Pointer, Value};

/// Compares the index where it becomes an address.
pub(super) fn index_candidates(case: &Case<'_>) -> Vec<Candidate> {
    let Some(trace) = case.trace.as_ref() else { return Vec::new() };
    if let Insn::Call(_) = case.shape.insns[case.failure.insn] {
        return argument_candidates(case);
    }
    let Some(displaced) = Displaced::find(case, trace) else { return Vec::new() };
    displaced.candidates(case, trace)
}

/// A pointer that a number was added to.
struct Displaced {
    /// The number.
    index: NodeIdx,
    /// The instruction that adds it.
    sum: usize,
    /// The largest value of it that keeps the access inside.
    most: i64,
}

impl Displaced {
    fn find(case: &Case<'_>, trace: &Trace) -> Option<Displaced> {
        let state = case.failure.state.as_ref()?;
        let at = case.failure.insn;
        let register = case.failure.register?;
        let Value::Pointer(pointer) = state.register(register) else { return None };
        // Pointer arithmetic itself may be refused: then the number is an operand.
        if let Insn::Alu { op: AluOp::Add, dst, src: Operand::Reg(src), .. } = case.shape.insns[at] {
            let index = match state.register(src.number()) {
                Value::Number(_) => src,
                _ => dst,
            };
            let size = room(case, &pointer)?;
            let index = trace.registers[usize::from(index.number())];
            return Some(Displaced { index, sum: at, most: size.checked_sub(1)? });
        }
        let wanted = case.failure.wanted?;
        let mut end = i64::from(wanted.offset) + i64::from(wanted.bytes);
        let mut node = trace.origin(trace.registers[usize::from(register)]);
        // What was added after the index, up to where the index was added.
        for _ in 0..8 {
            let found = trace.node(node).filter(|node| node.made == Made::Calculated)?;
            let by = trace.node(found.inputs[1]).and_then(|by| by.constant);
            if let Some(by) = by {
                end += if found.sum? { by } else { -by };
                node = trace.origin(found.inputs[0]);
                continue;
            }
            let is_number = |input: NodeIdx| !is_address(case, trace, input);
            let index = found
                .inputs
                .into_iter()
                .find(|input| is_number(*input))
                .filter(|_| found.sum == Some(true))?;
            let start = found.inputs.into_iter().find(|input| *input != index)?;
            let offset = fixed_offset(case, trace, start).unwrap_or(pointer.offset);
            let most = room(case, &Pointer { offset, ..pointer })?.checked_sub(end)?;
            return Some(Displaced { index, sum: trace.insn_of(found), most });
        }
        None
    }

    /// The index as the source has it: before it was scaled to bytes.
    fn unscaled(&self, case: &Case<'_>, trace: &Trace) -> Scaled {
        let mut node = trace.origin(self.index);
        let mut found = Scaled { at: self.sum, scale: 1, width: Width::W64 };
        while let Some(made) = trace.node(node).filter(|made| made.made == Made::Calculated) {
            let (insn, input) = (trace.insn_of(made), trace.origin(made.inputs[0]));
            let by = trace.node(made.inputs[1]).and_then(|by| by.constant);
            let (factor, from) = match (case.shape.insns[insn], by) {
                (Insn::Alu { op: AluOp::Lsh, .. }, Some(by @ 0..=16)) => {
                    (1 << by, Scaled { at: insn, ..found })
                }
                (Insn::Alu { op: AluOp::Mul, .. }, Some(by @ 1..=0xffff)) => {
                    (by, Scaled { at: insn, ..found })
                }
                // Two shifts extend 32 bits to 64, and scale on the way.
                (Insn::Alu { op: AluOp::Arsh | AluOp::Rsh, width: Width::W64, .. }, Some(by @ 16..=32)) => {
                    let Some(shifted) = shifted_up(case, trace, input) else { break };
                    (1 << (32 - by), Scaled { at: shifted, width: Width::W32, ..found })
                }
                _ => break,
            };
            if found.scale * factor > 1 << 24 {
                break;
            }
            found = Scaled { scale: found.scale * factor, ..from };
            if found.width == Width::W32 {
                break;
            }
            node = input;
        }
        found
    }

    fn candidates(&self, case: &Case<'_>, trace: &Trace) -> Vec<Candidate> {
        let source = self.unscaled(case, trace);
        let mut found = Vec::new();
        found.extend(self.candidate(case, trace, source, true));
        if source.at != self.sum {
            let bytes = Scaled { at: self.sum, scale: 1, width: Width::W64 };
            found.extend(self.candidate(case, trace, bytes, false));
        }
        found
    }

    /// Bounds the register that an instruction scales or adds; the source's name for it is that of the index, if it is one.
    fn candidate(&self, case: &Case<'_>, trace: &Trace, scaled: Scaled, is_index: bool) -> Option<Candidate> {
        let register = match case.shape.insns[scaled.at] {
            Insn::Alu { dst, .. } if scaled.at != self.sum => dst,
            Insn::Alu { dst, src: Operand::Reg(src), .. } => {
                let place = trace.node(self.index).map(|node| node.place);
                let holds = |register: Reg| place == Some(Place::Register(register.number()));
                if holds(dst) && !holds(src) { dst } else { src }
            }
            _ => return None,
        };
        let leave = leave(case, self.sum);
        let most = (self.most >= 0).then(|| self.most / scaled.scale)?;
        let named = |insn: usize| case.line(insn).and_then(|line| line.index());
        // On another line the failing line's index need not be there yet.
        let number = |insn: usize| case.line(insn).map(|line| line.number);
        let is_same_line = number(case.failure.insn) == number(scaled.at);
        let name = named(scaled.at).filter(|_| is_index);
        let name = name.or_else(|| named(case.failure.insn).filter(|_| is_index && is_same_line));
        let condition = name.map(|name| {
            let cast = if is_unsigned(case, trace, self.index) { "" } else { "(__u64)" };
            format!("{cast}{name} > {most}")
        });
        let (says, text) = match &condition {
            Some(condition) => (
                format!("bound the index first: `{}`", check_line(condition, &leave)),
                statement_before(case, scaled.at, &check_lines(condition, &leave)),
            ),
            None if is_index => (format!("bound the index first: at most {most} is inside"), None),
            None => {
                (format!("bound the index first: at most {} from the start are inside", bytes(most)), None)
            }
        };
        let patch = Patch::default().before(scaled.at, guard(scaled.width, register, most, &leave)?);
        Some(Candidate { patch, text, says })
    }
}

/// Where a number is scaled, and by how much until it is added to a pointer.
#[derive(Debug, Clone, Copy)]
struct Scaled {
    at: usize,
    scale: i64,
    /// How many bits of it count there.
    width: Width,
}

/// The instruction that shifted a value up by 32 bits, if one did.
fn shifted_up(case: &Case<'_>, trace: &Trace, node: NodeIdx) -> Option<usize> {
    let made = trace.node(node).filter(|made| made.made == Made::Calculated)?;
    let by = trace.node(made.inputs[1]).and_then(|by| by.constant);
    let insn = trace.insn_of(made);
    let shifts = matches!(case.shape.insns[insn], Insn::Alu { op: AluOp::Lsh, width: Width::W64, .. });
    (shifts && by == Some(32)).then_some(insn)
}

/// Whether a number cannot be below 0 by the way it came to be: the source's type is unsigned then, or narrow.
fn is_unsigned(case: &Case<'_>, trace: &Trace, node: NodeIdx) -> bool {
    let made_of = super::super::slice::made_of(trace, &[node], true);
    !made_of.iter().filter_map(|node| trace.node(*node)).any(|node| {
        matches!(
            case.shape.insns[trace.insn_of(node)],
            Insn::MovSx { .. } | Insn::Alu { op: AluOp::Arsh, .. }
        ) || matches!(case.shape.insns[trace.insn_of(node)], Insn::Load { sign_extend: true, .. })
    })
}

/// How far an address is from the start of its memory, or from the frame's end, by the constants that were added to it.
fn fixed_offset(case: &Case<'_>, trace: &Trace, node: NodeIdx) -> Option<i64> {
    if let Some((_, offset)) = trace.node(node)?.stack {
        return Some(i64::from(offset));
    }
    let (base, moved) = trace.displaced(node);
    let slot = case.shape.slots.slot(trace.insn_of(trace.node(base)?));
    let loaded = case.program.relocations.iter().find(|relocation| relocation.slot == slot);
    let start = match loaded.map(|relocation| &relocation.target) {
        Some(RelocationTarget::MapValue { offset, .. }) => i64::from(*offset),
        _ => 0,
    };
    moved?.checked_add(start)
}

/// Bytes that a pointer may be used for from its fixed part on.
fn room(case: &Case<'_>, pointer: &Pointer) -> Option<i64> {
    match pointer.kind {
        // The frame ends at offset 0.
        Kind::Stack { .. } => Some(-pointer.offset),
        _ => size_of(case.object, pointer)?.checked_sub(pointer.offset),
    }
}

/// Whether a value is an address rather than a number, as far as its making tells.
fn is_address(case: &Case<'_>, trace: &Trace, node: NodeIdx) -> bool {
    let base = trace.base(node);
    let Some(found) = trace.node(base) else { return false };
    match found.made {
        Made::Returned => {
            let Insn::Call(Callee::Helper(number)) = case.shape.insns[trace.insn_of(found)] else {
                return false;
            };
            let returns = Helper::from_id(number).map(|helper| helper.info().signature.returns);
            returns != Some(nonna_bpf::Returns::Integer)
        }
        Made::Constant => found.constant.is_none(),
        Made::Entry => true,
        Made::Given => found.place != Place::Register(1),
        _ => false,
    }
}

/// Leaves where a register holds more than it should; numbers below 0 are large ones here.
fn guard(width: Width, register: Reg, most: i64, leave: &Leave) -> Option<Vec<Piece>> {
    let most = i32::try_from(most).ok()?;
    let inside = Insn::Jump { width, op: JumpOp::Le, dst: register, src: Operand::Imm(most), offset: 0 };
    let mut pieces = vec![(inside, Goal::Skip(leave.pieces.len()))];
    pieces.extend(leave.pieces.iter().copied());
    Some(pieces)
}

/// Compares the length in front of a call that is given memory and a length.
pub(super) fn length_candidates(case: &Case<'_>) -> Vec<Candidate> {
    let Some(size) = case.failure.register.filter(|register| (2..=5).contains(register)) else {
        return Vec::new();
    };
    length_candidate(case, size - 1, size).into_iter().collect()
}

/// As [`length_candidates`], where the memory itself was found too small.
fn argument_candidates(case: &Case<'_>) -> Vec<Candidate> {
    let Some(memory) = case.failure.register.filter(|register| (1..=4).contains(register)) else {
        return Vec::new();
    };
    length_candidate(case, memory, memory + 1).into_iter().collect()
}

fn length_candidate(case: &Case<'_>, memory: u8, size: u8) -> Option<Candidate> {
    let Insn::Call(callee @ Callee::Helper(number)) = case.shape.insns[case.failure.insn] else {
        return None;
    };
    let helper = Helper::from_id(number)?;
    let arguments = helper.signature(case.program.program_type).arguments;
    let zero = match arguments.get(usize::from(size) - 1)? {
        nonna_bpf::Argument::MemorySize { zero } => *zero,
        _ => return None,
    };
    let state = case.failure.state.as_ref()?;
    let (Value::Pointer(pointer), Value::Number(length)) = (state.register(memory), state.register(size))
    else {
        return None;
    };
    if length.scalar.as_constant().is_some() {
        return None;
    }
    let displacement = pointer.variable.ranges(Width::W64).signed_max;
    let most = room(case, &pointer)?.checked_sub(displacement).filter(|most| (1..1 << 29).contains(most))?;
    let ranges = *length.scalar.ranges(Width::W64);
    let leave = leave(case, case.failure.insn);
    let register = Reg::new(size)?;
    let line = case.line(case.failure.insn);
    let called = words::callee_name(case, case.failure.insn, callee);
    let text = line
        .and_then(|line| line.arguments(&called))
        .and_then(|arguments| arguments.get(usize::from(size) - 1).copied());
    let mut conditions = Vec::new();
    if let Some(text) = text.filter(|text| !text.contains('(')) {
        if ranges.unsigned_min == 0 && !zero {
            conditions.push(format!("{text} == 0"));
        }
        if ranges.unsigned_max > most as u64 {
            // As an unsigned number of all bits, what is below 0 is large.
            let cast = if ranges.signed_min < 0 { "(__u64)" } else { "" };
            conditions.push(format!("{cast}{text} > {most}"));
        }
    }
    let mut pieces = Vec::new();
    if !zero && ranges.unsigned_min == 0 {
        pieces.push(skip_if(register, JumpOp::Ne, Operand::Imm(0), leave.pieces.len()));
        pieces.extend(leave.pieces.iter().copied());
    }
    pieces.extend(guard(Width::W64, register, most, &leave)?);
    let condition = conditions.join(" || ");
    let (says, edit) = if condition.is_empty() {
        (format!("bound the length first: the memory has {most} bytes"), None)
    } else {
        let edit = statement_before(case, case.failure.insn, &check_lines(&condition, &leave));
        (format!("bound the length first: `{}`", check_line(&condition, &leave)), edit)
    };
    Some(Candidate { patch: Patch::default().before(case.failure.insn, pieces), text: edit, says })
}
