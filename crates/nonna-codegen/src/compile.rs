//! The whole of code generation: names every stage from Module to Object.
//!
//! validate → optimise → expand → optimise → for each function: legalise → scratch → select → allocate → frame → emit,
//! callees first, so that a caller knows how much stack is left → assemble.

use nonna_bpf::{AttachType, IsaLevel, Object, Target};
use nonna_btf::{Kind, TypeId};
use nonna_diag::Span;
use nonna_ir::{FuncId, Function, FunctionKind, Inst, InstData, Module, Region, Type};
use rustc_hash::FxHashMap;

use crate::assemble::{Compiled, Parts, assemble, callees};
use crate::data::DataLayout;
use crate::emit::{Code, emit};
use crate::expand::expand;
use crate::hook::{Context, Placement, place};
use crate::isel::{Surroundings, select};
use crate::legalize::{Abilities, CAST_FUNCTION, Trust, legalize};
use crate::opt::optimize;
use crate::regalloc::allocate;
use crate::scratch::Owner;
use crate::{CodegenError, Options, frame, mir, scratch};

/// Bytes of stack that all functions on a call chain have together (`MAX_BPF_STACK` in include/linux/filter.h).
const STACK_BYTES: u32 = 512;
/// Frames count in multiples of this (`check_max_stack_depth` in kernel/bpf/verifier.c; newer kernels take 16).
const FRAME_GRAIN_BYTES: u32 = 32;
/// Licences of programs that may call kernel functions (`license_is_gpl_compatible` in include/linux/license.h).
const GPL_LICENSES: &[&str] =
    &["GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"];
/// Fewer loads of pointers in a module are judged sooner than the function that casts is found among the kernel's types.
const MIN_CHAINED_LOADS: usize = 3;
/// What a function and all it calls may take when others call it, so that something is left for those.
const CALLEE_STACK_BYTES: u32 = 256;

/// Compiles a module for a target. The same input gives the same object.
///
/// # Errors
///
/// [`CodegenError`], for what the target lacks or what is too large.
pub fn compile(mut module: Module, target: &Target, options: &Options<'_>) -> Result<Object, CodegenError> {
    check(&module)?;
    optimize(&mut module);
    let shared = expand(&mut module, target, options)?;
    optimize(&mut module);
    let mut compiler = Compiler::new(module, target, options);
    for id in compiler.programs() {
        compiler.compile_with_callees(id, &mut Vec::new())?;
    }
    let Compiler { module, data, done, .. } = compiler;
    let functions = done.into_iter().map(|(id, done)| (id, done.compiled)).collect();
    assemble(&Parts { module: &module, functions: &functions, shared: &shared, data: &data, options })
}

/// Refuses modules that break the rules of the intermediate representation.
fn check(module: &Module) -> Result<(), CodegenError> {
    match nonna_ir::validate(module) {
        Ok(()) => Ok(()),
        Err(found) => {
            let first = found.iter().take(3).map(ToString::to_string).collect::<Vec<_>>();
            Err(CodegenError::InvalidModule(first.join("; ")))
        }
    }
}

/// A function with the stack that it and its callees take.
struct Done {
    compiled: Compiled,
    chain_bytes: u32,
}

struct Compiler<'a> {
    module: Module,
    data: DataLayout,
    target: &'a Target,
    options: &'a Options<'a>,
    isa: IsaLevel,
    task: Option<TypeId>,
    /// Loads of kernel pointers through kernel pointers.
    n_chained_loads: usize,
    done: FxHashMap<FuncId, Done>,
}

impl<'a> Compiler<'a> {
    fn new(module: Module, target: &'a Target, options: &'a Options<'a>) -> Self {
        let data = DataLayout::new(&module.data);
        let uses_task = module
            .functions
            .values()
            .any(|function| function.insts.values().any(|data| data.inst == Inst::CurrentTask));
        let task = if uses_task { target.btf.find(Kind::Struct, "task_struct") } else { None };
        let isa = target.isa.min(options.isa_cap);
        let n_chained_loads = module.functions.values().map(chained_loads).sum();
        Compiler { module, data, target, options, isa, task, n_chained_loads, done: FxHashMap::default() }
    }

    fn programs(&self) -> Vec<FuncId> {
        let is_program = |function: &Function| matches!(function.kind, FunctionKind::Program { .. });
        self.module.functions.iter().filter(|(_, function)| is_program(function)).map(|(id, _)| id).collect()
    }

    /// Compiles what a function calls, then the function; `open` are its callers.
    fn compile_with_callees(&mut self, id: FuncId, open: &mut Vec<FuncId>) -> Result<(), CodegenError> {
        if self.done.contains_key(&id) {
            return Ok(());
        }
        if open.contains(&id) {
            return Err(CodegenError::Recursion {
                function: self.module.functions[id].name.clone(),
                span: None,
            });
        }
        open.push(id);
        let callees = callees(&self.module.functions[id]);
        let mut below = 0;
        for callee in callees {
            self.compile_with_callees(callee, open)?;
            below = below.max(self.done[&callee].chain_bytes);
        }
        open.pop();
        let done = self.compile_function(id, below)?;
        self.done.insert(id, done);
        Ok(())
    }

