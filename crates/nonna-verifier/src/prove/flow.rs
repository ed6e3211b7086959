//! The shape of a program: successors, where paths meet, and its loops.
//!
//! Loops are the components of a weak topological order (F. Bourdoncle, "Efficient chaotic iteration strategies with
//! widenings", 1993): every circle passes through the head of a component, and components nest. All of it is per function;
//! calls are followed by the explorer.

use nonna_bpf::{Insn, Reg, SlotMap};

use super::demand::slots_at;
use crate::functions::{Functions, successors};
use crate::registers;

/// A component of no loop.
pub(crate) const NO_LOOP: u32 = u32::MAX;

/// A loop.
#[derive(Debug)]
pub(crate) struct Loop {
    /// The instruction that every round passes.
    pub(crate) head: usize,
    /// The loop around it, or [`NO_LOOP`].
    pub(crate) parent: u32,
    /// Registers that its instructions change.
    pub(crate) registers: u16,
    /// Slots of its own frame that its instructions may change.
    pub(crate) slots: u64,
}

/// The shape of a program.
#[derive(Debug)]
pub(crate) struct Flow {
    successors: Vec<[u32; 2]>,
    predecessors: Vec<u32>,
    /// Where those of each instruction begin, and after the last where they end.
    first_predecessor: Vec<u32>,
    /// Where states are kept: paths meet there.
    meets: Vec<bool>,
    /// The innermost loop around each instruction.
    innermost: Vec<u32>,
    pub(crate) loops: Vec<Loop>,
}

const NONE: u32 = u32::MAX;

impl Flow {
    pub(crate) fn new(insns: &[Insn], slots: &SlotMap, functions: &Functions) -> Flow {
        let mut next = vec![[NONE; 2]; insns.len()];
        for (index, ways) in next.iter_mut().enumerate() {
            for (place, target) in successors(insns, slots, index).enumerate() {
                ways[place] = target as u32;
            }
        }
        let (predecessors, first_predecessor) = turned(&next);
        let mut flow = Flow {
            successors: next,
            predecessors,
            first_predecessor,
            meets: vec![false; insns.len()],
            innermost: vec![NO_LOOP; insns.len()],
            loops: Vec::new(),
        };
        for function in 0..functions.len() {
            let range = functions.range(function);
            let mut search = Search::new(&flow.successors, range.start, range.len());
            let members: Vec<u32> = range.clone().map(|index| index as u32).collect();
            flow.components(&mut search, &members, range.start as u32, NO_LOOP);
        }
        flow.note_writes(insns);
        for (index, insn) in insns.iter().enumerate() {
            let branches_back = matches!(insn, Insn::Call(_)) && index + 1 < insns.len();
            if branches_back {
                flow.meets[index + 1] = true;
            }
            if flow.predecessors(index).len() > 1 || flow.is_head(index) {
                flow.meets[index] = true;
            }
        }
        for function in 0..functions.len() {
            flow.meets[functions.range(function).start] = true;
        }
        flow
    }

    /// Notes for each loop what its instructions change.
    fn note_writes(&mut self, insns: &[Insn]) {
        for (index, insn) in insns.iter().enumerate() {
            let (written, destroyed) = registers::writes(insn);
            let slots = match *insn {
                Insn::Store { base: Reg::R10, offset, size, .. }
                | Insn::Atomic { base: Reg::R10, offset, size, .. } => slots_at(offset, size),
                // Through another pointer, or by whom the program calls, any slot may change.
                Insn::Store { .. } | Insn::Atomic { .. } | Insn::Call(_) => u64::MAX,
                _ => 0,
            };
            let mut at = self.innermost[index];
            while at != NO_LOOP {
                let around = &mut self.loops[at as usize];
                around.registers |= written | destroyed;
                around.slots |= slots;
                at = around.parent;
            }
        }
    }

    pub(crate) fn predecessors(&self, insn: usize) -> &[u32] {
        &self.predecessors[self.first_predecessor[insn] as usize..self.first_predecessor[insn + 1] as usize]
    }

    /// Where control may go next in the same function.
    pub(crate) fn successors(&self, insn: usize) -> impl Iterator<Item = usize> {
        self.successors[insn].into_iter().filter(|next| *next != NONE).map(|next| next as usize)
    }

    /// Whether paths meet at an instruction.
    pub(crate) fn meets(&self, insn: usize) -> bool {
        self.meets[insn]
    }

    /// The innermost loop around an instruction, or [`NO_LOOP`].
    pub(crate) fn innermost(&self, insn: usize) -> u32 {
        self.innermost[insn]
    }

    /// Whether an instruction is the head of a loop.
    pub(crate) fn is_head(&self, insn: usize) -> bool {
        self.loops.get(self.innermost[insn] as usize).is_some_and(|found| found.head == insn)
    }

    /// Whether an instruction lies in a loop.
    pub(crate) fn contains(&self, outer: u32, insn: usize) -> bool {
        let mut at = self.innermost[insn];
        while at != NO_LOOP {
            if at == outer {
                return true;
            }
            at = self.loops[at as usize].parent;
        }
        false
    }

