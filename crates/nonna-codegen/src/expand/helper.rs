//! Numbers of the kernel helpers that expansions call (`enum bpf_func_id`, include/uapi/linux/bpf.h).

/// `bpf_get_current_comm(to, bytes)`: the running task's name, filled up with zeros.
pub const GET_CURRENT_COMM: u32 = 16;
/// `bpf_probe_read_user(to, bytes, from)`
pub const PROBE_READ_USER: u32 = 112;
/// `bpf_probe_read_kernel(to, bytes, from)`
pub const PROBE_READ_KERNEL: u32 = 113;
/// `bpf_probe_read_user_str(to, bytes, from)`: length with the NUL, or a negative error.
pub const PROBE_READ_USER_STR: u32 = 114;
/// `bpf_probe_read_kernel_str(to, bytes, from)`: length with the NUL, or a negative error.
pub const PROBE_READ_KERNEL_STR: u32 = 115;
/// `bpf_get_stack(context, to, bytes, flags)`: bytes written, or a negative error.
pub const GET_STACK: u32 = 67;
/// `bpf_ringbuf_output(ring, from, bytes, flags)`: 0, or a negative error.
pub const RINGBUF_OUTPUT: u32 = 130;
/// `bpf_ringbuf_reserve(ring, bytes, flags)`: memory or 0.
pub const RINGBUF_RESERVE: u32 = 131;
/// `bpf_ringbuf_submit(memory, flags)`
pub const RINGBUF_SUBMIT: u32 = 132;

/// `bpf_loop(times, function, context, flags)`: how often it called the function.
pub const LOOP: u32 = 181;

/// Whether a helper only answers: no memory written, no state changed, so that its call may move down past others.
pub const fn is_pure(helper: u32) -> bool {
    matches!(
        helper,
        // ktime_get_ns, get_smp_processor_id, get_current_pid_tgid, get_current_uid_gid, get_current_task
        5 | 8 | 14 | 15 | 35
        // get_current_cgroup_id, get_current_ancestor_cgroup_id, ktime_get_boot_ns, get_current_task_btf
        | 80 | 123 | 125 | 158
        // ktime_get_coarse_ns, ktime_get_tai_ns
        | 160 | 208
    )
}

/// Whether a helper leaves tasks and other kernel structures as they are, so that reading those may move past it: it
/// reads, or changes only maps and rings.
pub const fn leaves_kernel_alone(helper: u32) -> bool {
    is_pure(helper)
        || matches!(
            helper,
            // map_lookup_elem, map_update_elem, map_delete_elem, trace_printk, get_current_comm, perf_event_output
            1 | 2 | 3 | 6 | 16 | 25
            // get_stackid, probe_read_str, get_stack, probe_read_{user,kernel}{,_str}
            | 27 | 45 | 67 | 112 | 113 | 114 | 115
            // ringbuf_output, ringbuf_reserve, ringbuf_submit, ringbuf_discard, d_path
            | 130 | 131 | 132 | 133 | 147
        )
}
