//! Walks a path again, instruction by instruction, and notes where each value comes from.

use nonna_bpf::{
    Access, AluOp, Argument, AtomicOp, Callee, Helper, Imm64, Insn, MemSize, Operand, Reg, Width,
};

use super::shape::Shape;
use super::trace::{FRAME_BYTES, Made, NONE, Node, NodeIdx, Place, Visit, Went};
use crate::prove::flow::NO_LOOP;

/// Instructions of a path beyond which nobody follows it.
const MAX_VISITS: usize = 2_000_000;

/// The registers and bytes of an active function.
pub(super) struct Frame {
    pub(super) registers: [NodeIdx; 11],
    pub(super) bytes: Vec<NodeIdx>,
    call: usize,
    is_callback: bool,
}

/// A loop that the path is in.
struct Round {
    which: u32,
    depth: usize,
    /// What registers and stack bytes were before the loop.
    before: [NodeIdx; 10],
}

/// A path on its way.
pub(super) struct Walk<'s> {
    shape: &'s Shape<'s>,
    pub(super) visits: Vec<Visit>,
    pub(super) nodes: Vec<Node>,
    pub(super) frames: Vec<Frame>,
    rounds: Vec<Round>,
    /// Decisions to come, the next one last.
    decisions: Vec<(usize, bool)>,
}

