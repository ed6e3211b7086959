/*
 * The peer of `emit` with a name of 16 bytes and a string of the user's: built in scratch memory of the processor and sent as long as it is.
 * The scratch memory is taken without asking whether an interrupted program is using it.
 */
#include "kernel.h"

#define MAX_TEXT 1024
#define HEAD_BYTES __builtin_offsetof(struct record, text)

struct pt_regs {
	unsigned long si;
} __attribute__((preserve_access_index));

struct record {
	u32 schema;
	u32 generation;
	u32 at_and_bytes;
	u32 full_bytes;
	char who[16];
	/* Room for any length that the mask below lets through. */
	char text[2 * MAX_TEXT + 8];
};

u32 generation SEC(".data") = 0;
RING(ring, drops);

struct {
	INT(type, PERCPU_ARRAY);
	INT(max_entries, 1);
	TYPE(key, u32);
	TYPE(value, struct record);
} scratch SEC(".maps");

SEC("tp_btf/sys_enter")
int on_sys_enter(u64 *ctx)
{
	const struct pt_regs *regs = (void *)ctx[0];
	struct record *record;
	u32 key = 0;
	u64 bytes;

	if (ctx[1] != ACCESS_NR)
		return 0;
	record = map_lookup(&scratch, &key);
	if (!record)
		return 0;
	record->schema = 1;
	record->generation = *(volatile u32 *)&generation;
	get_current_comm(record->who, sizeof(record->who));
	bytes = probe_read_user_str(record->text, MAX_TEXT, (void *)regs->si);
	if ((s64)bytes < 0)
		bytes = 0;
	bytes &= 2 * MAX_TEXT - 1;
	record->full_bytes = bytes;
	record->at_and_bytes = HEAD_BYTES + (bytes << 16);
	if (ringbuf_output(&ring, record, HEAD_BYTES + ((bytes + 7) & ~7), 0))
		add_one(&drops, &key);
	return 0;
}
