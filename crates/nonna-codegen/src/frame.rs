//! Lays the pieces of a function's frame onto the stack; pieces that are never alive together share bytes.
//!
//! A piece is alive between a first and a last access on some path. One whose address goes anywhere but into a call of
//! a helper is alive in the whole function.

use crate::mir::{Base, BitSet, Callee, FrameSlot, MBlockData, MFunction, Op, Place, VReg};

/// Where the pieces are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// For each piece, its distance below the frame pointer, in bytes; 0 for pieces that nothing accesses.
    below: Vec<u32>,
    /// Bytes of the whole frame, a multiple of 8.
    pub bytes: u32,
}

impl Frame {
    /// The offset of a piece from the frame pointer.
    pub fn offset(&self, slot: FrameSlot) -> i32 {
        -self.below[slot.0 as usize].cast_signed()
    }
}

/// Finds a place for every piece of a function whose registers are allocated.
pub fn lay_out(function: &MFunction) -> Frame {
    let alive = Lifetimes::find(function);
    let mut order: Vec<usize> = (0..function.frame.len()).filter(|&idx| alive.is_accessed(idx)).collect();
    // Large pieces first: small ones fit into the gaps.
    order.sort_by_key(|&idx| std::cmp::Reverse(function.frame[idx].bytes));
    let mut frame = Frame { below: vec![0; function.frame.len()], bytes: 0 };
    let mut placed: Vec<usize> = Vec::new();
    for idx in order {
        let data = function.frame[idx];
        let align = if data.bytes >= 8 { 8 } else { data.align.max(1) };
        let mut taken: Vec<(u32, u32)> = placed
            .iter()
            .filter(|&&other| alive.overlap(idx, other))
            .map(|&other| (frame.below[other] - function.frame[other].bytes, frame.below[other]))
            .collect();
        taken.sort_unstable();
        let mut below = data.bytes.next_multiple_of(align);
        for (start, end) in taken {
            if below <= start {
                break;
            }
            if below - data.bytes < end {
                below = (end + data.bytes).next_multiple_of(align);
            }
        }
        frame.below[idx] = below;
        frame.bytes = frame.bytes.max(below);
        placed.push(idx);
    }
    frame.bytes = frame.bytes.next_multiple_of(8);
    frame
}

/// For each piece, in each block, the operations between which it is alive.
struct Lifetimes {
    /// Indexed by piece, then block.
    spans: Vec<Vec<Option<(u32, u32)>>>,
}

impl Lifetimes {
    fn find(function: &MFunction) -> Self {
        let accesses = Accesses::find(function);
        let (n_slots, n_blocks) = (function.frame.len(), function.blocks.len());
        let (before, after) = accesses.reach(function);
        let mut spans = vec![vec![None; n_blocks]; n_slots];
        for (idx, of_slot) in spans.iter_mut().enumerate() {
            for (block, span) in of_slot.iter_mut().enumerate() {
                let own = accesses.in_block(idx, block);
                let start = if before[block].contains(idx) { Some(0) } else { own.map(|(first, _)| first) };
                let end = if after[block].contains(idx) { Some(u32::MAX) } else { own.map(|(_, last)| last) };
                *span = start.zip(end).filter(|(start, end)| start <= end);
            }
        }
        Lifetimes { spans }
    }

    fn is_accessed(&self, idx: usize) -> bool {
        self.spans[idx].iter().any(Option::is_some)
    }

    fn overlap(&self, a: usize, b: usize) -> bool {
        self.spans[a].iter().zip(&self.spans[b]).any(|(a, b)| match (a, b) {
            (Some(a), Some(b)) => a.0 <= b.1 && b.0 <= a.1,
            _ => false,
        })
    }
}

/// First and last access of each piece in each block.
struct Accesses {
    by_block: Vec<Vec<Option<(u32, u32)>>>,
}

