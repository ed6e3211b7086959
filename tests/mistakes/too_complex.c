// Walks a tree of eight levels by a function for each, eight calls in each of them: two million ways.
#include "kernel.h"

#define LEVEL(name, below)                                                                                            \
	static __noinline __u64 name(__u64 number)                                                                     \
	{                                                                                                              \
		if (number & 1)                                                                                        \
			return bpf_get_prandom_u32();                                                                  \
		return below(number >> 1) ^ below(number >> 2) ^ below(number >> 3) ^ below(number >> 4) ^             \
		       below(number >> 5) ^ below(number >> 6) ^ below(number >> 7) ^ below(number >> 8);              \
	}

static __noinline __u64 leaf(__u64 number)
{
	return number & 1 ? bpf_get_prandom_u32() : number;
}

LEVEL(level1, leaf)
LEVEL(level2, level1)
LEVEL(level3, level2)
LEVEL(level4, level3)
LEVEL(level5, level4)
LEVEL(level6, level5)

SEC("xdp")
int walk(struct xdp_md *ctx)
{
	return level6(ctx->rx_queue_index) ^ level6(ctx->ingress_ifindex) ? XDP_PASS : XDP_DROP;
}

char _license[] SEC("license") = "GPL";
