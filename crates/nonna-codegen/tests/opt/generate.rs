//! Random valid programs with loops, joins, slots, maps, data, helpers and records.

use nonna_bpf::{Helper, Hook, MapFlags, MapType, MemSize, ProbePoint};
use nonna_event::{EventSchema, Field, FieldType, Ring};
use nonna_ir::{
    BinaryOp, Bits, CompareOp, DataDecl, DataId, Entity, EventId, FieldSource, FuncId, FunctionBuilder,
    FunctionKind, Inst, KernelField, MapDecl, MapId, Module, Predicate, Relation, Slot, Space, Type, Value,
};

const NUMBERS: &[i64] = &[
    0,
    0,
    1,
    1,
    2,
    3,
    4,
    7,
    8,
    10,
    16,
    24,
    30,
    31,
    32,
    33,
    48,
    56,
    63,
    64,
    127,
    128,
    255,
    256,
    0x7fff,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    1 << 32,
    -1,
    -2,
    -8,
    -128,
    -129,
    i64::MIN,
    i64::MAX,
];
const SIZES: &[MemSize] = &[MemSize::B, MemSize::H, MemSize::W, MemSize::DW];
const N_SLOTS: usize = 3;

/// Decisions, taken from a list until it is used up and 0 from then on.
pub struct Choices(std::vec::IntoIter<u32>);

impl Choices {
    pub fn below(&mut self, n: usize) -> usize {
        self.0.next().unwrap_or(0) as usize % n
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }
}

pub struct Generator {
    pub choices: Choices,
    pub b: FunctionBuilder,
    /// Integers and kernel pointers that dominate the place where code is appended.
    pub integers: Vec<Value>,
    pub pointers: Vec<Value>,
    in_program: bool,
}

/// A module whose first function is a program.
pub fn module(choices: Vec<u32>) -> Module {
    let mut module = declarations();
    let hook = Hook::Fentry { function: "f".into(), point: ProbePoint::Return };
    let (first, second) = choices.split_at(choices.len() / 4 * 3);
    for (name, kind, params, choices) in [
        ("program", FunctionKind::Program { hook }, &[][..], first),
        ("sub", FunctionKind::Subprogram, &[Type::Int, Type::Int], second),
    ] {
        let in_program = kind != FunctionKind::Subprogram;
        let b = FunctionBuilder::new(name, kind, params, Type::Int);
        let integers = (0..params.len()).map(|idx| b.param(idx)).collect();
        let choices = Choices(Vec::from(choices).into_iter());
        let mut generator = Generator { choices, b, integers, pointers: Vec::new(), in_program };
        generator.begin();
        generator.statements(0);
        generator.show_all();
        let result = generator.integer();
        generator.b.ret(result);
        module.functions.push(generator.b.finish());
    }
    module
}

fn declarations() -> Module {
    let mut module = Module::default();
    for (name, map_type) in [("hash", MapType::Hash), ("lru", MapType::LruHash)] {
        let flags = MapFlags::empty();
        let name = name.to_owned();
        module.maps.push(MapDecl { name, map_type, key_bytes: 8, value_bytes: 16, max_entries: 9, flags });
    }
    let data = [("state", vec![7; 16], true), ("table", (0x7c..0x8c).collect(), false)];
    for (name, bytes, mutable) in data {
        module.data.push(DataDecl { name: name.into(), bytes, align: 8, mutable });
    }
    let field = |name: &str| Field {
        name: name.into(),
        field_type: FieldType::Signed { bytes: 8 },
        description: String::new(),
    };
    let fields = vec![field("left"), field("right")];
    module.events.push(EventSchema { id: 1, name: "event".into(), fields, ring: Ring::Volume });
    module
}

impl Generator {
    fn begin(&mut self) {
        for _ in 0..N_SLOTS {
            let slot = self.b.slot(16, 8);
            let address = self.b.slot_address(slot);
            self.b.zero(address, 0, 16);
        }
        let task = self.b.current_task(None);
        self.pointers.push(task);
        let zero = self.b.iconst(0);
        self.integers.push(zero);
        if self.in_program {
            let arg = self.b.arg(1, Type::Int);
            self.integers.push(arg);
        }
    }

    pub fn integer(&mut self) -> Value {
        if self.choices.below(4) == 0 {
            let number = self.choices.pick(NUMBERS);
            return self.b.iconst(number);
        }
        // Late values more often, so that computations become deep.
        let n = self.integers.len();
        let back = self.choices.below(n.min(6));
        if self.choices.below(3) == 0 {
            self.integers[self.choices.below(n)]
        } else {
            self.integers[n - 1 - back]
        }
    }

    fn pointer(&mut self) -> Value {
        let n = self.pointers.len();
        self.pointers[self.choices.below(n)]
    }

