//! Jumps: conditions that a level of the instruction set lacks, and distances.

use nonna_bpf::{Insn, IsaLevel, JumpOp};

use super::Code;
use crate::CodegenError;
use crate::mir::MBlock;

/// A jump whose distance is open.
#[derive(Debug, Clone, Copy)]
pub enum Item {
    /// To the block where the condition holds.
    Conditional(MBlock),
    /// Always.
    Unconditional(MBlock),
}

/// Jumps and blocks of a function.
pub struct Jumps {
    /// First instruction of each block.
    starts: Vec<usize>,
    items: Vec<(usize, Item)>,
}

impl Jumps {
    /// None yet.
    pub fn new(n_blocks: usize) -> Self {
        Self { starts: vec![0; n_blocks], items: Vec::new() }
    }

    /// A block starts at an instruction.
    pub fn place(&mut self, block: MBlock, insn: usize) {
        self.starts[block.idx()] = insn;
    }

    /// An instruction jumps.
    pub fn add(&mut self, insn: usize, item: Item) {
        self.items.push((insn, item));
    }

    /// Fills in the distances; far jumps take the long form where the level has it.
    ///
    /// # Errors
    ///
    /// [`CodegenError::ProgramTooLarge`] where a jump does not reach.
    pub fn resolve(mut self, code: &mut Code, isa: IsaLevel, name: &str) -> Result<(), CodegenError> {
        // Making one jump longer can put another out of reach, so this repeats until all fit.
        loop {
            let slots = slots_before(&code.insns);
            let mut far = Vec::new();
            for (nth, &(at, item)) in self.items.iter().enumerate() {
                let (Item::Conditional(target) | Item::Unconditional(target)) = item;
                let from = slots[at] + i64::from(code.insns[at].slots());
                let distance = slots[self.starts[target.idx()]] - from;
                if !set_distance(&mut code.insns[at], distance) {
                    far.push(nth);
                }
            }
            if far.is_empty() {
                return Ok(());
            }
            if isa < IsaLevel::V4 {
                let (insns, limit) = (code.insns.len(), i16::MAX as usize);
                return Err(CodegenError::ProgramTooLarge { function: name.to_owned(), insns, limit });
            }
            for nth in far.into_iter().rev() {
                self.lengthen(code, nth);
            }
        }
    }

    /// A far unconditional jump gets the long form. A far conditional one jumps over the jump that follows it to a long
    /// one: `if c goto +1; goto +1; gotol target`.
    fn lengthen(&mut self, code: &mut Code, nth: usize) {
        let (at, item) = self.items[nth];
        match item {
            Item::Unconditional(_) => code.insns[at] = Insn::GotoLong { offset: 0 },
            Item::Conditional(target) => {
                if let Insn::Jump { offset, .. } = &mut code.insns[at] {
                    *offset = 1;
                }
                let span = code.spans[at];
                for (behind, insn) in
                    [Insn::Goto { offset: 1 }, Insn::GotoLong { offset: 0 }].into_iter().enumerate()
                {
                    code.insns.insert(at + 1 + behind, insn);
                    code.spans.insert(at + 1 + behind, span);
                }
                self.shift_after(code, at, 2);
                self.items[nth] = (at + 2, Item::Unconditional(target));
            }
        }
    }

    /// Instructions behind one have moved.
    fn shift_after(&mut self, code: &mut Code, at: usize, by: usize) {
        let moved = |insn: &mut usize| {
            if *insn > at {
                *insn += by;
            }
        };
        self.starts.iter_mut().for_each(moved);
        self.items.iter_mut().for_each(|(insn, _)| moved(insn));
        code.functions.iter_mut().for_each(|(insn, _)| moved(insn));
        code.relocations.iter_mut().for_each(|(insn, _)| moved(insn));
    }
}

/// Slots before each instruction.
fn slots_before(insns: &[Insn]) -> Vec<i64> {
    let mut slots = 0;
    insns
        .iter()
        .map(|insn| {
            let before = slots;
            slots += i64::from(insn.slots());
            before
        })
        .collect()
}

/// Writes a distance into a jump; whether it fits.
fn set_distance(insn: &mut Insn, distance: i64) -> bool {
    match insn {
        Insn::Jump { offset, .. } | Insn::Goto { offset } => match i16::try_from(distance) {
            Ok(distance) => *offset = distance,
            Err(_) => return false,
        },
        Insn::GotoLong { offset } => match i32::try_from(distance) {
            Ok(distance) => *offset = distance,
            Err(_) => return false,
        },
        _ => {}
    }
    true
}

/// Whether a level of the instruction set has a condition.
pub fn exists(op: JumpOp, isa: IsaLevel) -> bool {
    isa >= IsaLevel::V2 || !matches!(op, JumpOp::Lt | JumpOp::Le | JumpOp::Slt | JumpOp::Sle)
}

/// The condition that holds where this one does not.
pub fn inverted(op: JumpOp) -> Option<JumpOp> {
    Some(match op {
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
        JumpOp::Set => return None,
    })
}

/// The condition and its two targets as the level can say it.
pub fn for_level(op: JumpOp, then: MBlock, otherwise: MBlock, isa: IsaLevel) -> (JumpOp, MBlock, MBlock) {
    match inverted(op) {
        Some(inverse) if !exists(op, isa) => (inverse, otherwise, then),
        _ => (op, then, otherwise),
    }
}
