//! Makes programs from lists of random numbers: valid, ending, and reading nothing that was not written.
//!
//! Control flow only goes forward, but for counted loops of one block. A program reads its inputs from one piece of
//! global data and writes what it computed to another.

use nonna_bpf::{AtomicOp, Hook, MemSize};
use nonna_ir::{
    BinaryOp, CompareOp, DataDecl, DataId, FuncId, FunctionBuilder, FunctionKind, Inst, Module, Type, Value,
};

/// Inputs and outputs, in words of 8 bytes.
pub const N_WORDS: u32 = 8;

/// Decisions, taken from a list until it is used up and 0 from then on.
pub struct Choices {
    rest: std::vec::IntoIter<u64>,
}

impl Choices {
    /// From a list.
    pub fn new(choices: Vec<u64>) -> Self {
        Self { rest: choices.into_iter() }
    }

    fn raw(&mut self) -> u64 {
        self.rest.next().unwrap_or(0)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.raw() % n as u64) as usize
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// Numbers at which things change, and any others.
    fn number(&mut self) -> i64 {
        let raw = self.raw();
        match raw % 8 {
            0 => 0,
            1 => (raw >> 8 & 0xff).cast_signed(),
            2 => -((raw >> 8 & 0xff).cast_signed()),
            3 => 1i64 << (raw >> 8 & 63),
            4 => (1i64 << (raw >> 8 & 63)).wrapping_sub(1),
            5 => i64::from(i32::MIN) + (raw >> 8 & 3).cast_signed() - 1,
            6 => i64::from(u32::MAX) - (raw >> 8 & 3).cast_signed(),
            _ => raw.cast_signed(),
        }
    }

    fn is_used_up(&self) -> bool {
        self.rest.len() == 0
    }
}

const BINARY: &[BinaryOp] = &[
    BinaryOp::Add,
    BinaryOp::Sub,
    BinaryOp::Mul,
    BinaryOp::UDiv,
    BinaryOp::SDiv,
    BinaryOp::UMod,
    BinaryOp::SMod,
    BinaryOp::And,
    BinaryOp::Or,
    BinaryOp::Xor,
    BinaryOp::Shl,
    BinaryOp::LShr,
    BinaryOp::AShr,
];

const COMPARE: &[CompareOp] = &[
    CompareOp::Eq,
    CompareOp::Ne,
    CompareOp::Ult,
    CompareOp::Ule,
    CompareOp::Ugt,
    CompareOp::Uge,
    CompareOp::Slt,
    CompareOp::Sle,
    CompareOp::Sgt,
    CompareOp::Sge,
];

const ATOMIC: &[AtomicOp] = &[
    AtomicOp::Add { fetch: false },
    AtomicOp::Add { fetch: true },
    AtomicOp::Or { fetch: true },
    AtomicOp::And { fetch: true },
    AtomicOp::Xor { fetch: false },
    AtomicOp::Exchange,
    AtomicOp::CompareExchange,
];

const SIZES: &[MemSize] = &[MemSize::B, MemSize::H, MemSize::W, MemSize::DW];

/// A module with one program, `program`, that computes from `input` to `output`.
pub fn module(choices: Vec<u64>, inputs: [u64; N_WORDS as usize]) -> (Module, FuncId) {
    let mut choices = Choices::new(choices);
    let mut module = Module::default();
    let bytes = inputs.iter().flat_map(|word| word.to_le_bytes()).collect();
    let decl = |name: &str, bytes| DataDecl { name: name.to_owned(), bytes, align: 8, mutable: true };
    let input = module.data.push(decl("input", bytes));
    let output = module.data.push(decl("output", vec![0; 8 * N_WORDS as usize]));
    let mut subprograms = Vec::new();
    for nth in 0..choices.below(3) {
        let n_params = choices.below(6);
        let params = vec![Type::Int; n_params];
        let name = format!("sub{nth}");
        let builder = FunctionBuilder::new(name, FunctionKind::Subprogram, &params, Type::Int);
        let generator = Generator::new(builder, &mut choices, input, output, &subprograms);
        let function = generator.body(6);
        subprograms.push((module.functions.push(function), n_params));
    }
    let kind = FunctionKind::Program { hook: Hook::Begin };
    let builder = FunctionBuilder::new("program", kind, &[], Type::Int);
    let generator = Generator::new(builder, &mut choices, input, output, &subprograms);
    let function = generator.body(usize::MAX);
    let id = module.functions.push(function);
    (module, id)
}