impl Accesses {
    fn find(function: &MFunction) -> Self {
        let n_slots = function.frame.len();
        let mut found = Accesses { by_block: Vec::with_capacity(function.blocks.len()) };
        let mut escaped = BitSet::new(n_slots);
        for data in &function.blocks {
            let mut of_block = vec![None; n_slots];
            for (number, inst) in (0u32..).zip(&data.insts) {
                for_each_slot(&inst.op, |slot| touch(&mut of_block, slot, number));
                if let Op::FrameAddress { dst, slot, .. } = inst.op {
                    match consumer(data, number as usize, dst) {
                        Some(call) => touch(&mut of_block, slot, call),
                        None => {
                            escaped.insert(slot.0 as usize);
                        }
                    }
                }
            }
            found.by_block.push(of_block);
        }
        for idx in escaped.iter() {
            for of_block in &mut found.by_block {
                of_block[idx] = Some((0, u32::MAX));
            }
        }
        found
    }

    fn in_block(&self, slot: usize, block: usize) -> Option<(u32, u32)> {
        self.by_block[block][slot]
    }

    /// For each block: what may have been accessed before it, and what may be accessed after it.
    fn reach(&self, function: &MFunction) -> (Vec<BitSet>, Vec<BitSet>) {
        let n_slots = function.frame.len();
        let own: Vec<BitSet> = self
            .by_block
            .iter()
            .map(|of_block| {
                let mut set = BitSet::new(n_slots);
                for (idx, _) in of_block.iter().enumerate().filter(|(_, access)| access.is_some()) {
                    set.insert(idx);
                }
                set
            })
            .collect();
        let mut before = vec![BitSet::new(n_slots); function.blocks.len()];
        let mut after = before.clone();
        let mut changed = true;
        while changed {
            changed = false;
            for block in function.block_ids() {
                let mut out = before[block.idx()].clone();
                out.insert_all(&own[block.idx()]);
                for next in function.blocks[block.idx()].end.successors() {
                    changed |= before[next.idx()].insert_all(&out);
                }
            }
            for block in function.block_ids().rev() {
                for next in function.blocks[block.idx()].end.successors() {
                    let mut later = after[next.idx()].clone();
                    later.insert_all(&own[next.idx()]);
                    changed |= after[block.idx()].insert_all(&later);
                }
            }
        }
        (before, after)
    }
}

fn touch(of_block: &mut [Option<(u32, u32)>], slot: FrameSlot, number: u32) {
    let entry = &mut of_block[slot.0 as usize];
    *entry = match *entry {
        Some((first, last)) => Some((first.min(number), last.max(number))),
        None => Some((number, number)),
    };
}

fn for_each_slot(op: &Op, mut f: impl FnMut(FrameSlot)) {
    match op {
        Op::Load { base: Base::Frame(slot), .. }
        | Op::Store { base: Base::Frame(slot), .. }
        | Op::Atomic { base: Base::Frame(slot), .. }
        | Op::FrameAddress { slot, .. } => f(*slot),
        Op::Copies(copies) => {
            for place in copies.iter().flat_map(|(to, from)| [to, from]) {
                if let Place::Frame(slot) = place {
                    f(*slot);
                }
            }
        }
        _ => {}
    }
}

/// The helper call that takes an address as an argument and is its only reader.
fn consumer(data: &MBlockData, from: usize, address: VReg) -> Option<u32> {
    for (number, inst) in data.insts.iter().enumerate().skip(from + 1) {
        let mut is_named = false;
        inst.op.for_each_reg(|reg, _| is_named |= reg == address);
        if is_named {
            return None;
        }
        if let Op::Call { callee, n_args } = inst.op {
            let is_argument = (0..usize::from(n_args)).any(|idx| VReg::argument(idx) == address);
            let only_for_the_call = matches!(callee, Callee::Helper(_)) && is_argument;
            return only_for_the_call.then(|| u32::try_from(number).expect("fewer than 2^32 operations"));
        }
    }
    None
}
