//! What selection knows of each value before it selects: aliases, constants, widths, what must be in a register.
//!
//! A value is an *alias* where it is the same register as another (casts, extensions of what is narrow enough). It is
//! *needed* where some instruction with an effect reads it from a register; constants and addresses are made anew at each
//! use, conditions are folded into branches, and what nobody needs is not selected at all.

use nonna_ir::{
    BinaryOp, Block, CompareOp, DataId, Entity, Function, Inst, Slot, Terminator, Value, ValueDef,
};

use nonna_bpf::{JumpOp, MemSize, Width};

/// Where memory is accessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressBase {
    /// Pointer in a register.
    Value(Value),
    /// Slot of the function.
    Slot(Slot),
    /// Global data.
    Data(DataId),
}

/// A base and bytes from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// Base.
    pub base: AddressBase,
    /// Bytes.
    pub offset: i64,
}

/// Second operand of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// A value.
    Value(Value),
    /// A constant that the jump takes.
    Imm(i32),
}

/// A condition as a jump tests it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Known already.
    Known(bool),
    /// `left op right`, the answer turned around where `negated`.
    Test { width: Width, op: JumpOp, left: Value, right: Right, negated: bool },
}

/// Facts about the values of one function.
pub struct Facts<'a> {
    function: &'a Function,
    has_jmp32: bool,
    alias: Vec<Value>,
    constant: Vec<Option<i64>>,
    /// The value is below two to this power.
    bits: Vec<u8>,
    uses: Vec<u32>,
    /// Only the low half of the result matters and it can be computed in 32 bits.
    narrow: Vec<bool>,
    needed: Vec<bool>,
}

impl<'a> Facts<'a> {
    /// Finds the facts; `order` holds the reachable blocks, definitions before uses.
    pub fn new(function: &'a Function, order: &[Block], has_jmp32: bool) -> Self {
        let n = function.values.len();
        let mut facts = Facts {
            function,
            has_jmp32,
            alias: (0..n).map(Value::from_idx).collect(),
            constant: vec![None; n],
            bits: vec![64; n],
            uses: vec![0; n],
            narrow: vec![false; n],
            needed: vec![false; n],
        };
        facts.count_uses(order);
        facts.find_aliases(order);
        facts.find_needed(order);
        facts
    }

    /// The value that is in the register.
    pub fn root(&self, value: Value) -> Value {
        self.alias[value.idx()]
    }

    /// Its constant, if it is one.
    pub fn constant(&self, value: Value) -> Option<i64> {
        self.constant[self.root(value).idx()]
    }

    /// The value is below two to this power.
    pub fn bits(&self, value: Value) -> u8 {
        self.bits[self.root(value).idx()]
    }

    /// How often it is read.
    pub fn uses(&self, value: Value) -> u32 {
        self.uses[value.idx()]
    }

    /// Whether it must be in a register.
    pub fn is_needed(&self, value: Value) -> bool {
        self.needed[value.idx()]
    }

    /// Whether it is computed in 32 bits.
    pub fn is_narrow(&self, value: Value) -> bool {
        self.narrow[value.idx()]
    }