    pub fn slot(&mut self) -> Value {
        let slot = Slot::from_idx(self.choices.below(N_SLOTS));
        self.b.slot_address(slot)
    }

    pub fn statements(&mut self, depth: usize) {
        if depth == 0 {
            while self.choices.0.len() > 0 {
                self.statement(depth);
            }
        }
        for _ in 0..1 + self.choices.below(12 >> depth.min(2)) {
            self.statement(depth);
        }
    }

    fn statement(&mut self, depth: usize) {
        match self.choices.below(if depth < 4 { 40 } else { 34 }) {
            0..=9 => {
                let value = self.arithmetic();
                self.integers.push(value);
            }
            10..=14 => {
                let value = self.comparison();
                self.integers.push(value);
            }
            15..=18 => {
                let value = self.conversion();
                self.integers.push(value);
            }
            19..=21 => self.kernel_load(),
            22 | 23 => self.slot_access(),
            24 => self.slot_bulk(),
            25 => self.data_access(),
            26 => self.helper(),
            27 => self.emit(),
            28 => self.map_change(),
            29 => self.call(),
            30..=33 => self.repeat(),
            34 | 35 => self.branch(depth),
            36 => self.short_circuit(depth),
            37 => self.counted_loop(depth),
            _ => self.lookup(depth),
        }
    }

    fn arithmetic(&mut self) -> Value {
        use BinaryOp as B;
        let ops = [
            B::Add,
            B::Sub,
            B::Mul,
            B::UDiv,
            B::SDiv,
            B::UMod,
            B::SMod,
            B::And,
            B::Or,
            B::Xor,
            B::Shl,
            B::LShr,
            B::AShr,
            B::Add,
            B::And,
        ];
        let (op, left) = (self.choices.pick(&ops), self.integer());
        let right = if self.choices.below(2) == 0 {
            let number = self.choices.pick(NUMBERS);
            self.b.iconst(number)
        } else {
            self.integer()
        };
        self.b.binary(op, left, right)
    }

    pub fn comparison(&mut self) -> Value {
        use CompareOp as C;
        let ops =
            [C::Eq, C::Ne, C::Ult, C::Ule, C::Ugt, C::Uge, C::Slt, C::Sle, C::Sgt, C::Sge, C::Eq, C::Ne];
        let (op, left) = (self.choices.pick(&ops), self.integer());
        let right = if self.choices.below(2) == 0 {
            let number = self.choices.pick(NUMBERS);
            self.b.iconst(number)
        } else {
            self.integer()
        };
        self.b.compare(op, left, right)
    }

    fn conversion(&mut self) -> Value {
        let (value, signed) = (self.integer(), self.choices.below(2) == 0);
        match self.choices.below(4) {
            0 | 1 => {
                let bits = self.choices.pick(&[8, 16, 32]);
                self.b.extend(value, bits, signed)
            }
            2 => {
                let bits = self.choices.pick(&[16, 32, 64]);
                self.b.inst(Inst::SwapBytes { value, bits }, Type::Int)
            }
            _ => {
                let pointer = self.b.cast(value, Type::KERNEL);
                self.pointers.push(pointer);
                self.b.cast(pointer, Type::Int)
            }
        }
    }

    fn kernel_load(&mut self) {
        let pointer = self.pointer();
        let pointer = if self.choices.below(3) == 0 {
            let by = self.choices.pick(&[0, 8, 16, -8]);
            let by = self.b.iconst(by);
            let op = self.choices.pick(&[BinaryOp::Add, BinaryOp::Sub]);
            self.b.binary(op, pointer, by)
        } else {
            pointer
        };
        let (size, signed) = (self.choices.pick(SIZES), self.choices.below(2) == 0);
        let bits = (self.choices.below(4) == 0).then_some(Bits { shift: 2, width: 5 });
        let offset = self.choices.pick(&[0, 4, 8]);
        let field = KernelField { container: None, offset, size, signed, bits };
        if size == MemSize::DW && bits.is_none() && self.choices.below(2) == 0 {
            let loaded = self.b.load_kernel(pointer, field, Type::KERNEL);
            self.pointers.push(loaded);
        } else {
            let loaded = self.b.load_kernel(pointer, field, Type::Int);
            self.integers.push(loaded);
        }
    }

    fn slot_access(&mut self) {
        let (slot, size) = (self.slot(), self.choices.pick(SIZES));
        let offset = self.choices.below(2) as i32 * 8;
        let pointer = if self.choices.below(2) == 0 {
            let four = self.b.iconst(4);
            self.b.binary(BinaryOp::Add, slot, four)
        } else {
            slot
        };
        let offset = offset.min(if size == MemSize::DW { 4 } else { 8 });
        if self.choices.below(2) == 0 {
            let value = self.integer();
            self.b.store(pointer, offset, size, value);
        } else {
            let signed = self.choices.below(2) == 0;
            let value = self.b.load(pointer, offset, size, signed);
            self.integers.push(value);
        }
    }

