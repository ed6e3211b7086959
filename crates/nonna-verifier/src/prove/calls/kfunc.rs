//! Calls of kernel functions, by the kernel's own types (`check_kfunc_call`, Linux 6.12).
//!
//! What a parameter is follows from its type and from the end of its name (`__sz`, `__k`, `__ign` …, Documentation/bpf/kfuncs.rst). What
//! the types do not say is in `kfunc_table`; functions that are not there are not modelled.

use nonna_bpf::RelocationTarget;
use nonna_btf::{Btf, Kind as BtfKind, Param, Prototype, Type, TypeId};

use super::super::Prover;
use super::super::explore::Path;
use super::super::failure::Failure;
use super::super::memory::Way;
use super::super::state::State;
use super::super::step::{Next, typed};
use super::super::value::{Id, Kind, Pointer, Trust, Types, Value};
use super::dynptr::DynptrArgument;
use super::function::CONTEXTS;
use super::iterator::IteratorArgument;
use super::kfunc_table::{Kfunc, kfunc};
use crate::slugs;

/// What the arguments turned out to be.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    pub(super) iterator: Option<IteratorArgument>,
    pub(super) released: Option<(u8, Id)>,
    /// Constant of a `__k` parameter: a type id.
    pub(super) constant: Option<u64>,
    pub(super) length: Option<u32>,
    pub(super) dynptr: Option<DynptrArgument>,
    pub(super) made: Option<DynptrArgument>,
    pub(super) fills: Vec<(u8, Pointer, i64)>,
}