    /// Finds the components among `members`, entered at `entry`, and the components inside each.
    fn components(&mut self, search: &mut Search, members: &[u32], entry: u32, parent: u32) {
        let mut pending = vec![(members.to_vec(), vec![entry], parent)];
        while let Some((members, entries, parent)) = pending.pop() {
            for (component, head) in search.strong(&self.successors, &members, &entries) {
                let id = self.loops.len() as u32;
                self.loops.push(Loop { head: head as usize, parent, registers: 0, slots: 0 });
                for member in &component {
                    self.innermost[*member as usize] = id;
                }
                let inner: Vec<u32> = component.iter().copied().filter(|member| *member != head).collect();
                let entries: Vec<u32> =
                    self.successors[head as usize].into_iter().filter(|next| *next != NONE).collect();
                pending.push((inner, entries, id));
            }
        }
    }
}

/// The edges the other way round: all predecessors in one list, and where those of each instruction begin in it.
fn turned(successors: &[[u32; 2]]) -> (Vec<u32>, Vec<u32>) {
    // A jump to the next instruction leads there once.
    let ways = |[falls, jumps]: [u32; 2]| [falls, if jumps == falls { NONE } else { jumps }];
    let edges = || {
        let indexed = successors.iter().enumerate();
        indexed.flat_map(|(from, next)| ways(*next).into_iter().map(move |to| (from as u32, to)))
    };
    let mut first = vec![0u32; successors.len() + 1];
    for (_, to) in edges().filter(|(_, to)| *to != NONE) {
        first[to as usize + 1] += 1;
    }
    for index in 0..successors.len() {
        first[index + 1] += first[index];
    }
    let mut free = first.clone();
    let mut all = vec![0u32; first[successors.len()] as usize];
    for (from, to) in edges().filter(|(_, to)| *to != NONE) {
        all[free[to as usize] as usize] = from;
        free[to as usize] += 1;
    }
    (all, first)
}

/// Tarjan's search for strong components, without recursion.
struct Search {
    first: usize,
    /// 0: not of this search; otherwise its number.
    member: Vec<u32>,
    index: Vec<u32>,
    low: Vec<u32>,
    on_stack: Vec<bool>,
    round: u32,
}

impl Search {
    fn new(successors: &[[u32; 2]], first: usize, len: usize) -> Search {
        debug_assert!(first + len <= successors.len());
        Search {
            first,
            member: vec![0; len],
            index: vec![0; len],
            low: vec![0; len],
            on_stack: vec![false; len],
            round: 0,
        }
    }

    /// The components with a circle among `members`, each with its head: the member that is met first.
    fn strong(&mut self, successors: &[[u32; 2]], members: &[u32], entries: &[u32]) -> Vec<(Vec<u32>, u32)> {
        self.round += 1;
        for member in members {
            let at = *member as usize - self.first;
            (self.member[at], self.index[at], self.on_stack[at]) = (self.round, 0, false);
        }
        let mut found = Vec::new();
        let mut counter = 0;
        for root in entries.iter().chain(members) {
            self.visit(successors, *root, &mut counter, &mut found);
        }
        found
    }

    fn visit(
        &mut self,
        successors: &[[u32; 2]],
        root: u32,
        counter: &mut u32,
        found: &mut Vec<(Vec<u32>, u32)>,
    ) {
        let Some(at) = self.place(root) else { return };
        if self.index[at] != 0 {
            return;
        }
        let mut stack = Vec::new();
        let mut calls = vec![(root, 0usize)];
        self.enter(at, counter);
        stack.push(root);
        while let Some((node, edge)) = calls.pop() {
            let at = node as usize - self.first;
            if edge < 2 {
                calls.push((node, edge + 1));
                let next = successors[node as usize][edge];
                if next == NONE {
                    continue;
                }
                let Some(to) = self.place(next) else { continue };
                if self.index[to] == 0 {
                    self.enter(to, counter);
                    stack.push(next);
                    calls.push((next, 0));
                } else if self.on_stack[to] {
                    self.low[at] = self.low[at].min(self.index[to]);
                }
                continue;
            }
            if let Some((caller, _)) = calls.last() {
                let caller = *caller as usize - self.first;
                self.low[caller] = self.low[caller].min(self.low[at]);
            }
            if self.low[at] == self.index[at] {
                let start = stack.iter().rposition(|member| *member == node).unwrap_or(0);
                let component = stack.split_off(start);
                for member in &component {
                    self.on_stack[*member as usize - self.first] = false;
                }
                if component.len() > 1 || successors[node as usize].contains(&node) {
                    found.push((component, node));
                }
            }
        }
    }

    fn place(&self, node: u32) -> Option<usize> {
        let at = (node as usize).checked_sub(self.first)?;
        (self.member.get(at) == Some(&self.round)).then_some(at)
    }

    fn enter(&mut self, at: usize, counter: &mut u32) {
        *counter += 1;
        (self.index[at], self.low[at], self.on_stack[at]) = (*counter, *counter, true);
    }
}
