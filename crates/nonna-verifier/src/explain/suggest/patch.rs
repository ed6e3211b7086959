//! Changes a copy of a program: instructions put in, taken for others, or put on one way out of a jump.
//!
//! Jumps, calls, relocations, functions and source lines move along. Nothing here knows why a change is made, and a change that does
//! not fit the encoding is refused rather than bent.

use std::collections::BTreeMap;

use nonna_bpf::{Callee, Imm64, Insn, Program, SlotMap};

use crate::functions::is_function_reference;

/// Where an instruction that is put in goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// On.
    Next,
    /// Past so many instructions of its own block.
    Skip(usize),
    /// To an instruction of the program as it was.
    To(usize),
}

/// An instruction to be put in; the offset of a jump is filled in.
pub(super) type Piece = (Insn, Goal);

/// Instructions that are put in at one place.
#[derive(Debug, Clone)]
struct Block {
    /// Before this instruction; one past the last is allowed.
    before: usize,
    pieces: Vec<Piece>,
    /// Who comes to the instruction passes here first.
    who: Who,
    /// The jump of which the taken way leads here.
    jump: Option<usize>,
}

/// Who passes a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    /// Nobody but the jump that is led here.
    Nobody,
    /// Calls of the function, but no jump back to its start.
    Calls,
    /// Everybody.
    All,
}

/// A change of a program.
#[derive(Debug, Clone, Default)]
pub(super) struct Patch {
    blocks: Vec<Block>,
    replaced: BTreeMap<usize, Insn>,
    /// Another licence of the object.
    pub(super) license: Option<&'static str>,
    /// The program's hook lets it sleep.
    sleepable: bool,
}

/// A changed program.
pub(super) struct Patched {
    pub(super) program: Program,
    /// The new index of each old instruction.
    moved: Vec<usize>,
    /// The new indices of what was put in.
    put_in: Vec<usize>,
}

impl Patched {
    /// The new index of an old instruction.
    pub(super) fn moved(&self, insn: usize) -> usize {
        self.moved[insn]
    }

    /// The old index of an instruction, unless it was put in.
    pub(super) fn was(&self, insn: usize) -> Option<usize> {
        self.moved.binary_search(&insn).ok()
    }

    /// Whether an instruction was put in.
    pub(super) fn is_new(&self, insn: usize) -> bool {
        self.put_in.contains(&insn)
    }
}

impl Patch {
    /// Puts instructions before one; whoever comes there passes them.
    pub(super) fn before(mut self, insn: usize, pieces: Vec<Piece>) -> Patch {
        self.blocks.push(Block { before: insn, pieces, who: Who::All, jump: None });
        self
    }

    /// Puts instructions at the start of a function, to be run once for each call.
    pub(super) fn at_entry(mut self, first: usize, pieces: Vec<Piece>) -> Patch {
        self.blocks.push(Block { before: first, pieces, who: Who::Calls, jump: None });
        self
    }

    /// Puts instructions on the way of a jump that is taken; the last of them must lead somewhere. `end` is the end of the function.
    pub(super) fn on_jump(mut self, jump: usize, end: usize, pieces: Vec<Piece>) -> Patch {
        self.blocks.push(Block { before: end, pieces, who: Who::Nobody, jump: Some(jump) });
        self
    }

    /// Puts instructions on the way of a jump that is not taken.
    pub(super) fn after(mut self, jump: usize, pieces: Vec<Piece>) -> Patch {
        self.blocks.push(Block { before: jump + 1, pieces, who: Who::Nobody, jump: None });
        self
    }

    /// Takes another instruction instead.
    pub(super) fn replace(mut self, insn: usize, with: Insn) -> Patch {
        self.replaced.insert(insn, with);
        self
    }

    /// Under another licence.
    pub(super) fn licensed(mut self, license: &'static str) -> Patch {
        self.license = Some(license);
        self
    }

    /// On a hook that lets it sleep.
    pub(super) fn sleepable(mut self) -> Patch {
        self.sleepable = true;
        self
    }

    /// The instructions that are put in, with the place before which they stand and whether only a jump leads there.
    pub(super) fn put_in(&self) -> impl Iterator<Item = (usize, Option<usize>, Vec<Insn>)> {
        self.blocks.iter().map(|block| {
            let insns = shown(&block.pieces);
            (block.before, block.jump, insns)
        })
    }

    /// The instructions that are replaced.
    pub(super) fn replacements(&self) -> impl Iterator<Item = (usize, Insn)> {
        self.replaced.iter().map(|(insn, with)| (*insn, *with))
    }

