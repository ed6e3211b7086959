//! The path to a broken rule, walked again: which instructions ran, and where each value on the way came from.
//!
//! The proof keeps the decisions of a path only. With them the instructions are walked once more, and every value gets a node that
//! names the values it was made of. What matters to one value is then what its node leads back to; `slice` chooses from that. Nothing is
//! judged here, and a path that cannot be walked again is left out.

use nonna_bpf::Program;

use super::shape::Shape;
use super::walk::Walk;
use crate::prove::Failure;

pub(super) type NodeIdx = u32;

/// No node.
pub(super) const NONE: NodeIdx = u32::MAX;
/// Bytes of a frame.
pub(super) const FRAME_BYTES: usize = 512;

/// How a value came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    /// The walk began with it.
    Entry,
    /// Nothing was put there, or nothing usable is left.
    Nothing,
    /// A call took the register.
    Clobbered,
    /// As it was, in another register.
    Copied,
    /// As it was, on the stack.
    Spilled,
    /// As it was, from the stack.
    Filled,
    /// An argument of a function.
    Passed,
    /// The result of a function of the program.
    Handed,
    /// A constant, or an address that the loader fills in.
    Constant,
    /// A constant that stands in the instruction that uses it.
    Immediate,
    /// Calculated.
    Calculated,
    /// Read from memory that is not the stack.
    Loaded,
    /// What a helper or kernel function returned.
    Returned,
    /// What a helper gives the function that it calls.
    Given,
    /// A helper wrote it.
    Written,
    /// Each round of a loop changes it.
    Varied,
}

/// A value on the path.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    /// When, as an index into the visits.
    pub(super) visit: u32,
    pub(super) made: Made,
    /// What it was made of.
    pub(super) inputs: [NodeIdx; 2],
    /// The register or the start of the stack bytes that hold it.
    pub(super) place: Place,
    /// The frame and the offset that it points to, where it is an address on the stack.
    pub(super) stack: Option<(u8, i32)>,
    pub(super) constant: Option<i64>,
    /// It is a sum (true) or a difference (false) of its inputs, in all 64 bits.
    pub(super) sum: Option<bool>,
}

/// Where a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Register(u8),
    Stack(i32),
}

/// How control goes on after an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Went {
    On,
    Jumped,
    Stayed,
}

/// An instruction on the path.
#[derive(Debug, Clone, Copy)]
pub(super) struct Visit {
    pub(super) insn: u32,
    /// Functions above this one.
    pub(super) depth: u8,
    pub(super) went: Went,
    /// The values that a comparison compares, or the address of an access.
    pub(super) operands: [NodeIdx; 2],
}

/// A path with its values.
pub(super) struct Trace {
    pub(super) visits: Vec<Visit>,
    pub(super) nodes: Vec<Node>,
    /// Registers at the end, `r10` last.
    pub(super) registers: [NodeIdx; 11],
    /// What the bytes of each frame are at the end, from its lowest on.
    frames: Vec<Vec<NodeIdx>>,
    /// By node, the value that it is a copy of, or was made of by adding constants: paths are long, and many nodes are asked for it.
    bases: Vec<NodeIdx>,
}

impl Trace {
    /// Walks the path of a failure again; `None` where its decisions do not lead there.
    pub(super) fn new(shape: &Shape<'_>, failure: &Failure) -> Option<Trace> {
        let mut decisions = Vec::new();
        let mut at = failure.trail.as_ref();
        while let Some(decision) = at {
            decisions.push((decision.insn, decision.taken));
            at = decision.before.as_ref();
        }
        let (start, depth) = failure.start;
        let mut walk = Walk::new(shape, decisions, depth);
        walk.run(start as usize, failure.insn)?;
        let registers = walk.frames.last()?.registers;
        let frames = walk.frames.into_iter().map(|frame| frame.bytes).collect();
        let bases = bases(&walk.nodes);
        Some(Trace { visits: walk.visits, nodes: walk.nodes, registers, frames, bases })
    }

