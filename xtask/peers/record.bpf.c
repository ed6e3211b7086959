/* The peer of `emit` with four fields. */
#include "kernel.h"

struct record {
	u32 schema;
	u32 generation;
	u64 nr;
	u32 pid;
	u32 tid;
	u64 time_ns;
};

u32 generation SEC(".data") = 0;
RING(ring, drops);

SEC("tp_btf/sys_enter")
int on_sys_enter(u64 *ctx)
{
	struct record *record = ringbuf_reserve(&ring, sizeof(*record), 0);
	u64 pid_tgid;

	if (!record) {
		u32 key = 0;

		add_one(&drops, &key);
		return 0;
	}
	record->schema = 1;
	record->generation = *(volatile u32 *)&generation;
	record->nr = ctx[1];
	pid_tgid = get_current_pid_tgid();
	record->pid = pid_tgid >> 32;
	record->tid = (u32)pid_tgid;
	record->time_ns = ktime_get_ns();
	ringbuf_submit(record, 0);
	return 0;
}
