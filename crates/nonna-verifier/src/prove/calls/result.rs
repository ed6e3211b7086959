//! What helpers return.

use nonna_bpf::{Helper, MapType, Returns};
use nonna_btf::Kind as BtfKind;

use super::super::Prover;
use super::super::failure::Failure;
use super::super::state::State;
use super::super::step::typed;
use super::super::value::{Kind, Pointer, Source, Trust, Types, Value};
use super::helper::Arguments;
use crate::context::SocketKind;
use crate::numbers::Scalar;

/// `MAX_ERRNO`.
const ERROR_NUMBER_MAX: i64 = 4095;

impl Prover<'_> {
    /// A number that a helper returns, in the range that the kernel vouches for (`do_refine_retval_range`).
    pub(crate) fn number_result(&self, helper: Helper, size: Option<(u64, u64)>) -> Value {
        let sized = matches!(
            helper.name(),
            "bpf_get_stack"
                | "bpf_get_task_stack"
                | "bpf_probe_read_str"
                | "bpf_probe_read_kernel_str"
                | "bpf_probe_read_user_str"
        );
        let range = match (sized, size) {
            (true, Some((_, most))) => {
                i64::try_from(most).ok().and_then(|most| Scalar::signed_range(-ERROR_NUMBER_MAX, most))
            }
            _ if helper.name() == "bpf_get_smp_processor_id" => Scalar::range(0, 8191),
            _ => None,
        };
        range.map_or_else(Value::unknown, Value::scalar)
    }

    /// A pointer that a helper returns.
    pub(crate) fn pointer_result(
        &mut self,
        state: &mut State,
        at: usize,
        helper: Helper,
        returns: Returns,
        arguments: &Arguments,
    ) -> Result<Value, Failure> {
        let id = self.fresh_id();
        let plain = |kind, nullable| Value::Pointer(Pointer { nullable, id, ..Pointer::new(kind) });
        match returns {
            Returns::MapValue { nullable } => Ok(self.map_value(state, at, arguments, nullable, id)),
            Returns::SocketOrNull | Returns::SockCommonOrNull | Returns::TcpSockOrNull => {
                let kind = match returns {
                    Returns::SocketOrNull => Kind::Socket(SocketKind::Full),
                    Returns::SockCommonOrNull => Kind::Socket(SocketKind::Common),
                    _ => Kind::TcpSocket,
                };
                let acquires =
                    matches!(helper.name(), "bpf_sk_lookup_tcp" | "bpf_sk_lookup_udp" | "bpf_skc_lookup_tcp");
                let reference =
                    if acquires { self.acquire(state, at) } else { self.carried_reference(state, helper) };
                let id = if acquires { reference } else { id };
                Ok(Value::Pointer(Pointer { nullable: true, id, reference, ..Pointer::new(kind) }))
            }
            Returns::RingbufRecordOrNull => {
                let bytes = arguments.allocation.unwrap_or(0);
                let reference = self.acquire(state, at);
                let kind = Kind::Memory { bytes, writable: true, source: Source::Record };
                Ok(Value::Pointer(Pointer { nullable: true, id: reference, reference, ..Pointer::new(kind) }))
            }
            Returns::DynptrDataOrNull => {
                Ok(self.dynptr_part(arguments.dynptr, arguments.allocation.unwrap_or(0), true))
            }
            Returns::PerCpuVariable { nullable } => match state.register(1) {
                Value::Pointer(Pointer { kind: Kind::Typed { types, type_id, .. }, .. }) => {
                    Ok(self.per_cpu_copy(at, types, type_id, nullable, id)?)
                }
                _ => Ok(plain(Kind::Memory { bytes: 0, writable: false, source: Source::Plain }, nullable)),
            },
            Returns::KernelPointerOrNull => {
                let (types, type_id) = arguments.kernel_slot.unwrap_or((Types::Kernel, 0));
                let reference = self.acquire(state, at);
                let trust = if types == Types::Object { Trust::Owned } else { Trust::Trusted };
                Ok(Value::Pointer(Pointer {
                    nullable: true,
                    id: reference,
                    reference,
                    ..typed(types, type_id, trust)
                }))
            }
            Returns::Kernel { type_name, nullable } => {
                let btf = self.kernel_types(at)?;
                let found =
                    btf.find(BtfKind::Struct, type_name).ok_or_else(|| self.unknown_type(at, type_name))?;
                let trust = if helper.name().starts_with("bpf_get_current_task_btf") {
                    Trust::Trusted
                } else {
                    Trust::Plain
                };
                let reference = self.carried_reference(state, helper);
                Ok(Value::Pointer(Pointer {
                    nullable,
                    id,
                    reference,
                    ..typed(Types::Kernel, found.0, trust)
                }))
            }
            Returns::Integer | Returns::Nothing => Ok(Value::unknown()),
        }
    }

    fn per_cpu_copy(
        &mut self,
        at: usize,
        types: Types,
        type_id: u32,
        nullable: bool,
        id: u32,
    ) -> Result<Value, Failure> {
        let btf = self.types(at, types)?;
        let target = nonna_btf::TypeId(type_id);
        if matches!(btf.kind(target), Ok(BtfKind::Struct | BtfKind::Union)) {
            return Ok(Value::Pointer(Pointer { nullable, id, ..typed(types, type_id, Trust::Plain) }));
        }
        let bytes = btf.size_of(target).ok().and_then(|bytes| u32::try_from(bytes).ok()).unwrap_or(0);
        let kind = Kind::Memory { bytes, writable: false, source: Source::Plain };
        Ok(Value::Pointer(Pointer { nullable, id, ..Pointer::new(kind) }))
    }

    /// A socket that is a view of another is held as long as that one (`bpf_sk_fullsock`, `bpf_tcp_sock`).
    fn carried_reference(&self, state: &State, helper: Helper) -> u32 {
        let views = matches!(helper.name(), "bpf_sk_fullsock" | "bpf_tcp_sock")
            || helper.name().starts_with("bpf_skc_to_");
        match state.register(1) {
            Value::Pointer(pointer) if views => pointer.reference,
            _ => 0,
        }
    }

    /// What a look-up in a map gives.
    fn map_value(
        &mut self,
        state: &mut State,
        at: usize,
        arguments: &Arguments,
        nullable: bool,
        id: u32,
    ) -> Value {
        let Some((map, _)) = arguments.map else { return Value::unknown() };
        let found = self.map(map);
        let kind = match found.map_type {
            MapType::ArrayOfMaps | MapType::HashOfMaps => Kind::InnerMap(found.inner.unwrap_or(map)),
            MapType::Xskmap => Kind::XdpSocket,
            _ => Kind::MapValue { map },
        };
        if matches!(found.map_type, MapType::Sockmap | MapType::Sockhash) {
            let reference = self.acquire(state, at);
            return Value::Pointer(Pointer {
                nullable: true,
                id: reference,
                reference,
                ..Pointer::new(Kind::Socket(SocketKind::Full))
            });
        }
        Value::Pointer(Pointer { nullable, id, ..Pointer::new(kind) })
    }
}
