//! What instructions depend on and change, beyond their operands.
//!
//! Everything that is merged, moved or dropped is decided by these tables; what is not in them stays where it is.

use nonna_bpf::{Helper, MapType};
use nonna_ir::{Arena, Function, Inst, MapDecl, MapId, Region, Type};

/// Helpers that give one answer during a whole run of a program: a program is not moved to another processor, and the
/// current task and its credentials are those in whose name it runs.
const CONSTANT_HELPERS: &[Helper] = &[
    Helper::GET_SMP_PROCESSOR_ID,
    Helper::GET_CURRENT_PID_TGID,
    Helper::GET_CURRENT_UID_GID,
    Helper::GET_CURRENT_TASK,
    Helper::GET_NUMA_NODE_ID,
    Helper::GET_CURRENT_CGROUP_ID,
    Helper::GET_CURRENT_ANCESTOR_CGROUP_ID,
    Helper::GET_CURRENT_TASK_BTF,
    Helper::GET_FUNC_IP,
    Helper::GET_ATTACH_COOKIE,
    Helper::TASK_PT_REGS,
    Helper::GET_FUNC_ARG_CNT,
];

/// Helpers that only answer, but differently each time: nobody misses them where the answer is not used.
const ANSWERING_HELPERS: &[Helper] = &[
    Helper::KTIME_GET_NS,
    Helper::GET_PRANDOM_U32,
    Helper::JIFFIES64,
    Helper::KTIME_GET_BOOT_NS,
    Helper::KTIME_GET_COARSE_NS,
    Helper::KTIME_GET_TAI_NS,
];

/// Helpers that write to maps, rings and the memory they are given, but not to what kernel and user pointers point to.
const HARMLESS_HELPERS: &[Helper] = &[
    Helper::MAP_LOOKUP_ELEM,
    Helper::MAP_UPDATE_ELEM,
    Helper::MAP_DELETE_ELEM,
    Helper::PROBE_READ,
    Helper::GET_CURRENT_COMM,
    Helper::PERF_EVENT_OUTPUT,
    Helper::GET_STACKID,
    Helper::PROBE_READ_STR,
    Helper::GET_STACK,
    Helper::PROBE_READ_USER,
    Helper::PROBE_READ_KERNEL,
    Helper::PROBE_READ_USER_STR,
    Helper::PROBE_READ_KERNEL_STR,
    Helper::GET_NS_CURRENT_PID_TGID,
    Helper::RINGBUF_OUTPUT,
    Helper::RINGBUF_RESERVE,
    Helper::RINGBUF_SUBMIT,
    Helper::RINGBUF_DISCARD,
    Helper::RINGBUF_QUERY,
    Helper::D_PATH,
    Helper::SNPRINTF,
    Helper::STRNCMP,
    Helper::MAP_LOOKUP_PERCPU_ELEM,
];

/// Whether a helper only answers: no memory written, no state changed.
pub(crate) fn only_answers(helper: Helper) -> bool {
    CONSTANT_HELPERS.contains(&helper) || ANSWERING_HELPERS.contains(&helper)
}

/// Whether a helper leaves tasks and other structures of the kernel and of processes as they are.
fn is_harmless(helper: Helper) -> bool {
    only_answers(helper) || HARMLESS_HELPERS.contains(&helper)
}

/// Whether the result depends on nothing but the operands during one run, so that a second such instruction is the first
/// one again.
pub(crate) fn is_pure(inst: &Inst) -> bool {
    match inst {
        Inst::Const(_)
        | Inst::Binary { .. }
        | Inst::Compare { .. }
        | Inst::Extend { .. }
        | Inst::SwapBytes { .. }
        | Inst::Cast(_)
        | Inst::Distrust(_)
        | Inst::Context
        | Inst::Arg { .. }
        | Inst::ReturnValue
        | Inst::CurrentTask
        | Inst::SlotAddress(_)
        | Inst::DataAddress(_)
        | Inst::MapHandle(_)
        | Inst::FunctionAddress(_) => true,
        Inst::CallHelper { helper, .. } => CONSTANT_HELPERS.contains(helper),
        _ => false,
    }
}

/// Whether it reads memory that the module does not own: kernel structures, user memory, the context. Such memory may be
/// changed by others at any time, so that reading once for twice is one of the outcomes that reading twice has; but not
/// across an instruction by which the program itself changes it.
pub(crate) fn reads_world(function: &Function, inst: &Inst) -> bool {
    match inst {
        Inst::LoadKernel { .. } | Inst::LoadUser { .. } => true,
        Inst::Load { pointer, .. } => function.type_of(*pointer) == Type::Pointer(Region::Context),
        _ => false,
    }
}

/// Whether it may change what [`reads_world`] reads. Functions of the module are taken to; so are helpers that are not
/// known to be harmless.
pub(crate) fn changes_world(inst: &Inst) -> bool {
    match inst {
        Inst::Call { .. } => true,
        Inst::CallHelper { helper, .. } => !is_harmless(*helper),
        _ => false,
    }
}

/// Whether nothing is missed where the result is not used. Writes to memory are not in question here.
pub(crate) fn is_removable(function: &Function, inst: &Inst, maps: &Arena<MapId, MapDecl>) -> bool {
    match inst {
        Inst::Load { .. } | Inst::EqualBytes { .. } | Inst::EqualText { .. } => true,
        Inst::CallHelper { helper, .. } => only_answers(*helper),
        // Looking a key up keeps it from being thrown out of a map that forgets what is not used.
        Inst::MapLookup { map, .. } => {
            let forgets = |map: &MapDecl| matches!(map.map_type, MapType::LruHash | MapType::LruPercpuHash);
            maps.get(*map).is_some_and(|map| !forgets(map))
        }
        inst => is_pure(inst) || reads_world(function, inst),
    }
}
