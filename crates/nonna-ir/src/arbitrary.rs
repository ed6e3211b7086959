//! Modules of every construct, valid or not, made from a list of random numbers.

use nonna_bpf::{
    AtomicOp, CpuScope, Helper, Hook, MapFlags, MapType, MemSize, PerfSource, ProbePoint, Sampling,
    SyscallPhase, UserLocation,
};
use nonna_btf::TypeId;
use nonna_event::{EventSchema, Field, FieldType, NameSet, Ring};

use crate::*;

/// Decisions, taken from a list until it is used up and 0 from then on.
pub(crate) struct Choices {
    rest: std::vec::IntoIter<u64>,
}

impl Choices {
    pub(crate) fn new(choices: Vec<u64>) -> Self {
        Self { rest: choices.into_iter() }
    }

    fn raw(&mut self) -> u64 {
        self.rest.next().unwrap_or(0)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.raw() % n as u64) as usize
    }

    fn flag(&mut self) -> bool {
        self.below(2) == 1
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    fn small(&mut self) -> u32 {
        self.below(5000) as u32
    }

    fn byte(&mut self) -> u8 {
        self.raw() as u8
    }

    fn offset(&mut self) -> i32 {
        self.raw() as i32
    }

    fn id<E: Entity>(&mut self) -> E {
        E::from_idx(self.below(6))
    }

    fn bytes(&mut self) -> Vec<u8> {
        (0..self.below(6)).map(|_| self.byte()).collect()
    }

    fn text(&mut self) -> String {
        let chars = ['a', 'Z', '"', '\\', '\n', '\0', 'è', ' ', '\u{85}', ';'];
        (0..self.below(8)).map(|_| self.pick(&chars)).collect()
    }

    fn size(&mut self) -> MemSize {
        self.pick(&[MemSize::B, MemSize::H, MemSize::W, MemSize::DW])
    }

    fn space(&mut self) -> Space {
        self.pick(&[Space::Kernel, Space::User])
    }

    fn path_source(&mut self) -> PathSource {
        self.pick(&[PathSource::File, PathSource::Path, PathSource::Dentry])
    }

    fn type_id(&mut self) -> Option<TypeId> {
        self.flag().then(|| TypeId(self.small()))
    }

    fn value_type(&mut self) -> Type {
        let nullable = self.flag();
        let region = match self.below(9) {
            0 => return Type::Int,
            1 => Region::Context,
            2 => Region::Slot,
            3 => Region::Data,
            4 => Region::MapValue { nullable },
            5 => Region::Kernel(self.type_id()),
            6 => Region::User,
            7 => Region::Map,
            _ => Region::Function,
        };
        Type::Pointer(region)
    }

    pub(crate) fn module(&mut self) -> Module {
        let mut module = Module::default();
        for _ in 0..self.below(3) {
            module.maps.push(MapDecl {
                name: self.text(),
                map_type: self.pick(MapType::ALL),
                key_bytes: self.small(),
                value_bytes: self.small(),
                max_entries: self.small(),
                flags: MapFlags::from_bits_retain(self.raw() as u32),
            });
            let (name, bytes) = (self.text(), self.bytes());
            module.data.push(DataDecl { name, bytes, align: self.small(), mutable: self.flag() });
            let event = self.event();
            module.events.push(event);
        }
        for _ in 0..1 + self.below(2) {
            let function = self.function();
            module.functions.push(function);
        }
        module
    }

    fn event(&mut self) -> EventSchema {
        let mut field = || {
            let max_bytes = self.small();
            let field_type = match self.below(12) {
                0 => FieldType::Unsigned { bytes: self.byte() },
                1 => FieldType::Signed { bytes: self.byte() },
                2 => FieldType::Bool,
                3 => FieldType::Named { set: self.pick(NameSet::ALL), bytes: self.byte() },
                4 => FieldType::Inet,
                5 => FieldType::Blob { bytes: max_bytes },
                6 => FieldType::Text { max_bytes },
                7 => FieldType::Path,
                8 => FieldType::TextList { max_bytes },
                9 => FieldType::Bytes { max_bytes },
                10 => FieldType::KernelStack { max_frames: max_bytes },
                _ => FieldType::UserStack { max_frames: max_bytes },
            };
            Field { name: self.text(), field_type, description: self.text() }
        };
        let fields = vec![field(), field()];
        let ring = self.pick(&[Ring::Critical, Ring::Volume]);
        EventSchema { id: self.small(), name: self.text(), fields, ring }
    }

    fn hook(&mut self) -> Hook {
        let point = self.pick(&[ProbePoint::Entry, ProbePoint::Return]);
        match self.below(14) {
            0 => Hook::Begin,
            1 => Hook::End,
            2 => Hook::OnDemand(self.text()),
            3 => Hook::Tracepoint { category: self.text(), event: self.text() },
            4 => Hook::RawTracepoint { event: self.text() },
            5 => Hook::Syscall {
                phase: self.pick(&[SyscallPhase::Enter, SyscallPhase::Exit]),
                name: self.text(),
            },
            6 => Hook::Kprobe { function: self.text(), offset: self.raw(), point },
            7 => Hook::Fentry { function: self.text(), point },
            8 => Hook::ModifyReturn { function: self.text() },
            9 => Hook::Lsm { hook: self.text(), sleepable: self.flag() },
            10 => Hook::Uprobe {
                location: UserLocation {
                    binary: self.text().into(),
                    symbol: self.flag().then(|| self.text()),
                    file_offset: self.raw(),
                    pid: self.flag().then(|| self.small()),
                },
                point,
            },
            11 => Hook::Iter { target: self.text() },
            12 => Hook::PerfEvent {
                source: {
                    let make: fn(u64) -> PerfSource =
                        self.pick(&[PerfSource::Software, PerfSource::Hardware, PerfSource::HardwareCache]);
                    make(self.raw())
                },
                sampling: if self.flag() {
                    Sampling::Period(self.raw())
                } else {
                    Sampling::FrequencyHz(self.raw())
                },
                scope: self.pick(&[CpuScope::Every, CpuScope::One]),
            },
            _ => Hook::Section(self.text()),
        }
    }

    /// A function whose values are numbered in the order of its blocks, as after `compact`.
    fn function(&mut self) -> Function {
        let kind =
            if self.flag() { FunctionKind::Program { hook: self.hook() } } else { FunctionKind::Subprogram };
        let params: Vec<Type> = (0..self.below(3)).map(|_| self.value_type()).collect();
        let (name, result) = (self.text(), self.value_type());
        let mut builder = FunctionBuilder::new(name, kind, &params, result);
        for _ in 0..self.below(3) {
            let (bytes, align) = (self.small(), self.small());
            builder.slot(bytes, align);
        }
        let n_blocks = 1 + self.below(3);
        let mut blocks = vec![builder.current_block()];
        blocks.extend((1..n_blocks).map(|_| builder.new_block()));
        let first = builder.iconst(self.raw() as i64);
        let mut values = vec![first];
        for (idx, &block) in blocks.iter().enumerate() {
            builder.switch_to(block);
            if idx > 0 && self.flag() {
                let value_type = self.value_type();
                values.push(builder.block_param(block, value_type));
            }
            for _ in 0..self.below(12) {
                let inst = self.inst(&values);
                if inst.has_result() {
                    let result = match inst.default_result_type() {
                        Some(default) if self.flag() => default,
                        _ => self.value_type(),
                    };
                    values.push(builder.inst(inst, result));
                } else {
                    builder.effect(inst);
                }
            }
            let terminator = self.terminator(&values, n_blocks);
            let mut function = builder.finish();
            function.blocks[block].terminator = terminator;
            builder = FunctionBuilder::resume(function, block);
        }
        builder.finish()
    }

    fn terminator(&mut self, values: &[Value], n_blocks: usize) -> Option<Terminator> {
        let mut jump = || Jump {
            block: Block::from_idx(self.below(n_blocks)),
            args: (0..self.below(3)).map(|_| self.pick(values)).collect(),
        };
        let (then, otherwise) = (jump(), jump());
        match self.below(4) {
            0 => None,
            1 => Some(Terminator::Jump(then)),
            2 => Some(Terminator::Branch { condition: self.pick(values), then, otherwise }),
            _ => Some(Terminator::Return(self.pick(values))),
        }
    }

    fn inst(&mut self, values: &[Value]) -> Inst {
        if self.flag() { self.value_inst(values) } else { self.effect_inst(values) }
    }

    fn value_inst(&mut self, values: &[Value]) -> Inst {
        use {BinaryOp as B, CompareOp as C};
        let [left, right] = [self.pick(values), self.pick(values)];
        let (size, signed, offset) = (self.size(), self.flag(), self.offset());
        match self.below(18) {
            0 => Inst::Const(self.raw() as i64),
            1 => {
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
                ];
                Inst::Binary { op: self.pick(&ops), left, right }
            }
            2 => {
                let ops = [C::Eq, C::Ne, C::Ult, C::Ule, C::Ugt, C::Uge, C::Slt, C::Sle, C::Sgt, C::Sge];
                Inst::Compare { op: self.pick(&ops), left, right }
            }
            3 => Inst::Extend { value: left, bits: self.byte(), signed },
            4 => Inst::SwapBytes { value: left, bits: self.byte() },
            5 => Inst::Cast(left),
            6 => Inst::Context,
            7 => Inst::Arg { index: self.byte() },
            8 => Inst::ReturnValue,
            9 => Inst::CurrentTask,
            10 => Inst::SlotAddress(self.id()),
            11 => Inst::DataAddress(self.id()),
            12 => Inst::MapHandle(self.id()),
            13 => Inst::FunctionAddress(self.id()),
            14 => Inst::Load { pointer: left, offset, size, signed },
            15 => Inst::LoadUser { pointer: left, offset, size, signed },
            16 => Inst::EqualBytes { left, right, bytes: self.small() },
            _ => {
                let bits = self.flag().then(|| Bits { shift: self.byte(), width: self.byte() });
                let (container, offset) = (self.type_id(), self.raw() as u32);
                let field = KernelField { container, offset, size, signed, bits };
                Inst::LoadKernel { pointer: left, field }
            }
        }
    }

    fn effect_inst(&mut self, values: &[Value]) -> Inst {
        let [pointer, value, to] = [self.pick(values), self.pick(values), self.pick(values)];
        let (size, offset, max_bytes) = (self.size(), self.offset(), self.small());
        let args: Vec<Value> = (0..self.below(4)).map(|_| self.pick(values)).collect();
        match self.below(14) {
            0 => Inst::Store { pointer, offset, size, value },
            1 => {
                let fetch = self.flag();
                let op = match self.below(6) {
                    0 => AtomicOp::Add { fetch },
                    1 => AtomicOp::Or { fetch },
                    2 => AtomicOp::And { fetch },
                    3 => AtomicOp::Xor { fetch },
                    4 => AtomicOp::Exchange,
                    _ => AtomicOp::CompareExchange,
                };
                Inst::Atomic { op, pointer, offset, size, value, expected: self.flag().then_some(to) }
            }
            2 => Inst::Zero { pointer, offset, bytes: max_bytes },
            3 => {
                let from_offset = self.offset();
                Inst::Copy { to, to_offset: offset, from: value, from_offset, bytes: max_bytes }
            }
            4 => Inst::EqualText { left: pointer, right: to, max_bytes },
            5 => Inst::ReadText { space: self.space(), pointer, to, to_offset: offset, max_bytes },
            6 => {
                let space = self.space();
                Inst::ReadBytes { space, pointer, to, to_offset: offset, length: value, max_bytes }
            }
            7 => {
                let source = self.path_source();
                Inst::ReadPath { source, pointer, to, to_offset: offset, max_bytes }
            }
            8 => {
                let known: Vec<Helper> = Helper::all().map(|info| info.helper).collect();
                Inst::CallHelper { helper: known[self.below(known.len())], args }
            }
            9 => Inst::Call { function: self.id(), args },
            10 => Inst::MapLookup { map: self.id(), key: pointer },
            11 => Inst::MapUpdate { map: self.id(), key: pointer, value, flags: self.raw() },
            12 => Inst::MapDelete { map: self.id(), key: pointer },
            _ => {
                let fields = (0..self.below(5)).map(|_| self.source(values)).collect();
                Inst::Emit { event: self.id(), fields, filter: self.flag().then(|| self.predicate(0)) }
            }
        }
    }

    fn source(&mut self, values: &[Value]) -> FieldSource {
        let [pointer, length] = [self.pick(values), self.pick(values)];
        let (space, max_bytes) = (self.space(), self.small());
        match self.below(9) {
            0 => FieldSource::Scalar(pointer),
            1 => FieldSource::Memory { pointer, bytes: max_bytes },
            2 => FieldSource::Sized { pointer, length, capacity: max_bytes },
            3 => FieldSource::Text { space, pointer, max_bytes },
            4 => FieldSource::Bytes { space, pointer, length, max_bytes },
            5 => FieldSource::Path { source: self.path_source(), pointer },
            6 => FieldSource::TaskArgs { task: pointer, max_bytes },
            7 => FieldSource::TaskEnv { task: pointer, name: self.id(), max_bytes },
            _ => FieldSource::Stack { space, max_frames: max_bytes },
        }
    }

    fn predicate(&mut self, depth: usize) -> Predicate {
        use Relation as R;
        let field = self.below(9);
        let n_kinds = if depth < 3 { 8 } else { 5 };
        match self.below(n_kinds) {
            0 => Predicate::True,
            1 => Predicate::False,
            2 => {
                let relation = self.pick(&[R::Eq, R::Ne, R::Lt, R::Le, R::Gt, R::Ge, R::AnyBit]);
                Predicate::Integer { field, relation, value: self.raw() as i64 }
            }
            3 => Predicate::OneOf { field, values: (0..self.below(4)).map(|_| self.raw() as i64).collect() },
            4 => {
                let makes: [fn(Vec<u8>) -> TextTest; 4] =
                    [TextTest::Equals, TextTest::StartsWith, TextTest::EndsWith, TextTest::Contains];
                let any = (0..self.below(3)).map(|_| self.pick(&makes)(self.bytes())).collect();
                Predicate::Text { field, any }
            }
            5 => Predicate::Not(Box::new(self.predicate(depth + 1))),
            kind => {
                let parts = (0..self.below(3)).map(|_| self.predicate(depth + 1)).collect();
                if kind == 6 { Predicate::All(parts) } else { Predicate::Any(parts) }
            }
        }
    }
}
