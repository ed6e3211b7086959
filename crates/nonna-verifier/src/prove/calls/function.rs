//! Calls of functions of the program.
//!
//! A static function is walked at each call with what is known there. A global function is proved once by itself, for any arguments of its
//! declared types, and a call only has to fit (`btf_check_func_arg_match`, Linux 6.12).

use std::rc::Rc;

use nonna_bpf::{Callee, DynptrUse, Helper, Insn};
use nonna_btf::{Btf, Kind as BtfKind, Linkage, Type, TypeId};

use super::super::Prover;
use super::super::explore::{Decision, Path};
use super::super::failure::Failure;
use super::super::memory::Way;
use super::super::state::{Frame, Role, State};
use super::super::step::{Next, typed};
use super::super::value::{Kind, Pointer, Source, Trust, Types, Value};
use crate::slugs;

/// Functions that may be active at once (`MAX_CALL_FRAMES`).
pub(crate) const MAX_FRAMES: usize = 8;

/// What a global function takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parameter {
    Number,
    Context,
    Memory {
        bytes: u32,
        nullable: bool,
    },
    /// A trusted pointer to a structure of the kernel (`__arg_trusted`).
    Typed {
        type_id: u32,
        nullable: bool,
    },
    /// A dynamic pointer.
    Dynptr,
}

impl Prover<'_> {
    pub(crate) fn call_function(&mut self, path: &mut Path) -> Result<Next, Failure> {
        let at = path.insn;
        let first = self.target(at);
        if path.state.depth() + 1 >= MAX_FRAMES {
            let message = format!("more than {MAX_FRAMES} functions would be active at once");
            return Err(Failure::new(&slugs::CALL_TOO_DEEP, at, message)
                .help("inline a function or shorten the chain of calls"));
        }
        let function = self.functions.of(first);
        if let Some(parameters) = self.global_function(function, at)? {
            if self.moves_packet(function, &mut Vec::new()) {
                self.forget_packet(&mut path.state);
            }
            return self.call_global(&mut path.state, at, &parameters);
        }
        let mut frame = Frame::new(at, Role::Called);
        frame.registers[1..=5].copy_from_slice(&path.state.frame().registers[1..=5]);
        path.state.frames.push(Rc::new(frame));
        path.trail = Some(Rc::new(Decision { insn: at, taken: true, before: path.trail.take() }));
        Ok(Next::Jump(first))
    }

    /// The parameters of a function that is global; `None` for static ones.
    pub(crate) fn global_function(
        &mut self,
        function: usize,
        at: usize,
    ) -> Result<Option<Vec<Parameter>>, Failure> {
        if function == 0 {
            return Ok(None);
        }
        let first = self.functions.range(function).start;
        let slot = self.slots.slot(first);
        let Some(info) = self.program().func_info.iter().find(|info| info.slot == slot) else {
            return Ok(None);
        };
        let id = TypeId(info.type_id);
        let Some(btf) = self.own_types else { return Ok(None) };
        let Ok(Type::Func(found)) = btf.ty(id) else { return Ok(None) };
        if found.linkage != Linkage::Global {
            return Ok(None);
        }
        let unreadable = || {
            let message = format!("the parameters of `{}` have types that cannot be checked", found.name);
            Failure::new(&slugs::BAD_ARGUMENT, at, message)
                .help("make the function static, or give it numbers and pointers to complete types")
        };
        let prototype = btf.prototype(id).map_err(|_| unreadable())?;
        let mut parameters = Vec::new();
        for (index, param) in prototype.params.iter().enumerate() {
            let tags = argument_tags(btf, id, index as u32);
            parameters.push(parameter(btf, self.kernel, param.type_id, &tags).ok_or_else(unreadable)?);
        }
        if parameters.len() > 5 {
            return Err(unreadable());
        }
        Ok(Some(parameters))
    }

    /// Whether a function, or one that it calls, may move the packet.
    fn moves_packet(&self, function: usize, visited: &mut Vec<usize>) -> bool {
        if visited.contains(&function) {
            return false;
        }
        visited.push(function);
        self.functions.range(function).any(|index| match self.insns[index] {
            Insn::Call(Callee::Helper(number)) => Helper::from_id(number).is_some_and(|helper| {
                // Through a dynamic pointer, too: what it is given may be a packet's.
                helper.info().changes_packet || [Helper::TAIL_CALL, Helper::DYNPTR_WRITE].contains(&helper)
            }),
            Insn::Call(Callee::Local(_)) => self.moves_packet(self.functions.of(self.target(index)), visited),
            _ => false,
        })
    }

    fn call_global(
        &mut self,
        state: &mut State,
        at: usize,
        parameters: &[Parameter],
    ) -> Result<Next, Failure> {
        if state.lock.is_some() {
            return Err(Failure::new(
                &slugs::LOCK_HELD,
                at,
                "a global function is called while a lock is held",
            )
            .help("unlock first, or make the function static"));
        }
        if state.preempt_off > 0 {
            let message = "a global function is called while preemption is off";
            return Err(Failure::new(&slugs::LOCK_HELD, at, message)
                .help("call `bpf_preempt_enable` first, or make the function static"));
        }
        for (index, parameter) in parameters.iter().enumerate() {
            let register = index as u8 + 1;
            let value = self.read(state, at, register)?;
            let fits = match (parameter, &value) {
                (Parameter::Number, Value::Number(_)) => true,
                (Parameter::Context, Value::Pointer(pointer)) => {
                    pointer.kind == Kind::Context && pointer.is_fixed() && pointer.offset == 0
                }
                (Parameter::Dynptr, Value::Pointer(pointer)) => {
                    let mut unused = super::helper::Arguments::default();
                    self.check_dynptr(state, at, register, Some(pointer), DynptrUse::Used, &mut unused)?;
                    true
                }
                (Parameter::Typed { type_id, nullable }, Value::Pointer(pointer)) => {
                    if pointer.nullable && !nullable {
                        return Err(self.possibly_null(at, register));
                    }
                    let wanted = |trust| Kind::Typed { types: Types::Kernel, type_id: *type_id, trust };
                    pointer.is_fixed()
                        && pointer.offset == 0
                        && (pointer.kind == wanted(Trust::Trusted) || pointer.kind == wanted(Trust::Rcu))
                }
                (Parameter::Typed { nullable: true, .. }, Value::Number(number)) => {
                    number.scalar.as_constant() == Some(0)
                }
                (Parameter::Memory { nullable: true, .. }, Value::Number(number)) => {
                    number.scalar.as_constant() == Some(0)
                }
                (Parameter::Memory { bytes, nullable }, Value::Pointer(pointer)) => {
                    if pointer.nullable && !nullable {
                        return Err(self.possibly_null(at, register));
                    }
                    let whole = Value::Pointer(Pointer { nullable: false, ..*pointer });
                    self.check_memory(state, at, register, &whole, i64::from(*bytes), Way::Read)?;
                    self.check_memory(state, at, register, &whole, i64::from(*bytes), Way::Write)?;
                    true
                }
                _ => false,
            };
            if !fits {
                let message = format!("argument {register} of this function does not have the declared type");
                return Err(Failure::new(&slugs::BAD_ARGUMENT, at, message)
                    .register(register)
                    .help("pass what the prototype names"));
            }
        }
        self.clobber(state);
        state.set(0, Value::unknown());
        Ok(Next::Fall)
    }

    /// What a global function starts with.
    pub(crate) fn global_state(&mut self, parameters: &[Parameter]) -> State {
        let mut state = self.entry_state();
        let frame = state.frame_mut();
        frame.registers[1] = Value::Uninit;
        for (index, parameter) in parameters.iter().enumerate() {
            let id = index as u32 + 1;
            frame.registers[index + 1] = match *parameter {
                Parameter::Number => Value::unknown(),
                Parameter::Context => Value::Pointer(Pointer::new(Kind::Context)),
                Parameter::Dynptr => Value::Pointer(Pointer::new(Kind::DynptrArgument)),
                Parameter::Typed { type_id, nullable } => {
                    Value::Pointer(Pointer { nullable, id, ..typed(Types::Kernel, type_id, Trust::Trusted) })
                }
                Parameter::Memory { bytes, nullable } => {
                    let kind = Kind::Memory { bytes, writable: true, source: Source::Plain };
                    Value::Pointer(Pointer { nullable, id, ..Pointer::new(kind) })
                }
            };
        }
        self.fresh = self.fresh.max(parameters.len() as u32 + 1);
        state
    }
}

