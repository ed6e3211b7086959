//! Where kernel pointers come from, as the kernel's verifier will see it.
//!
//! Types in the IR say what a front end believes; the verifier believes only what it derives itself: arguments of typed
//! hooks, the current task, and what is loaded through these. A value's origin is that derivation, found by the usual
//! iteration over blocks.

use nonna_btf::{Btf, TypeId};
use nonna_ir::{
    BinaryOp, ControlFlow, Entity, Function, Inst, InstId, KernelField, Region, Terminator, Type, Value,
    ValueDef,
};
use rustc_hash::FxHashMap;

use super::distrust::Casts;
use super::walk::{Found, walk};
use crate::hook::Context;

/// What the verifier knows of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Not seen yet.
    Unseen,
    /// A constant 0, which is no pointer and stands for none.
    Zero,
    /// A number.
    Number,
    /// A pointer, or sometimes one: fit for checked copies only.
    Address,
    /// A pointer that may be read through.
    Typed {
        /// The structure that the pointer was made for.
        pointee: TypeId,
        /// Bytes from its start.
        offset: u32,
        /// It may be 0, for some verifier or in truth.
        nullable: bool,
        /// What is loaded through it is as doubtful as the pointer itself, and no verifier asks for a test.
        distrusted: bool,
    },
}

impl Origin {
    fn pointer(pointee: TypeId, nullable: bool) -> Self {
        Origin::Typed { pointee, offset: 0, nullable, distrusted: false }
    }

    /// A pointer out of a cast: loads through 0 yield 0, so it needs no test.
    fn distrusted(pointee: TypeId) -> Self {
        Origin::Typed { pointee, offset: 0, nullable: false, distrusted: true }
    }

    /// What a value is that is one of two.
    fn or(self, other: Origin) -> Origin {
        use Origin::{Address, Number, Typed, Unseen, Zero};
        match (self, other) {
            (Unseen, origin) | (origin, Unseen) => origin,
            (a, b) if a == b => a,
            // One load through both kinds of pointers is refused by some verifiers, so only alike ones come together.
            (
                Typed { pointee, offset, nullable, distrusted },
                Typed { pointee: p, offset: o, nullable: other_nullable, distrusted: d },
            ) if (pointee, offset, distrusted) == (p, o, d) => {
                Typed { pointee, offset, nullable: nullable || other_nullable, distrusted }
            }
            (Zero, Typed { pointee, offset: 0, distrusted, .. })
            | (Typed { pointee, offset: 0, distrusted, .. }, Zero) => {
                Typed { pointee, offset: 0, nullable: true, distrusted }
            }
            (Zero | Number, Zero | Number) => Number,
            _ => Address,
        }
    }

    /// Whether the verifier may take it for a pointer.
    pub fn is_pointer(self) -> bool {
        matches!(self, Origin::Address | Origin::Typed { .. })
    }

    /// Whether the verifier may take it for a pointer that may be null.
    pub fn is_nullable(self) -> bool {
        matches!(self, Origin::Typed { nullable: true, .. })
    }
}

/// What origins follow from.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// The kernel's types.
    pub btf: &'a Btf,
    /// `struct task_struct`.
    pub task: Option<TypeId>,
    /// What the program's context holds; `None` in subprograms.
    pub context: Option<&'a Context>,
}

impl Sources<'_> {
    /// What loading a field through a pointer yields by a direct load; `None` where the verifier refuses it.
    pub fn load(&self, pointer: Origin, field: &KernelField) -> Option<Found> {
        let Origin::Typed { pointee, offset, .. } = pointer else { return None };
        walk(self.btf, pointee, offset.checked_add(field.offset)?, field.size.bytes())
    }

    fn word(&self, is_wanted: impl Fn(usize, &crate::hook::Word) -> bool) -> Origin {
        let Some(Context::Typed { args, .. }) = self.context else { return Origin::Number };
        let found = args.iter().enumerate().find(|(idx, word)| is_wanted(*idx, word));
        match found.and_then(|(_, word)| word.pointee) {
            Some(pointee) => Origin::pointer(pointee, true),
            None => Origin::Number,
        }
    }

    fn result(&self) -> Origin {
        match self.context {
            Some(Context::Typed { result: Some(word), .. }) => match word.pointee {
                Some(pointee) => Origin::pointer(pointee, true),
                None => Origin::Number,
            },
            _ => Origin::Number,
        }
    }
}

/// The origins of all values of a function.
pub struct Origins {
    of: Vec<Origin>,
}

impl Origins {
    /// Finds them, where pointers of `casts` are replaced by casts of themselves.
    pub fn new(function: &Function, flow: &ControlFlow, sources: Sources<'_>, casts: &Casts) -> Self {
        let mut origins = Origins { of: vec![Origin::Unseen; function.values.len()] };
        for &param in &function.blocks[function.entry()].params {
            origins.of[param.idx()] = of_type(function.type_of(param));
        }
        // An origin only ever moves away from `Unseen`, three steps at most, so this ends.
        let mut changed = true;
        while changed {
            changed = false;
            for &block in flow.reverse_post_order() {
                for &id in &function.blocks[block].insts {
                    let data = &function.insts[id];
                    if let Some(result) = data.result {
                        let origin = match casts.get(&result) {
                            Some(pointee) => Origin::distrusted(*pointee),
                            None => origins.of_result(function, &data.inst, result, sources),
                        };
                        changed |= std::mem::replace(&mut origins.of[result.idx()], origin) != origin;
                    }
                }
                if let Some(terminator) = &function.blocks[block].terminator {
                    changed |= origins.pass(function, terminator);
                }
            }
        }
        origins
    }

