// Compares the first letter of a path. The path lies in the memory of the process, where programs cannot just look.
#include "kernel.h"

SEC("tracepoint/syscalls/sys_enter_openat")
int hidden(struct syscall_enter *ctx)
{
	const char *path = (const char *)ctx->args[1];

	if (path[0] == '.')
		bpf_trace_printk("hidden\n", 8);
	return 0;
}

char _license[] SEC("license") = "GPL";
