//! Prints blocks, instructions, terminators and predicates.

use std::fmt::{self, Display, Formatter};

use super::print::Quoted;
use super::words::{Scalar, Word};
use crate::entity::{Block, Value};
use crate::inst::{FieldSource, Inst, Jump, KernelField, Terminator};
use crate::module::Function;
use crate::predicate::{Predicate, TextTest};

/// Items with commas between.
pub(super) struct List<'a, T>(pub &'a [T]);

impl<T: Display> Display for List<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (idx, item) in self.0.iter().enumerate() {
            if idx > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{item}")?;
        }
        Ok(())
    }
}

/// A pointer with a displacement, which is left out where it is 0.
struct At(Value, i64);

impl Display for At {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let At(pointer, offset) = self;
        if *offset == 0 { write!(f, "{pointer}") } else { write!(f, "{pointer}{offset:+}") }
    }
}

fn at(pointer: Value, offset: impl Into<i64>) -> At {
    At(pointer, offset.into())
}

impl Function {
    pub(super) fn write_block(&self, f: &mut Formatter<'_>, block: Block) -> fmt::Result {
        let data = &self.blocks[block];
        write!(f, "{block}")?;
        for (idx, &param) in data.params.iter().enumerate() {
            write!(f, "{}{param}: {}", if idx == 0 { "(" } else { ", " }, self.type_of(param))?;
        }
        writeln!(f, "{}:", if data.params.is_empty() { "" } else { ")" })?;
        for &id in &data.insts {
            let inst = &self.insts[id];
            f.write_str("  ")?;
            if let Some(result) = inst.result {
                write!(f, "{result} = ")?;
            }
            write!(f, "{}", inst.inst)?;
            if let Some(result) = inst.result
                && inst.inst.default_result_type() != Some(self.type_of(result))
            {
                write!(f, " : {}", self.type_of(result))?;
            }
            writeln!(f)?;
        }
        data.terminator.as_ref().map_or(Ok(()), |terminator| writeln!(f, "  {terminator}"))
    }
}

impl Display for Jump {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.block)?;
        if self.args.is_empty() { Ok(()) } else { write!(f, "({})", List(&self.args)) }
    }
}

impl Display for Terminator {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Terminator::Jump(jump) => write!(f, "jump {jump}"),
            Terminator::Branch { condition, then, otherwise } => {
                write!(f, "branch {condition}, {then}, {otherwise}")
            }
            Terminator::Return(value) => write!(f, "return {value}"),
        }
    }
}

impl Display for Inst {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let word = |size, signed| Scalar { size, signed }.word();
        match self {
            Inst::Const(value) => write!(f, "const {value}"),
            Inst::Binary { op, left, right } => write!(f, "{} {left}, {right}", op.word()),
            Inst::Compare { op, left, right } => write!(f, "{} {left}, {right}", op.word()),
            Inst::Extend { value, bits, signed } => {
                write!(f, "extend {} {bits} {value}", if *signed { "signed" } else { "unsigned" })
            }
            Inst::SwapBytes { value, bits } => write!(f, "swap_bytes {bits} {value}"),
            Inst::Cast(value) => write!(f, "cast {value}"),
            Inst::Distrust(value) => write!(f, "distrust {value}"),
            Inst::Context => f.write_str("context"),
            Inst::Arg { index } => write!(f, "arg {index}"),
            Inst::ReturnValue => f.write_str("return_value"),
            Inst::CurrentTask => f.write_str("current_task"),
            Inst::SlotAddress(slot) => write!(f, "slot_address {slot}"),
            Inst::DataAddress(data) => write!(f, "data_address {data}"),
            Inst::MapHandle(map) => write!(f, "map_handle {map}"),
            Inst::FunctionAddress(function) => write!(f, "function_address {function}"),
            Inst::Load { pointer, offset, size, signed } => {
                write!(f, "load {} {}", word(*size, *signed), at(*pointer, *offset))
            }
            Inst::Store { pointer, offset, size, value } => {
                write!(f, "store {} {}, {value}", word(*size, false), at(*pointer, *offset))
            }
            Inst::Atomic { op, pointer, offset, size, value, expected } => {
                write!(f, "atomic {} {} ", op.word(), word(*size, false))?;
                write!(f, "{}, {value}", at(*pointer, *offset))?;
                expected.map_or(Ok(()), |expected| write!(f, " expected {expected}"))
            }
            Inst::Zero { pointer, offset, bytes } => write!(f, "zero {}, {bytes}", at(*pointer, *offset)),
            Inst::Copy { to, to_offset, from, from_offset, bytes } => {
                write!(f, "copy {}, {}, {bytes}", at(*to, *to_offset), at(*from, *from_offset))
            }
            Inst::EqualBytes { left, right, bytes } => write!(f, "equal_bytes {left}, {right}, {bytes}"),
            Inst::EqualText { left, right, max_bytes } => {
                write!(f, "equal_text {left}, {right}, {max_bytes}")
            }
            Inst::LoadKernel { pointer, field } => write_load_kernel(f, *pointer, field),
            Inst::LoadUser { pointer, offset, size, signed } => {
                write!(f, "load_user {} {}", word(*size, *signed), at(*pointer, *offset))
            }
            Inst::ReadText { space, pointer, to, to_offset, max_bytes } => {
                let space = space.word();
                write!(f, "read_text {space} {pointer} to {} max {max_bytes}", at(*to, *to_offset))
            }
            Inst::ReadBytes { space, pointer, to, to_offset, length, max_bytes } => {
                write!(f, "read_bytes {} {pointer} length {length} ", space.word())?;
                write!(f, "to {} max {max_bytes}", at(*to, *to_offset))
            }
            Inst::ReadPath { source, pointer, to, to_offset, max_bytes } => {
                let source = source.word();
                write!(f, "read_path {source} {pointer} to {} max {max_bytes}", at(*to, *to_offset))
            }
            Inst::CallHelper { helper, args } => write!(f, "call_helper {}({})", helper.name(), List(args)),
            Inst::Call { function, args } => write!(f, "call {function}({})", List(args)),
            Inst::MapLookup { map, key } => write!(f, "map_lookup {map}, {key}"),
            Inst::MapUpdate { map, key, value, flags } => {
                write!(f, "map_update {map}, {key}, {value}, {flags}")
            }
            Inst::MapDelete { map, key } => write!(f, "map_delete {map}, {key}"),
            Inst::Emit { event, fields, filter } => {
                writeln!(f, "emit {event} {{")?;
                for source in fields {
                    writeln!(f, "    {source}")?;
                }
                f.write_str("  }")?;
                filter.as_ref().map_or(Ok(()), |filter| write!(f, " when {filter}"))
            }
        }
    }
}

