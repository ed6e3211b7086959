//! Loads and stores: whether the memory behind a pointer may be touched, and what a load finds.
//!
//! One rule for each kind of pointer, after `check_mem_access` and the functions that it calls in `kernel/bpf/verifier.c` (Linux
//! 6.12). What packets and the context ask beside is in `packet` and `context_access`.

use nonna_bpf::{AtomicOp, Map, MapFlags, MapIdx, MapType, MemSize, Program, Width};

use super::Prover;
use super::context_access::context_fact;
use super::failure::Failure;
use super::state::State;
use super::value::{Kind, Pointer, Trust, Value};
use crate::context::{self, AccessKind, SocketKind, Yield};
use crate::facts::AccessFact;
use crate::numbers::Scalar;
use crate::slugs;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Read,
    Write,
}

/// Bytes of `struct bpf_flow_keys`.
const FLOW_KEYS_BYTES: i64 = 56;

impl Prover<'_> {
    pub(crate) fn program(&self) -> &Program {
        &self.object.programs[self.program_index]
    }

    pub(crate) fn map(&self, map: MapIdx) -> &Map {
        &self.object.maps[map.0 as usize]
    }

    pub(crate) fn note(&mut self, at: usize, fact: AccessFact) {
        self.facts[at] = self.facts[at].max(fact);
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one instruction")]
    pub(crate) fn load(
        &mut self,
        state: &mut State,
        at: usize,
        register: u8,
        base: &Value,
        offset: i64,
        size: MemSize,
        signed: bool,
    ) -> Result<Value, Failure> {
        let pointer = *self.dereferenced(at, register, base)?;
        self.check_class(at, register, pointer.kind)?;
        let bytes = i64::from(size.bytes());
        let unknown = Value::scalar(Scalar::loaded(size, signed));
        match pointer.kind {
            Kind::Context => self.load_context(state, at, register, &pointer, offset, size, signed),
            Kind::Stack { depth } => {
                self.load_stack(state, at, register, &pointer, usize::from(depth), offset, size, signed)
            }
            Kind::MapValue { map } => {
                self.check_bytes(at, register, &pointer, offset, bytes, Way::Read)?;
                self.check_special_field(at, register, &pointer, offset, bytes, map)?;
                if let Some(found) = self.load_map_field(at, &pointer, map, offset, size) {
                    return Ok(found);
                }
                Ok(self.frozen_number(&pointer, map, offset, size, signed).unwrap_or(unknown))
            }
            Kind::Typed { types, type_id, trust } => {
                self.load_typed(state, at, register, &pointer, types, type_id, trust, offset, size, signed)
            }
            Kind::Socket(kind) => {
                let found = context::socket_access(
                    kind,
                    pointer.offset + offset,
                    size.bytes() as u16,
                    access_kind(signed),
                );
                let fixed = pointer.is_fixed();
                match found {
                    Ok(Yield::Number { .. }) if fixed => Ok(unknown),
                    Ok(_) => {
                        Err(self.bad_context(at, register, "this field is read at a place that is not known"))
                    }
                    Err(refusal) => Err(self.refused_context(at, register, refusal)),
                }
            }
            Kind::TcpSocket | Kind::XdpSocket => {
                self.load_fixed(at, register, &pointer, offset, size).map(|()| unknown)
            }
            Kind::Map(_) | Kind::InnerMap(_) => {
                self.note(at, AccessFact::Probe);
                if pointer.offset + offset < 0 || self.kernel.is_none() {
                    return Err(self.outside(at, register, "the description of a map"));
                }
                self.load_map_description(state, at, register, &pointer, offset, size, signed)
            }
            _ => {
                self.check_bytes(at, register, &pointer, offset, bytes, Way::Read)?;
                Ok(unknown)
            }
        }
    }

    /// An instruction meets pointers of one class only: the kernel rewrites accesses to contexts and sockets.
    fn check_class(&mut self, at: usize, register: u8, kind: Kind) -> Result<(), Failure> {
        let class = match kind {
            Kind::Context => 2,
            Kind::Socket(SocketKind::Full) => 3,
            Kind::Socket(SocketKind::Common) => 4,
            Kind::TcpSocket => 5,
            Kind::XdpSocket => 6,
            Kind::Typed { trust: Trust::Owned, .. } => 1,
            Kind::Typed { .. } => 7,
            _ => 1,
        };
        let known = self.classes[at];
        if self.judges() {
            self.classes[at] = class;
        }
        if known == 0 || known == class {
            return Ok(());
        }
        let message = "the same instruction is used with pointers of different kinds";
        Err(Failure::new(&slugs::NOT_A_POINTER, at, message)
            .register(register)
            .help("give each kind of pointer its own access, in its own branch"))
    }

    /// A pointer that may be followed.
    pub(crate) fn dereferenced<'v>(
        &self,
        at: usize,
        register: u8,
        base: &'v Value,
    ) -> Result<&'v Pointer, Failure> {
        let pointer = match base {
            Value::Pointer(pointer) => pointer,
            _ => {
                let message = format!("`r{register}` is used as an address here, but it holds a number");
                return Err(Failure::new(&slugs::NOT_A_POINTER, at, message)
                    .register(register)
                    .help("use a pointer that the context, a map or a helper gave; a number cannot become an address"));
            }
        };
        if pointer.nullable {
            return Err(self.possibly_null(at, register));
        }
        Ok(pointer)
    }

    pub(crate) fn possibly_null(&self, at: usize, register: u8) -> Failure {
        let message = format!("`r{register}` may be 0 here, and it is used without a test");
        Failure::new(&slugs::POSSIBLY_NULL, at, message)
            .register(register)
            .help("test the pointer first: `if (!p) return 0;`")
    }

    pub(crate) fn outside(&self, at: usize, register: u8, what: &str) -> Failure {
        Failure::new(&slugs::OUT_OF_BOUNDS, at, format!("this reaches outside {what}"))
            .register(register)
            .help("keep offset and size inside the memory; compare a variable index with the number of elements first")
    }

    fn load_fixed(
        &mut self,
        at: usize,
        register: u8,
        pointer: &Pointer,
        offset: i64,
        size: MemSize,
    ) -> Result<(), Failure> {
        let bytes = i64::from(size.bytes());
        let start = pointer.offset + offset;
        // `struct bpf_tcp_sock` and `struct bpf_xdp_sock`: numbers that are read whole, of 8 bytes the two that count bytes.
        let is_tcp = pointer.kind == Kind::TcpSocket;
        let end = if is_tcp { 112 } else { 4 };
        let width = if is_tcp && matches!(start, 80 | 88) { 8 } else { 4 };
        if !pointer.is_fixed() || start < 0 || start + bytes > end || bytes != width || start % width != 0 {
            return Err(self.outside(at, register, "the fields of this socket"));
        }
        Ok(())
    }

    /// Checks an access to memory that is bytes and nothing else.
    pub(crate) fn check_bytes(
        &mut self,
        at: usize,
        register: u8,
        pointer: &Pointer,
        offset: i64,
        bytes: i64,
        way: Way,
    ) -> Result<(), Failure> {
        // How long a tracepoint's buffer is is known where the program is attached.
        let is_open = pointer.kind == Kind::TracepointBuffer;
        self.note(at, if is_open { AccessFact::Checked } else { AccessFact::Direct });
        let (size, writable, what): (i64, bool, &str) = match pointer.kind {
            Kind::MapValue { map } => {
                let map = self.map(map);
                let readable = !map.flags.contains(MapFlags::WRONLY_PROG);
                if way == Way::Read && !readable {
                    return Err(Failure::new(
                        &slugs::READ_ONLY,
                        at,
                        "programs may not read the values of this map",
                    )
                    .register(register)
                    .help("leave out `BPF_F_WRONLY_PROG` where the map is made"));
                }
                (
                    i64::from(map.value_size),
                    !map.flags.contains(MapFlags::RDONLY_PROG),
                    "the value of the map",
                )
            }
            Kind::MapKey(map) => (i64::from(self.map(map).key_size), false, "the key of the map"),
            Kind::Memory { bytes, writable, .. } => (i64::from(bytes), writable, "this memory"),
            Kind::FlowKeys => (FLOW_KEYS_BYTES, true, "`struct bpf_flow_keys`"),
            Kind::TracepointBuffer => (i64::from(i32::MAX), true, "the buffer"),
            Kind::Packet { .. } | Kind::PacketMeta { .. } => {
                return self.check_packet(at, register, pointer, offset, bytes, way);
            }
            _ => {
                let message = format!(
                    "`r{register}` is no pointer to memory that can be {}",
                    if way == Way::Read { "read" } else { "written" }
                );
                return Err(Failure::new(&slugs::NOT_A_POINTER, at, message)
                    .register(register)
                    .help("use a pointer to the stack, a map value, the packet or reserved memory"));
            }
        };
        if way == Way::Write && !writable {
            return Err(Failure::new(
                &slugs::READ_ONLY,
                at,
                format!("{what} can be read here, but not written"),
            )
            .register(register)
            .help("copy it to the stack or to a map value and change it there"));
        }
        if !self.judges() {
            return Ok(());
        }
        let ranges = pointer.variable.ranges(Width::W64);
        let start = pointer.offset.saturating_add(offset);
        let least = ranges.signed_min.saturating_add(start);
        if least < 0 {
            let mut failure = self.outside(at, register, what).wanted(offset, bytes);
            if !pointer.is_fixed() {
                failure.message =
                    format!("this may reach before the start of {what}: the index may be below 0");
                failure.help = "make the index unsigned, or compare it with 0 first".into();
            }
            return Err(failure);
        }
        let most = ranges.unsigned_max.saturating_add(start.max(0) as u64).saturating_add(bytes as u64);
        let most = if start < 0 {
            ranges.unsigned_max.saturating_sub(start.unsigned_abs()).saturating_add(bytes as u64)
        } else {
            most
        };
        if most > size as u64 {
            let mut failure = self.outside(at, register, what).wanted(offset, bytes);
            failure.message = if pointer.is_fixed() {
                format!("this reaches to byte {most} of {what}, which has {size}")
            } else if ranges.unsigned_max > u64::from(u32::MAX) {
                format!("this reaches outside {what}: nothing bounds the index from above")
            } else {
                format!("this may reach to byte {most} of {what}, which has {size}")
            };
            return Err(failure);
        }
        Ok(())
    }

    /// A constant from a map whose values nobody can change any more.
    fn frozen_number(
        &self,
        pointer: &Pointer,
        map: MapIdx,
        offset: i64,
        size: MemSize,
        signed: bool,
    ) -> Option<Value> {
        let map = self.map(map);
        if !map.frozen || !map.flags.contains(MapFlags::RDONLY_PROG) || map.map_type != MapType::Array {
            return None;
        }
        let start = usize::try_from(pointer.variable.as_constant()? as i64 + pointer.offset + offset).ok()?;
        let bytes = map.initial_value.as_ref()?.get(start..start + size.bytes() as usize)?;
        let mut wide = [0; 8];
        wide[..bytes.len()].copy_from_slice(bytes);
        let number = Scalar::constant(u64::from_le_bytes(wide));
        Some(Value::scalar(if signed { number.sign_extend(size.bytes() * 8, Width::W64) } else { number }))
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one instruction")]
    pub(crate) fn store(
        &mut self,
        state: &mut State,
        at: usize,
        register: u8,
        base: &Value,
        offset: i64,
        size: MemSize,
        value: Value,
    ) -> Result<(), Failure> {
        let pointer = *self.dereferenced(at, register, base)?;
        self.check_class(at, register, pointer.kind)?;
        let bytes = i64::from(size.bytes());
        match pointer.kind {
            Kind::Stack { depth } => {
                self.store_stack(state, at, register, &pointer, usize::from(depth), offset, size, value)
            }
            Kind::Context => {
                let (program_type, attach_type) = (self.program().program_type, self.program().attach_type);
                self.note(at, context_fact(program_type, attach_type));
                let place = self.context_place(at, register, &pointer, offset)?;
                context::access(program_type, attach_type, place, size.bytes() as u16, AccessKind::Store)
                    .map_err(|refusal| self.refused_context(at, register, refusal))?;
                Ok(())
            }
            Kind::MapValue { map } => {
                self.check_bytes(at, register, &pointer, offset, bytes, Way::Write)?;
                self.store_map_field(at, register, &pointer, offset, bytes, map, &value)
            }
            Kind::Typed { types, type_id, trust } => {
                self.store_typed(at, register, &pointer, types, type_id, trust, offset, size)
            }
            _ => self.check_bytes(at, register, &pointer, offset, bytes, Way::Write),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one instruction")]
    pub(crate) fn atomic(
        &mut self,
        state: &mut State,
        at: usize,
        size: MemSize,
        op: AtomicOp,
        base: u8,
        offset: i64,
        src: u8,
    ) -> Result<(), Failure> {
        let pointer_value = self.read(state, at, base)?;
        self.read(state, at, src)?;
        let pointer = *self.dereferenced(at, base, &pointer_value)?;
        let usable = matches!(
            pointer.kind,
            Kind::Stack { .. }
                | Kind::MapValue { .. }
                | Kind::Memory { .. }
                | Kind::TracepointBuffer
                | Kind::Typed { trust: Trust::Owned, .. }
        );
        if !usable {
            let message = "an atomic operation works on the stack, map values and reserved memory only";
            return Err(Failure::new(&slugs::NOT_A_POINTER, at, message)
                .register(base)
                .help("copy the value first"));
        }
        if (pointer.offset + offset) % i64::from(size.bytes()) != 0 {
            return Err(self.misaligned(at, base));
        }
        if op == AtomicOp::CompareExchange {
            self.read(state, at, 0)?;
        }
        self.load(state, at, base, &pointer_value, offset, size, false)?;
        let result =
            if size == MemSize::DW { Value::unknown() } else { Value::scalar(Scalar::loaded(size, false)) };
        self.store(state, at, base, &pointer_value, offset, size, result)?;
        let place = match op {
            AtomicOp::CompareExchange => Some(0),
            AtomicOp::Exchange
            | AtomicOp::Add { fetch: true }
            | AtomicOp::Or { fetch: true }
            | AtomicOp::And { fetch: true }
            | AtomicOp::Xor { fetch: true } => Some(src),
            _ => None,
        };
        if let Some(register) = place {
            self.write(state, at, register, result)?;
        }
        Ok(())
    }
}

pub(crate) fn access_kind(signed: bool) -> AccessKind {
    if signed { AccessKind::SignedLoad } else { AccessKind::Load }
}
