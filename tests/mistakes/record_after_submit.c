// Stamps a record with the time, but only after it was handed over: it belongs to its reader by then.
#include "kernel.h"

struct {
	__uint(type, RING);
	__uint(max_entries, 4096);
} events SEC(".maps");

struct event {
	__u64 pid_tgid;
	__u64 time_ns;
};

SEC("kprobe/do_unlinkat")
int removed(struct pt_regs *ctx)
{
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event)
		return 0;
	event->pid_tgid = bpf_get_current_pid_tgid();
	bpf_ringbuf_submit(event, 0);
	event->time_ns = bpf_ktime_get_ns();
	return 0;
}

char _license[] SEC("license") = "GPL";
