//! A reference machine for IR: runs a module's first function and writes down what can be seen from outside.
//!
//! Kernel and user memory, the answers of helpers and of map lookups are functions of their operands and of the state of
//! the world, so that a run can be repeated. Addresses are numbers in separate ranges; memory nobody wrote is 0.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use nonna_bpf::{AtomicOp, Helper, MemSize};
use nonna_ir::{
    BinaryOp, CompareOp, Entity, FieldSource, FieldValue, FuncId, Function, Inst, KernelField, MapId, Module,
    Terminator, Value,
};

const SLOTS_AT: i64 = 0x1000_0000;
const DATA_AT: i64 = 0x2000_0000;
const MAPS_AT: i64 = 0x3000_0000;
const KERNEL_AT: i64 = 0x4000_0000;
const STRIDE: i64 = 0x1_0000;

/// What a run shows to the outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The result.
    pub result: i64,
    /// Helper calls that change something, map updates and records, in order.
    pub trace: Vec<(String, Vec<i64>)>,
    /// Data and map values afterwards, without zeroes.
    pub memory: BTreeMap<i64, u8>,
}

struct Machine<'a> {
    module: &'a Module,
    seed: u64,
    memory: BTreeMap<i64, u8>,
    trace: Vec<(String, Vec<i64>)>,
    fuel: u32,
    frames: i64,
}

/// Runs the first function; `None` where it takes too long.
pub fn run(module: &Module, seed: u64) -> Option<Outcome> {
    let mut machine =
        Machine { module, seed, memory: BTreeMap::new(), trace: Vec::new(), fuel: 20_000, frames: 0 };
    for (id, data) in module.data.iter() {
        for (at, byte) in (DATA_AT + id.idx() as i64 * STRIDE..).zip(&data.bytes) {
            machine.memory.insert(at, *byte);
        }
    }
    let result = machine.call(FuncId::from_idx(0), &[])?;
    let seen = |at: &i64| *at >= DATA_AT;
    let memory = machine.memory.into_iter().filter(|(at, byte)| seen(at) && *byte != 0).collect();
    Some(Outcome { result, trace: machine.trace, memory })
}

fn truncate(value: u64, size: MemSize, signed: bool) -> i64 {
    extend(value.cast_signed(), (size.bytes() * 8) as u8, signed)
}

fn extend(value: i64, bits: u8, signed: bool) -> i64 {
    match (bits, signed) {
        (8, false) => i64::from(value as u8),
        (8, true) => i64::from(value as i8),
        (16, false) => i64::from(value as u16),
        (16, true) => i64::from(value as i16),
        (32, false) => i64::from(value as u32),
        (32, true) => i64::from(value as i32),
        _ => value,
    }
}

fn binary(op: BinaryOp, l: i64, r: i64) -> i64 {
    let (ul, ur) = (l as u64, r as u64);
    match op {
        BinaryOp::Add => (i128::from(l) + i128::from(r)) as i64,
        BinaryOp::Sub => (i128::from(l) - i128::from(r)) as i64,
        BinaryOp::Mul => (i128::from(l) * i128::from(r)) as i64,
        BinaryOp::UDiv => {
            if r == 0 {
                0
            } else {
                (ul / ur) as i64
            }
        }
        BinaryOp::UMod => {
            if r == 0 {
                l
            } else {
                (ul % ur) as i64
            }
        }
        BinaryOp::SDiv => {
            if r == 0 {
                0
            } else {
                (i128::from(l) / i128::from(r)) as i64
            }
        }
        BinaryOp::SMod => {
            if r == 0 {
                l
            } else {
                (i128::from(l) % i128::from(r)) as i64
            }
        }
        BinaryOp::And => l & r,
        BinaryOp::Or => l | r,
        BinaryOp::Xor => l ^ r,
        BinaryOp::Shl => l.wrapping_shl(r as u32),
        BinaryOp::LShr => ul.wrapping_shr(r as u32) as i64,
        BinaryOp::AShr => l.wrapping_shr(r as u32),
    }
}

fn compare(op: CompareOp, l: i64, r: i64) -> bool {
    let unsigned = (l as u64).cmp(&(r as u64));
    let signed = l.cmp(&r);
    match op {
        CompareOp::Eq => l == r,
        CompareOp::Ne => l != r,
        CompareOp::Ult => unsigned.is_lt(),
        CompareOp::Ule => unsigned.is_le(),
        CompareOp::Ugt => unsigned.is_gt(),
        CompareOp::Uge => unsigned.is_ge(),
        CompareOp::Slt => signed.is_lt(),
        CompareOp::Sle => signed.is_le(),
        CompareOp::Sgt => signed.is_gt(),
        CompareOp::Sge => signed.is_ge(),
    }
}

