//! Bytes of packets: by pointers that were compared with the end, and by the loads of classic BPF.
//!
//! How a comparison makes bytes known is in `branch`.

use nonna_bpf::{Insn, ProgramType, Reg, Width};
use nonna_btf::TypeId;

use super::Prover;
use super::branch::range_of;
use super::explore::Path;
use super::failure::Failure;
use super::memory::Way;
use super::step::Next;
use super::value::{Kind, Pointer, Value};
use crate::context;
use crate::slugs;

impl Prover<'_> {
    pub(super) fn check_packet(
        &mut self,
        at: usize,
        register: u8,
        pointer: &Pointer,
        offset: i64,
        bytes: i64,
        way: Way,
    ) -> Result<(), Failure> {
        let access = context::packet_access(self.program().program_type, self.program().attach_type);
        if way == Way::Write && !access.writable {
            return Err(Failure::new(
                &slugs::READ_ONLY,
                at,
                "this kind of program may not write into the packet",
            )
            .register(register)
            .help("change the packet in a program for XDP or traffic control"));
        }
        if !self.judges() {
            return Ok(());
        }
        let start = pointer.offset.saturating_add(offset);
        let range = i64::from(range_of(pointer.kind));
        let variable = pointer.variable.ranges(Width::W64);
        if start < 0 || variable.signed_min < 0 || start + bytes > range {
            let message = if start < 0 || variable.signed_min < 0 {
                "this may read before the start of the packet".to_owned()
            } else {
                let touched = match bytes {
                    1 => format!("byte {start}"),
                    _ => format!("bytes {start} to {}", start + bytes - 1),
                };
                let shown =
                    if range == 0 { "no byte is".to_owned() } else { format!("only {range} bytes are") };
                if pointer.is_fixed() {
                    format!("this touches {touched} of the packet, but {shown} known to be there")
                } else {
                    "this touches the packet at a place that varies, and nothing has shown that it is inside"
                        .to_owned()
                }
            };
            let failure = Failure::new(&slugs::PACKET_BOUNDS, at, message).wanted(offset, bytes);
            return Err(failure.register(register).help(format!(
                "compare first: `if (data + {} > data_end) return …;`",
                (start + bytes).max(1)
            )));
        }
        Ok(())
    }

    /// The classic loads of packet bytes (`check_ld_abs`).
    pub(crate) fn load_packet(&mut self, path: &mut Path, index: Option<Reg>) -> Result<Next, Failure> {
        let at = path.insn;
        let allowed = matches!(
            self.program().program_type,
            ProgramType::SocketFilter | ProgramType::SchedCls | ProgramType::SchedAct
        );
        if !allowed {
            let message = "this kind of program has no packet that classic loads could read";
            return Err(Failure::new(&slugs::CONTEXT_ACCESS, at, message)
                .help("use `data` and `data_end` of the context"));
        }
        let state = &mut path.state;
        self.check_nothing_held(state, at, "this load may end the function")?;
        let context = self.read(state, at, 6)?;
        let fine =
            context.pointer().is_some_and(|p| p.kind == Kind::Context && p.offset == 0 && p.is_fixed());
        if !fine {
            return Err(Failure::new(&slugs::CONTEXT_ACCESS, at, "classic loads want the context in `r6`")
                .register(6)
                .help("keep the context in `r6`"));
        }
        if let Some(index) = index {
            self.read(state, at, index.number())?;
        }
        if state.depth() > 0 && self.returns_nothing(at) {
            let message = "a classic load may end its function with 0, and this function returns nothing";
            return Err(
                Failure::new(&slugs::RETURN_VALUE, at, message).help("let the function return a number")
            );
        }
        let frame = state.frame_mut();
        frame.registers[1..=5].fill(Value::Uninit);
        frame.registers[0] = Value::unknown();
        let function = self.functions.of(at);
        let exit =
            self.functions.range(function).rev().find(|index| matches!(self.insns[*index], Insn::Exit));
        let Some(exit) = exit.filter(|_| state.depth() > 0) else { return Ok(Next::Fall) };
        let mut ends = state.clone();
        ends.set(0, Value::constant(0));
        Ok(Next::Both { taken: Box::new(ends), target: exit })
    }

    /// Whether the function around an instruction is declared to return nothing.
    pub(super) fn returns_nothing(&self, at: usize) -> bool {
        let first = self.slots.slot(self.functions.range(self.functions.of(at)).start);
        let info = self.program().func_info.iter().find(|info| info.slot == first);
        let prototype =
            info.zip(self.own_types).and_then(|(info, btf)| btf.prototype(TypeId(info.type_id)).ok());
        prototype.is_some_and(|prototype| prototype.return_type == TypeId::VOID)
    }
}