struct Generator<'c> {
    b: FunctionBuilder,
    choices: &'c mut Choices,
    input: DataId,
    output: DataId,
    subprograms: Vec<(FuncId, usize)>,
    /// What can be used here.
    values: Vec<Value>,
    slot: Value,
}

impl<'c> Generator<'c> {
    fn new(
        mut b: FunctionBuilder,
        choices: &'c mut Choices,
        input: DataId,
        output: DataId,
        subprograms: &[(FuncId, usize)],
    ) -> Self {
        let n_params = b.function().blocks[b.function().entry()].params.len();
        let values = (0..n_params).map(|idx| b.param(idx)).collect();
        let slot = b.slot(if choices.below(8) == 0 { 400 } else { 32 }, 8);
        let slot = b.slot_address(slot);
        for word in 0..4 {
            let zero = b.iconst(0);
            b.store(slot, word * 8, MemSize::DW, zero);
        }
        Self { b, choices, input, output, subprograms: subprograms.to_vec(), values, slot }
    }

    /// Statements until the choices are used up or there are `max`.
    fn body(mut self, max: usize) -> nonna_ir::Function {
        let input = self.b.data_address(self.input);
        for word in 0..self.choices.below(N_WORDS as usize) {
            let value = self.b.load(input, 8 * word as i32, MemSize::DW, false);
            self.values.push(value);
        }
        let mut n = 0;
        while n < max && !self.choices.is_used_up() {
            self.statement(2);
            n += 1;
        }
        self.write_all();
        let result = self.value();
        self.b.ret(result);
        self.b.finish()
    }

    /// Uses every value that is there, so that all live to the end.
    fn write_all(&mut self) {
        let output = self.b.data_address(self.output);
        for (nth, value) in self.values.clone().into_iter().enumerate() {
            let at = 8 * (nth as i32 % N_WORDS as i32);
            let old = self.b.load(output, at, MemSize::DW, false);
            let mixed = self.b.binary(BinaryOp::Xor, old, value);
            let three = self.b.iconst(3);
            let mixed = self.b.binary(BinaryOp::Mul, mixed, three);
            self.b.store(output, at, MemSize::DW, mixed);
        }
    }

    fn value(&mut self) -> Value {
        if self.values.is_empty() || self.choices.below(5) == 0 {
            let number = self.choices.number();
            return self.b.iconst(number);
        }
        let idx = self.choices.below(self.values.len());
        self.values[idx]
    }

    fn statement(&mut self, depth: usize) {
        let kind = self.choices.below(if depth == 0 { 9 } else { 12 });
        let value = match kind {
            0..=2 => {
                let op = self.choices.pick(BINARY);
                let (left, right) = (self.value(), self.value());
                self.b.binary(op, left, right)
            }
            3 => {
                let op = self.choices.pick(COMPARE);
                let (left, right) = (self.value(), self.value());
                self.b.compare(op, left, right)
            }
            4 => {
                let (value, bits, signed) =
                    (self.value(), self.choices.pick(&[8, 16, 32]), self.choices.below(2) == 0);
                self.b.extend(value, bits, signed)
            }
            5 => {
                let (value, bits) = (self.value(), self.choices.pick(&[16, 32, 64]));
                self.b.inst(Inst::SwapBytes { value, bits }, Type::Int)
            }
            6 => self.memory(),
            7 => self.atomic(),
            8 => self.call(),
            9 | 10 => return self.branch(depth),
            _ => return self.counted_loop(depth),
        };
        self.values.push(value);
    }

    /// An aligned place in a slot or in the output.
    fn place(&mut self) -> (Value, i32, MemSize) {
        let size = self.choices.pick(SIZES);
        let at = self.choices.below(32 / size.bytes() as usize) * size.bytes() as usize;
        let pointer = if self.choices.below(2) == 0 { self.slot } else { self.b.data_address(self.output) };
        (pointer, at as i32, size)
    }

