//! Gives equal computations one value: constants folded, algebra applied, repeated work found.
//!
//! One walk over the dominator tree. What a block computes is known in the blocks that it dominates; so is what its
//! branch has shown on a way that leads nowhere else. Reads of kernel and user memory are merged along a chain of blocks
//! without other ways in, as long as nothing on the way changes that memory.

use nonna_ir::{
    Arena, Block, CompareOp, ControlFlow, DataDecl, DataId, Entity, Function, Inst, InstData, InstId,
    Predicate, Terminator, Type, Value, ValueData, ValueDef,
};

use super::algebra::Step;
use super::fold;
use super::scoped::ScopedMap;
use crate::effects::{changes_world, is_pure, reads_world};

/// Rewrites of one instruction; a bound, since each one is a step towards simpler forms.
const MAX_STEPS: usize = 16;

/// A computation: what, of which type, and in which state of the world it was read.
type Computation = (Inst, Type, u32);

/// The right side of an equality that a branch has shown or excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Right {
    Value(Value),
    Constant(i64),
}

/// State of the walk.
pub(super) struct Numbering<'a> {
    pub(super) function: &'a mut Function,
    pub(super) data: &'a Arena<DataId, DataDecl>,
    /// The value that stands for each value.
    alias: Vec<Value>,
    /// Each value is below two to this power.
    pub(super) width: Vec<u8>,
    /// How often each value was used when the walk began.
    pub(super) uses: Vec<u32>,
    known: ScopedMap<Computation, Value>,
    equal: ScopedMap<(Value, Right), bool>,
    /// State of the world at the end of each block; states that may differ have different numbers.
    world_after: Vec<u32>,
    world: u32,
    n_worlds: u32,
    /// Instructions of the current block so far.
    out: Vec<InstId>,
    changed: bool,
}

/// Runs over a function without unreachable blocks; whether anything changed.
pub(super) fn number_values(function: &mut Function, data: &Arena<DataId, DataDecl>) -> bool {
    let flow = ControlFlow::new(function);
    let n_values = function.values.len();
    let mut numbering = Numbering {
        alias: function.values.keys().collect(),
        width: vec![64; n_values],
        uses: count_uses(function),
        known: ScopedMap::with_capacity(n_values),
        equal: ScopedMap::with_capacity(function.blocks.len()),
        world_after: vec![0; function.blocks.len()],
        world: 0,
        n_worlds: 0,
        out: Vec::new(),
        changed: false,
        function,
        data,
    };
    let mut path: Vec<(Block, usize, usize)> = Vec::new();
    for &block in flow.dominator_preorder() {
        while let Some(&(above, known, equal)) = path.last()
            && !flow.dominates(above, block)
        {
            numbering.known.reset(known);
            numbering.equal.reset(equal);
            path.pop();
        }
        path.push((block, numbering.known.mark(), numbering.equal.mark()));
        numbering.visit(block, flow.predecessors(block));
    }
    numbering.changed
}

/// How often each value is used.
fn count_uses(function: &Function) -> Vec<u32> {
    let mut uses = vec![0; function.values.len()];
    for block in function.blocks.values() {
        for &id in &block.insts {
            function.insts[id].inst.for_each_operand(|value| uses[value.idx()] += 1);
        }
        if let Some(terminator) = &block.terminator {
            terminator.for_each_operand(|value| uses[value.idx()] += 1);
        }
    }
    uses
}

/// Comparisons for equality do not care for the order.
fn equality(left: Value, right: Right) -> (Value, Right) {
    match right {
        Right::Value(right) if right < left => (right, Right::Value(left)),
        right => (left, right),
    }
}

