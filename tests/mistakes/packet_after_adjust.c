// Takes a tag off in front of the packet. After that the packet lies elsewhere, and the old pointers lead nowhere.
#include "kernel.h"

SEC("xdp")
int untag(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;

	if ((void *)(eth + 1) > end)
		return XDP_PASS;
	if (bpf_xdp_adjust_head(ctx, 4))
		return XDP_ABORTED;
	eth->protocol = bpf_htons(0x0800);
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
