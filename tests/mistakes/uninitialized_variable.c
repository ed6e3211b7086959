// Sends each process that starts to user space. The flags say for which processor, and were forgotten.
#include "kernel.h"

struct {
	__uint(type, PERF_EVENTS);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u32);
} events SEC(".maps");

struct start {
	__u64 pid_tgid;
	char name[16];
};

SEC("tracepoint/syscalls/sys_enter_execve")
int started(struct syscall_enter *ctx)
{
	struct start start = {};
	__u64 flags;

	start.pid_tgid = bpf_get_current_pid_tgid();
	bpf_get_current_comm(start.name, sizeof(start.name));
	bpf_perf_event_output(ctx, &events, flags, &start, sizeof(start));
	return 0;
}

char _license[] SEC("license") = "GPL";