impl<'s> Walk<'s> {
    /// A path that begins with so many functions above the first, to be led by these decisions, the next one last.
    pub(super) fn new(shape: &'s Shape<'s>, decisions: Vec<(usize, bool)>, depth: u32) -> Walk<'s> {
        let mut walk = Walk {
            shape,
            visits: Vec::new(),
            nodes: Vec::new(),
            frames: Vec::new(),
            rounds: Vec::new(),
            decisions,
        };
        for _ in 0..=depth {
            walk.enter(usize::MAX, false);
        }
        for number in 1..=5 {
            let node = walk.node(Made::Entry, [NONE; 2], Place::Register(number));
            walk.frame().registers[usize::from(number)] = node;
        }
        walk
    }

    fn frame(&mut self) -> &mut Frame {
        let top = self.frames.len() - 1;
        &mut self.frames[top]
    }

    fn enter(&mut self, call: usize, is_callback: bool) {
        let depth = self.frames.len() as u8;
        let nothing = self.node(Made::Nothing, [NONE; 2], Place::Register(0));
        let end = self.node(Made::Entry, [NONE; 2], Place::Register(10));
        self.nodes[end as usize].stack = Some((depth, 0));
        let mut registers = [nothing; 11];
        registers[10] = end;
        self.frames.push(Frame { registers, bytes: vec![nothing; FRAME_BYTES], call, is_callback });
    }

    fn node(&mut self, made: Made, inputs: [NodeIdx; 2], place: Place) -> NodeIdx {
        let visit = self.visits.len().saturating_sub(1) as u32;
        self.nodes.push(Node { visit, made, inputs, place, stack: None, constant: None, sum: None });
        (self.nodes.len() - 1) as NodeIdx
    }

    fn register(&mut self, register: Reg) -> NodeIdx {
        self.frame().registers[usize::from(register.number())]
    }

    fn set(&mut self, register: Reg, made: Made, inputs: [NodeIdx; 2]) -> NodeIdx {
        let node = self.node(made, inputs, Place::Register(register.number()));
        self.frame().registers[usize::from(register.number())] = node;
        node
    }

    fn immediate(&mut self, value: i64) -> NodeIdx {
        let node = self.node(Made::Immediate, [NONE; 2], Place::Register(0));
        self.nodes[node as usize].constant = Some(value);
        node
    }

    fn operand(&mut self, operand: Operand) -> NodeIdx {
        match operand {
            Operand::Reg(register) => self.register(register),
            Operand::Imm(imm) => self.immediate(i64::from(imm)),
        }
    }

    /// Walks from one instruction to the one that broke the rule.
    pub(super) fn run(&mut self, start: usize, end: usize) -> Option<()> {
        let mut at = start;
        loop {
            if self.visits.len() >= MAX_VISITS || at >= self.shape.insns.len() {
                return None;
            }
            self.arrive(at);
            let decision = self.decisions.last().filter(|(insn, _)| *insn == at).map(|(_, taken)| *taken);
            let depth = (self.frames.len() - 1) as u8;
            self.visits.push(Visit { insn: at as u32, depth, went: Went::On, operands: [NONE; 2] });
            if decision.is_none() && self.decisions.is_empty() && at == end {
                self.look_at_operands(at);
                return Some(());
            }
            if let Some(taken) = decision {
                self.decisions.pop();
                self.visit().went = if taken { Went::Jumped } else { Went::Stayed };
            }
            at = self.step(at, decision)?;
        }
    }

    fn visit(&mut self) -> &mut Visit {
        let last = self.visits.len() - 1;
        &mut self.visits[last]
    }

    /// At the head of a loop everything that the loop changes may be something else.
    fn arrive(&mut self, at: usize) {
        let depth = self.frames.len() - 1;
        let flow = &self.shape.flow;
        while let Some(round) = self.rounds.last() {
            if round.depth < depth || round.depth == depth && flow.contains(round.which, at) {
                break;
            }
            self.rounds.pop();
        }
        if !flow.is_head(at) {
            return;
        }
        let which = flow.innermost(at);
        let is_inside = self.rounds.last().is_some_and(|round| round.which == which && round.depth == depth);
        if !is_inside {
            let mut before = [NONE; 10];
            before.copy_from_slice(&self.frame().registers[..10]);
            self.rounds.push(Round { which, depth, before });
        }
        let Some(round) = self.rounds.last().filter(|_| which != NO_LOOP) else { return };
        let before = round.before;
        let changed = flow.loops[which as usize].registers;
        for number in (0..10u8).filter(|number| changed & (1 << number) != 0) {
            let index = usize::from(number);
            let now = self.frame().registers[index];
            let usable = !matches!(self.nodes[now as usize].made, Made::Nothing | Made::Clobbered);
            if usable {
                // Visits are noted after this, so the node belongs to the head.
                let node = self.node(Made::Varied, [before[index], NONE], Place::Register(number));
                self.nodes[node as usize].visit = self.visits.len() as u32;
                self.frame().registers[index] = node;
            }
        }
    }

    fn look_at_operands(&mut self, at: usize) {
        let operands = match self.shape.insns[at] {
            Insn::Jump { dst, src, .. } => [self.register(dst), self.operand(src)],
            Insn::Load { base, .. } | Insn::Store { base, .. } | Insn::Atomic { base, .. } => {
                [self.register(base), NONE]
            }
            _ => return,
        };
        self.visit().operands = operands;
    }

    /// Runs an instruction; yields the next one.
    fn step(&mut self, at: usize, decision: Option<bool>) -> Option<usize> {
        self.look_at_operands(at);
        match self.shape.insns[at] {
            Insn::Alu { op: AluOp::Mov, dst, src, .. } => self.copy(dst, src),
            Insn::Alu { op, dst, src, width } => self.calculate(width, op, dst, src),
            Insn::MovSx { dst, src, .. } => {
                let from = self.register(src);
                self.set(dst, Made::Calculated, [from, NONE]);
            }
            Insn::Neg { dst, .. } | Insn::Endian { dst, .. } => {
                let from = self.register(dst);
                self.set(dst, Made::Calculated, [from, NONE]);
            }
            Insn::LoadImm64 { dst, value } => {
                let node = self.set(dst, Made::Constant, [NONE; 2]);
                if let Imm64::Function(_) = value {
                    self.nodes[node as usize].constant = self.shape.target(at).map(|first| first as i64);
                }
            }
            Insn::Load { dst, base, offset, size, .. } => self.load(dst, base, offset, size),
            Insn::Store { base, offset, size, src } => {
                let value = self.operand(src);
                self.store(base, offset, size, value);
            }
            Insn::Atomic { base, offset, size, op, src } => self.atomic(base, offset, size, op, src),
            Insn::LoadPacket { .. } => {
                self.clobber();
                self.set(Reg::R0, Made::Loaded, [NONE; 2]);
                if decision == Some(true) {
                    return self.shape.function(at).rev().find(|i| self.shape.insns[*i] == Insn::Exit);
                }
            }
            Insn::Jump { .. } | Insn::MayGoto { .. } => {
                return if decision? { self.shape.target(at) } else { Some(at + 1) };
            }
            Insn::Goto { .. } | Insn::GotoLong { .. } => return self.shape.target(at),
            Insn::Call(callee) => return self.call(at, callee, decision),
            Insn::Exit => return self.leave(),
        }
        Some(at + 1)
    }

    fn copy(&mut self, dst: Reg, src: Operand) {
        let from = self.operand(src);
        let made = if let Operand::Reg(_) = src { Made::Copied } else { Made::Constant };
        let inputs = if made == Made::Copied { [from, NONE] } else { [NONE; 2] };
        let node = self.set(dst, made, inputs);
        let (stack, constant) = (self.nodes[from as usize].stack, self.nodes[from as usize].constant);
        let made = &mut self.nodes[node as usize];
        (made.stack, made.constant) = (stack, constant);
    }

    fn calculate(&mut self, width: Width, op: AluOp, dst: Reg, src: Operand) {
        let (left, right) = (self.register(dst), self.operand(src));
        let node = self.set(dst, Made::Calculated, [left, right]);
        let by = self.nodes[right as usize].constant.and_then(|by| i32::try_from(by).ok());
        let moved = match (self.nodes[left as usize].stack, by, op) {
            (Some((depth, offset)), Some(by), AluOp::Add) => Some((depth, offset.saturating_add(by))),
            (Some((depth, offset)), Some(by), AluOp::Sub) => Some((depth, offset.saturating_sub(by))),
            _ => None,
        };
        let made = &mut self.nodes[node as usize];
        made.stack = moved;
        made.sum = match (width, op) {
            (Width::W64, AluOp::Add) => Some(true),
            (Width::W64, AluOp::Sub) => Some(false),
            _ => None,
        };
    }

    /// The frame and the bytes of it that an access touches, where that is known.
    fn touched(&mut self, base: Reg, offset: i16, bytes: u32) -> Option<(usize, std::ops::Range<usize>)> {
        let node = self.register(base);
        let (depth, start) = self.nodes[node as usize].stack?;
        self.range(depth, start.checked_add(i32::from(offset))?, bytes)
    }

    fn range(&self, depth: u8, start: i32, bytes: u32) -> Option<(usize, std::ops::Range<usize>)> {
        let first = usize::try_from(start + FRAME_BYTES as i32).ok()?;
        let end = first + bytes as usize;
        (end <= FRAME_BYTES && usize::from(depth) < self.frames.len())
            .then_some((usize::from(depth), first..end))
    }

    fn load(&mut self, dst: Reg, base: Reg, offset: i16, size: MemSize) {
        let Some((depth, range)) = self.touched(base, offset, size.bytes()) else {
            self.set(dst, Made::Loaded, [NONE; 2]);
            return;
        };
        let found = &self.frames[depth].bytes[range];
        let first = found[0];
        let other = found.iter().copied().find(|node| *node != first).unwrap_or(NONE);
        let stack = self.nodes[first as usize].stack.filter(|_| other == NONE);
        let node = self.set(dst, Made::Filled, [first, other]);
        self.nodes[node as usize].stack = stack;
    }

    fn store(&mut self, base: Reg, offset: i16, size: MemSize, value: NodeIdx) {
        let Some((depth, range)) = self.touched(base, offset, size.bytes()) else { return };
        let place = Place::Stack(range.start as i32 - FRAME_BYTES as i32);
        let node = self.node(Made::Spilled, [value, NONE], place);
        let (stack, constant) = (self.nodes[value as usize].stack, self.nodes[value as usize].constant);
        let made = &mut self.nodes[node as usize];
        (made.stack, made.constant) = (stack, constant);
        self.frames[depth].bytes[range].fill(node);
    }

    fn atomic(&mut self, base: Reg, offset: i16, size: MemSize, op: AtomicOp, src: Reg) {
        let value = self.register(src);
        if let Some((depth, range)) = self.touched(base, offset, size.bytes()) {
            let place = Place::Stack(range.start as i32 - FRAME_BYTES as i32);
            let old = self.frames[depth].bytes[range.start];
            let node = self.node(Made::Calculated, [old, value], place);
            self.frames[depth].bytes[range].fill(node);
        }
        match op {
            AtomicOp::CompareExchange => {
                self.set(Reg::R0, Made::Loaded, [NONE; 2]);
            }
            AtomicOp::Exchange
            | AtomicOp::Add { fetch: true }
            | AtomicOp::Or { fetch: true }
            | AtomicOp::And { fetch: true }
            | AtomicOp::Xor { fetch: true } => {
                self.set(src, Made::Loaded, [NONE; 2]);
            }
            _ => {}
        }
    }

    fn clobber(&mut self) {
        for number in 0..=5 {
            let node = self.node(Made::Clobbered, [NONE; 2], Place::Register(number));
            self.frame().registers[usize::from(number)] = node;
        }
    }

    fn call(&mut self, at: usize, callee: Callee, decision: Option<bool>) -> Option<usize> {
        let arguments: [NodeIdx; 5] = std::array::from_fn(|index| self.frame().registers[index + 1]);
        match callee {
            Callee::Local(_) if decision.is_some() => {
                self.enter(at, false);
                for (number, from) in (1..=5).zip(arguments) {
                    let node = self.node(Made::Passed, [from, NONE], Place::Register(number));
                    self.nodes[node as usize].stack = self.nodes[from as usize].stack;
                    self.frame().registers[usize::from(number)] = node;
                }
                return self.shape.target(at);
            }
            Callee::Helper(number) => {
                if let Some(helper) = Helper::from_id(number) {
                    if decision == Some(true) {
                        return self.call_back(at, helper, arguments);
                    }
                    self.note_writes(helper, arguments);
                }
            }
            _ => {}
        }
        self.clobber();
        self.set(Reg::R0, Made::Returned, [NONE; 2]);
        Some(at + 1)
    }

    /// A helper calls a function of the program.
    fn call_back(&mut self, at: usize, helper: Helper, arguments: [NodeIdx; 5]) -> Option<usize> {
        let wanted = helper.signature(self.shape.program.program_type).arguments;
        let index = wanted.iter().position(|argument| *argument == Argument::Callback)?;
        let function = self.nodes[self.origin(arguments[index]) as usize].constant?;
        self.enter(at, true);
        for number in 1..=5 {
            let node = self.node(Made::Given, [NONE; 2], Place::Register(number));
            self.frame().registers[usize::from(number)] = node;
        }
        // What the program hands on is the argument after the function.
        let handed = match helper.name() {
            "bpf_loop" => Some(2),
            "bpf_for_each_map_elem" | "bpf_find_vma" => Some(4),
            "bpf_user_ringbuf_drain" => Some(2),
            _ => None,
        };
        if let (Some(number), Some(from)) = (handed, arguments.get(index + 1)) {
            let node = self.node(Made::Passed, [*from, NONE], Place::Register(number));
            self.nodes[node as usize].stack = self.nodes[*from as usize].stack;
            self.frame().registers[usize::from(number)] = node;
        }
        usize::try_from(function).ok()
    }

    fn origin(&self, node: NodeIdx) -> NodeIdx {
        let mut at = node;
        while let Made::Copied | Made::Spilled | Made::Filled | Made::Passed = self.nodes[at as usize].made {
            at = self.nodes[at as usize].inputs[0];
        }
        at
    }

    /// Stack bytes that a helper fills.
    fn note_writes(&mut self, helper: Helper, arguments: [NodeIdx; 5]) {
        let wanted = helper.signature(self.shape.program.program_type).arguments;
        for (index, argument) in wanted.iter().enumerate() {
            let writes = |access: Access| access != Access::Read;
            let bytes = match *argument {
                Argument::Memory { access, .. } if writes(access) => {
                    arguments.get(index + 1).and_then(|length| self.nodes[*length as usize].constant)
                }
                Argument::FixedMemory { bytes, access } if writes(access) => Some(i64::from(bytes)),
                _ => None,
            };
            let Some(bytes) = bytes.and_then(|bytes| u32::try_from(bytes).ok()) else { continue };
            let Some((depth, start)) = self.nodes[arguments[index] as usize].stack else { continue };
            let Some((depth, range)) = self.range(depth, start, bytes) else { continue };
            let node = self.node(Made::Written, [NONE; 2], Place::Stack(start));
            self.frames[depth].bytes[range].fill(node);
        }
    }

    fn leave(&mut self) -> Option<usize> {
        let result = self.register(Reg::R0);
        let frame = self.frames.pop()?;
        if self.frames.is_empty() || frame.call == usize::MAX {
            return None;
        }
        if frame.is_callback {
            return Some(frame.call);
        }
        self.clobber();
        self.set(Reg::R0, Made::Handed, [result, NONE]);
        Some(frame.call + 1)
    }
}
