//! Legalisation: replaces what the machine or the kernel's verifier does not know.
//!
//! Arguments become loads from the context, members of kernel structures become direct loads or checked copies, checked
//! copies become helper calls, signed division becomes unsigned where the instruction set wants it, and arithmetic on
//! what the verifier takes for a pointer becomes arithmetic on numbers. It works from IR to IR, after which nothing
//! may be optimised any more: the null tests that it adds look needless to everyone but a verifier.

mod distrust;
mod divide;
mod kernel;
mod origin;
mod pointer;
mod reads;
mod walk;

use nonna_bpf::{Helper, IsaLevel, MemSize};
use nonna_btf::{Btf, TypeId};
use nonna_diag::Span;
use nonna_ir::{
    BinaryOp, Block, ControlFlow, Function, FunctionBuilder, FunctionKind, Inst, InstId, KernelField, Slot,
    Space, Terminator, Type, Value,
};
use rustc_hash::FxHashMap;

use crate::hook::Context;
use crate::{CodegenError, KernelLoads};
use distrust::Casts;
pub use distrust::{CAST_FUNCTION, Trust};
use origin::{Origins, Sources};

/// What legalisation must know of the target.
pub struct Abilities<'a> {
    /// The kernel's types.
    pub btf: &'a Btf,
    /// `struct task_struct`.
    pub task: Option<TypeId>,
    /// Instruction set that may be used.
    pub isa: IsaLevel,
    /// How members of kernel structures are read.
    pub kernel_loads: KernelLoads,
    /// What is trusted, and whether trust can be given up.
    pub trust: Trust<'a>,
}

/// Legalises a function; `context` says what the context of a program holds.
///
/// # Errors
///
/// [`CodegenError::NotAtHook`] where a program asks for an argument or result that its hook does not have.
pub fn legalize(
    function: &mut Function,
    abilities: &Abilities<'_>,
    context: Option<&Context>,
) -> Result<(), CodegenError> {
    let taken = std::mem::replace(
        function,
        FunctionBuilder::new("", FunctionKind::Subprogram, &[], Type::Int).finish(),
    );
    let flow = ControlFlow::new(&taken);
    let sources = Sources { btf: abilities.btf, task: abilities.task, context };
    let mut origins = Origins::new(&taken, &flow, sources, &Casts::default());
    let members = origin::members(&taken);
    let casts = match abilities.kernel_loads {
        KernelLoads::Cast => distrust::casts(&taken, &members, &origins, (sources, &abilities.trust)),
        KernelLoads::Direct | KernelLoads::Checked => Casts::default(),
    };
    if !casts.is_empty() {
        origins = Origins::new(&taken, &flow, sources, &casts);
    }
    let entry = taken.entry();
    let mut legalizer = Legalizer {
        terminators: taken.blocks.values().map(|data| data.terminator.clone()).collect(),
        b: FunctionBuilder::resume(taken, entry),
        abilities,
        sources,
        origins,
        flow,
        original: entry,
        span: None,
        early: FxHashMap::default(),
        members,
        casts,
        trusted: FxHashMap::default(),
        temps: Vec::new(),
    };
    let outcome = legalizer.run();
    *function = legalizer.b.finish();
    outcome
}

struct Legalizer<'a> {
    b: FunctionBuilder,
    abilities: &'a Abilities<'a>,
    sources: Sources<'a>,
    origins: Origins,
    flow: ControlFlow,
    /// The ends of the blocks as they came.
    terminators: Vec<Option<Terminator>>,
    /// The block of the function as it came that is being rewritten.
    original: Block,
    span: Option<Span>,
    /// Loads that were done together with an earlier one, and what they yielded.
    early: FxHashMap<InstId, Value>,
    /// Loads from the kernel with the additions in front of them folded in.
    members: FxHashMap<InstId, (Value, KernelField)>,
    /// Pointers that are cast where they are made.
    casts: Casts,
    /// What a cast was made of.
    trusted: FxHashMap<Value, Value>,
    /// Memory for checked copies, shared by all that take no more bytes.
    temps: Vec<(u32, Slot)>,
}