fn write_load_kernel(f: &mut Formatter<'_>, pointer: Value, field: &KernelField) -> fmt::Result {
    let KernelField { container, offset, size, signed, bits } = *field;
    write!(f, "load_kernel {} {}", Scalar { size, signed }.word(), at(pointer, offset))?;
    if let Some(container) = container {
        write!(f, " in {}", container.0)?;
    }
    bits.map_or(Ok(()), |bits| write!(f, " bits {} shift {}", bits.width, bits.shift))
}

impl Display for FieldSource {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            FieldSource::Scalar(value) => write!(f, "scalar {value}"),
            FieldSource::Memory { pointer, bytes } => write!(f, "memory {pointer} bytes {bytes}"),
            FieldSource::Sized { pointer, length, capacity } => {
                write!(f, "sized {pointer} length {length} capacity {capacity}")
            }
            FieldSource::Text { space, pointer, max_bytes } => {
                write!(f, "text {} {pointer} max {max_bytes}", space.word())
            }
            FieldSource::Bytes { space, pointer, length, max_bytes } => {
                write!(f, "bytes {} {pointer} length {length} max {max_bytes}", space.word())
            }
            FieldSource::Path { source, pointer } => write!(f, "path {} {pointer}", source.word()),
            FieldSource::TaskArgs { task, max_bytes } => write!(f, "task_args {task} max {max_bytes}"),
            FieldSource::TaskEnv { task, name, max_bytes } => {
                write!(f, "task_env {task} name {name} max {max_bytes}")
            }
            FieldSource::Stack { space, max_frames } => {
                write!(f, "stack {} frames {max_frames}", space.word())
            }
        }
    }
}

impl Display for TextTest {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            TextTest::Equals(bytes) => write!(f, "equals {}", Quoted(bytes)),
            TextTest::StartsWith(bytes) => write!(f, "starts_with {}", Quoted(bytes)),
            TextTest::EndsWith(bytes) => write!(f, "ends_with {}", Quoted(bytes)),
            TextTest::Contains(bytes) => write!(f, "contains {}", Quoted(bytes)),
        }
    }
}

impl Display for Predicate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Predicate::True => f.write_str("true"),
            Predicate::False => f.write_str("false"),
            Predicate::Integer { field, relation, value } => {
                write!(f, "field{field} {} {value}", relation.word())
            }
            Predicate::OneOf { field, values } => write!(f, "field{field} in [{}]", List(values)),
            Predicate::Text { field, any } => write!(f, "field{field} text [{}]", List(any)),
            Predicate::All(parts) => write!(f, "all({})", List(parts)),
            Predicate::Any(parts) => write!(f, "any({})", List(parts)),
            Predicate::Not(part) => write!(f, "not({part})"),
        }
    }
}