impl Machine<'_> {
    fn random(&self, what: impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.seed, what).hash(&mut hasher);
        let word = hasher.finish();
        // Small numbers and 0 must come up as well.
        if word.is_multiple_of(3) { word >> 60 } else { word }
    }

    /// How often the program changed the world so far.
    fn world(&self) -> usize {
        self.trace.iter().filter(|(what, _)| what == "helper").count()
    }

    fn call(&mut self, id: FuncId, args: &[i64]) -> Option<i64> {
        let function = &self.module.functions[id];
        self.frames += 1;
        let frame = SLOTS_AT + self.frames * 64 * STRIDE;
        let mut values = vec![0; function.values.len()];
        let mut block = function.entry();
        let mut incoming = args.to_vec();
        loop {
            let data = &function.blocks[block];
            for (param, value) in data.params.iter().zip(&incoming) {
                values[param.idx()] = *value;
            }
            for &inst in &data.insts {
                self.fuel = self.fuel.checked_sub(1)?;
                let data = &function.insts[inst];
                let result = self.step(function, frame, &values, &data.inst)?;
                if let Some(value) = data.result {
                    values[value.idx()] = result;
                }
            }
            self.fuel = self.fuel.checked_sub(1)?;
            let jump = match data.terminator.as_ref().expect("valid") {
                Terminator::Return(value) => return Some(values[value.idx()]),
                Terminator::Jump(jump) => jump,
                Terminator::Branch { condition, then, otherwise } => {
                    if values[condition.idx()] != 0 {
                        then
                    } else {
                        otherwise
                    }
                }
            };
            incoming = jump.args.iter().map(|arg| values[arg.idx()]).collect();
            block = jump.block;
        }
    }

    fn read(&self, at: i64, bytes: u32) -> u64 {
        let bytes = (0..i64::from(bytes)).rev();
        bytes.fold(0, |word, i| word << 8 | u64::from(self.memory.get(&(at + i)).copied().unwrap_or(0)))
    }

    fn write(&mut self, at: i64, bytes: u32, value: i64) {
        for i in 0..bytes {
            self.memory.insert(at + i64::from(i), (value >> (8 * i)) as u8);
        }
    }

    fn words(&self, at: i64, bytes: u32) -> Vec<i64> {
        (0..bytes.div_ceil(8))
            .map(|i| self.read(at + i64::from(i * 8), (bytes - i * 8).min(8)) as i64)
            .collect()
    }

    fn step(&mut self, f: &Function, frame: i64, values: &[i64], inst: &Inst) -> Option<i64> {
        let v = |value: Value| values[value.idx()];
        Some(match *inst {
            Inst::Const(number) => number,
            Inst::Binary { op, left, right } => binary(op, v(left), v(right)),
            Inst::Compare { op, left, right } => i64::from(compare(op, v(left), v(right))),
            Inst::Extend { value, bits, signed } => extend(v(value), bits, signed),
            Inst::SwapBytes { value, bits: 16 } => i64::from((v(value) as u16).swap_bytes()),
            Inst::SwapBytes { value, bits: 32 } => i64::from((v(value) as u32).swap_bytes()),
            Inst::SwapBytes { value, .. } => v(value).swap_bytes(),
            Inst::Cast(value) => v(value),
            Inst::Context => 0x100,
            Inst::Arg { index } => self.random(("arg", index)) as i64,
            Inst::ReturnValue => self.random("return") as i64,
            Inst::CurrentTask => KERNEL_AT,
            Inst::SlotAddress(slot) => frame + slot.idx() as i64 * STRIDE,
            Inst::DataAddress(data) => DATA_AT + data.idx() as i64 * STRIDE,
            Inst::MapHandle(map) => 0x200 + map.idx() as i64,
            Inst::FunctionAddress(function) => 0x300 + function.idx() as i64,
            Inst::Load { pointer, offset, size, signed } => {
                truncate(self.read(v(pointer) + i64::from(offset), size.bytes()), size, signed)
            }
            Inst::LoadKernel { pointer, field } => self.load_kernel(v(pointer), field),
            Inst::LoadUser { pointer, offset, size, signed } => {
                let at = v(pointer).wrapping_add(offset.into());
                truncate(self.random(("user", at, self.world())), size, signed)
            }
            Inst::Call { function, ref args } => {
                let args: Vec<i64> = args.iter().map(|arg| v(*arg)).collect();
                self.call(function, &args)?
            }
            Inst::CallHelper { helper, ref args } => {
                let args: Vec<i64> = args.iter().map(|arg| v(*arg)).collect();
                self.helper(helper, args)
            }
            Inst::EqualBytes { left, right, bytes } => {
                i64::from(self.words(v(left), bytes) == self.words(v(right), bytes))
            }
            Inst::MapLookup { map, key } => self.lookup(map, v(key)),
            Inst::MapUpdate { map, key, value, flags } => {
                let decl = &self.module.maps[map];
                let mut seen = self.words(v(key), decl.key_bytes);
                seen.extend(self.words(v(value), decl.value_bytes));
                seen.push(flags as i64);
                self.trace.push(("update".into(), seen));
                0
            }
            Inst::MapDelete { map, key } => {
                let key = self.words(v(key), self.module.maps[map].key_bytes);
                self.trace.push(("delete".into(), key));
                0
            }
            _ => self.step_memory(f, values, inst),
        })
    }

    fn step_memory(&mut self, _: &Function, values: &[i64], inst: &Inst) -> i64 {
        let v = |value: Value| values[value.idx()];
        match *inst {
            Inst::Store { pointer, offset, size, value } => {
                self.write(v(pointer) + i64::from(offset), size.bytes(), v(value));
                0
            }
            Inst::Atomic { op, pointer, offset, size, value, expected } => {
                let at = v(pointer) + i64::from(offset);
                let old = truncate(self.read(at, size.bytes()), size, false);
                let new = match op {
                    AtomicOp::Add { .. } => old.wrapping_add(v(value)),
                    AtomicOp::Or { .. } => old | v(value),
                    AtomicOp::And { .. } => old & v(value),
                    AtomicOp::Xor { .. } => old ^ v(value),
                    AtomicOp::CompareExchange if expected.map(v) != Some(old) => old,
                    AtomicOp::Exchange | AtomicOp::CompareExchange => v(value),
                };
                self.write(at, size.bytes(), new);
                old
            }
            Inst::Zero { pointer, offset, bytes } => {
                (0..bytes).for_each(|i| self.write(v(pointer) + i64::from(offset) + i64::from(i), 1, 0));
                0
            }
            Inst::Copy { to, to_offset, from, from_offset, bytes } => {
                for i in 0..i64::from(bytes) {
                    let byte = self.read(v(from) + i64::from(from_offset) + i, 1);
                    self.write(v(to) + i64::from(to_offset) + i, 1, byte as i64);
                }
                0
            }
            Inst::ReadText { pointer, to, to_offset, max_bytes, .. } => {
                let length = self.random(("text", v(pointer), self.world())) % u64::from(max_bytes) + 1;
                let to = v(to) + i64::from(to_offset);
                (0..length as i64 - 1).for_each(|i| self.write(to + i, 1, 65 + i));
                self.write(to + length as i64 - 1, 1, 0);
                length as i64
            }
            Inst::Emit { event, ref fields, ref filter } => {
                let scalars: Vec<i64> = fields
                    .iter()
                    .map(|source| match source {
                        FieldSource::Scalar(value) => v(*value),
                        FieldSource::Memory { pointer, bytes } => self.words(v(*pointer), *bytes)[0],
                        other => panic!("the tests do not emit {other}"),
                    })
                    .collect();
                let tested: Vec<FieldValue<'_>> = scalars.iter().map(|n| FieldValue::Integer(*n)).collect();
                let schema = &self.module.events[event];
                if filter.as_ref().is_none_or(|filter| filter.eval(schema, &tested)) {
                    self.trace.push((schema.name.clone(), scalars));
                }
                0
            }
            ref other => panic!("the tests do not use {other}"),
        }
    }

    fn load_kernel(&self, pointer: i64, field: KernelField) -> i64 {
        let at = pointer.wrapping_add(field.offset.into());
        let word = self.random(("kernel", at, self.world()));
        let value = truncate(word, field.size, field.signed);
        match field.bits {
            None => value,
            Some(bits) => {
                let top = 64 - u32::from(bits.width);
                let kept = (value as u64 >> bits.shift) << top;
                if field.signed { kept as i64 >> top } else { (kept >> top) as i64 }
            }
        }
    }

    fn helper(&mut self, helper: Helper, args: Vec<i64>) -> i64 {
        if helper == Helper::SEND_SIGNAL {
            self.trace.push(("helper".into(), args.clone()));
        }
        match helper {
            Helper::GET_CURRENT_PID_TGID | Helper::GET_CURRENT_UID_GID => {
                self.random(("constant", helper)) as i64
            }
            _ => self.random((helper, args, self.world(), self.trace.len())) as i64,
        }
    }

    fn lookup(&self, map: MapId, key: i64) -> i64 {
        let decl = &self.module.maps[map];
        let key = self.words(key, decl.key_bytes);
        let updates = self.trace.iter().filter(|(what, _)| what == "update").count();
        match self.random(("lookup", map.idx(), key, updates)) % 4 {
            0 => 0,
            entry => MAPS_AT + (map.idx() * 8) as i64 * STRIDE + entry as i64 * STRIDE,
        }
    }
}
