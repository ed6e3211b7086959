//! Whether a value may be passed as what a helper wants (`check_func_arg` and `check_helper_mem_access`, Linux 6.12).

use nonna_bpf::{Access, Argument, Callee, Helper, Insn, MapType, Width};

use super::super::Prover;
use super::super::failure::Failure;
use super::super::fields::FieldKind;
use super::super::memory::Way;
use super::super::state::State;
use super::super::value::{Kind, Pointer, Source, Trust, Types, Value};
use super::helper::Arguments;
use crate::context::{SocketKind, packet_access};
use crate::slugs;

/// Lengths beyond this are not bounded at all (`BPF_MAX_VAR_SIZ`).
const MAX_LENGTH: u64 = 1 << 29;

impl Prover<'_> {
    pub(crate) fn bad_argument(&self, at: usize, register: u8, wants: &str) -> Failure {
        Failure::new(&slugs::BAD_ARGUMENT, at, format!("`r{register}` should be {wants} in this call"))
            .register(register)
            .help("pass what the helper's prototype names, in the same order")
    }

    pub(crate) fn check_argument(
        &mut self,
        state: &mut State,
        at: usize,
        register: u8,
        all: &[Argument],
        argument: &Argument,
        found: &mut Arguments,
    ) -> Result<(), Failure> {
        let value = self.read(state, at, register)?;
        if *argument == Argument::Anything {
            return Ok(());
        }
        let null = matches!(&value, Value::Number(number) if number.scalar.as_constant() == Some(0));
        let pointer = match value {
            Value::Pointer(pointer) => Some(pointer),
            _ => None,
        };
        if pointer.is_some_and(|pointer| pointer.nullable) && !may_be_null(argument) {
            return Err(self.possibly_null(at, register));
        }
        match *argument {
            Argument::Anything => Ok(()),
            Argument::Number => match value {
                Value::Number(_) => Ok(()),
                _ => Err(self.bad_argument(at, register, "a number")),
            },
            Argument::Map => {
                match pointer.map(|pointer| (pointer.kind, pointer.is_fixed() && pointer.offset == 0)) {
                    Some((Kind::Map(map), true)) => {
                        found.map = Some((map, false));
                        Ok(())
                    }
                    Some((Kind::InnerMap(map), true)) => {
                        found.map = Some((map, true));
                        Ok(())
                    }
                    _ => Err(self.bad_argument(at, register, "a map")),
                }
            }
            Argument::MapKey => {
                let Some((map, _)) = found.map else { return Err(self.bad_argument(at, register, "a key")) };
                let bytes = i64::from(self.map(map).key_size);
                self.check_memory(state, at, register, &value, bytes, Way::Read)
            }
            Argument::MapValue { access, nullable } => {
                if null && nullable {
                    return Ok(());
                }
                let Some((map, _)) = found.map else {
                    return Err(self.bad_argument(at, register, "a value"));
                };
                if matches!(self.map(map).map_type, MapType::Sockmap | MapType::Sockhash) {
                    return match pointer.map(|pointer| pointer.kind) {
                        Some(Kind::Socket(_) | Kind::TcpSocket) => {
                            self.check_unmoved(at, register, pointer.as_ref())
                        }
                        Some(Kind::Typed { trust: Trust::Trusted | Trust::Rcu | Trust::Plain, .. }) => Ok(()),
                        _ => Err(self.bad_argument(at, register, "a socket")),
                    };
                }
                let bytes = i64::from(self.map(map).value_size);
                self.check_access(state, at, register, &value, bytes, access, found)
            }
            Argument::Memory { access, nullable } => {
                self.check_sized_memory(state, at, register, &value, access, nullable, all, found)
            }
            Argument::FixedMemory { bytes, access } => {
                let aligned = pointer.is_none_or(|pointer| {
                    !matches!(pointer.kind, Kind::Stack { .. })
                        || !matches!(bytes, 4 | 8)
                        || pointer.offset % i64::from(bytes) == 0
                });
                if !aligned {
                    return Err(self.bad_argument(at, register, "aligned memory"));
                }
                self.check_access(state, at, register, &value, i64::from(bytes), access, found)
            }
            Argument::MemorySize { .. } => match value {
                Value::Number(_) => Ok(()),
                _ => Err(self.bad_argument(at, register, "a length")),
            },
            Argument::AllocationSize => {
                self.wants(at, 1 << register);
                let constant = value.number().and_then(|number| number.scalar.as_constant());
                match constant.and_then(|constant| u32::try_from(constant).ok()) {
                    Some(bytes) => {
                        found.allocation = Some(bytes);
                        Ok(())
                    }
                    None => Err(self.bad_argument(at, register, "a constant length")),
                }
            }
            Argument::Context { nullable } => match pointer {
                Some(pointer) if pointer.kind == Kind::Context => {
                    if pointer.is_fixed() && pointer.offset == 0 {
                        Ok(())
                    } else {
                        Err(self.bad_argument(at, register, "the context, unchanged"))
                    }
                }
                _ if null && nullable => Ok(()),
                _ => Err(self.bad_argument(at, register, "the context")),
            },
            Argument::StackOrNull => match pointer.map(|pointer| pointer.kind) {
                Some(Kind::Stack { .. }) => Ok(()),
                None if null => Ok(()),
                _ => Err(self.bad_argument(at, register, "memory on the stack, or 0")),
            },
            Argument::Callback => match pointer.map(|pointer| pointer.kind) {
                Some(Kind::Function { insn }) => {
                    found.callback = Some(insn as usize);
                    Ok(())
                }
                _ => Err(self.bad_argument(at, register, "a function of the program")),
            },
            Argument::ConstantString => self.check_constant_string(at, register, pointer.as_ref()),
            Argument::SpinLock => self.check_field(
                at,
                register,
                pointer.as_ref(),
                "a lock in a map value",
                |kind| kind == FieldKind::SpinLock,
                found,
            ),
            Argument::Timer => self.check_field(
                at,
                register,
                pointer.as_ref(),
                "a timer in a map value",
                |kind| kind == FieldKind::Timer,
                found,
            ),
            Argument::KernelPointerSlot => self.check_pointer_slot(at, register, pointer.as_ref(), found),
            Argument::KernelPointer => self.check_exchanged(at, register, &value, null, found),
            Argument::RingbufRecord => match pointer {
                Some(pointer)
                    if matches!(pointer.kind, Kind::Memory { source: Source::Record, .. })
                        && pointer.is_fixed()
                        && pointer.offset == 0 =>
                {
                    found.released = Some((register, pointer.reference));
                    Ok(())
                }
                _ => Err(self.bad_argument(at, register, "what `bpf_ringbuf_reserve` returned")),
            },
            Argument::Dynptr(dynptr) => {
                self.check_dynptr(state, at, register, pointer.as_ref(), dynptr, found)
            }
            Argument::SockCommon => match pointer.map(|pointer| pointer.kind) {
                Some(Kind::Socket(_) | Kind::TcpSocket | Kind::XdpSocket) => {
                    self.check_unmoved(at, register, pointer.as_ref())
                }
                Some(Kind::Typed { trust: Trust::Trusted | Trust::Rcu | Trust::Plain, .. }) => Ok(()),
                _ => Err(self.bad_argument(at, register, "a socket")),
            },
            Argument::SocketOrNull => match pointer.map(|pointer| pointer.kind) {
                Some(Kind::Socket(SocketKind::Full)) => self.check_unmoved(at, register, pointer.as_ref()),
                Some(Kind::Typed { trust: Trust::Trusted | Trust::Rcu | Trust::Plain, .. }) => Ok(()),
                None if null => Ok(()),
                _ => Err(self.bad_argument(at, register, "a full socket, or 0")),
            },
            Argument::Socket { nullable, released } => match pointer {
                Some(pointer)
                    if matches!(
                        pointer.kind,
                        Kind::Socket(_)
                            | Kind::TcpSocket
                            | Kind::XdpSocket
                            | Kind::Typed { trust: Trust::Trusted | Trust::Rcu | Trust::Plain, .. }
                    ) =>
                {
                    self.check_unmoved(at, register, Some(&pointer))?;
                    if released {
                        if pointer.reference == 0 {
                            let message =
                                format!("`r{register}` is given back here, but nothing was acquired for it");
                            return Err(Failure::new(&slugs::BAD_ARGUMENT, at, message)
                                .register(register)
                                .help("release only what a look-up returned"));
                        }
                        found.released = Some((register, pointer.reference));
                    }
                    Ok(())
                }
                _ if null && nullable => Ok(()),
                _ => Err(self.bad_argument(at, register, "a socket")),
            },
            Argument::PerCpuVariable => match pointer.map(|pointer| pointer.kind) {
                Some(Kind::Typed { trust: Trust::PerCpu, .. }) => Ok(()),
                _ => Err(self.bad_argument(at, register, "a per-processor variable")),
            },
            Argument::Kernel { type_name, nullable } => match pointer {
                Some(pointer) => self.check_kernel_object(at, register, &pointer, type_name),
                None if null && nullable => Ok(()),
                None => Err(self.bad_argument(at, register, &format!("a pointer to `{type_name}`"))),
            },
        }
    }

    fn check_unmoved(&self, at: usize, register: u8, pointer: Option<&Pointer>) -> Result<(), Failure> {
        match pointer {
            Some(pointer) if pointer.is_fixed() && pointer.offset == 0 => Ok(()),
            _ => Err(self.bad_argument(at, register, "a pointer to the start of the object")),
        }
    }

    /// Memory whose length is the next argument.
    #[expect(clippy::too_many_arguments, reason = "the parts of one argument")]
    fn check_sized_memory(
        &mut self,
        state: &mut State,
        at: usize,
        register: u8,
        value: &Value,
        access: Access,
        nullable: bool,
        all: &[Argument],
        found: &mut Arguments,
    ) -> Result<(), Failure> {
        let size_register = register + 1;
        let size = self.read(state, at, size_register)?;
        self.wants(at, 1 << size_register);
        let Some(size) = size.number().copied() else {
            return Err(self.bad_argument(at, size_register, "a length"));
        };
        let ranges = *size.scalar.ranges(Width::W64);
        let zero = matches!(all.get(usize::from(register)), Some(Argument::MemorySize { zero: true }));
        let null = matches!(value, Value::Number(number) if number.scalar.as_constant() == Some(0));
        if null && nullable && zero && size.scalar.as_constant() == Some(0) {
            return Ok(());
        }
        if null && nullable && !zero && size.scalar.as_constant() == Some(0) {
            return Ok(());
        }
        if self.judges() {
            if ranges.signed_min < 0 {
                let message = format!("the length in `r{size_register}` may be negative");
                return Err(Failure::new(&slugs::BAD_LENGTH, at, message)
                    .register(size_register)
                    .help("make it unsigned, or mask it: `len &= 0xff;`"));
            }
            if ranges.unsigned_max >= MAX_LENGTH {
                let message = format!("nothing bounds the length in `r{size_register}` from above");
                return Err(Failure::new(&slugs::BAD_LENGTH, at, message)
                    .register(size_register)
                    .help("compare it with the size of the memory first"));
            }
            if ranges.unsigned_min == 0 && !zero {
                let message =
                    format!("the length in `r{size_register}` may be 0, and this helper wants at least 1");
                return Err(Failure::new(&slugs::BAD_LENGTH, at, message)
                    .register(size_register)
                    .help("leave out the call where the length is 0"));
            }
        }
        found.size = Some((ranges.unsigned_min, ranges.unsigned_max.min(MAX_LENGTH)));
        let most = ranges.unsigned_max.min(MAX_LENGTH) as i64;
        if let Value::Pointer(pointer) = value
            && pointer.nullable
        {
            return Err(self.possibly_null(at, register));
        }
        self.check_access(state, at, register, value, most, access, found)
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one argument")]
    fn check_access(
        &mut self,
        state: &mut State,
        at: usize,
        register: u8,
        value: &Value,
        bytes: i64,
        access: Access,
        found: &mut Arguments,
    ) -> Result<(), Failure> {
        match access {
            Access::Read => self.check_memory(state, at, register, value, bytes, Way::Read),
            Access::ReadWrite => {
                self.check_memory(state, at, register, value, bytes, Way::Read)?;
                self.check_memory(state, at, register, value, bytes, Way::Write)?;
                if let Value::Pointer(pointer) = value {
                    found.fills.push((register, *pointer, bytes));
                }
                Ok(())
            }
            Access::Write => {
                self.check_memory(state, at, register, value, bytes, Way::Write)?;
                if let Value::Pointer(pointer) = value {
                    found.fills.push((register, *pointer, bytes));
                }
                Ok(())
            }
        }
    }

    /// Whether a helper may read or write so many bytes behind a value.
    pub(crate) fn check_memory(
        &mut self,
        state: &mut State,
        at: usize,
        register: u8,
        value: &Value,
        bytes: i64,
        way: Way,
    ) -> Result<(), Failure> {
        let Value::Pointer(pointer) = value else {
            return Err(self.bad_argument(at, register, "a pointer to memory"));
        };
        if pointer.nullable {
            return Err(self.possibly_null(at, register));
        }
        match pointer.kind {
            Kind::Stack { depth } => {
                if bytes == 0 {
                    return self.stack_places(at, register, pointer, 0, 0).map(|_| ());
                }
                let bytes = self.plausible(bytes);
                let (first, last) = self.stack_places(at, register, pointer, 0, bytes)?;
                let depth = usize::from(depth);
                if way == Way::Write {
                    return Ok(());
                }
                self.note_stack_read(state, at, depth, first, last + bytes, false);
                self.check_initialized(state, at, register, depth, first, last + bytes)
            }
            Kind::MapValue { map } => {
                self.check_bytes(at, register, pointer, 0, bytes, way)?;
                self.check_special_field(at, register, pointer, 0, bytes, map)
            }
            Kind::Packet { .. } | Kind::PacketMeta { .. } => {
                let access = packet_access(self.program().program_type, self.program().attach_type);
                if !access.to_helpers || !self.takes_packet(at) {
                    return Err(self.bad_argument(at, register, "memory that is not in the packet"));
                }
                self.check_bytes(at, register, pointer, 0, bytes, way)
            }
            Kind::MapKey(_) | Kind::Memory { .. } | Kind::TracepointBuffer => {
                self.check_bytes(at, register, pointer, 0, bytes, way)
            }
            Kind::Typed { types: Types::Kernel, type_id, trust: Trust::Trusted | Trust::Rcu }
                if way == Way::Read =>
            {
                let size = self.kernel_types(at)?.size_of(nonna_btf::TypeId(type_id)).unwrap_or(0) as i64;
                if pointer.is_fixed() && pointer.offset >= 0 && pointer.offset + bytes <= size {
                    return Ok(());
                }
                Err(self.outside(at, register, "this structure"))
            }
            _ => Err(self.bad_argument(
                at,
                register,
                "a pointer to the stack, a map value, the packet or reserved memory",
            )),
        }
    }

    /// Whether the call at an instruction is of a helper that reads from packets directly (`pkt_access`).
    fn takes_packet(&self, at: usize) -> bool {
        let Insn::Call(Callee::Helper(number)) = self.insns[at] else { return true };
        Helper::from_id(number).is_some_and(|helper| TAKES_PACKET.contains(&helper.name()))
    }

    /// Notes that a helper filled memory.
    pub(crate) fn fill(
        &mut self,
        state: &mut State,
        at: usize,
        register: u8,
        pointer: &Pointer,
        bytes: i64,
    ) -> Result<(), Failure> {
        let Kind::Stack { depth } = pointer.kind else { return Ok(()) };
        if bytes == 0 {
            return Ok(());
        }
        let depth = usize::from(depth);
        let bytes = self.plausible(bytes);
        let (first, last) = self.stack_places(at, register, pointer, 0, bytes)?;
        if first == last {
            // Of a length that varies only the least is surely written; kernels count the whole as written.
            self.fill_stack(state, at, register, depth, first, first + bytes)
        } else {
            self.store_somewhere(state, at, register, depth, first, last + bytes)
        }
    }

    fn check_constant_string(
        &mut self,
        at: usize,
        register: u8,
        pointer: Option<&Pointer>,
    ) -> Result<(), Failure> {
        let wants = "a text in a map that nobody can change";
        let Some(Pointer { kind: Kind::MapValue { map }, offset, .. }) =
            pointer.filter(|pointer| pointer.is_fixed())
        else {
            return Err(self.bad_argument(at, register, wants));
        };
        let found = self.map(*map);
        let start = usize::try_from(*offset).unwrap_or(usize::MAX);
        let text = found.initial_value.as_ref().and_then(|value| value.get(start..));
        if !found.frozen || !text.is_some_and(|text| text.contains(&0)) {
            return Err(self.bad_argument(at, register, wants));
        }
        Ok(())
    }

    fn check_field(
        &mut self,
        at: usize,
        register: u8,
        pointer: Option<&Pointer>,
        wants: &str,
        is_it: impl Fn(FieldKind) -> bool,
        found: &mut Arguments,
    ) -> Result<(), Failure> {
        let Some(pointer) = pointer.filter(|pointer| pointer.is_fixed()) else {
            return Err(self.bad_argument(at, register, wants));
        };
        let fields = match pointer.kind {
            Kind::MapValue { map } => {
                found.map = found.map.or(Some((map, false)));
                self.map_fields(map)
            }
            Kind::Typed { types: Types::Object, type_id, trust: Trust::Owned } => {
                self.fields_of(Types::Object, nonna_btf::TypeId(type_id))
            }
            _ => return Err(self.bad_argument(at, register, wants)),
        };
        if !fields.iter().any(|field| i64::from(field.offset) == pointer.offset && is_it(field.kind)) {
            return Err(self.bad_argument(at, register, wants));
        }
        found.spin_lock = Some(*pointer);
        Ok(())
    }

    fn check_pointer_slot(
        &mut self,
        at: usize,
        register: u8,
        pointer: Option<&Pointer>,
        found: &mut Arguments,
    ) -> Result<(), Failure> {
        let wants = "a slot for a kernel pointer in a map value";
        let Some(Pointer { kind: Kind::MapValue { map }, offset, .. }) =
            pointer.filter(|pointer| pointer.is_fixed())
        else {
            return Err(self.bad_argument(at, register, wants));
        };
        let fields = self.map_fields(*map);
        let slot = fields.iter().find(|field| i64::from(field.offset) == *offset);
        match slot.map(|field| field.kind) {
            Some(FieldKind::KernelPointer { types, type_id, referenced: true, .. }) => {
                found.kernel_slot = Some((types, type_id));
                Ok(())
            }
            _ => Err(self.bad_argument(at, register, wants)),
        }
    }

    fn check_exchanged(
        &mut self,
        at: usize,
        register: u8,
        value: &Value,
        null: bool,
        found: &mut Arguments,
    ) -> Result<(), Failure> {
        if null {
            return Ok(());
        }
        let wanted = found.kernel_slot;
        match value {
            Value::Pointer(pointer)
                if pointer.reference != 0
                    && pointer.offset == 0
                    && matches!(pointer.kind, Kind::Typed { types, type_id, .. } if wanted == Some((types, type_id))) =>
            {
                found.released = Some((register, pointer.reference));
                Ok(())
            }
            _ => Err(self.bad_argument(
                at,
                register,
                "an object of the slot's type that the program holds, or 0",
            )),
        }
    }

    fn check_kernel_object(
        &mut self,
        at: usize,
        register: u8,
        pointer: &Pointer,
        type_name: &str,
    ) -> Result<(), Failure> {
        let wants = format!("a pointer to `{type_name}`");
        let Kind::Typed { types: Types::Kernel, type_id, trust } = pointer.kind else {
            return Err(self.bad_argument(at, register, &wants));
        };
        let usable = matches!(trust, Trust::Trusted | Trust::Rcu | Trust::Plain);
        let btf = self.kernel_types(at)?;
        let name = btf.name(nonna_btf::TypeId(type_id)).unwrap_or_default();
        let family = [
            "sock",
            "tcp_sock",
            "inet_sock",
            "inet_connection_sock",
            "tcp6_sock",
            "udp6_sock",
            "unix_sock",
            "mptcp_sock",
            "sock_common",
        ];
        let fits = name == type_name
            || family.contains(&name) && family.contains(&type_name) && !matches!(type_name, "tcp6_sock");
        if !usable || !fits || !pointer.is_fixed() || pointer.offset != 0 {
            return Err(self.bad_argument(at, register, &wants));
        }
        Ok(())
    }

    /// Notes the map of a call for the engine.
    pub(crate) fn note_map(&mut self, at: usize, arguments: &Arguments) {
        let found = arguments.map.and_then(|(map, inner)| (!inner).then_some(map));
        if found.is_none() && arguments.map.is_none() {
            return;
        }
        self.call_maps[at] = match self.call_maps[at] {
            None => Some(found),
            Some(known) if known == found => Some(known),
            Some(_) => Some(None),
        };
    }
}

