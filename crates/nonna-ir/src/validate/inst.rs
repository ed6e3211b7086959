//! Checks operands and results of instructions. The function's structure is sound when this runs.

use nonna_bpf::{Argument, AtomicOp, Helper, Hook, MemSize, ProbePoint, SyscallPhase};
use nonna_diag::Span;

use super::finding::{Expected, Location, ValidateError, Violation};
use super::function::fits;
use super::memory::Use;
use super::null::NonNull;
use crate::entity::{Block, FuncId, MapId, Value};
use crate::inst::{BinaryOp, Inst, KernelField, Space};
use crate::module::{Function, FunctionKind, InstData, Module};
use crate::place::Places;
use crate::types::{Region, Type};

/// What the check of one instruction or terminator needs.
pub(super) struct InstCheck<'a> {
    pub module: &'a Module,
    pub function: &'a Function,
    pub places: &'a Places,
    pub non_null: &'a NonNull,
    pub block: Block,
    pub location: Location,
    pub span: Option<Span>,
    pub findings: &'a mut Vec<ValidateError>,
}

const fn is_kernel(value_type: Type) -> bool {
    matches!(value_type, Type::Pointer(Region::Kernel(_)))
}

/// Types that lead out of owned memory: integers and pointers that are read by checked copies.
const fn is_foreign(value_type: Type) -> bool {
    matches!(value_type, Type::Int | Type::Pointer(Region::Kernel(_) | Region::User))
}

