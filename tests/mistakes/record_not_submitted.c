// Reports opened files. A record is reserved before the program knows whether it wants one.
#include "kernel.h"

struct {
	__uint(type, RING);
	__uint(max_entries, 4096);
} events SEC(".maps");

struct opened {
	__u64 pid_tgid;
	char path[56];
};

SEC("tracepoint/syscalls/sys_enter_openat")
int open(struct syscall_enter *ctx)
{
	struct opened *opened = bpf_ringbuf_reserve(&events, sizeof(*opened), 0);
	if (!opened)
		return 0;
	opened->pid_tgid = bpf_get_current_pid_tgid();
	if (bpf_probe_read_user_str(opened->path, sizeof(opened->path), (void *)ctx->args[1]) < 0)
		return 0;
	bpf_ringbuf_submit(opened, 0);
	return 0;
}

char _license[] SEC("license") = "GPL";