    /// The instruction that defines it.
    pub fn def(&self, value: Value) -> Option<&'a Inst> {
        match self.function.values[value].def {
            ValueDef::Result(inst) => Some(&self.function.insts[inst].inst),
            ValueDef::Param(..) => None,
        }
    }

    fn count_uses(&mut self, order: &[Block]) {
        for &block in order {
            let data = &self.function.blocks[block];
            for &inst in &data.insts {
                self.function.insts[inst].inst.for_each_operand(|v| self.uses[v.idx()] += 1);
            }
            if let Some(terminator) = &data.terminator {
                terminator.for_each_operand(|v| self.uses[v.idx()] += 1);
            }
        }
    }

    fn find_aliases(&mut self, order: &[Block]) {
        for &block in order {
            for &id in &self.function.blocks[block].insts {
                let data = &self.function.insts[id];
                let Some(result) = data.result else { continue };
                let idx = result.idx();
                match self.alias_of(&data.inst) {
                    Some(root) => self.alias[idx] = root,
                    None => self.bits[idx] = self.bits_of(&data.inst),
                }
                if let Inst::Const(value) = data.inst {
                    self.constant[idx] = Some(value);
                }
            }
        }
    }

    /// The value whose register holds this instruction's result too.
    fn alias_of(&mut self, inst: &Inst) -> Option<Value> {
        match *inst {
            Inst::Cast(value) => Some(self.root(value)),
            Inst::Extend { value, bits, signed } => {
                let root = self.root(value);
                let spare = u8::from(signed);
                if self.constant[root.idx()].is_none() && self.bits[root.idx()] + spare <= bits {
                    return Some(root);
                }
                if bits == 32 && !signed && self.uses[value.idx()] == 1 && self.can_narrow(root) {
                    self.narrow[root.idx()] = true;
                    self.bits[root.idx()] = 32;
                    return Some(root);
                }
                None
            }
            Inst::Compare { op: CompareOp::Ne, left, right } => {
                let root = self.root(left);
                let is_flag = self.bits[root.idx()] <= 1 && self.constant[root.idx()].is_none();
                (is_flag && self.constant(right) == Some(0)).then_some(root)
            }
            Inst::Binary {
                op: BinaryOp::Add | BinaryOp::Sub | BinaryOp::Or | BinaryOp::Xor,
                left,
                right,
            } => (self.constant(right) == Some(0)).then(|| self.root(left)),
            _ => None,
        }
    }

    /// Whether the low half of the result depends only on the low halves of the operands.
    fn can_narrow(&self, value: Value) -> bool {
        if self.uses[value.idx()] != 1 {
            return false;
        }
        match self.def(value) {
            Some(Inst::Binary { op, right, .. }) => match op {
                BinaryOp::Add
                | BinaryOp::Sub
                | BinaryOp::Mul
                | BinaryOp::And
                | BinaryOp::Or
                | BinaryOp::Xor => true,
                BinaryOp::Shl => self.constant(*right).is_some_and(|by| (0..32).contains(&by)),
                _ => false,
            },
            _ => false,
        }
    }

    fn bits_of(&self, inst: &Inst) -> u8 {
        match *inst {
            Inst::Const(value) => 64 - value.leading_zeros() as u8,
            Inst::Load { size, signed: false, .. } => 8 * size.bytes() as u8,
            Inst::Extend { bits, signed: false, .. } | Inst::SwapBytes { bits, .. } => bits,
            Inst::Compare { .. } => 1,
            Inst::Binary { op, left, right } => {
                let (l, r) = (self.bits(left), self.bits(right));
                match op {
                    BinaryOp::And => l.min(r),
                    BinaryOp::Or | BinaryOp::Xor => l.max(r),
                    BinaryOp::UDiv => l,
                    BinaryOp::UMod => l,
                    BinaryOp::Add => l.max(r).saturating_add(1).min(64),
                    BinaryOp::Mul => l.saturating_add(r).min(64),
                    BinaryOp::LShr => match self.constant(right) {
                        Some(by) => l.saturating_sub((by & 63) as u8),
                        None => l,
                    },
                    BinaryOp::Shl => match self.constant(right) {
                        Some(by) => l.saturating_add((by & 63) as u8).min(64),
                        None => 64,
                    },
                    BinaryOp::AShr if l < 64 => l,
                    _ => 64,
                }
            }
            _ => 64,
        }
    }

    fn find_needed(&mut self, order: &[Block]) {
        let mut work = Vec::new();
        for &block in order {
            let data = &self.function.blocks[block];
            for &id in &data.insts {
                let inst = &self.function.insts[id].inst;
                if has_effect(inst) {
                    self.operands(inst, &mut work);
                }
            }
            match &data.terminator {
                Some(Terminator::Branch { condition, .. }) => self.condition_operands(*condition, &mut work),
                Some(Terminator::Return(value)) => work.push(*value),
                _ => {}
            }
        }
        let predecessors = self.jump_args(order);
        while let Some(value) = work.pop() {
            let root = self.root(value);
            if self.is_made_anew(root) || std::mem::replace(&mut self.needed[root.idx()], true) {
                continue;
            }
            match self.function.values[root].def {
                ValueDef::Result(inst) => self.operands(&self.function.insts[inst].inst, &mut work),
                ValueDef::Param(block, position) => {
                    work.extend(predecessors[block.idx()].iter().map(|args| args[position as usize]));
                }
            }
        }
    }

    /// For each block, the arguments of each jump to it.
    fn jump_args(&self, order: &[Block]) -> Vec<Vec<&'a [Value]>> {
        let mut args: Vec<Vec<&'a [Value]>> = vec![Vec::new(); self.function.blocks.len()];
        for &block in order {
            if let Some(terminator) = &self.function.blocks[block].terminator {
                for jump in terminator.jumps() {
                    args[jump.block.idx()].push(&jump.args);
                }
            }
        }
        args
    }

    /// Whether each use makes it anew instead of keeping a register.
    pub fn is_made_anew(&self, value: Value) -> bool {
        self.constant(value).is_some()
            || matches!(self.def(value), Some(Inst::MapHandle(_) | Inst::FunctionAddress(_)))
            || !matches!(self.address(value).base, AddressBase::Value(_))
    }

    /// Pushes what an instruction reads from registers.
    fn operands(&self, inst: &Inst, work: &mut Vec<Value>) {
        match inst {
            Inst::Load { pointer, .. } => self.address_operand(*pointer, work),
            Inst::Store { pointer, value, size, .. } => {
                self.address_operand(*pointer, work);
                work.push(self.stored(*value, *size));
            }
            Inst::Atomic { pointer, value, expected, .. } => {
                self.address_operand(*pointer, work);
                work.push(*value);
                work.extend(expected);
            }
            Inst::Compare { .. } => self.compare_operands(inst, work),
            _ => inst.for_each_operand(|v| work.push(*v)),
        }
    }

    fn address_operand(&self, pointer: Value, work: &mut Vec<Value>) {
        if let AddressBase::Value(base) = self.address(pointer).base {
            work.push(base);
        }
    }

    fn compare_operands(&self, inst: &Inst, work: &mut Vec<Value>) {
        if let Condition::Test { left, right, .. } = self.test(inst) {
            work.push(left);
            if let Right::Value(right) = right {
                work.push(right);
            }
        }
    }

    fn condition_operands(&self, condition: Value, work: &mut Vec<Value>) {
        if let Condition::Test { left, right, .. } = self.condition(condition) {
            work.push(left);
            if let Right::Value(right) = right {
                work.push(right);
            }
        }
    }

    /// The value of which a store keeps the same bytes: what only changes bits above them need not be done.
    pub fn stored(&self, value: Value, size: MemSize) -> Value {
        let kept = 8 * size.bytes();
        let mut value = self.root(value);
        loop {
            let inner = match self.def(value) {
                Some(Inst::Extend { value: inner, bits, .. }) if u32::from(*bits) >= kept => *inner,
                Some(Inst::Binary { op: BinaryOp::And, left, right })
                    if self.constant(*right).is_some_and(|mask| mask.trailing_ones() >= kept) =>
                {
                    *left
                }
                _ => return value,
            };
            value = self.root(inner);
        }
    }

    /// The address that a pointer means, with constant additions taken out of it.
    pub fn address(&self, pointer: Value) -> Address {
        let mut value = self.root(pointer);
        let mut offset = 0i64;
        loop {
            match self.def(value) {
                Some(Inst::SlotAddress(slot)) => return Address { base: AddressBase::Slot(*slot), offset },
                Some(Inst::DataAddress(data)) => return Address { base: AddressBase::Data(*data), offset },
                Some(Inst::Binary { op: op @ (BinaryOp::Add | BinaryOp::Sub), left, right })
                    if !self.narrow[value.idx()] =>
                {
                    let Some(by) = self.constant(*right) else { break };
                    let by = if *op == BinaryOp::Add { by } else { by.wrapping_neg() };
                    // Loads and stores reach as far as 16 bits go.
                    let Some(sum) = offset.checked_add(by).filter(|sum| i16::try_from(*sum).is_ok()) else {
                        break;
                    };
                    (value, offset) = (self.root(*left), sum);
                }
                _ => break,
            }
        }
        Address { base: AddressBase::Value(value), offset }
    }

    /// The condition that a branch on this value tests.
    pub fn condition(&self, value: Value) -> Condition {
        let root = self.root(value);
        if let Some(constant) = self.constant(root) {
            return Condition::Known(constant != 0);
        }
        match self.def(root) {
            Some(inst @ Inst::Compare { .. }) => self.test(inst),
            _ => Condition::Test {
                width: Width::W64,
                op: JumpOp::Ne,
                left: root,
                right: Right::Imm(0),
                negated: false,
            },
        }
    }

    /// The jump that tests a comparison.
    fn test(&self, compare: &Inst) -> Condition {
        let &Inst::Compare { op, left, right } = compare else { unreachable!("only comparisons are tested") };
        let (mut op, mut left, mut right) = (jump_op(op), self.root(left), self.root(right));
        if self.constant(left).is_some() && self.constant(right).is_none() {
            (left, right) = (right, left);
            op = swapped(op);
        }
        let negated = false;
        let Some(constant) = self.constant(right) else {
            return Condition::Test { width: Width::W64, op, left, right: Right::Value(right), negated };
        };
        if constant == 0
            && matches!(op, JumpOp::Eq | JumpOp::Ne)
            && let Some(found) = self.test_against_zero(op, left)
        {
            return found;
        }
        if let Ok(imm) = i32::try_from(constant) {
            return Condition::Test { width: Width::W64, op, left, right: Right::Imm(imm), negated };
        }
        let signed = matches!(op, JumpOp::Sgt | JumpOp::Sge | JumpOp::Slt | JumpOp::Sle);
        match u32::try_from(constant) {
            Ok(low) if self.has_jmp32 && !signed && self.bits(left) <= 32 => {
                Condition::Test { width: Width::W32, op, left, right: Right::Imm(low.cast_signed()), negated }
            }
            _ => Condition::Test { width: Width::W64, op, left, right: Right::Value(right), negated },
        }
    }

    /// `value == 0` and `value != 0`, where the value is itself a condition or a mask.
    fn test_against_zero(&self, op: JumpOp, value: Value) -> Option<Condition> {
        match *self.def(value)? {
            Inst::Compare { .. } => match self.condition(value) {
                Condition::Known(known) => Some(Condition::Known(known == (op == JumpOp::Ne))),
                Condition::Test { width, op: inner, left, right, negated } => Some(Condition::Test {
                    width,
                    op: inner,
                    left,
                    right,
                    negated: negated ^ (op == JumpOp::Eq),
                }),
            },
            Inst::Binary { op: BinaryOp::And, left, right }
                if self.uses(value) == 1 && !self.is_narrow(value) =>
            {
                let (left, right) = (self.root(left), self.root(right));
                let right = match self.constant(right) {
                    Some(mask) => Right::Imm(i32::try_from(mask).ok()?),
                    None => Right::Value(right),
                };
                let negated = op == JumpOp::Eq;
                Some(Condition::Test { width: Width::W64, op: JumpOp::Set, left, right, negated })
            }
            _ => None,
        }
    }
}

