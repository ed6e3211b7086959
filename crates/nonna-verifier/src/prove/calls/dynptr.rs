//! Dynamic pointers: who makes them, what they give access to, and how long that lasts (`process_dynptr_func`, Linux 6.12).
//!
//! Parts of a ring buffer's record last as long as the record is held. Parts of a packet last until something may have moved the
//! packet, whoever asked for them.

use nonna_bpf::{DynptrUse, Helper};
use nonna_btf::{Btf, Param};

use super::super::Prover;
use super::super::failure::Failure;
use super::super::state::{Byte, Content, DynptrKind, Frame, Slot, State};
use super::super::value::{Id, Kind, Pointer, Source, Trust, Types, Value};
use super::helper::Arguments;
use crate::context::packet_access;
use crate::slugs;

/// A dynamic pointer among the arguments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DynptrArgument {
    pub(crate) depth: usize,
    pub(crate) place: i64,
    pub(crate) made: bool,
    pub(crate) reference: Id,
    /// `None` where the call makes it.
    pub(crate) kind: Option<DynptrKind>,
}

/// Whether a helper writes through a dynamic pointer that may be a socket buffer's: the kernel may move the packet for it. What a
/// function is given may be one.
pub(super) fn may_write_packet(helper: Helper, arguments: &Arguments) -> bool {
    let kind = arguments.dynptr.and_then(|dynptr| dynptr.kind);
    helper == Helper::DYNPTR_WRITE && matches!(kind, None | Some(DynptrKind::SocketBuffer))
}

