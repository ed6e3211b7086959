//! Records: the sources of their fields.

use nonna_event::{FieldType, PATH_MAX_BYTES};
use nonna_ir::{BinaryOp, CompareOp, FieldSource, Space as IrSpace, Type as IrType, Value};

use super::body::{Body, copy_space};
use crate::hir::{Builtin, Expr, ExprKind, FieldValue};
use crate::types::{Space, Type};

impl Body<'_, '_> {
    /// Sends a record of a schema.
    pub fn send(&mut self, schema: usize, fields: &[FieldValue]) {
        let event = self.l.events[schema];
        let types: Vec<FieldType> =
            self.l.module.events[event].fields.iter().map(|field| field.field_type.clone()).collect();
        let mut sources = Vec::with_capacity(types.len());
        for field in fields {
            let Some(field_type) = types.get(sources.len()).cloned() else { break };
            match field {
                FieldValue::Value(expr) => sources.push(self.source(expr, &field_type)),
                FieldValue::Pid => {
                    let pid = self.builtin(&Builtin::Pid, &Type::U32);
                    sources.push(FieldSource::Scalar(pid));
                }
                FieldValue::Arguments { argv, count } => {
                    self.arguments(argv, *count, &field_type, &mut sources);
                }
                FieldValue::Path { source, pointer } => {
                    let (pointer, _) = self.foreign_address(pointer);
                    sources.push(FieldSource::Path { source: *source, pointer });
                }
                FieldValue::TaskArgs { task, max_bytes } => {
                    let (task, _) = self.foreign_address(task);
                    sources.push(FieldSource::TaskArgs { task, max_bytes: *max_bytes });
                }
                FieldValue::TaskEnv { task, name, max_bytes } => {
                    let (task, _) = self.foreign_address(task);
                    let name = self.l.constant(name.as_bytes().to_vec());
                    sources.push(FieldSource::TaskEnv { task, name, max_bytes: *max_bytes });
                }
            }
        }
        self.b.emit(event, sources);
    }

    /// Sends the record of `exit`.
    pub fn send_code(&mut self, schema: usize, code: Value) {
        let event = self.l.events[schema];
        self.b.emit(event, vec![FieldSource::Scalar(code)]);
    }

    /// Where a field gets its bytes from.
    fn source(&mut self, expr: &Expr, field_type: &FieldType) -> FieldSource {
        match field_type {
            FieldType::Unsigned { .. }
            | FieldType::Signed { .. }
            | FieldType::Bool
            | FieldType::Named { .. } => FieldSource::Scalar(self.number(expr)),
            FieldType::Text { max_bytes } => self.text_source(expr, *max_bytes),
            FieldType::Path => self.text_source(expr, PATH_MAX_BYTES),
            FieldType::Bytes { max_bytes } => self.bytes_source(expr, *max_bytes),
            FieldType::KernelStack { max_frames } => {
                FieldSource::Stack { space: IrSpace::Kernel, max_frames: *max_frames }
            }
            FieldType::UserStack { max_frames } => {
                FieldSource::Stack { space: IrSpace::User, max_frames: *max_frames }
            }
            _ => {
                let bytes = field_type.fixed_bytes();
                let pointer = self.memory_of(expr);
                FieldSource::Memory { pointer, bytes }
            }
        }
    }

    fn text_source(&mut self, expr: &Expr, max_bytes: u32) -> FieldSource {
        if let ExprKind::ReadText { address, length: None, max_bytes: own } = &expr.kind
            && address.space() != Space::Owned
        {
            let (pointer, space) = self.foreign_address(address);
            return FieldSource::Text { space, pointer, max_bytes: (*own).min(max_bytes) };
        }
        let own = match &expr.ty {
            Type::Text { bytes } => *bytes,
            _ => max_bytes,
        };
        let memory = self.memory_of(expr);
        let pointer = self.as_type(memory, IrType::KERNEL);
        FieldSource::Text { space: IrSpace::Kernel, pointer, max_bytes: own.min(max_bytes) }
    }

    fn bytes_source(&mut self, expr: &Expr, max_bytes: u32) -> FieldSource {
        if let ExprKind::ReadBytes { address, length, max_bytes: own } = &expr.kind {
            let (pointer, _) = self.foreign_address(address);
            let space = copy_space(address.space());
            let length = self.number(length);
            return FieldSource::Bytes { space, pointer, length, max_bytes: (*own).min(max_bytes) };
        }
        let capacity = match &expr.ty {
            Type::Buffer { bytes } => (*bytes).min(max_bytes),
            _ => max_bytes,
        };
        let memory = self.memory_of(expr);
        let length = self.b.load(memory, 0, nonna_bpf::MemSize::DW, false);
        let pointer = self.add_const(memory, 8);
        FieldSource::Sized { pointer, length, capacity }
    }

    /// The strings of an array of pointers; behind the first null pointer lies something else, which is not read.
    fn arguments(&mut self, argv: &Expr, count: u32, field_type: &FieldType, sources: &mut Vec<FieldSource>) {
        let FieldType::Text { max_bytes } = field_type else { return };
        let (array, space) = self.foreign_address(argv);
        let mut is_on = self.b.iconst(1);
        for idx in 0..count {
            let offset = idx * 8;
            let pointer = self.load_pointer(array, space, offset);
            let pointer = self.b.binary(BinaryOp::Mul, pointer, is_on);
            let zero = self.b.iconst(0);
            is_on = self.b.compare(CompareOp::Ne, pointer, zero);
            let ty = if space == IrSpace::User { IrType::USER } else { IrType::KERNEL };
            let pointer = self.b.cast(pointer, ty);
            sources.push(FieldSource::Text { space, pointer, max_bytes: *max_bytes });
        }
    }

    /// An address in an array, as a number.
    fn load_pointer(&mut self, array: Value, space: IrSpace, offset: u32) -> Value {
        let size = nonna_bpf::MemSize::DW;
        match space {
            IrSpace::User => {
                let at = i32::try_from(offset).unwrap_or(i32::MAX);
                let inst = nonna_ir::Inst::LoadUser { pointer: array, offset: at, size, signed: false };
                self.b.inst(inst, IrType::Int)
            }
            IrSpace::Kernel | IrSpace::Any => {
                let field =
                    nonna_ir::KernelField { container: None, offset, size, signed: false, bits: None };
                self.b.load_kernel(array, field, IrType::Int)
            }
        }
    }
}
