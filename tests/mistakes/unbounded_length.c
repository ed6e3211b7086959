// Copies what a process writes. How much that is says the process, and the buffer has 64 bytes.
#include "kernel.h"

SEC("tracepoint/syscalls/sys_enter_write")
int written(struct syscall_enter *ctx)
{
	char text[64] = {};
	__u32 length = ctx->args[2];

	bpf_probe_read_user(text, length, (void *)ctx->args[1]);
	return text[0] == 'x';
}

char _license[] SEC("license") = "GPL";
