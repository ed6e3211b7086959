//! What instructions depend on and change, beyond their operands.
//!
//! Everything that is merged, moved or dropped is decided by these tables; what is not in them stays where it is.

use nonna_bpf::MapType;
use nonna_ir::{Arena, Function, Inst, MapDecl, MapId, Region, Type};

/// Helpers that give one answer during a whole run of a program: a program is not moved to another processor, and the
/// current task and its credentials are those in whose name it runs.
const CONSTANT_HELPERS: &[(u32, &str)] = &[
    (8, "get_smp_processor_id"),
    (14, "get_current_pid_tgid"),
    (15, "get_current_uid_gid"),
    (35, "get_current_task"),
    (42, "get_numa_node_id"),
    (80, "get_current_cgroup_id"),
    (123, "get_current_ancestor_cgroup_id"),
    (158, "get_current_task_btf"),
    (173, "get_func_ip"),
    (174, "get_attach_cookie"),
    (175, "task_pt_regs"),
    (185, "get_func_arg_cnt"),
];

/// Helpers that only answer, but differently each time: nobody misses them where the answer is not used.
const ANSWERING_HELPERS: &[(u32, &str)] = &[
    (5, "ktime_get_ns"),
    (7, "get_prandom_u32"),
    (118, "jiffies64"),
    (125, "ktime_get_boot_ns"),
    (160, "ktime_get_coarse_ns"),
    (208, "ktime_get_tai_ns"),
];

/// Helpers that write to maps, rings and the memory they are given, but not to what kernel and user pointers point to.
const HARMLESS_HELPERS: &[(u32, &str)] = &[
    (1, "map_lookup_elem"),
    (2, "map_update_elem"),
    (3, "map_delete_elem"),
    (4, "probe_read"),
    (16, "get_current_comm"),
    (25, "perf_event_output"),
    (27, "get_stackid"),
    (45, "probe_read_str"),
    (67, "get_stack"),
    (112, "probe_read_user"),
    (113, "probe_read_kernel"),
    (114, "probe_read_user_str"),
    (115, "probe_read_kernel_str"),
    (120, "get_ns_current_pid_tgid"),
    (130, "ringbuf_output"),
    (131, "ringbuf_reserve"),
    (132, "ringbuf_submit"),
    (133, "ringbuf_discard"),
    (134, "ringbuf_query"),
    (147, "d_path"),
    (165, "snprintf"),
    (182, "strncmp"),
    (195, "map_lookup_percpu_elem"),
];

fn lists(table: &[(u32, &str)], helper: u32) -> bool {
    table.iter().any(|(number, _)| *number == helper)
}

/// Whether the result depends on nothing but the operands during one run, so that a second such instruction is the first
/// one again.
pub(super) fn is_pure(inst: &Inst) -> bool {
    match inst {
        Inst::Const(_)
        | Inst::Binary { .. }
        | Inst::Compare { .. }
        | Inst::Extend { .. }
        | Inst::SwapBytes { .. }
        | Inst::Cast(_)
        | Inst::Context
        | Inst::Arg { .. }
        | Inst::ReturnValue
        | Inst::CurrentTask
        | Inst::SlotAddress(_)
        | Inst::DataAddress(_)
        | Inst::MapHandle(_)
        | Inst::FunctionAddress(_) => true,
        Inst::CallHelper { helper, .. } => lists(CONSTANT_HELPERS, *helper),
        _ => false,
    }
}

/// Whether it reads memory that the module does not own: kernel structures, user memory, the context. Such memory may be
/// changed by others at any time, so that reading once for twice is one of the outcomes that reading twice has; but not
/// across an instruction by which the program itself changes it.
pub(super) fn reads_world(function: &Function, inst: &Inst) -> bool {
    match inst {
        Inst::LoadKernel { .. } | Inst::LoadUser { .. } => true,
        Inst::Load { pointer, .. } => function.type_of(*pointer) == Type::Pointer(Region::Context),
        _ => false,
    }
}

/// Whether it may change what [`reads_world`] reads. Functions of the module are taken to; so are helpers that are not
/// known to be harmless.
pub(super) fn changes_world(inst: &Inst) -> bool {
    match inst {
        Inst::Call { .. } => true,
        Inst::CallHelper { helper, .. } => {
            !(lists(CONSTANT_HELPERS, *helper)
                || lists(ANSWERING_HELPERS, *helper)
                || lists(HARMLESS_HELPERS, *helper))
        }
        _ => false,
    }
}

/// Whether nothing is missed where the result is not used. Writes to memory are not in question here.
pub(super) fn is_removable(function: &Function, inst: &Inst, maps: &Arena<MapId, MapDecl>) -> bool {
    match inst {
        Inst::Load { .. } | Inst::EqualBytes { .. } | Inst::EqualText { .. } => true,
        Inst::CallHelper { helper, .. } => {
            lists(CONSTANT_HELPERS, *helper) || lists(ANSWERING_HELPERS, *helper)
        }
        // Looking a key up keeps it from being thrown out of a map that forgets what is not used.
        Inst::MapLookup { map, .. } => {
            let forgets = |map: &MapDecl| matches!(map.map_type, MapType::LruHash | MapType::LruPercpuHash);
            maps.get(*map).is_some_and(|map| !forgets(map))
        }
        inst => is_pure(inst) || reads_world(function, inst),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nonna_bpf::Helper;

    #[test]
    fn numbers_and_names_are_the_kernels() {
        for (number, name) in [CONSTANT_HELPERS, ANSWERING_HELPERS, HARMLESS_HELPERS].concat() {
            assert_eq!(Helper::from_id(number), Helper::from_name(name), "{name}");
        }
    }
}