/// Whether an instruction must stay although nobody reads its result.
pub fn has_effect(inst: &Inst) -> bool {
    matches!(
        inst,
        Inst::Store { .. }
            | Inst::Atomic { .. }
            | Inst::CallHelper { .. }
            | Inst::Call { .. }
            | Inst::MapLookup { .. }
            | Inst::MapUpdate { .. }
            | Inst::MapDelete { .. }
    )
}

fn jump_op(op: CompareOp) -> JumpOp {
    match op {
        CompareOp::Eq => JumpOp::Eq,
        CompareOp::Ne => JumpOp::Ne,
        CompareOp::Ult => JumpOp::Lt,
        CompareOp::Ule => JumpOp::Le,
        CompareOp::Ugt => JumpOp::Gt,
        CompareOp::Uge => JumpOp::Ge,
        CompareOp::Slt => JumpOp::Slt,
        CompareOp::Sle => JumpOp::Sle,
        CompareOp::Sgt => JumpOp::Sgt,
        CompareOp::Sge => JumpOp::Sge,
    }
}

/// The operation that gives the same answer with its operands exchanged.
fn swapped(op: JumpOp) -> JumpOp {
    match op {
        JumpOp::Gt => JumpOp::Lt,
        JumpOp::Ge => JumpOp::Le,
        JumpOp::Lt => JumpOp::Gt,
        JumpOp::Le => JumpOp::Ge,
        JumpOp::Sgt => JumpOp::Slt,
        JumpOp::Sge => JumpOp::Sle,
        JumpOp::Slt => JumpOp::Sgt,
        JumpOp::Sle => JumpOp::Sge,
        JumpOp::Eq | JumpOp::Ne | JumpOp::Set => op,
    }
}