impl Legalizer<'_> {
    fn run(&mut self) -> Result<(), CodegenError> {
        let order: Vec<Block> = self.flow.reverse_post_order().to_vec();
        for block in order {
            self.original = block;
            let data = &mut self.b.function_mut().blocks[block];
            let insts = std::mem::take(&mut data.insts);
            let terminator = data.terminator.take();
            let span = data.terminator_span;
            self.b.switch_to(block);
            for (position, &id) in insts.iter().enumerate() {
                self.span = self.b.function().insts[id].span;
                self.b.at(self.span);
                self.legalize_inst(id, &insts[position + 1..])?;
            }
            self.b.at(span);
            if let Some(mut terminator) = terminator {
                self.prepare_terminator(&mut terminator);
                self.b.terminate(terminator);
            }
        }
        Ok(())
    }

    /// Appends an instruction or what replaces it; `rest` follows it in its block.
    fn legalize_inst(&mut self, id: InstId, rest: &[InstId]) -> Result<(), CodegenError> {
        if let Some(value) = self.early.remove(&id) {
            self.replace(id, value);
            return Ok(());
        }
        let inst = self.b.function().insts[id].inst.clone();
        let value = match inst {
            Inst::Arg { index } => self.argument(index)?,
            Inst::ReturnValue => self.return_value()?,
            Inst::CurrentTask => self.b.call_helper(Helper::GET_CURRENT_TASK_BTF, &[]),
            Inst::LoadKernel { .. } => return self.load_kernel(id, rest),
            Inst::LoadUser { pointer, offset, size, signed } => {
                self.checked_load(Space::User, pointer, i64::from(offset), size, signed)
            }
            Inst::ReadText { space, pointer, to, to_offset, max_bytes } => {
                self.read_text(space, pointer, (to, to_offset), max_bytes)
            }
            Inst::ReadBytes { space, pointer, to, to_offset, length, max_bytes } => {
                self.read_bytes(space, pointer, (to, to_offset), length, max_bytes)
            }
            Inst::Binary { op: op @ (BinaryOp::SDiv | BinaryOp::SMod), left, right }
                if self.abilities.isa < IsaLevel::V4 =>
            {
                let (left, right) = (self.as_number(left), self.as_number(right));
                self.divide_signed(op, left, right)
            }
            Inst::Load { pointer, offset, size, signed } if self.is_cast(id) => {
                self.b.load(pointer, offset, size, signed)
            }
            _ => return self.legalize_pointers(id),
        };
        let value = self.distrust(id, value);
        self.replace(id, value);
        Ok(())
    }

    /// Appends an instruction as another name for a value.
    fn replace(&mut self, id: InstId, value: Value) {
        self.b.function_mut().insts[id].inst = Inst::Cast(value);
        self.b.append(id);
    }

    fn argument(&mut self, index: u8) -> Result<Value, CodegenError> {
        let missing = |legalizer: &Self| legalizer.not_at_hook(format!("argument {index}"));
        match self.sources.context {
            Some(Context::Typed { args, .. }) => match args.get(usize::from(index)) {
                Some(word) => Ok(self.context_word(word.offset)),
                None => Err(missing(self)),
            },
            Some(Context::Words { max }) if index < *max => Ok(self.context_word(8 * u32::from(index))),
            Some(Context::Registers { space, returns: false }) => {
                let space = *space;
                Ok(self.register_argument(index, space))
            }
            _ => Err(missing(self)),
        }
    }

    fn return_value(&mut self) -> Result<Value, CodegenError> {
        match self.sources.context {
            Some(Context::Typed { result: Some(word), .. }) => Ok(self.context_word(word.offset)),
            Some(Context::Registers { returns: true, .. }) => Ok(self.context_word(pt_regs::AX)),
            _ => Err(self.not_at_hook("a return value".to_owned())),
        }
    }

    fn not_at_hook(&self, what: String) -> CodegenError {
        CodegenError::NotAtHook { function: self.b.function().name.clone(), what, span: self.span }
    }

    fn context_word(&mut self, offset: u32) -> Value {
        let context = self.b.context();
        let offset = i32::try_from(offset).expect("contexts are small");
        self.b.load(context, offset, MemSize::DW, false)
    }

    /// The first six arguments are in registers, the rest on the stack above the return address (System V ABI, AMD64
    /// supplement, section 3.2.3).
    fn register_argument(&mut self, index: u8, space: Space) -> Value {
        match pt_regs::ARGUMENTS.get(usize::from(index)) {
            Some(offset) => self.context_word(*offset),
            None => {
                let stack = self.context_word(pt_regs::SP);
                let beyond = i64::from(index) - pt_regs::ARGUMENTS.len() as i64;
                self.checked_load(space, stack, 8 + 8 * beyond, MemSize::DW, false)
            }
        }
    }
}

/// Offsets in `struct pt_regs` of x86-64 (arch/x86/include/asm/ptrace.h).
mod pt_regs {
    /// `di`, `si`, `dx`, `cx`, `r8`, `r9`.
    pub const ARGUMENTS: [u32; 6] = [112, 104, 96, 88, 72, 64];
    /// Result.
    pub const AX: u32 = 80;
    /// Stack pointer.
    pub const SP: u32 = 152;
}