impl Prover<'_> {
    pub(crate) fn check_dynptr(
        &mut self,
        state: &mut State,
        at: usize,
        register: u8,
        pointer: Option<&Pointer>,
        dynptr: DynptrUse,
        found: &mut Arguments,
    ) -> Result<(), Failure> {
        let wants = "a dynamic pointer on the stack";
        let pointer = pointer.ok_or_else(|| self.bad_argument(at, register, wants))?;
        if pointer.kind == Kind::DynptrArgument && dynptr == DynptrUse::Used {
            return Ok(());
        }
        let Kind::Stack { depth } = pointer.kind else { return Err(self.bad_argument(at, register, wants)) };
        if !pointer.is_fixed() || pointer.offset % 8 != 0 || !(-512..=-16).contains(&pointer.offset) {
            return Err(self.bad_argument(
                at,
                register,
                "a dynamic pointer at a fixed, aligned place on the stack",
            ));
        }
        let (depth, place) = (usize::from(depth), pointer.offset);
        self.note_stack_read(state, at, depth, place, place + 16, false);
        let slot = |place: i64| state.frames[depth].slot(Frame::slot_of(place));
        let made = dynptr == DynptrUse::Made;
        if made {
            if slot(place).is_special() || slot(place + 8).is_special() {
                return Err(self.bad_argument(
                    at,
                    register,
                    "stack memory that holds no dynamic pointer yet",
                ));
            }
            found.dynptr = Some(DynptrArgument { depth, place, made, reference: 0, kind: None });
            return Ok(());
        }
        let (
            Content::Dynptr { first: true, id, reference, kind, .. },
            Content::Dynptr { first: false, id: second, .. },
        ) = (slot(place).content, slot(place + 8).content)
        else {
            return Err(self.bad_argument(at, register, "an initialised dynamic pointer"));
        };
        if id != second {
            return Err(self.bad_argument(at, register, "an initialised dynamic pointer"));
        }
        if dynptr == DynptrUse::Released {
            if reference == 0 {
                return Err(self.bad_argument(at, register, "a dynamic pointer of a ring buffer"));
            }
            found.released = Some((register, reference));
        }
        found.dynptr = Some(DynptrArgument { depth, place, made, reference, kind: Some(kind) });
        Ok(())
    }

    /// A helper made a dynamic pointer on the stack.
    pub(crate) fn make_dynptr(
        &mut self,
        state: &mut State,
        at: usize,
        helper: Helper,
        arguments: &Arguments,
    ) -> Result<(), Failure> {
        let Some(dynptr) = arguments.dynptr.filter(|dynptr| dynptr.made) else { return Ok(()) };
        let (kind, reference) = match helper.name() {
            "bpf_ringbuf_reserve_dynptr" => (DynptrKind::Ringbuf, self.acquire(state, at)),
            // Values of maps only, as the kernel has it: what is written through the dynamic pointer must not change what the
            // stack is known to hold, nor outlast the memory.
            "bpf_dynptr_from_mem" => match state.register(1).pointer() {
                Some(Pointer { kind: Kind::MapValue { .. }, .. }) => (DynptrKind::Local, 0),
                _ => return Err(self.bad_argument(at, 1, "memory in the value of a map")),
            },
            _ => {
                return Err(Failure::new(&slugs::NOT_MODELLED, at, "this dynamic pointer is not modelled")
                    .help("let the kernel judge this program"));
            }
        };
        self.place_dynptr(state, dynptr, kind, reference);
        Ok(())
    }

    fn place_dynptr(&mut self, state: &mut State, dynptr: DynptrArgument, kind: DynptrKind, reference: Id) {
        let id = self.fresh_id();
        let frame = state.frame_at(dynptr.depth);
        for (place, first) in [(dynptr.place, true), (dynptr.place + 8, false)] {
            *frame.slot_mut(Frame::slot_of(place)) = Slot {
                bytes: [Byte::Content; 8],
                content: Content::Dynptr { kind, first, id, reference, writable: true },
            };
        }
    }

    /// Memory that a dynamic pointer gives access to, or 0.
    pub(crate) fn dynptr_part(
        &mut self,
        dynptr: Option<DynptrArgument>,
        bytes: u32,
        writable: bool,
    ) -> Value {
        // What a function is given may be the dynamic pointer of a packet.
        let source = match dynptr.and_then(|dynptr| dynptr.kind) {
            Some(DynptrKind::Local | DynptrKind::Ringbuf) => Source::Plain,
            None | Some(DynptrKind::SocketBuffer | DynptrKind::Xdp) => Source::Packet,
        };
        let (id, reference) = (self.fresh_id(), dynptr.map_or(0, |dynptr| dynptr.reference));
        let kind = Kind::Memory { bytes, writable, source };
        Value::Pointer(Pointer { nullable: true, id, reference, ..Pointer::new(kind) })
    }

    /// A dynamic pointer among the arguments of a kernel function.
    pub(super) fn check_kfunc_dynptr(
        &mut self,
        state: &mut State,
        at: usize,
        register: u8,
        param: &Param<'_>,
        value: &Value,
    ) -> Result<Option<DynptrArgument>, Failure> {
        let used = if param.name.ends_with("__uninit") { DynptrUse::Made } else { DynptrUse::Used };
        let mut found = Arguments::default();
        self.check_dynptr(state, at, register, value.pointer(), used, &mut found)?;
        Ok(found.dynptr)
    }

    /// The packet that a kernel function makes a dynamic pointer of: the context, or a kernel object that the program may rely on.
    pub(super) fn check_packet_argument(
        &self,
        at: usize,
        register: u8,
        value: &Value,
        target_name: &str,
        btf: &Btf,
    ) -> Result<(), Failure> {
        let (kernels, own) = match target_name {
            "xdp_md" => ("xdp_buff", self.program().program_type == nonna_bpf::ProgramType::Xdp),
            _ => ("sk_buff", reads_socket_buffers(self.program().program_type)),
        };
        let fits = value.pointer().is_some_and(|pointer| {
            let is_object = match pointer.kind {
                Kind::Context => own,
                Kind::Typed { types: Types::Kernel, type_id, trust: Trust::Trusted } => {
                    btf.name(nonna_btf::TypeId(type_id)) == Ok(kernels)
                }
                _ => false,
            };
            is_object && !pointer.nullable && pointer.is_fixed() && pointer.offset == 0
        });
        if fits { Ok(()) } else { Err(self.bad_argument(at, register, "the packet's own structure")) }
    }

    /// What a kernel function does to the dynamic pointer that it makes.
    pub(super) fn make_kfunc_dynptr(
        &mut self,
        state: &mut State,
        at: usize,
        name: &str,
        made: DynptrArgument,
        used: Option<DynptrArgument>,
    ) -> Result<(), Failure> {
        let (kind, reference) = match (name, used) {
            ("bpf_dynptr_from_skb", _) => (DynptrKind::SocketBuffer, 0),
            ("bpf_dynptr_from_xdp", _) => (DynptrKind::Xdp, 0),
            ("bpf_dynptr_clone", Some(DynptrArgument { kind: Some(kind), reference, .. })) => {
                (kind, reference)
            }
            _ => return Err(self.not_modelled(at, &format!("calls of `{name}` with this argument"))),
        };
        self.place_dynptr(state, made, kind, reference);
        Ok(())
    }

    /// Parts to be written are for programs that may write into packets, whatever the dynamic pointer is.
    pub(super) fn check_slice(&self, at: usize, name: &str) -> Result<(), Failure> {
        let program = self.program();
        let is_allowed = packet_access(program.program_type, program.attach_type).writable;
        if name != "bpf_dynptr_slice_rdwr" || is_allowed {
            return Ok(());
        }
        let message = "this kind of program may not write into packets, so it gets no part to be written";
        Err(Failure::new(&slugs::READ_ONLY, at, message)
            .help("take the part with `bpf_dynptr_slice` and write with `bpf_dynptr_write`"))
    }
}

/// Programs whose context is a socket buffer and whose kernel functions know it.
fn reads_socket_buffers(program_type: nonna_bpf::ProgramType) -> bool {
    use nonna_bpf::ProgramType as P;
    matches!(
        program_type,
        P::SchedCls
            | P::SchedAct
            | P::SkSkb
            | P::SocketFilter
            | P::CgroupSkb
            | P::LwtIn
            | P::LwtOut
            | P::LwtXmit
            | P::LwtSeg6local
    )
}