    /// The origin of a value; values made after the search are numbers.
    pub fn of(&self, value: Value) -> Origin {
        self.of.get(value.idx()).copied().unwrap_or(Origin::Number)
    }

    fn pass(&mut self, function: &Function, terminator: &Terminator) -> bool {
        let mut changed = false;
        for jump in terminator.jumps() {
            for (param, arg) in function.blocks[jump.block].params.iter().zip(&jump.args) {
                let merged = self.of[param.idx()].or(self.of[arg.idx()]);
                changed |= std::mem::replace(&mut self.of[param.idx()], merged) != merged;
            }
        }
        changed
    }

    fn of_result(&self, function: &Function, inst: &Inst, result: Value, sources: Sources<'_>) -> Origin {
        match inst {
            Inst::Const(0) => Origin::Zero,
            Inst::Cast(value) => self.of(*value),
            Inst::Arg { index } => sources.word(|idx, _| idx == usize::from(*index)),
            Inst::ReturnValue => sources.result(),
            Inst::CurrentTask => match sources.task {
                Some(task) => Origin::pointer(task, false),
                None => Origin::Address,
            },
            Inst::Load { pointer, offset, .. } if is_context(function, *pointer) => {
                sources.word(|_, word| i64::from(word.offset) == i64::from(*offset))
            }
            Inst::Binary { op: op @ (BinaryOp::Add | BinaryOp::Sub), left, right } => {
                self.of_sum(function, *op, *left, *right)
            }
            Inst::LoadKernel { pointer, field } => {
                let (pointer, field) = fold(function, *pointer, *field);
                let from = self.of(pointer);
                match sources.load(from, &field) {
                    Some(Found::Pointer { pointee, nullable }) => match from {
                        // Where the first pointer is 0, so is what is read through it.
                        Origin::Typed { distrusted: true, nullable, .. } => {
                            Origin::Typed { pointee, offset: 0, nullable, distrusted: true }
                        }
                        _ => Origin::pointer(pointee, nullable || from.is_nullable()),
                    },
                    Some(Found::Address) => Origin::Address,
                    _ => Origin::Number,
                }
            }
            Inst::Distrust(_) => match function.type_of(result) {
                Type::Pointer(Region::Kernel(Some(pointee))) => Origin::distrusted(pointee),
                _ => Origin::Address,
            },
            Inst::Call { .. } | Inst::CallHelper { .. } => of_type(function.type_of(result)),
            _ => Origin::Number,
        }
    }

    fn of_sum(&self, function: &Function, op: BinaryOp, left: Value, right: Value) -> Origin {
        let base = self.of(left);
        if !base.is_pointer() {
            return if base == Origin::Unseen { base } else { Origin::Number };
        }
        let by = function.constant(right).map(|by| if op == BinaryOp::Add { by } else { by.wrapping_neg() });
        match (base, by) {
            (Origin::Typed { pointee, offset, nullable: false, distrusted }, Some(by)) => {
                match u32::try_from(i64::from(offset).saturating_add(by)) {
                    Ok(offset) => Origin::Typed { pointee, offset, nullable: false, distrusted },
                    Err(_) => Origin::Address,
                }
            }
            // Where the pointer was null, the sum is a small number, which no test for 0 tells from a pointer.
            (_, Some(_)) => Origin::Address,
            // Distances that are not constant are added to numbers only.
            _ => Origin::Number,
        }
    }
}

/// Loads reach as far as 15 bits go.
const MAX_OFFSET: u32 = i16::MAX as u32;

/// Every load from the kernel, with the additions in front of it folded in.
pub fn members(function: &Function) -> FxHashMap<InstId, (Value, KernelField)> {
    let loads = function.blocks.values().flat_map(|data| &data.insts).filter_map(|&id| {
        let Inst::LoadKernel { pointer, field } = function.insts[id].inst else { return None };
        Some((id, fold(function, pointer, field)))
    });
    loads.collect()
}

/// Goes back over additions of constants from the pointer of a load.
fn fold(function: &Function, mut pointer: Value, mut field: KernelField) -> (Value, KernelField) {
    loop {
        match function.definition(pointer) {
            Some(Inst::Cast(inner)) => pointer = *inner,
            Some(Inst::Binary { op: BinaryOp::Add, left, right }) => {
                let by = function.constant(*right).and_then(|by| u32::try_from(by).ok());
                let sum = by.and_then(|by| field.offset.checked_add(by));
                let Some(offset) = sum.filter(|offset| *offset <= MAX_OFFSET) else { break };
                (pointer, field.offset) = (*left, offset);
            }
            _ => break,
        }
    }
    (pointer, field)
}

/// What the verifier may make of a value that comes from elsewhere.
fn of_type(value_type: Type) -> Origin {
    match value_type {
        Type::Pointer(Region::Kernel(_)) => Origin::Address,
        _ => Origin::Number,
    }
}

/// Whether a value is the program's context.
pub fn is_context(function: &Function, value: Value) -> bool {
    match function.values[value].def {
        ValueDef::Result(inst) => matches!(function.insts[inst].inst, Inst::Context),
        ValueDef::Param(..) => false,
    }
}
