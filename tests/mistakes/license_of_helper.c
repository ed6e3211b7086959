// Prints a line. The helper is for programs under the GPL only, and this one says it is not.
#include "kernel.h"

SEC("kprobe/do_unlinkat")
int removed(struct pt_regs *ctx)
{
	static const char format[] = "removed\n";

	bpf_trace_printk(format, sizeof(format));
	return 0;
}

char _license[] SEC("license") = "Proprietary";
