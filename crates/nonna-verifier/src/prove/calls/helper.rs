//! Calls of helpers: who may call them, what they take, and what is known afterwards.
//!
//! Signatures come from `nonna_bpf::Helper`; what they do not say is here, after `check_helper_call` (Linux 6.12).

use nonna_bpf::{Helper, MapIdx, ProgramType, Returns, UNRESOLVED_RELOCATION};

use super::super::Prover;
use super::super::explore::Path;
use super::super::failure::Failure;
use super::super::state::{Lock, State};
use super::super::step::{Callback, Next};
use super::super::value::{Id, Kind, Pointer, Value};
use super::dynptr::{DynptrArgument, may_write_packet};
use crate::slugs;

/// What the arguments of one call turned out to be.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    pub(crate) map: Option<(MapIdx, bool)>,
    /// The function that the helper calls.
    pub(crate) callback: Option<usize>,
    /// The largest length of memory.
    pub(crate) size: Option<(u64, u64)>,
    pub(crate) allocation: Option<u32>,
    pub(crate) released: Option<(u8, Id)>,
    /// Stack bytes that the helper fills, to be noted once all arguments fit.
    pub(crate) fills: Vec<(u8, Pointer, i64)>,
    pub(crate) spin_lock: Option<Pointer>,
    pub(crate) kernel_slot: Option<(super::super::value::Types, u32)>,
    pub(crate) dynptr: Option<DynptrArgument>,
}

