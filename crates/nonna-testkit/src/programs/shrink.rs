//! Makes a program smaller while it keeps a property.

use nonna_bpf::{Callee, FuncInfo, Imm64, Insn, Object, Program, SlotMap};

/// Leaves instructions of the object's only program out, as long as `holds` says that what matters is still there.
///
/// # Panics
///
/// If the object has no program.
pub fn shrink(object: &Object, mut holds: impl FnMut(&Object) -> bool) -> Object {
    let mut best = object.clone();
    // Large pieces first; each size is tried over the whole program.
    let mut piece = best.programs[0].insns.len() / 2;
    while piece > 0 {
        let mut at = 0;
        while at < best.programs[0].insns.len() {
            let end = (at + piece).min(best.programs[0].insns.len());
            match without(&best.programs[0], at, end) {
                Some(program) => {
                    let candidate = Object { programs: vec![program], ..best.clone() };
                    if holds(&candidate) {
                        best = candidate;
                    } else {
                        at += piece;
                    }
                }
                None => at += piece,
            }
        }
        piece /= 2;
    }
    best
}

/// The program without some instructions; jumps to them go to what follows. `None` where that is no program.
fn without(program: &Program, start: usize, end: usize) -> Option<Program> {
    let old = SlotMap::new(&program.insns);
    let n_insns = program.insns.len();
    if end - start >= n_insns {
        return None;
    }
    let moved = |index: usize| match index {
        index if index < start => index,
        index if index < end => start,
        index => index - (end - start),
    };
    let kept: Vec<usize> = (0..n_insns).filter(|index| !(start..end).contains(index)).collect();
    let mut insns: Vec<Insn> = kept.iter().map(|index| program.insns[*index]).collect();
    let new = SlotMap::new(&insns);
    for (to, from) in kept.iter().enumerate() {
        let Some(offset) = program.insns[*from].local_offset() else { continue };
        let target = moved(old.target(*from, offset)?);
        if target >= insns.len() {
            return None;
        }
        let distance = new.offset(to, target);
        match &mut insns[to] {
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
    let slot_of = |slot: u32| {
        let index = old.index(slot)?;
        (!(start..end).contains(&index)).then(|| new.slot(moved(index)))
    };
    let mut smaller = program.clone();
    smaller.relocations.retain_mut(|relocation| match slot_of(relocation.slot) {
        Some(slot) => {
            relocation.slot = slot;
            true
        }
        None => false,
    });
    // A function that begins with something that is left out begins with what follows, unless nothing of it is left.
    let mut func_info: Vec<FuncInfo> = Vec::new();
    for info in &program.func_info {
        let index = moved(old.index(info.slot)?);
        if index < insns.len() {
            func_info.push(FuncInfo { slot: new.slot(index), ..*info });
        }
    }
    func_info.reverse();
    func_info.dedup_by_key(|info| info.slot);
    func_info.reverse();
    smaller.func_info = func_info;
    smaller.insns = insns;
    smaller.line_info.clear();
    smaller.locations.clear();
    Some(smaller)
}

#[cfg(test)]
mod tests {
    use nonna_bpf::Reg;

    use super::*;

    #[test]
    fn what_matters_stays() {
        let object = super::super::generate(7);
        let writes_r7 = |object: &Object| {
            object.programs[0]
                .insns
                .iter()
                .any(|insn| matches!(insn, Insn::Alu { dst, .. } if *dst == Reg::R7))
        };
        assert!(writes_r7(&object));
        let small = shrink(&object, writes_r7);
        assert_eq!(small.programs[0].insns.len(), 1);
    }

    #[test]
    fn jumps_follow() {
        let mut object = super::super::generate(1);
        let goto = |offset| Insn::Goto { offset };
        object.programs[0].insns = vec![goto(2), goto(0), goto(-2), Insn::Exit];
        object.programs[0].relocations.clear();
        object.programs[0].func_info.truncate(1);
        let program = without(&object.programs[0], 1, 2).unwrap();
        assert_eq!(program.insns, [goto(1), goto(-1), Insn::Exit]);
    }
}