impl Numbering<'_> {
    fn visit(&mut self, block: Block, predecessors: &[Block]) {
        self.n_worlds += 1;
        self.world = match predecessors {
            [only] => self.world_after[only.idx()],
            _ => self.n_worlds,
        };
        if let [only] = predecessors {
            self.learn_from(*only, block);
        }
        let insts = std::mem::take(&mut self.function.blocks[block].insts);
        self.out = Vec::with_capacity(insts.len());
        for id in insts {
            self.visit_inst(id);
        }
        self.visit_terminator(block);
        self.function.blocks[block].insts = std::mem::take(&mut self.out);
        self.world_after[block.idx()] = self.world;
    }

    /// What the branch at the end of `above` has shown where it leads to `block`.
    fn learn_from(&mut self, above: Block, block: Block) {
        let Some(Terminator::Branch { condition, then, .. }) = &self.function.blocks[above].terminator else {
            return;
        };
        let (condition, is_true) = (*condition, then.block == block);
        self.equal.insert((condition, Right::Constant(0)), !is_true);
        if let Some(&Inst::Compare { op: op @ (CompareOp::Eq | CompareOp::Ne), left, right }) =
            self.function.definition(condition)
        {
            let key = equality(left, self.right(right));
            self.equal.insert(key, (op == CompareOp::Eq) == is_true);
        }
    }

    fn right(&self, value: Value) -> Right {
        self.function.constant(value).map_or(Right::Value(value), Right::Constant)
    }

    /// Whether two values are known to be equal or not to be.
    pub(super) fn are_equal(&self, left: Value, right: Value) -> Option<bool> {
        self.equal.get(&equality(left, self.right(right)))
    }

    fn resolve(&self, value: Value) -> Value {
        let mut value = value;
        while self.alias[value.idx()] != value {
            value = self.alias[value.idx()];
        }
        value
    }

    fn visit_inst(&mut self, id: InstId) {
        let mut inst = std::mem::replace(&mut self.function.insts[id].inst, Inst::Context);
        inst.for_each_operand_mut(|value| *value = self.resolve(*value));
        if let Inst::Emit { filter, .. } = &mut inst
            && let Some(predicate) = filter
        {
            let simple = predicate.simplify();
            if simple == Predicate::False {
                self.changed = true;
                return;
            }
            *filter = (simple != Predicate::True).then_some(simple);
        }
        let Some(result) = self.function.insts[id].result else {
            return self.keep(id, inst);
        };
        for _ in 0..MAX_STEPS {
            match self.simplify(&inst, result) {
                None => break,
                Some(Step::Same(value)) => return self.replace(result, value),
                Some(Step::Become(simpler)) => {
                    self.changed = true;
                    inst = simpler;
                }
            }
        }
        if let Some(key) = self.computation(&inst, result) {
            match self.known.get(&key) {
                Some(value) => return self.replace(result, value),
                None => self.known.insert(key, result),
            }
        }
        self.width[result.idx()] = self.width_of(&inst);
        self.keep(id, inst);
    }

    fn keep(&mut self, id: InstId, inst: Inst) {
        if changes_world(&inst) {
            self.n_worlds += 1;
            self.world = self.n_worlds;
        }
        self.function.insts[id].inst = inst;
        self.out.push(id);
    }

    /// Lets `value` stand for `result`, whose instruction is dropped.
    fn replace(&mut self, result: Value, value: Value) {
        self.changed = true;
        self.uses[value.idx()] += self.uses[result.idx()];
        self.alias[result.idx()] = value;
    }

    /// What an instruction computes, if equal instructions are worth finding.
    fn computation(&self, inst: &Inst, result: Value) -> Option<Computation> {
        let world = if is_pure(inst) {
            0
        } else if reads_world(self.function, inst) {
            self.world
        } else {
            return None;
        };
        let mut inst = inst.clone();
        match &mut inst {
            // A pointer is on the left already, wherever it is.
            Inst::Binary { op, left, right }
                if fold::commutes(*op) && (*right < *left) && !self.function.type_of(*left).is_pointer() =>
            {
                std::mem::swap(left, right);
            }
            Inst::Compare { op, left, right } if *right < *left => {
                std::mem::swap(left, right);
                *op = fold::exchanged(*op);
            }
            _ => {}
        }
        Some((inst, self.function.type_of(result), world))
    }

    fn visit_terminator(&mut self, block: Block) {
        let Some(mut terminator) = self.function.blocks[block].terminator.take() else { return };
        terminator.for_each_operand_mut(|value| *value = self.resolve(*value));
        if let Terminator::Branch { condition, .. } = &mut terminator
            && self.function.constant(*condition).is_none()
            && let Some(is_zero) = self.equal.get(&(*condition, Right::Constant(0)))
        {
            *condition = self.constant(i64::from(!is_zero));
            self.changed = true;
        }
        self.function.blocks[block].terminator = Some(terminator);
    }

    /// A constant that may be used from here on.
    pub(super) fn constant(&mut self, number: i64) -> Value {
        let key = (Inst::Const(number), Type::Int, 0);
        if let Some(value) = self.known.get(&key) {
            return value;
        }
        let inst = Inst::Const(number);
        let width = self.width_of(&inst);
        let id = self.function.insts.push(InstData { inst, result: None, span: None });
        let value = self.function.values.push(ValueData { value_type: Type::Int, def: ValueDef::Result(id) });
        self.function.insts[id].result = Some(value);
        self.alias.push(value);
        self.width.push(width);
        self.uses.push(0);
        self.out.push(id);
        self.known.insert(key, value);
        value
    }
}
