//! Says in a program what a quotient or a remainder is, for verifiers that do not know.
//!
//! Linux 6.12 takes the result of a division or a remainder for any number (`is_safe_to_compute_dst_reg_range` in
//! kernel/bpf/verifier.c). A comparison that every run passes tells it better and changes nothing.

use nonna_bpf::{AluOp, Callee, Imm64, Insn, JumpOp, Object, Operand, Program, SlotMap, Width};

/// The object with a comparison behind every division and remainder by a constant of its only program, which does the same in every
/// run. `None` where there is none, or the program gets too long.
///
/// # Panics
///
/// If the object has no program.
pub fn with_bounded_quotients(object: &Object) -> Option<Object> {
    let program = bounded(&object.programs[0])?;
    Some(Object { programs: vec![program], ..object.clone() })
}

/// What is true of the result of a division or a remainder by this constant.
fn fact(width: Width, op: AluOp, by: i32) -> Option<(JumpOp, i32)> {
    match op {
        AluOp::Mod if by > 0 => Some((JumpOp::Lt, by)),
        AluOp::Div if by > 1 && width == Width::W32 => {
            let largest = u32::MAX / by.unsigned_abs();
            Some((JumpOp::Le, i32::try_from(largest).ok()?))
        }
        AluOp::Div if by > 1 => Some((JumpOp::Sge, 0)),
        _ => None,
    }
}

fn bounded(program: &Program) -> Option<Program> {
    let old = SlotMap::new(&program.insns);
    let (mut insns, mut places) = (Vec::new(), Vec::new());
    for insn in &program.insns {
        places.push(insns.len());
        insns.push(*insn);
        if let Insn::Alu { width, op, dst, src: Operand::Imm(by) } = *insn
            && let Some((test, limit)) = fact(width, op, by)
        {
            let wide = Width::W64;
            insns.push(Insn::Jump { width: wide, op: test, dst, src: Operand::Imm(limit), offset: 1 });
            insns.push(Insn::Alu { width: wide, op: AluOp::Mov, dst, src: Operand::Imm(0) });
        }
    }
    if insns.len() == program.insns.len() {
        return None;
    }
    let new = SlotMap::new(&insns);
    for (index, insn) in program.insns.iter().enumerate() {
        let Some(offset) = insn.local_offset() else { continue };
        let distance = new.offset(places[index], places[old.target(index, offset)?]);
        match &mut insns[places[index]] {
            Insn::Jump { offset, .. } | Insn::Goto { offset } | Insn::MayGoto { offset } => {
                *offset = i16::try_from(distance).ok()?;
            }
            Insn::GotoLong { offset }
            | Insn::Call(Callee::Local(offset))
            | Insn::LoadImm64 { value: Imm64::Function(offset), .. } => {
                *offset = i32::try_from(distance).ok()?;
            }
            _ => {}
        }
    }
    let slot_of = |slot: u32| old.index(slot).map(|index| new.slot(places[index]));
    let mut hinted = program.clone();
    for relocation in &mut hinted.relocations {
        relocation.slot = slot_of(relocation.slot)?;
    }
    for info in &mut hinted.func_info {
        info.slot = slot_of(info.slot)?;
    }
    hinted.insns = insns;
    hinted.line_info.clear();
    hinted.locations.clear();
    Some(hinted)
}

#[cfg(test)]
mod tests {
    use nonna_bpf::Reg;

    use super::*;

    #[test]
    fn jumps_keep_their_targets() {
        let mut object = super::super::generate(1);
        let remainder = Insn::Alu { width: Width::W64, op: AluOp::Mod, dst: Reg::R7, src: Operand::Imm(9) };
        let program = &mut object.programs[0];
        program.insns = vec![Insn::Goto { offset: 1 }, remainder, Insn::Goto { offset: -2 }];
        program.relocations.clear();
        program.func_info.truncate(1);
        let hinted = with_bounded_quotients(&object).unwrap();
        let insns = &hinted.programs[0].insns;
        assert_eq!(insns.len(), 5);
        assert_eq!((insns[0], insns[4]), (Insn::Goto { offset: 3 }, Insn::Goto { offset: -4 }));
        object.programs[0].insns = vec![Insn::Exit];
        assert_eq!(with_bounded_quotients(&object), None);
    }
}