    pub(super) fn node(&self, node: NodeIdx) -> Option<&Node> {
        self.nodes.get(node as usize)
    }

    /// What bytes of a frame are at the end, from an offset below the frame's end on.
    pub(super) fn bytes(&self, depth: usize, first: i32, bytes: i32) -> &[NodeIdx] {
        let end = FRAME_BYTES as i32;
        let range = (end + first).clamp(0, end) as usize..(end + first + bytes).clamp(0, end) as usize;
        self.frames.get(depth).and_then(|frame| frame.get(range)).unwrap_or_default()
    }

    /// The frame and the offset that a register points to at the end, where it is a fixed place on the stack.
    pub(super) fn on_stack(&self, register: u8) -> Option<(usize, i32)> {
        let node = self.node(*self.registers.get(usize::from(register))?)?;
        node.stack.map(|(depth, offset)| (usize::from(depth), offset))
    }

    /// Functions above the one in which the path ends.
    pub(super) fn depth(&self) -> usize {
        self.frames.len().saturating_sub(1)
    }

    /// The instruction that made a value.
    pub(super) fn insn_of(&self, node: &Node) -> usize {
        self.visits.get(node.visit as usize).map_or(0, |visit| visit.insn as usize)
    }

    /// The value as it first was, before it was copied about.
    pub(super) fn origin(&self, node: NodeIdx) -> NodeIdx {
        let mut at = node;
        while let Some(found) = self.node(at) {
            match found.made {
                Made::Copied | Made::Spilled | Made::Filled | Made::Passed | Made::Handed => {
                    at = found.inputs[0];
                }
                _ => break,
            }
        }
        at
    }

    /// As [`Trace::origin`], before constants were added to it too.
    pub(super) fn base(&self, node: NodeIdx) -> NodeIdx {
        self.bases.get(node as usize).copied().unwrap_or(node)
    }

    /// The base of a value, and what was added to it since; the latter only where it was added and nothing else done.
    pub(super) fn displaced(&self, node: NodeIdx) -> (NodeIdx, Option<i64>) {
        let (mut at, mut sum) = (self.origin(node), Some(0i64));
        while let Some(found) = self.node(at) {
            let by = self.node(found.inputs[1]).and_then(|by| by.constant);
            let of = self.node(found.inputs[0]).filter(|of| of.constant.is_none());
            let (Made::Calculated, Some(by), Some(_)) = (found.made, by, of) else { break };
            sum = match found.sum {
                Some(true) => sum.and_then(|sum| sum.checked_add(by)),
                Some(false) => sum.and_then(|sum| sum.checked_sub(by)),
                None => None,
            };
            at = self.origin(found.inputs[0]);
        }
        (at, sum)
    }
}

/// The map that a reference of a program names, by instruction.
pub(super) fn map_at(program: &Program, slot: u32) -> Option<nonna_bpf::MapIdx> {
    program.relocations.iter().find(|relocation| relocation.slot == slot).and_then(|relocation| {
        match relocation.target {
            nonna_bpf::RelocationTarget::Map(map) | nonna_bpf::RelocationTarget::MapValue { map, .. } => {
                Some(map)
            }
            _ => None,
        }
    })
}

/// What [`Trace::base`] answers, for all nodes at once: each is made of nodes that were there before.
fn bases(nodes: &[Node]) -> Vec<NodeIdx> {
    let mut bases: Vec<NodeIdx> = Vec::with_capacity(nodes.len());
    for (index, node) in nodes.iter().enumerate() {
        let is_constant = |input: NodeIdx| nodes.get(input as usize).map(|node| node.constant.is_some());
        let follows = match node.made {
            Made::Copied | Made::Spilled | Made::Filled | Made::Passed | Made::Handed => true,
            Made::Calculated => {
                is_constant(node.inputs[1]) == Some(true) && is_constant(node.inputs[0]) == Some(false)
            }
            _ => false,
        };
        let own = index as NodeIdx;
        bases.push(match bases.get(node.inputs[0] as usize) {
            Some(base) if follows => *base,
            _ => own,
        });
    }
    bases
}
