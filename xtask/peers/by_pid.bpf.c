/* The peer of `@[pid] = count()`. */
#include "kernel.h"

COUNTS(calls, u64);

SEC("tp_btf/sys_enter")
int on_sys_enter(u64 *ctx)
{
	u64 key = get_current_pid_tgid() >> 32;

	add_one_or_insert(&calls, &key);
	return 0;
}
