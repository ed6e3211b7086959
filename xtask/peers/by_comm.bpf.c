/* The peer of `@[comm] = count()`. */
#include "kernel.h"

struct key {
	char comm[16];
};

COUNTS(calls, struct key);

SEC("tp_btf/sys_enter")
int on_sys_enter(u64 *ctx)
{
	struct key key;

	get_current_comm(&key, sizeof(key));
	add_one_or_insert(&calls, &key);
	return 0;
}