    fn compile_function(&mut self, id: FuncId, below: u32) -> Result<Done, CodegenError> {
        let mut function = self.module.functions[id].clone();
        let placement = match &function.kind {
            FunctionKind::Program { hook } => Some(place(hook, self.target)?),
            FunctionKind::Subprogram => None,
        };
        let total = if placement.is_some() { STACK_BYTES } else { CALLEE_STACK_BYTES.max(below + 64) };
        self.legalize(&mut function, placement.as_ref())?;
        let sleeps = placement.as_ref().is_some_and(|placement| placement.sleepable);
        let owner = match sleeps {
            true => Owner::Task,
            false => Owner::Processor { entries: self.options.scratch_entries },
        };
        let (code, bytes) = self.fit(&function, total.saturating_sub(below), owner)?;
        let chain_bytes = below + bytes.max(1).next_multiple_of(FRAME_GRAIN_BYTES);
        if chain_bytes > STACK_BYTES {
            return Err(overflow(&function, chain_bytes, STACK_BYTES));
        }
        Ok(Done { compiled: Compiled { code, placement }, chain_bytes })
    }

    fn legalize(&self, function: &mut Function, placement: Option<&Placement>) -> Result<(), CodegenError> {
        let context: Option<&Context> = placement.map(|placement| &placement.context);
        let can_cast = || {
            GPL_LICENSES.contains(&self.options.license.as_str())
                && self.n_chained_loads >= MIN_CHAINED_LOADS
                && self.target.btf.find(Kind::Func, CAST_FUNCTION).is_some()
        };
        let trust = Trust { arguments: placement.is_some_and(trusts_arguments), can_cast: &can_cast };
        let abilities = Abilities {
            btf: &self.target.btf,
            task: self.task,
            isa: self.isa,
            kernel_loads: self.options.kernel_loads,
            trust,
        };
        legalize(function, &abilities, context)
    }

    /// Generates code that takes at most `limit` bytes of stack: what does not fit goes to scratch memory, the largest
    /// first.
    fn fit(&mut self, function: &Function, limit: u32, owner: Owner) -> Result<(Code, u32), CodegenError> {
        let limit = limit / FRAME_GRAIN_BYTES * FRAME_GRAIN_BYTES;
        let mut allowed = u32::MAX;
        loop {
            let chosen = scratch::choose(function, allowed);
            let on_stack = scratch::stack_bytes(function, &chosen);
            let n_maps = self.module.maps.len();
            let placed = scratch::move_to_scratch(function.clone(), &chosen, &mut self.module, owner)?;
            let (code, bytes) = self.generate(&placed)?;
            if bytes <= limit {
                return Ok((code, bytes));
            }
            if on_stack == 0 {
                return Err(overflow(function, bytes, limit));
            }
            // Once more from the start, without the maps of this attempt.
            self.module.maps.truncate(n_maps);
            allowed = on_stack.saturating_sub(bytes - limit);
        }
    }

    /// Selects, allocates, lays out the frame and emits.
    fn generate(&self, function: &Function) -> Result<(Code, u32), CodegenError> {
        let around = Surroundings {
            isa: self.isa,
            maps: &|map| self.data.map(map),
            data: &|data| self.data.place(data),
        };
        let mut machine = select(function, &around)?;
        mir::clean_up(&mut machine);
        allocate(&mut machine)?;
        let frame = frame::lay_out(&machine);
        let code = emit(&mut machine, &frame, self.isa)?;
        Ok((code, frame.bytes))
    }
}

fn chained_loads(function: &Function) -> usize {
    let is_chained = |data: &&InstData| {
        let result = data.result.map(|result| function.type_of(result));
        matches!((&data.inst, result), (Inst::LoadKernel { .. }, Some(Type::Pointer(Region::Kernel(_)))))
    };
    function.insts.values().filter(is_chained).count()
}

/// Whether the verifier vouches for the pointers among the arguments (`prog_args_trusted` in kernel/bpf/btf.c).
fn trusts_arguments(placement: &Placement) -> bool {
    use AttachType::{LsmMac, TraceIter, TraceRawTp};
    matches!(placement.attach_type, Some(TraceRawTp | TraceIter | LsmMac))
}

fn overflow(function: &Function, bytes: u32, limit: u32) -> CodegenError {
    CodegenError::StackOverflow { function: function.name.clone(), bytes, limit, span: first_span(function) }
}

/// The first place in the user's text that a function comes from.
fn first_span(function: &Function) -> Option<Span> {
    function
        .blocks
        .values()
        .flat_map(|data| data.insts.iter().map(|&id| function.insts[id].span).chain([data.terminator_span]))
        .flatten()
        .next()
}
