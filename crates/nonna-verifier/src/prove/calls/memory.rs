//! Memory that calls read and write: how much of it, whose, and what is there afterwards.
//!
//! After `check_helper_mem_access` (Linux 6.12). Which argument is memory is decided in `argument` and `kfunc`; what single loads and
//! stores may touch is decided outside of calls.

use nonna_bpf::{Access, Argument, Callee, Helper, Insn, Width};

use super::super::Prover;
use super::super::failure::Failure;
use super::super::memory::Way;
use super::super::state::State;
use super::super::value::{Kind, Pointer, Trust, Types, Value};
use super::super::walk::walk;
use super::helper::Arguments;
use crate::context::packet_access;
use crate::slugs;

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

/// Lengths beyond this are not bounded at all (`BPF_MAX_VAR_SIZ`).
const MAX_LENGTH: u64 = 1 << 29;

impl Prover<'_> {
    /// Memory whose length is the next argument.
    #[expect(clippy::too_many_arguments, reason = "the parts of one argument")]
    pub(super) fn check_sized_memory(
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
    pub(super) fn check_access(
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
                // Within one member, as for loads.
                let btf = self.kernel_types(at)?;
                let range = (u64::try_from(pointer.offset), u64::try_from(bytes));
                match range {
                    (Ok(place), Ok(bytes))
                        if pointer.is_fixed()
                            && walk(btf, nonna_btf::TypeId(type_id), place, bytes).is_some() =>
                    {
                        Ok(())
                    }
                    _ => Err(self.outside(at, register, "the members of this structure")),
                }
            }
            _ => Err(self.bad_argument(
                at,
                register,
                "a pointer to the stack, a map value, the packet or reserved memory",
            )),
        }
    }

    /// Whether the call at an instruction is of a helper that reads from packets directly (`pkt_access`).
    pub(super) fn takes_packet(&self, at: usize) -> bool {
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

    pub(super) fn check_constant_string(
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
}