    /// The changed program; `None` where a jump would become too long.
    pub(super) fn apply(&self, program: &Program) -> Option<Patched> {
        let old_slots = SlotMap::new(&program.insns);
        let mut blocks: Vec<&Block> = self.blocks.iter().collect();
        blocks.sort_by_key(|block| (block.before, block.who));
        let mut layout = Layout::new(program, &blocks);
        for (index, insn) in program.insns.iter().enumerate() {
            if let Some(with) = self.replaced.get(&index) {
                layout.insns[layout.moved[index]] = *with;
            }
            let Some(offset) = insn.local_offset() else { continue };
            let target = old_slots.target(index, offset)?;
            let led = layout.led.get(&index).copied();
            let to = match led {
                Some(block) => block,
                None if is_function_reference(insn) => layout.for_calls(target),
                None => layout.for_jumps(target),
            };
            layout.goals.push((layout.moved[index], to));
        }
        layout.finish(program, &old_slots, self.sleepable)
    }
}

/// The pieces of a block with their own jumps filled in, for showing.
fn shown(pieces: &[Piece]) -> Vec<Insn> {
    let insns: Vec<Insn> = pieces.iter().map(|(insn, _)| *insn).collect();
    let slots = SlotMap::new(&insns);
    pieces
        .iter()
        .enumerate()
        .map(|(index, (insn, goal))| match goal {
            Goal::Skip(count) if index + 1 + count <= insns.len() => {
                with_offset(*insn, slots.offset(index, index + 1 + count)).unwrap_or(*insn)
            }
            _ => *insn,
        })
        .collect()
}

struct Layout {
    insns: Vec<Insn>,
    moved: Vec<usize>,
    put_in: Vec<usize>,
    /// Where the first block before an old instruction begins that calls, or everybody, pass.
    calls: BTreeMap<usize, usize>,
    jumps: BTreeMap<usize, usize>,
    /// Where jumps are led.
    led: BTreeMap<usize, usize>,
    /// New instructions and where they go.
    goals: Vec<(usize, usize)>,
    /// Pieces that go to old instructions.
    to_old: Vec<(usize, usize)>,
}

impl Layout {
    fn new(program: &Program, blocks: &[&Block]) -> Layout {
        let mut layout = Layout {
            insns: Vec::new(),
            moved: Vec::new(),
            put_in: Vec::new(),
            calls: BTreeMap::new(),
            jumps: BTreeMap::new(),
            led: BTreeMap::new(),
            goals: Vec::new(),
            to_old: Vec::new(),
        };
        for index in 0..=program.insns.len() {
            for block in blocks.iter().filter(|block| block.before == index) {
                layout.add(block);
            }
            if let Some(insn) = program.insns.get(index) {
                layout.moved.push(layout.insns.len());
                layout.insns.push(*insn);
            }
        }
        layout
    }

    fn add(&mut self, block: &Block) {
        let start = self.insns.len();
        if block.who >= Who::Calls {
            self.calls.entry(block.before).or_insert(start);
        }
        if block.who == Who::All {
            self.jumps.entry(block.before).or_insert(start);
        }
        if let Some(jump) = block.jump {
            self.led.insert(jump, start);
        }
        for (index, (insn, goal)) in block.pieces.iter().enumerate() {
            let here = start + index;
            match goal {
                Goal::Next => {}
                Goal::Skip(count) => self.goals.push((here, here + 1 + count)),
                Goal::To(old) => self.to_old.push((here, *old)),
            }
            self.put_in.push(here);
            self.insns.push(*insn);
        }
    }

    fn for_calls(&self, old: usize) -> usize {
        self.calls.get(&old).copied().unwrap_or(self.moved[old])
    }

    fn for_jumps(&self, old: usize) -> usize {
        self.jumps.get(&old).copied().unwrap_or(self.moved[old])
    }