impl InstCheck<'_> {
    pub(super) fn report(&mut self, violation: Violation) {
        self.findings.push(ValidateError { location: self.location, span: self.span, violation });
    }

    fn expect(&mut self, value: Value, expected: &'static str, holds: impl Fn(Type) -> bool) {
        let found = self.function.type_of(value);
        if !holds(found) {
            self.report(Violation::Type { value, expected: Expected::OneOf(expected), found });
        }
    }

    /// A value that fits a place of this type.
    pub(super) fn fits(&mut self, value: Value, place: Type) {
        let found = self.function.type_of(value);
        if !fits(found, place) {
            self.report(Violation::Type { value, expected: Expected::Type(place), found });
        }
    }

    pub(super) fn integer(&mut self, value: Value) {
        self.fits(value, Type::Int);
    }

    pub(super) fn kernel(&mut self, value: Value) {
        self.expect(value, "a kernel pointer", is_kernel);
    }

    pub(super) fn in_space(&mut self, space: Space, pointer: Value) {
        match space {
            Space::Kernel | Space::Any => self.kernel(pointer),
            Space::User => self.fits(pointer, Type::USER),
        }
    }

    fn allowed(&mut self, what: &'static str, found: impl Into<i64>, allowed: bool) {
        if !allowed {
            self.report(Violation::Operand { what, found: found.into() });
        }
    }

    /// Checks an instruction with its result.
    pub(super) fn check(&mut self, data: &InstData) {
        self.check_operands(&data.inst);
        if let Some(result) = data.result {
            self.check_result(&data.inst, result);
        }
    }

    fn check_operands(&mut self, inst: &Inst) {
        match inst {
            Inst::Const(_)
            | Inst::CurrentTask
            | Inst::SlotAddress(_)
            | Inst::DataAddress(_)
            | Inst::MapHandle(_)
            | Inst::Compare { .. } => {}
            Inst::Binary { op, left, right } => self.binary(*op, *left, *right),
            Inst::Extend { value, bits, .. } => {
                self.integer(*value);
                self.allowed("the number of bits", *bits, matches!(bits, 8 | 16 | 32));
            }
            Inst::SwapBytes { value, bits } => {
                self.integer(*value);
                self.allowed("the number of bits", *bits, matches!(bits, 16 | 32 | 64));
            }
            Inst::Cast(_) => {}
            Inst::Distrust(pointer) => self.kernel(*pointer),
            Inst::Context | Inst::Arg { .. } | Inst::ReturnValue => self.hook_value(inst),
            Inst::FunctionAddress(function) => self.callable(*function),
            Inst::Call { function, args } => self.call(*function, args),
            Inst::CallHelper { helper, args } => self.call_helper(*helper, args),
            Inst::MapLookup { map, key } | Inst::MapDelete { map, key } => self.key(*map, *key),
            Inst::MapUpdate { map, key, value, flags } => {
                self.key(*map, *key);
                let bytes = u64::from(self.module.maps[*map].value_bytes);
                self.owned(*value, 0, bytes, Use::Read);
                self.allowed("the flags of the update", i64::from_ne_bytes(flags.to_ne_bytes()), *flags <= 2);
            }
            Inst::Emit { event, fields, filter } => self.emit(*event, fields, filter.as_ref()),
            _ => self.memory_operands(inst),
        }
    }

    fn memory_operands(&mut self, inst: &Inst) {
        match *inst {
            Inst::Load { pointer, offset, size, .. }
                if self.function.type_of(pointer) != Type::Pointer(Region::Context) =>
            {
                self.owned(pointer, offset, size.bytes().into(), Use::Read);
            }
            Inst::Store { pointer, offset, size, value } => {
                self.owned(pointer, offset, size.bytes().into(), Use::Write);
                let pointer_fits = size == MemSize::DW;
                self.expect(value, "an integer, or a pointer stored whole", |found| {
                    found == Type::Int || pointer_fits
                });
            }
            Inst::Atomic { op, pointer, offset, size, value, expected } => {
                self.owned(pointer, offset, size.bytes().into(), Use::Write);
                self.integer(value);
                self.allowed("the size", size.bytes(), matches!(size, MemSize::W | MemSize::DW));
                if let Some(expected) = expected {
                    self.integer(expected);
                }
                let wanted = usize::from(op == AtomicOp::CompareExchange);
                let found = usize::from(expected.is_some());
                if wanted != found {
                    self.report(Violation::Count { what: "values to compare with", expected: wanted, found });
                }
            }
            Inst::Zero { pointer, offset, bytes } => self.owned(pointer, offset, bytes.into(), Use::Write),
            Inst::Copy { to, to_offset, from, from_offset, bytes } => {
                self.owned(to, to_offset, bytes.into(), Use::Write);
                self.owned(from, from_offset, bytes.into(), Use::Read);
                self.disjoint((to, to_offset), (from, from_offset), bytes);
            }
            Inst::EqualBytes { left, right, bytes } => {
                self.owned(left, 0, bytes.into(), Use::Read);
                self.owned(right, 0, bytes.into(), Use::Read);
            }
            // A string may end before `max_bytes`, so that shorter memory is enough for it.
            Inst::EqualText { left, right, .. } => {
                self.owned(left, 0, 1, Use::Read);
                self.owned(right, 0, 1, Use::Read);
            }
            Inst::LoadKernel { pointer, field } => {
                self.kernel(pointer);
                self.bits(&field);
            }
            Inst::LoadUser { pointer, .. } => self.fits(pointer, Type::USER),
            Inst::ReadText { space, pointer, to, to_offset, max_bytes } => {
                self.in_space(space, pointer);
                self.owned(to, to_offset, max_bytes.into(), Use::Write);
                self.allowed("the capacity", max_bytes, max_bytes > 0);
            }
            Inst::ReadBytes { space, pointer, to, to_offset, length, max_bytes } => {
                self.in_space(space, pointer);
                self.owned(to, to_offset, max_bytes.into(), Use::Write);
                self.integer(length);
                self.allowed("the capacity", max_bytes, max_bytes > 0);
            }
            Inst::ReadPath { pointer, to, to_offset, max_bytes, .. } => {
                self.kernel(pointer);
                self.owned(to, to_offset, max_bytes.into(), Use::Write);
                self.allowed("the capacity", max_bytes, max_bytes > 0);
            }
            _ => {}
        }
    }

    fn binary(&mut self, op: BinaryOp, left: Value, right: Value) {
        self.integer(right);
        let advances = matches!(op, BinaryOp::Add | BinaryOp::Sub);
        self.expect(left, "an integer, or a pointer that can be advanced", |found| match found {
            Type::Int => true,
            Type::Pointer(Region::Context | Region::Map | Region::Function) => false,
            Type::Pointer(_) => advances,
        });
        if self.function.type_of(left).is_pointer() {
            self.tested(left);
        }
    }

    fn bits(&mut self, field: &KernelField) {
        if let Some(bits) = field.bits {
            let inside = u32::from(bits.shift) + u32::from(bits.width) <= field.size.bytes() * 8;
            self.allowed("the width of the bit field", bits.width, bits.width > 0 && inside);
        }
    }

    fn key(&mut self, map: MapId, key: Value) {
        let bytes = self.module.maps[map].key_bytes;
        self.owned(key, 0, bytes.into(), Use::Read);
        self.allowed("the key size of the map", bytes, bytes > 0);
    }

    /// Context, arguments and return value, which only programs have.
    fn hook_value(&mut self, inst: &Inst) {
        let FunctionKind::Program { hook } = &self.function.kind else {
            self.report(Violation::Hook("only programs have a context, arguments and a return value"));
            return;
        };
        match inst {
            Inst::Arg { index } => {
                let most = match hook {
                    // The last is the call's number.
                    Hook::Syscall { .. } => 7,
                    _ => 12,
                };
                self.allowed("the index of the argument", *index, *index < most);
                if !has_arguments(hook) {
                    self.report(Violation::Hook("this hook has no arguments"));
                }
            }
            Inst::ReturnValue if !has_return_value(hook) => {
                self.report(Violation::Hook("this hook has no return value"));
            }
            _ => {}
        }
    }

    fn callable(&mut self, callee: FuncId) {
        if self.module.functions[callee].kind != FunctionKind::Subprogram {
            self.report(Violation::Signature("only subprograms can be called"));
        }
    }

    fn call(&mut self, callee: FuncId, args: &[Value]) {
        self.callable(callee);
        let callee = &self.module.functions[callee];
        let Some(entry) = callee.blocks.values().next() else { return };
        let params = entry.params.iter().filter_map(|param| callee.values.get(*param));
        let params: Vec<Type> = params.map(|data| data.value_type).collect();
        if params.len() != args.len() {
            let (expected, found) = (params.len(), args.len());
            self.report(Violation::Count { what: "arguments", expected, found });
        }
        for (&arg, &param) in args.iter().zip(&params) {
            self.fits(arg, param);
        }
    }

    fn call_helper(&mut self, helper: Helper, args: &[Value]) {
        let arguments = helper.info().signature.arguments;
        let enough = args.len() == arguments.len()
            || helper == Helper::TRACE_PRINTK && (arguments.len()..=5).contains(&args.len());
        // `bpf_trace_printk` takes values beyond those of its signature.
        if !enough {
            let (expected, found) = (arguments.len(), args.len());
            self.report(Violation::Count { what: "arguments", expected, found });
        }
        for (&arg, argument) in args.iter().zip(arguments) {
            self.helper_argument(arg, argument);
        }
        if helper == Helper::LOOP
            && let [_, callback, context, _] = args
        {
            self.loop_callback(*callback, *context);
        }
    }

    fn helper_argument(&mut self, value: Value, argument: &Argument) {
        let zero = self.function.constant(value) == Some(0);
        let is = |region| move |found| found == Type::Pointer(region);
        match argument {
            Argument::Map => self.expect(value, "a map", is(Region::Map)),
            Argument::Callback => self.expect(value, "a function", is(Region::Function)),
            Argument::Context { nullable } if !(*nullable && zero) => {
                self.expect(value, "the context", is(Region::Context));
            }
            Argument::Memory { nullable, .. } | Argument::MapValue { nullable, .. }
                if !(*nullable && zero) =>
            {
                self.helper_memory(value);
            }
            Argument::MapKey | Argument::FixedMemory { .. } => self.helper_memory(value),
            Argument::Number | Argument::MemorySize { .. } | Argument::AllocationSize => self.integer(value),
            _ => {}
        }
    }

    /// Memory for a helper. It may be other than owned (a packet), but not a number, map, function or context.
    fn helper_memory(&mut self, value: Value) {
        self.expect(value, "a pointer to memory", |found| {
            !matches!(found, Type::Int | Type::Pointer(Region::Map | Region::Function | Region::Context))
        });
        self.tested(value);
    }

    fn loop_callback(&mut self, callback: Value, context: Value) {
        let Some(Inst::FunctionAddress(callee)) = self.function.definition(callback) else { return };
        let callee = &self.module.functions[*callee];
        let Some(entry) = callee.blocks.values().next() else { return };
        let params = entry.params.iter().filter_map(|param| callee.values.get(*param));
        let params: Vec<Type> = params.map(|data| data.value_type).collect();
        match params[..] {
            [Type::Int, param] if callee.result == Type::Int => {
                if self.function.constant(context) != Some(0) {
                    self.fits(context, param);
                }
            }
            _ => self
                .report(Violation::Signature("a loop's callback takes an integer and its context pointer")),
        }
    }

    fn check_result(&mut self, inst: &Inst, result: Value) {
        let found = self.function.type_of(result);
        match inst {
            Inst::Binary { left, .. } => self.binary_result(self.function.type_of(*left), result),
            Inst::Cast(value) => self.cast(*value, result),
            Inst::Arg { .. } | Inst::ReturnValue => {
                self.expect(result, "an integer, kernel or user pointer", is_foreign);
            }
            Inst::CurrentTask => self.kernel(result),
            Inst::Distrust(_) => self.expect(result, "a pointer to a kernel structure", |found| {
                matches!(found, Type::Pointer(Region::Kernel(Some(_))))
            }),
            Inst::Load { pointer, size, .. } => {
                let spilled = self.function.type_of(*pointer) == Type::SLOT;
                let whole = *size == MemSize::DW;
                self.expect(result, "an integer, or a pointer that this memory can hold", |found| {
                    found == Type::Int || whole && (spilled || is_foreign(found))
                });
            }
            Inst::LoadKernel { field, .. } => {
                let whole = field.size == MemSize::DW && field.bits.is_none();
                self.expect(result, "an integer, or a kernel or user pointer read whole", |found| {
                    found == Type::Int || whole && is_foreign(found)
                });
            }
            Inst::LoadUser { size, .. } => {
                let whole = *size == MemSize::DW;
                self.expect(result, "an integer, or a user pointer read whole", |found| {
                    found == Type::Int || whole && found == Type::USER
                });
            }
            Inst::CallHelper { .. } => self.expect(result, "something that a helper returns", |found| {
                is_foreign(found) || matches!(found, Type::Pointer(Region::MapValue { .. }))
            }),
            Inst::Call { function, .. } => {
                let returned = self.module.functions[*function].result;
                if !fits(returned, found) {
                    let expected = Expected::Type(returned);
                    self.report(Violation::Type { value: result, expected, found });
                }
            }
            // The default is the only type that is left.
            _ => self.fits(result, inst.default_result_type().unwrap_or(Type::Int)),
        }
    }

    fn binary_result(&mut self, left: Type, result: Value) {
        match left {
            Type::Pointer(Region::Kernel(_)) => self.kernel(result),
            Type::Pointer(Region::MapValue { .. }) => {
                self.expect(result, "a map value", |found| {
                    matches!(found, Type::Pointer(Region::MapValue { .. }))
                });
            }
            left => self.fits(result, left),
        }
    }

    fn cast(&mut self, value: Value, result: Value) {
        let (from, to) = (self.function.type_of(value), self.function.type_of(result));
        let not_null = Type::Pointer(Region::MapValue { nullable: false });
        if to == not_null && matches!(from, Type::Pointer(Region::MapValue { .. })) {
            self.tested(value);
        } else if !is_foreign(to) && !fits(from, to) {
            let expected = Expected::OneOf("an integer, kernel or user pointer");
            self.report(Violation::Type { value: result, expected, found: to });
        }
    }
}

/// Hooks where [`Inst::Arg`] means something.
const fn has_arguments(hook: &Hook) -> bool {
    match hook {
        Hook::RawTracepoint { .. }
        | Hook::Fentry { .. }
        | Hook::ModifyReturn { .. }
        | Hook::Lsm { .. }
        | Hook::Syscall { .. }
        | Hook::Section(_) => true,
        Hook::Kprobe { point, .. } | Hook::Uprobe { point, .. } => matches!(point, ProbePoint::Entry),
        Hook::Begin
        | Hook::End
        | Hook::OnDemand(_)
        | Hook::Tracepoint { .. }
        | Hook::Iter { .. }
        | Hook::PerfEvent { .. } => false,
    }
}

/// Hooks where [`Inst::ReturnValue`] means something.
const fn has_return_value(hook: &Hook) -> bool {
    match hook {
        Hook::Syscall { phase, .. } => matches!(phase, SyscallPhase::Exit),
        Hook::Kprobe { point, .. } | Hook::Uprobe { point, .. } | Hook::Fentry { point, .. } => {
            matches!(point, ProbePoint::Return)
        }
        Hook::ModifyReturn { .. } | Hook::Lsm { .. } | Hook::Section(_) => true,
        _ => false,
    }
}
