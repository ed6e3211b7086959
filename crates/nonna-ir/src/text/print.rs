//! Prints modules and functions.
//!
//! The declarations are here, instructions in `print_inst`. Spans are left out: the text form has its own positions.

use std::fmt::{self, Display, Formatter};

use nonna_bpf::{Hook, PerfSource, Sampling};
use nonna_event::{EventSchema, FieldType};

use super::words::Word;
use crate::module::{DataDecl, Function, FunctionKind, MapDecl, Module};
use crate::types::{Region, Type};

/// Bytes in quotes: printable UTF-8 as it is, all else as `\xNN`.
pub(super) struct Quoted<'a>(pub &'a [u8]);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '"' | '\\' => write!(f, "\\{c}")?,
                    c if c.is_control() => {
                        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                            write!(f, "\\x{byte:02x}")?;
                        }
                    }
                    c => write!(f, "{c}")?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        f.write_str("\"")
    }
}

/// A `str` in quotes.
fn quoted(text: &str) -> Quoted<'_> {
    Quoted(text.as_bytes())
}

impl Display for Type {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Type::Int => f.write_str("int"),
            Type::Pointer(Region::Context) => f.write_str("context"),
            Type::Pointer(Region::Slot) => f.write_str("slot"),
            Type::Pointer(Region::Data) => f.write_str("data"),
            Type::Pointer(Region::MapValue { nullable: false }) => f.write_str("map_value"),
            Type::Pointer(Region::MapValue { nullable: true }) => f.write_str("map_value?"),
            Type::Pointer(Region::Kernel(None)) => f.write_str("kernel"),
            Type::Pointer(Region::Kernel(Some(id))) => write!(f, "kernel({})", id.0),
            Type::Pointer(Region::User) => f.write_str("user"),
            Type::Pointer(Region::Map) => f.write_str("map"),
            Type::Pointer(Region::Function) => f.write_str("function"),
        }
    }
}

impl Display for Module {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (id, map) in self.maps.iter() {
            write_map(f, map, id)?;
        }
        for (id, data) in self.data.iter() {
            write_data(f, data, id)?;
        }
        for (id, event) in self.events.iter() {
            write_event(f, event, id)?;
        }
        for (id, function) in self.functions.iter() {
            write!(f, "{id} {function}")?;
        }
        Ok(())
    }
}

fn write_map(f: &mut Formatter<'_>, map: &MapDecl, id: impl Display) -> fmt::Result {
    let MapDecl { name, map_type, key_bytes, value_bytes, max_entries, flags } = map;
    write!(f, "{id} {} {map_type} key {key_bytes} value {value_bytes} ", quoted(name))?;
    write!(f, "entries {max_entries}")?;
    if !flags.is_empty() {
        write!(f, " flags {:#x}", flags.bits())?;
    }
    writeln!(f)
}

fn write_data(f: &mut Formatter<'_>, data: &DataDecl, id: impl Display) -> fmt::Result {
    let mutability = if data.mutable { "mutable" } else { "const" };
    writeln!(f, "{id} {} {mutability} align {} {}", quoted(&data.name), data.align, Quoted(&data.bytes))
}

fn write_event(f: &mut Formatter<'_>, event: &EventSchema, id: impl Display) -> fmt::Result {
    writeln!(f, "{id} {} number {} {} {{", quoted(&event.name), event.id, event.ring.word())?;
    for field in &event.fields {
        write!(f, "  {} ", quoted(&field.name))?;
        write_field_type(f, &field.field_type)?;
        if !field.description.is_empty() {
            write!(f, ": {}", quoted(&field.description))?;
        }
        writeln!(f)?;
    }
    writeln!(f, "}}")
}

fn write_field_type(f: &mut Formatter<'_>, field_type: &FieldType) -> fmt::Result {
    match field_type {
        FieldType::Unsigned { bytes } => write!(f, "unsigned {bytes}"),
        FieldType::Signed { bytes } => write!(f, "signed {bytes}"),
        FieldType::Bool => f.write_str("bool"),
        FieldType::Named { set, bytes } => write!(f, "named {} {bytes}", set.function()),
        FieldType::Inet => f.write_str("inet"),
        FieldType::Blob { bytes } => write!(f, "blob {bytes}"),
        FieldType::Text { max_bytes } => write!(f, "text {max_bytes}"),
        FieldType::Path => f.write_str("path"),
        FieldType::TextList { max_bytes } => write!(f, "text_list {max_bytes}"),
        FieldType::Bytes { max_bytes } => write!(f, "bytes {max_bytes}"),
        FieldType::KernelStack { max_frames } => write!(f, "kernel_stack {max_frames}"),
        FieldType::UserStack { max_frames } => write!(f, "user_stack {max_frames}"),
    }
}

fn write_hook(f: &mut Formatter<'_>, hook: &Hook) -> fmt::Result {
    match hook {
        Hook::Begin => f.write_str("begin"),
        Hook::End => f.write_str("end"),
        Hook::OnDemand(name) => write!(f, "on_demand {}", quoted(name)),
        Hook::Tracepoint { category, event } => {
            write!(f, "tracepoint {} {}", quoted(category), quoted(event))
        }
        Hook::RawTracepoint { event } => write!(f, "rawtracepoint {}", quoted(event)),
        Hook::Syscall { phase, name } => write!(f, "syscall {} {}", phase.word(), quoted(name)),
        Hook::Kprobe { function, offset, point } => {
            write!(f, "kprobe {} {} offset {offset}", point.word(), quoted(function))
        }
        Hook::Fentry { function, point } => write!(f, "fentry {} {}", point.word(), quoted(function)),
        Hook::ModifyReturn { function } => write!(f, "fmod_ret {}", quoted(function)),
        Hook::Lsm { hook, sleepable } => {
            write!(f, "lsm {}{}", quoted(hook), if *sleepable { " sleepable" } else { "" })
        }
        Hook::Uprobe { location, point } => {
            let binary = Quoted(location.binary.as_os_str().as_encoded_bytes());
            write!(f, "uprobe {} {binary} offset {}", point.word(), location.file_offset)?;
            if let Some(symbol) = &location.symbol {
                write!(f, " symbol {}", quoted(symbol))?;
            }
            location.pid.map_or(Ok(()), |pid| write!(f, " pid {pid}"))
        }
        Hook::Iter { target } => write!(f, "iter {}", quoted(target)),
        Hook::PerfEvent { source, sampling, scope } => {
            let (source, config) = match source {
                PerfSource::Software(config) => ("software", config),
                PerfSource::Hardware(config) => ("hardware", config),
                PerfSource::HardwareCache(config) => ("hardware_cache", config),
            };
            let (sampling, count) = match sampling {
                Sampling::Period(count) => ("period", count),
                Sampling::FrequencyHz(count) => ("frequency_hz", count),
            };
            write!(f, "perf {source} {config} {sampling} {count} {}", scope.word())
        }
        Hook::Section(name) => write!(f, "section {}", quoted(name)),
    }
}

impl Display for Function {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            FunctionKind::Program { hook } => {
                write!(f, "program {} hook ", quoted(&self.name))?;
                write_hook(f, hook)?;
            }
            FunctionKind::Subprogram => write!(f, "subprogram {}", quoted(&self.name))?,
        }
        if self.result != Type::Int {
            write!(f, " -> {}", self.result)?;
        }
        writeln!(f, " {{")?;
        for (slot, data) in self.slots.iter() {
            writeln!(f, "  {slot}: {} align {}", data.bytes, data.align)?;
        }
        for block in self.blocks.keys() {
            self.write_block(f, block)?;
        }
        writeln!(f, "}}")
    }
}