impl Prover<'_> {
    pub(crate) fn call_helper(&mut self, path: &mut Path, number: u32) -> Result<Next, Failure> {
        let at = path.insn;
        let helper = self.callable(at, number, &path.state)?;
        let signature = helper.signature(self.program().program_type);
        let mut arguments = Arguments::default();
        for (index, argument) in signature.arguments.iter().enumerate() {
            self.check_argument(
                &mut path.state,
                at,
                index as u8 + 1,
                signature.arguments,
                argument,
                &mut arguments,
            )?;
        }
        self.check_map_use(at, helper, &arguments)?;
        self.note_map(at, &arguments);
        self.before(&mut path.state, at, helper, &arguments)?;
        for (register, pointer, bytes) in std::mem::take(&mut arguments.fills) {
            self.fill(&mut path.state, at, register, &pointer, bytes)?;
        }
        self.make_dynptr(&mut path.state, at, helper, &arguments)?;
        if let Some((register, reference)) = arguments.released {
            self.release(&mut path.state, at, register, reference)?;
        }
        if helper.info().changes_packet || may_write_packet(helper, &arguments) {
            self.forget_packet(&mut path.state);
        }
        if let Some(first) = arguments.callback {
            return self.call_back(path, helper, first, &arguments);
        }
        let size = arguments.size;
        let result = self.result(&mut path.state, at, helper, signature.returns, &arguments, size)?;
        self.clobber(&mut path.state);
        if let Some(result) = result {
            path.state.set(0, result);
        }
        Ok(Next::Fall)
    }

    /// The helper, if this program may call it here.
    fn callable(&self, at: usize, number: u32, state: &State) -> Result<Helper, Failure> {
        let program = self.program();
        if number == UNRESOLVED_RELOCATION {
            let message = "this reads a field that the kernel does not have";
            return Err(
                Failure::new(&slugs::UNKNOWN_TYPE, at, message).help("ask `bpf_core_field_exists` first")
            );
        }
        let unknown = |message: String| {
            Failure::new(&slugs::UNKNOWN_HELPER, at, message)
                .help("call a helper that this kind of program may use")
        };
        let helper = Helper::from_id(number)
            .ok_or_else(|| unknown(format!("there is no helper with number {number}")))?;
        if !helper.callable_by(program.program_type) {
            let message = format!("programs of type `{}` cannot call `{helper}`", program.program_type);
            return Err(unknown(message).help(elsewhere(helper, program.program_type)));
        }
        if helper.info().gpl_only && !crate::prove::gpl_compatible(&self.object.license) {
            let message = format!("`{helper}` is for programs under a licence that fits the GPL");
            return Err(Failure::new(&slugs::UNKNOWN_HELPER, at, message)
                .help("declare `char LICENSE[] SEC(\"license\") = \"GPL\";` if that is so"));
        }
        if helper.info().may_sleep && (!program.sleepable || state.rcu > 0 || state.preempt_off > 0) {
            let message = format!("`{helper}` may sleep, and this program must not sleep here");
            return Err(Failure::new(&slugs::MUST_NOT_SLEEP, at, message)
                .help("use a sleepable hook (`.s`), outside of RCU sections"));
        }
        if let Some(lock) = state.lock.filter(|_| helper.name() != "bpf_spin_unlock") {
            let message = format!("`{helper}` is called while a lock is held");
            return Err(Failure::new(&slugs::LOCK_HELD, at, message)
                .origin(lock.insn)
                .help("unlock first; hold locks over plain loads and stores only"));
        }
        Ok(helper)
    }

    /// What a helper does beside its result.
    fn before(
        &mut self,
        state: &mut State,
        at: usize,
        helper: Helper,
        arguments: &Arguments,
    ) -> Result<(), Failure> {
        match helper.name() {
            "bpf_tail_call" => {
                // Another function may stand in for this one, and move the packet.
                self.forget_packet(state);
                self.check_nothing_held(state, at, "a tail call does not come back")
            }
            "bpf_d_path" => self.check_path_call(at),
            "bpf_get_local_storage" => match state.register(2) {
                Value::Number(number) if number.scalar.as_constant() == Some(0) => Ok(()),
                _ => Err(self.bad_argument(at, 2, "0")),
            },
            "bpf_spin_lock" => {
                let Some(pointer) = arguments.spin_lock else { return Ok(()) };
                let Kind::MapValue { map } = pointer.kind else { return Ok(()) };
                state.lock = Some(Lock { id: pointer.id, map: Some(map), insn: at });
                Ok(())
            }
            "bpf_spin_unlock" => {
                let Some(pointer) = arguments.spin_lock else { return Ok(()) };
                let Kind::MapValue { map } = pointer.kind else { return Ok(()) };
                match state.lock {
                    Some(lock) if lock.id == pointer.id && lock.map == Some(map) => {
                        state.lock = None;
                        Ok(())
                    }
                    Some(_) => Err(Failure::new(
                        &slugs::LOCK_HELD,
                        at,
                        "this unlocks another lock than the one that is held",
                    )
                    .register(1)
                    .help("unlock through the pointer that was locked")),
                    None => Err(Failure::new(&slugs::LOCK_HELD, at, "this unlocks, but no lock is held")
                        .register(1)
                        .help("lock first")),
                }
            }
            _ => Ok(()),
        }
    }

    /// A helper that calls a function of the program.
    fn call_back(
        &mut self,
        path: &mut Path,
        helper: Helper,
        first: usize,
        arguments: &Arguments,
    ) -> Result<Next, Failure> {
        let at = path.insn;
        let register = |number: u8| path.state.register(number);
        let none = Value::Uninit;
        let of = |kind| Value::Pointer(Pointer::new(kind));
        let (given, once): ([Value; 5], bool) = match (helper.name(), arguments.map) {
            ("bpf_loop", _) => ([Value::unknown(), register(3), none, none, none], false),
            ("bpf_for_each_map_elem", Some((map, inner))) => {
                let handle = if inner { Kind::InnerMap(map) } else { Kind::Map(map) };
                let id = self.fresh_id();
                let value = Value::Pointer(Pointer { id, ..Pointer::new(Kind::MapValue { map }) });
                ([of(handle), of(Kind::MapKey(map)), value, register(3), none], false)
            }
            ("bpf_timer_set_callback", Some((map, inner))) => {
                let handle = if inner { Kind::InnerMap(map) } else { Kind::Map(map) };
                let id = self.fresh_id();
                let value = Value::Pointer(Pointer { id, ..Pointer::new(Kind::MapValue { map }) });
                ([of(handle), of(Kind::MapKey(map)), value, none, none], true)
            }
            ("bpf_find_vma", _) => {
                let task = self.kernel_structure(at, "task_struct")?;
                let area = self.kernel_structure(at, "vm_area_struct")?;
                ([task, area, register(4), none, none], false)
            }
            ("bpf_user_ringbuf_drain", _) => {
                ([of(Kind::DynptrArgument), register(3), none, none, none], false)
            }
            _ => return Err(self.not_modelled(at, &format!("callbacks of `{helper}`"))),
        };
        self.clobber(&mut path.state);
        if once {
            self.later.push((first, given));
            path.state.set(0, Value::unknown());
            return Ok(Next::Fall);
        }
        if path.state.depth() + 1 >= super::function::MAX_FRAMES {
            return Err(Failure::new(
                &slugs::CALL_TOO_DEEP,
                at,
                "the callback would be one function too many",
            )
            .help("shorten the chain of calls"));
        }
        Ok(Next::Rounds(Box::new(Callback { first, call: at, arguments: given, result: Value::unknown() })))
    }

    /// What a helper returns; `None` where `r0` is not readable afterwards.
    fn result(
        &mut self,
        state: &mut State,
        at: usize,
        helper: Helper,
        returns: Returns,
        arguments: &Arguments,
        size: Option<(u64, u64)>,
    ) -> Result<Option<Value>, Failure> {
        let value = match returns {
            Returns::Integer => self.number_result(helper, size),
            Returns::Nothing => return Ok(None),
            _ => self.pointer_result(state, at, helper, returns, arguments)?,
        };
        Ok(Some(value))
    }
}

/// Which programs may call a helper.
fn elsewhere(helper: Helper, program_type: ProgramType) -> String {
    // Helpers for socket buffers and for XDP that do the same have such names.
    let name = helper.name();
    let other = match (name.strip_prefix("bpf_skb_"), name.strip_prefix("bpf_xdp_")) {
        (Some(rest), _) => Helper::from_name(&format!("bpf_xdp_{rest}")),
        (_, Some(rest)) => Helper::from_name(&format!("bpf_skb_{rest}")),
        _ => None,
    };
    if let Some(other) = other.filter(|other| other.callable_by(program_type)) {
        return format!("call `{other}` instead, which is for programs of this type");
    }
    let types: Vec<String> =
        helper.info().programs.iter().take(6).map(|program_type| format!("`{program_type}`")).collect();
    if types.is_empty() {
        return "call a helper that this kind of program may use".to_owned();
    }
    format!("programs of these types may call it: {}; others need another way", types.join(", "))
}
