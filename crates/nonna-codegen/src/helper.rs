//! Numbers of the helpers that code generation itself calls (`enum bpf_func_id`, include/uapi/linux/bpf.h).

/// `bpf_map_lookup_elem(map, key)`
pub const MAP_LOOKUP_ELEM: u32 = 1;
/// `bpf_map_update_elem(map, key, value, flags)`
pub const MAP_UPDATE_ELEM: u32 = 2;
/// `bpf_map_delete_elem(map, key)`
pub const MAP_DELETE_ELEM: u32 = 3;
/// `bpf_get_current_task()`: the task as a number.
pub const GET_CURRENT_TASK: u32 = 35;
/// `bpf_probe_read_user(to, bytes, from)`
pub const PROBE_READ_USER: u32 = 112;
/// `bpf_probe_read_kernel(to, bytes, from)`
pub const PROBE_READ_KERNEL: u32 = 113;
/// `bpf_probe_read_user_str(to, bytes, from)`
pub const PROBE_READ_USER_STR: u32 = 114;
/// `bpf_probe_read_kernel_str(to, bytes, from)`
pub const PROBE_READ_KERNEL_STR: u32 = 115;
/// `bpf_task_storage_get(map, task, first value, flags)`: memory or 0.
pub const TASK_STORAGE_GET: u32 = 156;
/// `bpf_get_current_task_btf()`: the task as a typed pointer.
pub const GET_CURRENT_TASK_BTF: u32 = 158;