impl Prover<'_> {
    pub(crate) fn call_kfunc(&mut self, path: &mut Path) -> Result<Next, Failure> {
        let at = path.insn;
        let Some(RelocationTarget::Kfunc { name, weak }) = self.relocations.get(&at).cloned() else {
            return Err(self.not_modelled(at, "kernel functions by number"));
        };
        let btf = self.kernel_types(at)?;
        let prototype = btf.function(&name).ok().flatten();
        let Some(prototype) = prototype else {
            return Err(if weak {
                self.not_modelled(at, &format!("calls of `{name}`, which this kernel does not have,"))
            } else {
                self.unknown_type(at, &name)
            });
        };
        let found = kfunc(&name).ok_or_else(|| self.not_modelled(at, &format!("calls of `{name}`")))?;
        self.check_kfunc_user(at, found, &path.state)?;
        let mut arguments = Arguments::default();
        for (index, param) in prototype.params.iter().enumerate() {
            let register = index as u8 + 1;
            if register > 5 {
                return Err(self.not_modelled(at, "calls with more than five arguments"));
            }
            self.check_kfunc_argument(
                &mut path.state,
                at,
                register,
                found,
                param,
                &prototype,
                btf,
                &mut arguments,
            )?;
        }
        for (register, pointer, bytes) in std::mem::take(&mut arguments.fills) {
            self.fill(&mut path.state, at, register, &pointer, bytes)?;
        }
        if let Some((register, reference)) = arguments.released {
            self.release(&mut path.state, at, register, reference)?;
        }
        self.change_section(&mut path.state, at, found.name)?;
        if let Some(made) = arguments.made {
            self.make_kfunc_dynptr(&mut path.state, at, found.name, made, arguments.dynptr)?;
        }
        if let Some(iterator) = arguments.iterator {
            if found.advances_iterator() {
                return self.advance(path, at, btf, &prototype, iterator);
            }
            if found.makes_iterator() {
                self.make_iterator(&mut path.state, at, iterator);
            } else {
                self.end_iterator(&mut path.state, at, iterator)?;
            }
        }
        let result = self.kfunc_result(&mut path.state, at, found, btf, prototype.return_type, &arguments)?;
        self.clobber(&mut path.state);
        if let Some(result) = result {
            path.state.set(0, result);
        }
        Ok(Next::Fall)
    }

    fn check_kfunc_user(&self, at: usize, found: Kfunc, state: &State) -> Result<(), Failure> {
        let program = self.program();
        let name = found.name;
        if !found.callable_by(program.program_type) {
            let message = format!("programs of type `{}` cannot call `{name}`", program.program_type);
            return Err(Failure::new(&slugs::UNKNOWN_HELPER, at, message)
                .help("call what this kind of program may use"));
        }
        if state.lock.is_some() {
            let message = format!("`{name}` is called while a lock is held");
            return Err(Failure::new(&slugs::LOCK_HELD, at, message).help("unlock first"));
        }
        let section = state.rcu > 0 || state.preempt_off > 0;
        if found.may_sleep() && (!program.sleepable || section) {
            let message = format!("`{name}` may sleep, and this program must not sleep here");
            return Err(Failure::new(&slugs::MUST_NOT_SLEEP, at, message)
                .help("use a sleepable hook (`.s`), outside of RCU sections"));
        }
        if found.wants_rcu_section() && !self.in_rcu(state) {
            let message = format!("`{name}` is for RCU sections only");
            return Err(
                Failure::new(&slugs::BAD_ARGUMENT, at, message).help("call `bpf_rcu_read_lock` before")
            );
        }
        Ok(())
    }

    /// Sections that some functions open and close.
    fn change_section(&self, state: &mut State, at: usize, name: &str) -> Result<(), Failure> {
        let unmatched = |what: &str| {
            Err(Failure::new(&slugs::LOCK_HELD, at, format!("{what} is closed here, but none is open"))
                .help("open and close in pairs"))
        };
        match name {
            "bpf_rcu_read_lock" if state.rcu > 0 => {
                return Err(Failure::new(&slugs::LOCK_HELD, at, "an RCU section is open already")
                    .help("open it once"));
            }
            "bpf_rcu_read_lock" => state.rcu += 1,
            "bpf_rcu_read_unlock" if state.rcu == 0 => return unmatched("an RCU section"),
            "bpf_rcu_read_unlock" => {
                state.rcu -= 1;
                self.end_rcu_iterators(state, at)?;
                // What RCU kept alive may go now.
                let kept = |value: &Value| {
                    value.pointer().is_some_and(|p| matches!(p.kind, Kind::Typed { trust: Trust::Rcu, .. }))
                };
                state.each_value(kept, |value| {
                    if let Value::Pointer(Pointer { kind: Kind::Typed { trust, .. }, nullable, .. }) = value {
                        (*trust, *nullable) = (Trust::Untrusted, false);
                    }
                });
            }
            "bpf_preempt_disable" => state.preempt_off += 1,
            "bpf_preempt_enable" if state.preempt_off == 0 => {
                return unmatched("a section without preemption");
            }
            "bpf_preempt_enable" => state.preempt_off -= 1,
            _ => {}
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one argument")]
    fn check_kfunc_argument(
        &mut self,
        state: &mut State,
        at: usize,
        register: u8,
        found: Kfunc,
        param: &Param<'_>,
        prototype: &Prototype<'_>,
        btf: &Btf,
        arguments: &mut Arguments,
    ) -> Result<(), Failure> {
        if param.name.ends_with("__ign") {
            return Ok(());
        }
        let value = self.read(state, at, register)?;
        let Some(target) =
            btf.pointer(param.type_id).ok().flatten().and_then(|p| btf.skip_modifiers(p.target).ok())
        else {
            return self.check_kfunc_number(at, register, param, &value, arguments);
        };
        let null = matches!(&value, Value::Number(number) if number.scalar.as_constant() == Some(0));
        if null && (param.name.ends_with("__nullable") || param.name.ends_with("__opt")) {
            return Ok(());
        }
        let target_name = btf.name(target).unwrap_or_default();
        if target_name.starts_with("bpf_iter_") {
            return self.check_iterator(state, at, register, found, &value, target, btf, arguments);
        }
        if target_name == "bpf_dynptr" {
            let dynptr = self.check_kfunc_dynptr(state, at, register, param, &value)?;
            match dynptr {
                Some(dynptr) if dynptr.made => arguments.made = Some(dynptr),
                _ => arguments.dynptr = dynptr,
            }
            return Ok(());
        }
        if matches!(target_name, "__sk_buff" | "xdp_md") {
            return self.check_packet_argument(at, register, &value, target_name, btf);
        }
        if found.name == "bpf_rdonly_cast" || found.name == "bpf_cast_to_kern_ctx" {
            let is_pointer = matches!(value, Value::Pointer(_));
            return if is_pointer || found.name == "bpf_rdonly_cast" {
                Ok(())
            } else {
                Err(self.bad_argument(at, register, "the context"))
            };
        }
        let sized = prototype
            .params
            .get(usize::from(register))
            .is_some_and(|next| next.name.ends_with("__sz") || next.name.ends_with("__szk"));
        if sized {
            return self.check_kfunc_memory(state, at, register, &value);
        }
        let is_structure = matches!(btf.kind(target), Ok(BtfKind::Struct | BtfKind::Union));
        match value {
            // Only programs with this context may call such a function, so there is no other that it could be.
            Value::Pointer(pointer) if pointer.kind == Kind::Context && CONTEXTS.contains(&target_name) => {
                if pointer.is_fixed() && pointer.offset == 0 {
                    Ok(())
                } else {
                    Err(self.bad_argument(at, register, "the context as it was given"))
                }
            }
            Value::Pointer(pointer) if is_structure && matches!(pointer.kind, Kind::Typed { .. }) => {
                self.check_object(state, at, register, found, &pointer, target_name, btf, arguments)
            }
            Value::Pointer(pointer)
                if !is_structure
                    || matches!(pointer.kind, Kind::Stack { .. } | Kind::MapValue { .. })
                        && !found.wants_trusted() =>
            {
                let bytes = btf.size_of(target).unwrap_or(1) as i64;
                self.check_memory(state, at, register, &value, bytes, Way::Read)
            }
            _ => Err(self.bad_argument(at, register, &format!("a pointer to `{target_name}`"))),
        }
    }

    fn check_kfunc_number(
        &mut self,
        at: usize,
        register: u8,
        param: &Param<'_>,
        value: &Value,
        arguments: &mut Arguments,
    ) -> Result<(), Failure> {
        let Value::Number(number) = value else { return Err(self.bad_argument(at, register, "a number")) };
        let constant = param.name.ends_with("__k") || param.name.ends_with("__szk");
        if constant {
            self.wants(at, 1 << register);
            let Some(constant) = number.scalar.as_constant() else {
                return Err(self.bad_argument(at, register, "a constant"));
            };
            arguments.constant = Some(constant);
            if param.name.ends_with("__szk") {
                arguments.length = u32::try_from(constant).ok();
            }
        }
        Ok(())
    }

    fn check_kfunc_memory(
        &mut self,
        state: &mut State,
        at: usize,
        register: u8,
        value: &Value,
    ) -> Result<(), Failure> {
        let size = self.read(state, at, register + 1)?;
        self.wants(at, 1 << (register + 1));
        let Some(size) = size.number() else { return Err(self.bad_argument(at, register + 1, "a length")) };
        let ranges = size.scalar.ranges(nonna_bpf::Width::W64);
        if ranges.signed_min < 0 || ranges.unsigned_max >= 1 << 29 {
            let message = format!("nothing bounds the length in `r{}`", register + 1);
            return Err(Failure::new(&slugs::BAD_LENGTH, at, message)
                .register(register + 1)
                .help("compare it with the size of the memory first"));
        }
        let bytes = ranges.unsigned_max as i64;
        let is_nothing = value.number().is_some_and(|number| number.scalar.as_constant() == Some(0));
        if is_nothing && bytes == 0 {
            return Ok(());
        }
        self.check_memory(state, at, register, value, bytes, Way::Write)?;
        if let Value::Pointer(pointer) = value
            && let Kind::Stack { .. } = pointer.kind
        {
            return self.fill(state, at, register, pointer, bytes);
        }
        Ok(())
    }

    /// A pointer to a kernel object.
    #[expect(clippy::too_many_arguments, reason = "the parts of one argument")]
    fn check_object(
        &mut self,
        state: &State,
        at: usize,
        register: u8,
        found: Kfunc,
        pointer: &Pointer,
        target_name: &str,
        btf: &Btf,
        arguments: &mut Arguments,
    ) -> Result<(), Failure> {
        if pointer.nullable {
            return Err(self.possibly_null(at, register));
        }
        let Kind::Typed { types: Types::Kernel, type_id, trust } = pointer.kind else {
            return Err(self.bad_argument(at, register, &format!("a pointer to `{target_name}`")));
        };
        let name = btf.name(TypeId(type_id)).unwrap_or_default();
        let usable = match trust {
            Trust::Trusted => true,
            Trust::Rcu => found.takes_rcu() && self.in_rcu(state) || !found.wants_trusted(),
            Trust::Plain => !found.wants_trusted(),
            Trust::Untrusted | Trust::User | Trust::PerCpu | Trust::Owned => false,
        };
        let strips = |name: &str| name.strip_prefix("bpf_").map(str::to_owned);
        let fits = name == target_name || strips(name).as_deref() == Some(target_name);
        // What is given back must be the thing itself, and what is still being made (`name___init`) is not what it is made to be.
        let made = |of: &str, what: &str| of.strip_suffix("___init") == Some(what);
        let is_strict = found.releases() || made(name, target_name) || made(target_name, name);
        let placed =
            !is_strict && pointer.is_fixed() && self.first_member(btf, type_id, pointer.offset, target_name);
        if !usable || !(fits && pointer.is_fixed() && pointer.offset == 0 || placed && !fits) {
            let wants = if fits {
                format!("a trusted pointer to `{target_name}`")
            } else {
                format!("a pointer to `{target_name}`")
            };
            return Err(self.bad_argument(at, register, &wants));
        }
        if found.releases() {
            if pointer.reference == 0 {
                let message = format!("`r{register}` is given back here, but nothing was acquired for it");
                return Err(Failure::new(&slugs::BAD_ARGUMENT, at, message)
                    .register(register)
                    .help("release only what an acquiring function returned"));
            }
            arguments.released = Some((register, pointer.reference));
        }
        Ok(())
    }

    /// Whether a structure holds one of the wanted type at this place, as a whole.
    fn first_member(&self, btf: &Btf, type_id: u32, offset: i64, wanted: &str) -> bool {
        let mut at = TypeId(type_id);
        let Ok(mut place) = u64::try_from(offset) else { return false };
        for _ in 0..16 {
            let Ok(Type::Struct(found)) = btf.resolved(at) else { return false };
            if found.name == wanted && place == 0 {
                return true;
            }
            let inner = found.members().find(|member| {
                let start = u64::from(member.bit_offset / 8);
                let size = btf.size_of(member.type_id).unwrap_or(0);
                place >= start && place < start + size
            });
            let Some(inner) = inner else { return false };
            (at, place) = (inner.type_id, place - u64::from(inner.bit_offset / 8));
        }
        false
    }

    fn kfunc_result(
        &mut self,
        state: &mut State,
        at: usize,
        found: Kfunc,
        btf: &Btf,
        returns: TypeId,
        arguments: &Arguments,
    ) -> Result<Option<Value>, Failure> {
        let id = self.fresh_id();
        match found.name {
            "bpf_rdonly_cast" => {
                let type_id = arguments.constant.and_then(|id| u32::try_from(id).ok()).unwrap_or(0);
                return Ok(Some(Value::Pointer(typed(Types::Kernel, type_id, Trust::Untrusted))));
            }
            "bpf_cast_to_kern_ctx" => return self.kernel_context(at).map(Some),
            "bpf_dynptr_slice" | "bpf_dynptr_slice_rdwr" => {
                self.check_slice(at, found.name)?;
                let writable = found.name == "bpf_dynptr_slice_rdwr";
                return Ok(Some(self.dynptr_part(arguments.dynptr, arguments.length.unwrap_or(0), writable)));
            }
            _ => {}
        }
        if returns == TypeId::VOID || btf.kind(returns) == Ok(BtfKind::Void) {
            return Ok(None);
        }
        let Ok(Some(pointer)) = btf.pointer(returns) else { return Ok(Some(Value::unknown())) };
        let target = btf.skip_modifiers(pointer.target).unwrap_or(TypeId::VOID);
        let nullable = found.may_return_null();
        let reference = if found.acquires() { self.acquire(state, at) } else { 0 };
        let id = if reference != 0 { reference } else { id };
        if !matches!(btf.kind(target), Ok(BtfKind::Struct | BtfKind::Union)) {
            return Err(self.not_modelled(at, &format!("results of `{}`", found.name)));
        }
        let trust = if found.acquires() { Trust::Trusted } else { Trust::Plain };
        Ok(Some(Value::Pointer(Pointer { nullable, id, reference, ..typed(Types::Kernel, target.0, trust) })))
    }

    /// The kernel's own structure behind the context.
    fn kernel_context(&self, at: usize) -> Result<Value, Failure> {
        use nonna_bpf::ProgramType;
        let name = match self.program().program_type {
            ProgramType::Xdp => "xdp_buff",
            ProgramType::SchedCls
            | ProgramType::SchedAct
            | ProgramType::SocketFilter
            | ProgramType::CgroupSkb
            | ProgramType::SkSkb
            | ProgramType::LwtIn
            | ProgramType::LwtOut
            | ProgramType::LwtXmit => "sk_buff",
            ProgramType::Kprobe => "pt_regs",
            ProgramType::PerfEvent => "bpf_perf_event_data_kern",
            ProgramType::SockOps => "bpf_sock_ops_kern",
            ProgramType::CgroupSockAddr => "bpf_sock_addr_kern",
            _ => return Err(self.not_modelled(at, "casts of this context")),
        };
        self.kernel_structure(at, name)
    }
}