    fn finish(mut self, program: &Program, old_slots: &SlotMap, sleepable: bool) -> Option<Patched> {
        let slots = SlotMap::new(&self.insns);
        self.goals.extend(self.to_old.iter().map(|(from, old)| (*from, self.moved[*old])));
        for (from, to) in &self.goals {
            if *to >= self.insns.len() {
                return None;
            }
            self.insns[*from] = with_offset(self.insns[*from], slots.offset(*from, *to))?;
        }
        let mut changed = program.clone();
        let moved = |slot: u32| Some(slots.slot(self.moved[old_slots.index(slot)?]));
        // What belongs to a line or a function begins with what was put in before it.
        let begins = |slot: u32| Some(slots.slot(self.for_calls(old_slots.index(slot)?)));
        for relocation in &mut changed.relocations {
            relocation.slot = moved(relocation.slot)?;
        }
        for info in &mut changed.func_info {
            info.slot = begins(info.slot)?;
        }
        changed.line_info.retain_mut(|info| begins(info.slot).map(|slot| info.slot = slot).is_some());
        changed.locations.retain_mut(|(slot, _)| begins(*slot).map(|new| *slot = new).is_some());
        changed.insns = self.insns;
        changed.sleepable |= sleepable;
        Some(Patched { program: changed, moved: self.moved, put_in: self.put_in })
    }
}

/// An instruction with another offset; `None` where that does not fit.
fn with_offset(insn: Insn, offset: i64) -> Option<Insn> {
    let wide = || i32::try_from(offset).ok();
    let narrow = || i16::try_from(offset).ok();
    Some(match insn {
        Insn::Jump { width, op, dst, src, .. } => Insn::Jump { width, op, dst, src, offset: narrow()? },
        Insn::Goto { .. } => Insn::Goto { offset: narrow()? },
        Insn::MayGoto { .. } => Insn::MayGoto { offset: narrow()? },
        Insn::GotoLong { .. } => Insn::GotoLong { offset: wide()? },
        Insn::Call(Callee::Local(_)) => Insn::Call(Callee::Local(wide()?)),
        Insn::LoadImm64 { dst, value: Imm64::Function(_) } => {
            Insn::LoadImm64 { dst, value: Imm64::Function(wide()?) }
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use nonna_bpf::{AluOp, Hook, Operand, ProgramType, Reg, Width, assemble, disassemble};

    use super::*;

    fn program(text: &str) -> Program {
        Program {
            name: "test".to_owned(),
            section: "xdp".to_owned(),
            program_type: ProgramType::Xdp,
            attach_type: None,
            attach_target: None,
            hook: Hook::Section("xdp".to_owned()),
            sleepable: false,
            insns: assemble(text).expect("it is a program"),
            relocations: Vec::new(),
            func_info: Vec::new(),
            line_info: Vec::new(),
            locations: Vec::new(),
        }
    }

    fn set(register: Reg, imm: i32) -> Insn {
        Insn::Alu { width: Width::W64, op: AluOp::Mov, dst: register, src: Operand::Imm(imm) }
    }

    fn text(patch: &Patch, program: &Program) -> String {
        let patched = patch.apply(program).expect("it fits");
        disassemble(&patched.program.insns, nonna_bpf::TextOptions::default())
    }

    #[test]
    fn jumps_pass_what_stands_before_their_target() {
        let program = program("r0 = 0\nr0 += 1\nif r0 != 5 goto -2\nexit");
        let patch = Patch::default().before(1, vec![(set(Reg::R2, 7), Goal::Next)]);
        assert_eq!(
            text(&patch, &program),
            text(&Patch::default(), &self::program("r0 = 0\nr2 = 7\nr0 += 1\nif r0 != 5 goto -3\nexit"))
        );
    }

    #[test]
    fn only_calls_pass_what_stands_at_an_entry() {
        let program = program("r0 = 0\nif r0 != 5 goto -2\nexit");
        let patch = Patch::default().at_entry(0, vec![(set(Reg::R2, 7), Goal::Next)]);
        assert_eq!(
            text(&patch, &program),
            text(&Patch::default(), &self::program("r2 = 7\nr0 = 0\nif r0 != 5 goto -2\nexit"))
        );
    }

    #[test]
    fn one_way_of_a_jump_can_be_led_elsewhere() {
        let program = program("r0 = 0\nif r1 == 0 goto +1\nr0 = 1\nexit");
        let patch = Patch::default().on_jump(
            1,
            4,
            vec![(set(Reg::R0, 7), Goal::Next), (Insn::Goto { offset: 0 }, Goal::To(3))],
        );
        assert_eq!(
            text(&patch, &program),
            text(
                &Patch::default(),
                &self::program("r0 = 0\nif r1 == 0 goto +2\nr0 = 1\nexit\nr0 = 7\ngoto -3")
            )
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let long = format!("if r1 == 0 goto +32000\n{}exit", "r0 = 0\n".repeat(32_000));
        let program = program(&long);
        let pieces = vec![(set(Reg::R2, 7), Goal::Next); 1_000];
        assert!(Patch::default().before(5, pieces).apply(&program).is_none());
    }
}