    fn memory(&mut self) -> Value {
        let (pointer, offset, size) = self.place();
        if self.choices.below(2) == 0 {
            let value = self.value();
            self.b.store(pointer, offset, size, value);
        }
        let signed = self.choices.below(2) == 0;
        self.b.load(pointer, offset, size, signed)
    }

    fn atomic(&mut self) -> Value {
        let op = self.choices.pick(ATOMIC);
        let size = self.choices.pick(&[MemSize::W, MemSize::DW]);
        let offset = 8 * self.choices.below(4) as i32;
        let pointer = self.b.data_address(self.output);
        let value = self.value();
        let expected = (op == AtomicOp::CompareExchange).then(|| self.value());
        let inst = Inst::Atomic { op, pointer, offset, size, value, expected };
        if inst.has_result() {
            return self.b.inst(inst, Type::Int);
        }
        self.b.effect(inst);
        self.b.load(pointer, offset, size, false)
    }

    fn call(&mut self) -> Value {
        if self.subprograms.is_empty() || self.choices.below(3) == 0 {
            // bpf_get_smp_processor_id: its answer is not used, its traces in the registers are.
            self.b.call_helper(nonna_bpf::Helper::GET_SMP_PROCESSOR_ID, &[]);
            return self.value();
        }
        let (function, n_params) = self.choices.pick(&self.subprograms.clone());
        let args: Vec<Value> = (0..n_params).map(|_| self.value()).collect();
        self.b.call(function, &args, Type::Int)
    }

    fn branch(&mut self, depth: usize) {
        let condition = if self.choices.below(2) == 0 {
            let op = self.choices.pick(COMPARE);
            let (left, right) = (self.value(), self.value());
            self.b.compare(op, left, right)
        } else {
            self.value()
        };
        let (then, otherwise, after) = (self.b.new_block(), self.b.new_block(), self.b.new_block());
        let n_params = self.choices.below(4);
        let params: Vec<Value> = (0..n_params).map(|_| self.b.block_param(after, Type::Int)).collect();
        self.b.branch(condition, then, otherwise);
        let outer = self.values.len();
        for block in [then, otherwise] {
            self.b.switch_to(block);
            for _ in 0..self.choices.below(4) {
                self.statement(depth - 1);
            }
            let args: Vec<Value> = (0..n_params).map(|_| self.value()).collect();
            self.b.jump(after, &args);
            self.values.truncate(outer);
        }
        self.b.switch_to(after);
        self.values.extend(params);
    }

    /// Counts down from a small constant, with values that change places on the way.
    fn counted_loop(&mut self, depth: usize) {
        let times = self.b.iconst(1 + self.choices.below(4) as i64);
        let n_carried = self.choices.below(4);
        let mut args = vec![times];
        args.extend((0..n_carried).map(|_| self.value()));
        let (head, after) = (self.b.new_block(), self.b.new_block());
        let params: Vec<Value> = args.iter().map(|_| self.b.block_param(head, Type::Int)).collect();
        self.b.jump(head, &args);
        self.b.switch_to(head);
        let outer = self.values.len();
        self.values.extend(&params[1..]);
        for _ in 0..self.choices.below(4) {
            self.statement(depth.saturating_sub(2));
        }
        let one = self.b.iconst(1);
        let left = self.b.binary(BinaryOp::Sub, params[0], one);
        let mut next = vec![left];
        for _ in 0..n_carried {
            next.push(self.value());
        }
        let exits: Vec<Value> = (0..n_carried).map(|_| self.value()).collect();
        let results: Vec<Value> = exits.iter().map(|_| self.b.block_param(after, Type::Int)).collect();
        self.b.terminate(nonna_ir::Terminator::Branch {
            condition: left,
            then: nonna_ir::Jump { block: head, args: next },
            otherwise: nonna_ir::Jump { block: after, args: exits },
        });
        self.b.switch_to(after);
        self.values.truncate(outer);
        self.values.extend(results);
    }
}
