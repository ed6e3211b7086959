//! Memory that belongs to the kernel or to a process is read with a helper.

use nonna_bpf::{Callee, Helper, Insn, Reg};

use super::super::Case;
use super::patch::{Goal, Patch, Piece};
use super::{Candidate, add_to, copy, free_slot, saved, set};
use crate::environment::Rules;
use crate::prove::value::Value;

/// Reads through a helper what was read directly.
pub(super) fn candidates(case: &Case<'_>) -> Vec<Candidate> {
    candidate(case).into_iter().collect()
}

fn candidate(case: &Case<'_>) -> Option<Candidate> {
    let at = case.failure.insn;
    let Insn::Load { size, sign_extend, dst, base, offset } = case.shape.insns[at] else { return None };
    let state = case.failure.state.as_ref()?;
    let Value::Number(_) = state.register(base.number()) else { return None };
    if case.voided().is_some() || base == Reg::R10 || case.environment.rules != Rules::Kernel {
        return None;
    }
    let helper =
        Helper::from_name(if reads_user(case) { "bpf_probe_read_user" } else { "bpf_probe_read_kernel" })?;
    if !helper.callable_by(case.program.program_type) {
        return None;
    }
    let slot = free_slot(case, at)?;
    let live = case.demand().live_registers(at + 1) & !(1 << dst.number());
    let (before, after) = saved(case, at, live, &[base, dst])?;
    let mut pieces: Vec<Piece> = before;
    pieces.push(copy(Reg::R3, base));
    if offset != 0 {
        pieces.push(add_to(Reg::R3, i32::from(offset)));
    }
    pieces.push(copy(Reg::R1, Reg::R10));
    pieces.push(add_to(Reg::R1, i32::from(slot)));
    pieces.push(set(Reg::R2, size.bytes() as i32));
    pieces.push((Insn::Call(Callee::Helper(helper.id())), Goal::Next));
    pieces.extend(after);
    let patch = Patch::default()
        .before(at, pieces)
        .replace(at, Insn::Load { size, sign_extend, dst, base: Reg::R10, offset: slot });
    let what = case.line(at).and_then(|line| line.member_or_element());
    let says = match what {
        Some(what) => format!("read it with a helper: `{}(&copy, sizeof(copy), &{what});`", helper.name()),
        None => format!("read it with a helper: `{}(&copy, sizeof(copy), …);`", helper.name()),
    };
    Some(Candidate { patch, text: None, says })
}

/// Whether the pointers that a program's hook hands it are those of a process.
fn reads_user(case: &Case<'_>) -> bool {
    let section = case.program.section.as_str();
    ["tracepoint/syscalls/", "tp/syscalls/", "ksyscall", "kretsyscall", "uprobe", "uretprobe", "usdt"]
        .iter()
        .any(|start| section.starts_with(start))
}
