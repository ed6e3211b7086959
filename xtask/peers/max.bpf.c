/* The peer of `@[pid] = max(args.id)`. */
#include "kernel.h"

struct highest {
	s64 value;
	u64 is_set;
};

struct {
	INT(type, PERCPU_HASH);
	INT(max_entries, 4096);
	TYPE(key, u64);
	TYPE(value, struct highest);
} calls SEC(".maps");

SEC("tp_btf/sys_enter")
int on_sys_enter(u64 *ctx)
{
	s64 value = ctx[1];
	u64 key = get_current_pid_tgid() >> 32;
	struct highest *known = map_lookup(&calls, &key);

	if (!known) {
		struct highest first = { value, 1 };

		map_update(&calls, &key, &first, 0);
	} else if (value > known->value || !known->is_set) {
		known->value = value;
		known->is_set = 1;
	}
	return 0;
}
