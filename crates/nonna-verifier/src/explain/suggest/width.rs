//! Accesses and shifts get the width that the machine has for them.

use nonna_bpf::{Insn, MemSize, Operand, Width};

use super::super::Case;
use super::Candidate;
use super::patch::Patch;
use crate::context::{Layout, layout};
use crate::environment::Rules;
use crate::prove::value::{Kind, Value};

/// A field of the context is read whole.
pub(super) fn field_candidates(case: &Case<'_>) -> Vec<Candidate> {
    field_candidate(case).into_iter().collect()
}

fn field_candidate(case: &Case<'_>) -> Option<Candidate> {
    let at = case.failure.insn;
    let Insn::Load { sign_extend, dst, base, offset, size } = case.shape.insns[at] else { return None };
    let state = case.failure.state.as_ref()?;
    let Value::Pointer(pointer) = state.register(base.number()) else { return None };
    let is_plain = pointer.kind == Kind::Context && pointer.is_fixed() && pointer.offset == 0;
    if !is_plain || case.environment.rules != Rules::Kernel {
        return None;
    }
    let Layout::Fields { table, .. } = layout(case.program.program_type, case.program.attach_type) else {
        return None;
    };
    let field = table.field_at(u16::try_from(offset).ok()?)?;
    let element = field.element;
    let start = field.offset + (u16::try_from(offset).ok()? - field.offset) / element * element;
    let whole = Insn::Load {
        size: MemSize::from_bytes(u32::from(element))?,
        sign_extend: sign_extend && element < 8,
        dst,
        base,
        offset: i16::try_from(start).ok()?,
    };
    if size.bytes() == u32::from(element) {
        return None;
    }
    let says = format!("read `{}` whole, as a variable of {element} bytes", field.name);
    Some(Candidate { patch: Patch::default().replace(at, whole), text: None, says })
}

/// A shift by a constant is one by less than the width.
pub(super) fn shift_candidates(case: &Case<'_>) -> Vec<Candidate> {
    let at = case.failure.insn;
    let Insn::Alu { width, op, dst, src: Operand::Imm(amount) } = case.shape.insns[at] else {
        return Vec::new();
    };
    let most = if width == Width::W64 { 63 } else { 31 };
    if amount <= most {
        return Vec::new();
    }
    let patch = Patch::default().replace(at, Insn::Alu { width, op, dst, src: Operand::Imm(amount & most) });
    let says = format!("shift by {most} at most: a machine shifts by {} here", amount & most);
    vec![Candidate { patch, text: None, says }]
}
