//! Loads from the program's context, by the tables of its kind.
//!
//! The tables are in `context`; here they are asked, and their answers become values.

use nonna_bpf::{AttachType, MemSize, ProgramType};

use super::Prover;
use super::failure::Failure;
use super::memory::access_kind;
use super::state::State;
use super::value::{Kind, Pointer, Value};
use crate::context::{self, Layout, Refusal, Yield};
use crate::facts::AccessFact;
use crate::numbers::Scalar;
use crate::slugs;

impl Prover<'_> {
    pub(super) fn refused_context(&self, at: usize, register: u8, refusal: Refusal) -> Failure {
        let failure = self.bad_context(at, register, &refusal.to_string());
        match refusal {
            Refusal::NotWritable { .. } => failure.help("only read it: what stands there is the kernel's"),
            Refusal::NotForProgramType { field: "data" | "data_end" | "data_meta" } => {
                failure.help("copy bytes of the packet with a helper, such as `bpf_skb_load_bytes`")
            }
            _ => failure,
        }
    }

    pub(super) fn bad_context(&self, at: usize, register: u8, why: &str) -> Failure {
        Failure::new(&slugs::CONTEXT_ACCESS, at, format!("this access to the context is not allowed: {why}"))
            .register(register)
            .help("use a field that this kind of program has, at its own width")
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one instruction")]
    pub(super) fn load_context(
        &mut self,
        _state: &mut State,
        at: usize,
        register: u8,
        pointer: &Pointer,
        offset: i64,
        size: MemSize,
        signed: bool,
    ) -> Result<Value, Failure> {
        let (program_type, attach_type) = (self.program().program_type, self.program().attach_type);
        self.note(at, context_fact(program_type, attach_type));
        let place = self.context_place(at, register, pointer, offset)?;
        let found =
            context::access(program_type, attach_type, place, size.bytes() as u16, access_kind(signed))
                .map_err(|refusal| self.refused_context(at, register, refusal))?;
        let of = |kind| Ok(Value::Pointer(Pointer::new(kind)));
        match found {
            Yield::Nothing => Ok(Value::unknown()),
            Yield::Number { max } => {
                let loaded = Scalar::loaded(size, signed);
                let bounded =
                    if signed { None } else { Scalar::range(0, max).and_then(|range| range.meet(&loaded)) };
                Ok(Value::scalar(bounded.unwrap_or(loaded)))
            }
            Yield::PacketData => of(Kind::Packet { range: 0 }),
            Yield::PacketEnd => of(Kind::PacketEnd),
            Yield::PacketMeta => of(Kind::PacketMeta { range: 0 }),
            Yield::Socket { kind, nullable } => {
                let id = if nullable { self.fresh_id() } else { 0 };
                Ok(Value::Pointer(Pointer { nullable, id, ..Pointer::new(Kind::Socket(kind)) }))
            }
            Yield::FlowKeys => of(Kind::FlowKeys),
            Yield::TracepointBuffer => of(Kind::TracepointBuffer),
            Yield::Kernel { structure } => self.kernel_structure(at, structure),
            Yield::Argument { slot } => self.argument(at, register, slot, size),
        }
    }

    /// Where in the context an access is: at a place that is the same in every run.
    pub(super) fn context_place(
        &self,
        at: usize,
        register: u8,
        pointer: &Pointer,
        offset: i64,
    ) -> Result<i64, Failure> {
        if pointer.offset != 0 && self.program().program_type != ProgramType::Syscall {
            return Err(self
                .bad_context(at, register, "the pointer to the context was changed before")
                .help("read fields through the pointer that the program got"));
        }
        if !pointer.is_fixed() {
            let Some(constant) = pointer.variable.as_constant() else {
                return Err(self
                    .bad_context(at, register, "the place depends on a variable")
                    .help("name each field by itself, as in a `switch` over the index"));
            };
            return Ok(pointer.offset + offset + constant as i64);
        }
        Ok(pointer.offset + offset)
    }
}

/// How an engine treats accesses to a context: how long it is is known of structures only; of records, registers and arguments whoever
/// makes the context knows.
pub(super) fn context_fact(program_type: ProgramType, attach_type: Option<AttachType>) -> AccessFact {
    match context::layout(program_type, attach_type) {
        Layout::Fields { .. } => AccessFact::Direct,
        _ => AccessFact::Checked,
    }
}