/// Helpers that read from packets directly.
const TAKES_PACKET: &[&str] = &[
    "bpf_map_lookup_elem",
    "bpf_map_update_elem",
    "bpf_map_delete_elem",
    "bpf_map_push_elem",
    "bpf_map_pop_elem",
    "bpf_map_peek_elem",
    "bpf_map_lookup_percpu_elem",
    "bpf_csum_diff",
    "bpf_sk_lookup_tcp",
    "bpf_sk_lookup_udp",
    "bpf_skc_lookup_tcp",
    "bpf_tcp_check_syncookie",
    "bpf_tcp_gen_syncookie",
    "bpf_tcp_raw_gen_syncookie_ipv4",
    "bpf_tcp_raw_gen_syncookie_ipv6",
    "bpf_tcp_raw_check_syncookie_ipv4",
    "bpf_tcp_raw_check_syncookie_ipv6",
];

fn may_be_null(argument: &Argument) -> bool {
    match argument {
        Argument::MapValue { nullable, .. }
        | Argument::Memory { nullable, .. }
        | Argument::Context { nullable }
        | Argument::Socket { nullable, .. }
        | Argument::Kernel { nullable, .. } => *nullable,
        Argument::StackOrNull | Argument::SocketOrNull | Argument::KernelPointer | Argument::Anything => true,
        _ => false,
    }
}
