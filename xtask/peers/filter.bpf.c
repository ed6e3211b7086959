/* The peer of `/pid == PID/ { @ = count(); }`. */
#include "kernel.h"

COUNT(calls, 1);

SEC("tp_btf/sys_enter")
int on_sys_enter(u64 *ctx)
{
	u32 key = 0;

	if (get_current_pid_tgid() >> 32 == PID)
		add_one(&calls, &key);
	return 0;
}
