//! What a program means: an evaluator of the IR for what generated programs use.
//!
//! Memory is global data and the slots of each call; a pointer is a region's number above 32 bits of offset. It exists to
//! disagree with the backend, so it is written from the documentation of the instructions and shares no code with it.

use nonna_bpf::{AtomicOp, MemSize};
use nonna_ir::{BinaryOp, CompareOp, Entity, FuncId, Function, Inst, Jump, Module, Terminator, Value};

/// Instructions after which a program counts as running for ever.
const MAX_STEPS: usize = 200_000;

/// Global data and the slots of all calls.
pub struct Machine<'m> {
    module: &'m Module,
    regions: Vec<Vec<u8>>,
    steps: usize,
}

impl<'m> Machine<'m> {
    /// With the data as it is declared.
    pub fn new(module: &'m Module) -> Self {
        let regions = module.data.values().map(|decl| decl.bytes.clone()).collect();
        Self { module, regions, steps: 0 }
    }

    /// The bytes of a piece of data.
    pub fn data(&self, idx: usize) -> &[u8] {
        &self.regions[idx]
    }

    /// Runs a function.
    pub fn run(&mut self, id: FuncId, args: &[u64]) -> u64 {
        let function = &self.module.functions[id];
        let first_slot = self.regions.len();
        for slot in function.slots.values() {
            self.regions.push(vec![0; slot.bytes as usize]);
        }
        let mut values = vec![0u64; function.values.len()];
        let mut block = function.entry();
        for (param, arg) in function.blocks[block].params.iter().zip(args) {
            values[param.idx()] = *arg;
        }
        let result = loop {
            for &id in &function.blocks[block].insts {
                self.steps += 1;
                assert!(self.steps < MAX_STEPS, "the generated program does not end");
                let data = &function.insts[id];
                let value = self.step(function, &data.inst, &values, first_slot);
                if let Some(result) = data.result {
                    values[result.idx()] = value;
                }
            }
            let jump = match function.blocks[block].terminator.as_ref().expect("blocks end") {
                Terminator::Return(value) => break values[value.idx()],
                Terminator::Jump(jump) => jump,
                Terminator::Branch { condition, then, otherwise } => {
                    if values[condition.idx()] != 0 {
                        then
                    } else {
                        otherwise
                    }
                }
            };
            pass(function, jump, &mut values);
            block = jump.block;
        };
        self.regions.truncate(first_slot);
        result
    }

    fn step(&mut self, function: &Function, inst: &Inst, values: &[u64], first_slot: usize) -> u64 {
        let get = |value: &Value| values[value.idx()];
        match inst {
            Inst::Const(value) => value.cast_unsigned(),
            Inst::Binary { op, left, right } => binary(*op, get(left), get(right)),
            Inst::Compare { op, left, right } => u64::from(compare(*op, get(left), get(right))),
            Inst::Extend { value, bits, signed } => extend(get(value), *bits, *signed),
            Inst::SwapBytes { value, bits } => get(value).swap_bytes() >> (64 - u32::from(*bits)),
            Inst::Cast(value) => get(value),
            Inst::SlotAddress(slot) => ((first_slot + slot.idx()) as u64) << 32,
            Inst::DataAddress(data) => (data.idx() as u64) << 32,
            Inst::Load { pointer, offset, size, signed } => {
                let loaded = self.load(get(pointer), *offset, *size);
                extend(loaded, 8 * size.bytes() as u8, *signed)
            }
            Inst::Store { pointer, offset, size, value } => {
                self.store(get(pointer), *offset, *size, get(value));
                0
            }
            Inst::Atomic { op, pointer, offset, size, value, expected } => {
                let (pointer, value) = (get(pointer), get(value));
                let old = self.load(pointer, *offset, *size);
                let new = match op {
                    AtomicOp::Add { .. } => old.wrapping_add(value),
                    AtomicOp::Or { .. } => old | value,
                    AtomicOp::And { .. } => old & value,
                    AtomicOp::Xor { .. } => old ^ value,
                    AtomicOp::Exchange => value,
                    AtomicOp::CompareExchange => {
                        let expected = extend(
                            get(expected.as_ref().expect("it compares")),
                            8 * size.bytes() as u8,
                            false,
                        );
                        if old == expected { value } else { old }
                    }
                };
                self.store(pointer, *offset, *size, new);
                old
            }
            Inst::Call { function: callee, args } => {
                let _ = function;
                let args: Vec<u64> = args.iter().map(get).collect();
                self.run(*callee, &args)
            }
            // Only called for what it does to registers.
            Inst::CallHelper { .. } => 0,
            other => panic!("the generator made {other:?}"),
        }
    }

    fn at(&mut self, pointer: u64, offset: i32, size: MemSize) -> &mut [u8] {
        let start = (i64::from(pointer as u32) + i64::from(offset)) as usize;
        &mut self.regions[(pointer >> 32) as usize][start..start + size.bytes() as usize]
    }

    fn load(&mut self, pointer: u64, offset: i32, size: MemSize) -> u64 {
        let mut bytes = [0; 8];
        let found = self.at(pointer, offset, size);
        bytes[..found.len()].copy_from_slice(found);
        u64::from_le_bytes(bytes)
    }

    fn store(&mut self, pointer: u64, offset: i32, size: MemSize, value: u64) {
        let to = self.at(pointer, offset, size);
        let n = to.len();
        to.copy_from_slice(&value.to_le_bytes()[..n]);
    }
}

fn pass(function: &Function, jump: &Jump, values: &mut [u64]) {
    let args: Vec<u64> = jump.args.iter().map(|arg| values[arg.idx()]).collect();
    for (param, arg) in function.blocks[jump.block].params.iter().zip(args) {
        values[param.idx()] = arg;
    }
}

fn binary(op: BinaryOp, left: u64, right: u64) -> u64 {
    let (a, b) = (left.cast_signed(), right.cast_signed());
    let by = (right & 63) as u32;
    match op {
        BinaryOp::Add => left.wrapping_add(right),
        BinaryOp::Sub => left.wrapping_sub(right),
        BinaryOp::Mul => left.wrapping_mul(right),
        BinaryOp::UDiv => left.checked_div(right).unwrap_or(0),
        BinaryOp::UMod => left.checked_rem(right).unwrap_or(left),
        BinaryOp::SDiv if b == 0 => 0,
        BinaryOp::SDiv => a.wrapping_div(b).cast_unsigned(),
        BinaryOp::SMod if b == 0 => left,
        BinaryOp::SMod => a.wrapping_rem(b).cast_unsigned(),
        BinaryOp::And => left & right,
        BinaryOp::Or => left | right,
        BinaryOp::Xor => left ^ right,
        BinaryOp::Shl => left << by,
        BinaryOp::LShr => left >> by,
        BinaryOp::AShr => (a >> by).cast_unsigned(),
    }
}

fn compare(op: CompareOp, left: u64, right: u64) -> bool {
    let (a, b) = (left.cast_signed(), right.cast_signed());
    match op {
        CompareOp::Eq => left == right,
        CompareOp::Ne => left != right,
        CompareOp::Ult => left < right,
        CompareOp::Ule => left <= right,
        CompareOp::Ugt => left > right,
        CompareOp::Uge => left >= right,
        CompareOp::Slt => a < b,
        CompareOp::Sle => a <= b,
        CompareOp::Sgt => a > b,
        CompareOp::Sge => a >= b,
    }
}

fn extend(value: u64, bits: u8, signed: bool) -> u64 {
    let unused = 64 - u32::from(bits);
    let high = value << unused;
    if signed { (high.cast_signed() >> unused).cast_unsigned() } else { high >> unused }
}