/// What a declaration says about an argument (`__arg_ctx`, `__arg_nonnull` and the like).
fn argument_tags(btf: &Btf, function: TypeId, index: u32) -> Vec<String> {
    btf.types()
        .of_kind(nonna_btf::Kind::DeclTag)
        .filter_map(|(id, _)| match btf.ty(id) {
            Ok(Type::DeclTag { text, target, component: Some(component), .. })
                if target == function && component == index =>
            {
                text.strip_prefix("arg:").map(str::to_owned)
            }
            _ => None,
        })
        .collect()
}

fn parameter(btf: &Btf, kernel: Option<&Btf>, id: TypeId, tags: &[String]) -> Option<Parameter> {
    match btf.resolved(id).ok()? {
        Type::Int(_) | Type::Enum(_) | Type::Enum64(_) => return Some(Parameter::Number),
        Type::Ptr { .. } => {}
        _ => return None,
    }
    if tags.iter().any(|tag| tag == "ctx") {
        return Some(Parameter::Context);
    }
    let target = btf.skip_modifiers(btf.pointer(id).ok()??.target).ok()?;
    let name = btf.name(target).unwrap_or_default();
    if CONTEXTS.contains(&name) {
        return Some(Parameter::Context);
    }
    if name == "bpf_dynptr" {
        return Some(Parameter::Dynptr);
    }
    if tags.iter().any(|tag| tag == "trusted") {
        // Types that differ in their fields only are written `name___what`.
        let plain = name.split("___").next().unwrap_or(name);
        let type_id = kernel?.find(BtfKind::Struct, plain)?.0;
        return Some(Parameter::Typed { type_id, nullable: tags.iter().any(|tag| tag == "nullable") });
    }
    let bytes = u32::try_from(btf.size_of(target).ok()?).ok()?;
    let nullable = !tags.iter().any(|tag| tag == "nonnull");
    Some(Parameter::Memory { bytes, nullable })
}

/// Structures that stand for the context of some kind of program.
pub(super) const CONTEXTS: &[&str] = &[
    "__sk_buff",
    "xdp_md",
    "bpf_sock_addr",
    "bpf_sock_ops",
    "sk_msg_md",
    "sk_reuseport_md",
    "bpf_sk_lookup",
    "bpf_sysctl",
    "bpf_sockopt",
    "bpf_cgroup_dev_ctx",
    "bpf_perf_event_data",
    "bpf_user_pt_regs_t",
    "bpf_raw_tracepoint_args",
    "pt_regs",
    "bpf_nf_ctx",
];