    fn slot_bulk(&mut self) {
        let (to, from) = (self.slot(), self.slot());
        match self.choices.below(4) {
            0 => self.b.effect(Inst::Copy { to, to_offset: 0, from, from_offset: 8, bytes: 8 }),
            1 => self.b.zero(to, 4, 8),
            2 => {
                let equal = Inst::EqualBytes { left: to, right: from, bytes: 12 };
                let equal = self.b.inst(equal, Type::Int);
                self.integers.push(equal);
            }
            _ => {
                let pointer = self.pointer();
                let length = self.b.read_text(Space::Kernel, pointer, to, 16);
                self.integers.push(length);
            }
        }
    }

    fn data_access(&mut self) {
        let data = self.b.data_address(DataId::from_idx(0));
        let size = self.choices.pick(SIZES);
        match self.choices.below(4) {
            0 => {
                let value = self.integer();
                self.b.store(data, 8, size, value);
            }
            1 => {
                let table = self.b.data_address(DataId::from_idx(1));
                let (at, signed) = (self.choices.below(8) as i64, self.choices.below(2) == 0);
                let at = self.b.iconst(at);
                let place = self.b.binary(BinaryOp::Add, table, at);
                let value = self.b.load(place, 1, size, signed);
                self.integers.push(value);
            }
            2 => {
                let value = self.b.load(data, 4, size, true);
                self.integers.push(value);
            }
            _ => {
                let (value, op) = (self.integer(), nonna_bpf::AtomicOp::Add { fetch: true });
                let pointer = if self.choices.below(2) == 0 { data } else { self.slot() };
                let atomic =
                    Inst::Atomic { op, pointer, offset: 0, size: MemSize::DW, value, expected: None };
                let old = self.b.inst(atomic, Type::Int);
                self.integers.push(old);
            }
        }
    }

    /// Sends values that are known here, so that nothing about them may be wrong.
    pub fn show_all(&mut self) {
        if self.choices.below(4) < 3 {
            let shown = self.integers.clone();
            for pair in shown.rchunks(2).take(12) {
                let fields = vec![FieldSource::Scalar(pair[0]), FieldSource::Scalar(pair[pair.len() - 1])];
                self.b.effect(Inst::Emit { event: EventId::from_idx(0), fields, filter: None });
            }
        }
    }

    fn helper(&mut self) {
        let helper = self.choices.pick(&[
            Helper::GET_CURRENT_PID_TGID,
            Helper::KTIME_GET_NS,
            Helper::SEND_SIGNAL,
            Helper::SEND_SIGNAL,
        ]);
        let args = if helper == Helper::SEND_SIGNAL { vec![self.integer()] } else { Vec::new() };
        let answer = self.b.call_helper(helper, &args);
        self.integers.push(answer);
    }

    fn emit(&mut self) {
        let fields = vec![FieldSource::Scalar(self.integer()), FieldSource::Scalar(self.integer())];
        let (relation, field) = (self.choices.pick(&[Relation::Eq, Relation::Lt]), self.choices.below(2));
        let test = Predicate::Integer { field, relation, value: self.choices.pick(NUMBERS) };
        let filter = match self.choices.below(5) {
            0 => Some(Predicate::Any(vec![Predicate::Not(Box::new(test.clone())), test])),
            1 => Some(Predicate::All(vec![Predicate::False, test])),
            2 => Some(Predicate::Not(Box::new(test))),
            _ => None,
        };
        self.b.effect(Inst::Emit { event: EventId::from_idx(0), fields, filter });
    }

    fn map_change(&mut self) {
        let (map, key, value) = (MapId::from_idx(self.choices.below(2)), self.slot(), self.slot());
        let code = if self.choices.below(3) == 0 {
            self.b.map_delete(map, key)
        } else {
            self.b.map_update(map, key, value, 0)
        };
        self.integers.push(code);
    }

    /// A call of the other function; only the program calls.
    fn call(&mut self) {
        let args = [self.integer(), self.integer()];
        if self.in_program {
            let answer = self.b.call(FuncId::from_idx(1), &args, Type::Int);
            self.integers.push(answer);
        }
    }

    /// The same computation once more.
    fn repeat(&mut self) {
        let n = self.integers.len();
        let value = self.integers[self.choices.below(n)];
        let Some(inst) = self.b.function().definition(value).cloned() else { return };
        let is_plain = matches!(
            inst,
            Inst::Binary { .. }
                | Inst::Compare { .. }
                | Inst::Extend { .. }
                | Inst::LoadKernel { .. }
                | Inst::Load { .. }
        );
        if is_plain {
            let again = self.b.inst(inst, Type::Int);
            self.integers.push(again);
        }
    }
}
