//! Pointers to objects with a type: arguments of functions, fields of kernel structures.
//!
//! After `btf_ctx_access`, `btf_struct_walk` and `check_ptr_to_btf_access` (Linux 6.12). Types come from the kernel's BTF or from the
//! object's own; where the kernel's are not known, nothing is guessed.

use nonna_bpf::{AttachType, MemSize, ProgramType};
use nonna_btf::{Btf, Kind as BtfKind, Type, TypeId};

use super::Prover;
use super::failure::Failure;
use super::state::State;
use super::step::typed;
use super::value::{Kind, Pointer, Source, Trust, Types, Value};
use super::walk::{Found, walk};
use crate::facts::AccessFact;
use crate::numbers::Scalar;
use crate::slugs;

/// Security hooks whose arguments are still being made or are going away (`untrusted_lsm_hooks`).
const PASSES_UNTRUSTED: &[&str] = &[
    "bpf_map_free",
    "bpf_prog_free",
    "file_alloc_security",
    "file_free_security",
    "sk_alloc_security",
    "sk_free_security",
    "task_free",
];

impl<'a> Prover<'a> {
    pub(crate) fn kernel_types(&self, at: usize) -> Result<&'a Btf, Failure> {
        self.kernel.ok_or_else(|| {
            Failure::new(
                &slugs::NOT_MODELLED,
                at,
                "this needs the types of the kernel, and they are not known here",
            )
            .help("give the types of a kernel (`/sys/kernel/btf/vmlinux`)")
        })
    }

    pub(crate) fn types(&self, at: usize, types: Types) -> Result<&Btf, Failure> {
        match types {
            Types::Kernel => self.kernel_types(at),
            Types::Object => self.own_types.ok_or_else(|| {
                Failure::new(
                    &slugs::NOT_MODELLED,
                    at,
                    "this needs the types of the object, and it brings none",
                )
                .help("compile with `-g`")
            }),
        }
    }

    /// A trusted pointer to a structure of the kernel by name.
    pub(crate) fn kernel_structure(&self, at: usize, name: &str) -> Result<Value, Failure> {
        let btf = self.kernel_types(at)?;
        let found = btf.find(BtfKind::Struct, name);
        let id = found.ok_or_else(|| self.unknown_type(at, name))?;
        Ok(Value::Pointer(typed(Types::Kernel, id.0, Trust::Trusted)))
    }

    pub(crate) fn unknown_type(&self, at: usize, name: &str) -> Failure {
        Failure::new(&slugs::UNKNOWN_TYPE, at, format!("the kernel's types have no `{name}`"))
            .help("check the name against the kernel that the program is for")
    }

    fn bad_type(&self, at: usize, register: u8, why: impl Into<String>) -> Failure {
        Failure::new(&slugs::TYPED_ACCESS, at, why)
            .register(register)
            .help("read a field of the structure at its own offset and width, or copy bytes with `bpf_probe_read_kernel`")
    }

    /// An argument of the function that the program is attached to.
    pub(crate) fn argument(
        &mut self,
        at: usize,
        register: u8,
        slot: u16,
        size: MemSize,
    ) -> Result<Value, Failure> {
        let btf = self.kernel_types(at)?;
        let program = self.program();
        let name = program.attach_target.clone().unwrap_or_default();
        let attach_type = program.attach_type;
        let program_type = program.program_type;
        let missing = || self.unknown_type(at, &name);
        let read = |_| missing();
        let is_iterator = attach_type == Some(AttachType::TraceIter);
        let (params, result, trusted) = match (program_type, attach_type) {
            (ProgramType::Lsm, _) => {
                let hook = btf.lsm_hook(&name).map_err(read)?.ok_or_else(missing)?;
                (hook.params, Some(hook.return_type), !PASSES_UNTRUSTED.contains(&name.as_str()))
            }
            (ProgramType::Tracing, Some(AttachType::TraceRawTp)) => {
                (btf.tracepoint(&name).map_err(read)?.ok_or_else(missing)?.args, None, true)
            }
            (ProgramType::Tracing, Some(AttachType::TraceIter)) => {
                let function =
                    btf.function(&format!("bpf_iter_{name}")).map_err(read)?.ok_or_else(missing)?;
                (function.params, None, true)
            }
            (ProgramType::Tracing, kind) => {
                let function = btf.function(&name).map_err(read)?.ok_or_else(missing)?;
                let result = (kind != Some(AttachType::TraceFentry)).then_some(function.return_type);
                (function.params, result, false)
            }
            _ => return Err(self.not_modelled(at, "arguments of this kind of program")),
        };
        // A structure that is passed by value takes one slot for each 8 bytes begun.
        let mut next = 0u64;
        let mut found = None;
        for (index, param) in params.iter().enumerate() {
            let slots = btf.size_of(param.type_id).unwrap_or(8).div_ceil(8).max(1);
            if (next..next + slots).contains(&u64::from(slot)) {
                found = Some((index, param.type_id));
            }
            next += slots;
        }
        let (index, type_id) = match (found, result) {
            (Some(found), _) => found,
            (None, Some(result)) if u64::from(slot) == next && result != TypeId::VOID => {
                (params.len(), result)
            }
            _ => {
                let message = format!("`{name}` has no argument {slot}");
                return Err(Failure::new(&slugs::CONTEXT_ACCESS, at, message)
                    .register(register)
                    .help("count arguments from 0"));
            }
        };
        let trust = if trusted { Trust::Trusted } else { Trust::Plain };
        let nullable = is_iterator && index > 0;
        self.of_type(at, register, btf, type_id, trust, nullable, size)
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one argument")]
    fn of_type(
        &mut self,
        at: usize,
        register: u8,
        btf: &Btf,
        type_id: TypeId,
        trust: Trust,
        nullable: bool,
        size: MemSize,
    ) -> Result<Value, Failure> {
        let bad = |_| self.bad_type(at, register, "the type of this argument cannot be read");
        let number = Value::scalar(Scalar::loaded(size, false));
        match btf.resolved(type_id).map_err(bad)? {
            Type::Ptr { .. } => {}
            Type::Int(_) | Type::Enum(_) | Type::Enum64(_) | Type::Struct(_) | Type::Union(_) => {
                return Ok(number);
            }
            _ => return Err(self.bad_type(at, register, "an argument of this type cannot be read")),
        }
        let Some(pointer) = btf.pointer(type_id).map_err(bad)? else { return Ok(number) };
        let target = btf.skip_modifiers(pointer.target).map_err(bad)?;
        match btf.kind(target).map_err(bad)? {
            BtfKind::Struct | BtfKind::Union => {}
            BtfKind::FuncProto => {
                return Err(self.bad_type(at, register, "a pointer to a function cannot be read"));
            }
            _ => return Ok(number),
        }
        if size != MemSize::DW {
            return Err(self.bad_type(at, register, "a pointer is read in 8 bytes"));
        }
        let trust = if pointer.is_user {
            Trust::User
        } else if pointer.is_percpu {
            Trust::PerCpu
        } else {
            trust
        };
        let id = if nullable { self.fresh_id() } else { 0 };
        Ok(Value::Pointer(Pointer { nullable, id, ..typed(Types::Kernel, target.0, trust) }))
    }

    pub(crate) fn not_modelled(&self, at: usize, what: &str) -> Failure {
        Failure::new(&slugs::NOT_MODELLED, at, format!("{what} are not modelled here"))
            .help("let the kernel judge this program")
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one instruction")]
    pub(crate) fn load_typed(
        &mut self,
        state: &mut State,
        at: usize,
        register: u8,
        pointer: &Pointer,
        types: Types,
        type_id: u32,
        trust: Trust,
        offset: i64,
        size: MemSize,
        signed: bool,
    ) -> Result<Value, Failure> {
        match trust {
            Trust::User => {
                return Err(self.bad_type(
                    at,
                    register,
                    "this is an address in user space: copy from it with `bpf_probe_read_user`",
                ));
            }
            Trust::PerCpu => {
                return Err(self.bad_type(
                    at,
                    register,
                    "this is per-processor memory: ask `bpf_this_cpu_ptr` for an address",
                ));
            }
            Trust::Trusted | Trust::Rcu | Trust::Plain | Trust::Untrusted => self.note_probe(at),
            Trust::Owned => self.note_direct(at),
        }
        if !pointer.is_fixed() {
            return Err(self.bad_type(at, register, "the place in the structure depends on a variable"));
        }
        let place = pointer.offset + offset;
        let Ok(place) = u64::try_from(place) else {
            return Err(self.bad_type(at, register, "this reaches before the start of the structure"));
        };
        let unknown = Value::scalar(Scalar::loaded(size, signed));
        if types == Types::Object {
            return self.load_own(at, register, type_id, place, size, unknown);
        }
        let btf = self.kernel_types(at)?;
        // Programs read the same few fields on many paths, and records of types are slow to read.
        let known = self.walked.entry((type_id, place, size.bytes() as u8));
        let found = *known.or_insert_with(|| walk(btf, TypeId(type_id), place, u64::from(size.bytes())));
        let found = found.ok_or_else(|| {
            self.bad_type(
                at,
                register,
                format!("`{}` has no field at byte {place} of this width", btf.type_name(TypeId(type_id))),
            )
        })?;
        match found {
            Found::Structure(target, tag) if size == MemSize::DW && !signed => {
                let next = match (tag, trust) {
                    (Trust::User | Trust::PerCpu, _) => tag,
                    (_, Trust::Untrusted) => Trust::Untrusted,
                    (Trust::Rcu, Trust::Trusted | Trust::Rcu) if self.in_rcu(state) => Trust::Rcu,
                    _ => Trust::Plain,
                };
                let nullable = next == Trust::Rcu;
                let id = if nullable { self.fresh_id() } else { 0 };
                Ok(Value::Pointer(Pointer { nullable, id, ..typed(Types::Kernel, target.0, next) }))
            }
            Found::Structure(..) | Found::Other | Found::Number => Ok(unknown),
        }
    }

    /// Whether the program is in an RCU section: programs that cannot sleep always are.
    pub(crate) fn in_rcu(&self, state: &State) -> bool {
        !self.program().sleepable || state.rcu > 0
    }

    pub(crate) fn note_probe(&mut self, at: usize) {
        self.facts[at] = self.facts[at].max(AccessFact::Probe);
    }

    pub(crate) fn note_direct(&mut self, at: usize) {
        self.facts[at] = self.facts[at].max(AccessFact::Direct);
    }

    /// A load from an object of the program's own.
    fn load_own(
        &mut self,
        at: usize,
        register: u8,
        type_id: u32,
        place: u64,
        size: MemSize,
        unknown: Value,
    ) -> Result<Value, Failure> {
        let btf = self.types(at, Types::Object)?;
        let bytes = btf.size_of(TypeId(type_id)).unwrap_or(0);
        if place + u64::from(size.bytes()) > bytes {
            return Err(self.outside(at, register, "this object"));
        }
        Ok(unknown)
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one instruction")]
    pub(crate) fn store_typed(
        &mut self,
        at: usize,
        register: u8,
        pointer: &Pointer,
        types: Types,
        type_id: u32,
        trust: Trust,
        offset: i64,
        size: MemSize,
    ) -> Result<(), Failure> {
        if trust == Trust::Trusted
            && types == Types::Kernel
            && self.is_connection_mark(type_id, pointer, offset, size)
        {
            self.note_direct(at);
            return Ok(());
        }
        if !matches!((trust, types), (Trust::Owned, Types::Object)) {
            return Err(Failure::new(
                &slugs::READ_ONLY,
                at,
                "a structure of the kernel can be read here, but not written",
            )
            .register(register)
            .help("use a helper or kernel function that changes it"));
        }
        self.note_direct(at);
        let place = pointer.offset + offset;
        let bytes = self.types(at, types)?.size_of(TypeId(type_id)).unwrap_or(0) as i64;
        if !pointer.is_fixed() || place < 0 || place + i64::from(size.bytes()) > bytes {
            return Err(self.outside(at, register, "this object"));
        }
        let special = self.fields_of(types, TypeId(type_id));
        let end = place + i64::from(size.bytes());
        if special
            .iter()
            .any(|field| i64::from(field.offset) < end && place < i64::from(field.offset + field.bytes))
        {
            return Err(self.outside(at, register, "what a program may change in this object"));
        }
        Ok(())
    }

    /// Whether this is the mark of a connection, which network programs may set (`_nf_conntrack_btf_struct_access` in
    /// `net/netfilter/nf_conntrack_bpf.c`, Linux 6.12).
    fn is_connection_mark(&self, type_id: u32, pointer: &Pointer, offset: i64, size: MemSize) -> bool {
        let program_type = self.program().program_type;
        let network =
            matches!(program_type, ProgramType::Xdp | ProgramType::SchedCls | ProgramType::SchedAct);
        let Some(btf) = self.kernel else { return false };
        let is_connection =
            btf.name(TypeId(type_id)).is_ok_and(|name| matches!(name, "nf_conn" | "nf_conn___init"));
        if !network || !is_connection || !pointer.is_fixed() || size != MemSize::W {
            return false;
        }
        // One that is still being made begins with what it will be.
        let Some(Ok(Type::Struct(connection))) =
            btf.find(BtfKind::Struct, "nf_conn").map(|connection| btf.resolved(connection))
        else {
            return false;
        };
        let place = pointer.offset + offset;
        let mut members = connection.members();
        members.any(|member| member.name == "mark" && i64::from(member.bit_offset) == 8 * place)
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one instruction")]
    pub(crate) fn load_map_description(
        &mut self,
        state: &mut State,
        at: usize,
        register: u8,
        pointer: &Pointer,
        offset: i64,
        size: MemSize,
        signed: bool,
    ) -> Result<Value, Failure> {
        let Value::Pointer(map) = self.kernel_structure(at, "bpf_map")? else { return Ok(Value::unknown()) };
        let Kind::Typed { type_id, .. } = map.kind else { return Ok(Value::unknown()) };
        self.load_typed(
            state,
            at,
            register,
            pointer,
            Types::Kernel,
            type_id,
            Trust::Plain,
            offset,
            size,
            signed,
        )
    }

    /// A pointer to a kernel variable by name.
    pub(crate) fn kernel_symbol(
        &mut self,
        at: usize,
        name: &str,
        is_typed: bool,
        weak: bool,
    ) -> Result<Value, Failure> {
        if !is_typed {
            return Ok(Value::unknown());
        }
        let btf = self.kernel_types(at)?;
        match btf.find(BtfKind::Var, name) {
            Some(id) => self.kernel_variable(at, id.0, weak),
            None if btf.find(BtfKind::Func, name).is_some() => {
                Ok(Value::Pointer(Pointer::new(Kind::Memory {
                    bytes: 0,
                    writable: false,
                    source: Source::Plain,
                })))
            }
            None if weak => Ok(Value::constant(0)),
            None => Err(self.unknown_type(at, name)),
        }
    }

    /// A pointer to a kernel variable by id.
    pub(crate) fn kernel_variable(&mut self, at: usize, id: u32, _weak: bool) -> Result<Value, Failure> {
        let btf = self.kernel_types(at)?;
        let unknown = || self.unknown_type(at, "variable");
        let target = match btf.ty(TypeId(id)).map_err(|_| unknown())? {
            Type::Var(var) => btf.skip_modifiers(var.target).map_err(|_| unknown())?,
            _ => return Err(unknown()),
        };
        // The kernel describes its per-processor variables only.
        Ok(Value::Pointer(typed(Types::Kernel, target.0, Trust::PerCpu)))
    }
}
