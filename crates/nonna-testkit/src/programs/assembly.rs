//! Instructions with labels, and what becomes of them.

use nonna_bpf::{Callee, Imm64, Insn, MapIdx, Reg, Relocation, RelocationTarget, SlotMap};

/// A place to jump to or call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label(usize);

/// Instructions whose jumps name labels.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    insns: Vec<Insn>,
    /// Where each label stands, by instruction.
    places: Vec<Option<usize>>,
    /// Instructions that name a label.
    references: Vec<(usize, Label)>,
    relocations: Vec<(usize, RelocationTarget)>,
}

impl Assembly {
    pub fn len(&self) -> usize {
        self.insns.len()
    }

    pub fn push(&mut self, insn: Insn) {
        self.insns.push(insn);
    }

    pub fn label(&mut self) -> Label {
        self.places.push(None);
        Label(self.places.len() - 1)
    }

    /// The next instruction is where this label stands.
    pub fn place(&mut self, label: Label) {
        self.places[label.0] = Some(self.insns.len());
    }

    /// Whether anything jumps to this label so far.
    pub fn is_named(&self, label: Label) -> bool {
        self.references.iter().any(|(_, named)| *named == label)
    }

    /// A jump, call or function address; its offset is filled in at the end.
    pub fn push_to(&mut self, insn: Insn, label: Label) {
        self.references.push((self.insns.len(), label));
        self.push(insn);
    }

    pub fn map(&mut self, dst: Reg, map: MapIdx) {
        self.relocations.push((self.insns.len(), RelocationTarget::Map(map)));
        self.push(Insn::LoadImm64 { dst, value: Imm64::MapFd(0) });
    }

    pub fn map_value(&mut self, dst: Reg, map: MapIdx, offset: u32) {
        self.relocations.push((self.insns.len(), RelocationTarget::MapValue { map, offset }));
        self.push(Insn::LoadImm64 { dst, value: Imm64::MapValueFd { fd: 0, offset } });
    }

    /// The instructions, their relocations, and the slots of some labels.
    ///
    /// # Panics
    ///
    /// If a label was named and never placed, or a jump is too far.
    pub fn finish(mut self, starts: &[Label]) -> (Vec<Insn>, Vec<Relocation>, Vec<u32>) {
        let slots = SlotMap::new(&self.insns);
        let place = |label: Label| self.places[label.0].expect("every label that is named is placed");
        for &(from, label) in &self.references {
            let to = slots.offset(from, place(label));
            let long = i32::try_from(to).expect("programs are short");
            let short = i16::try_from(to).expect("programs are short");
            match &mut self.insns[from] {
                Insn::Jump { offset, .. } | Insn::Goto { offset } | Insn::MayGoto { offset } => {
                    *offset = short;
                }
                Insn::GotoLong { offset }
                | Insn::Call(Callee::Local(offset))
                | Insn::LoadImm64 { value: Imm64::Function(offset), .. } => *offset = long,
                other => unreachable!("{other} names no label"),
            }
        }
        let relocations = self
            .relocations
            .iter()
            .map(|(at, target)| Relocation { slot: slots.slot(*at), target: target.clone() })
            .collect();
        let starts = starts.iter().map(|start| slots.slot(place(*start))).collect();
        (self.insns, relocations, starts)
    }
}
