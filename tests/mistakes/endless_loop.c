// Waits for user space to raise a flag. A program has to end by itself.
#include "kernel.h"

struct {
	__uint(type, ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} ready SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_execve")
int wait(struct syscall_enter *ctx)
{
	__u32 zero = 0;
	volatile __u32 *flag = bpf_map_lookup_elem(&ready, &zero);
	if (!flag)
		return 0;
	while (*flag == 0)
		;
	return 0;
}

char _license[] SEC("license") = "GPL";
