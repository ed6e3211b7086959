// Sends an event through a hash map. The helper wants a map of perf events.
#include "kernel.h"

struct {
	__uint(type, HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
} events SEC(".maps");

SEC("kprobe/do_unlinkat")
int removed(struct pt_regs *ctx)
{
	__u64 who = bpf_get_current_pid_tgid();

	bpf_perf_event_output(ctx, &events, 0xffffffff, &who, sizeof(who));
	return 0;
}

char _license[] SEC("license") = "GPL";
