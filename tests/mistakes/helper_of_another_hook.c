// Reads a header as tc programs do. An XDP program runs before there is a socket buffer to load from.
#include "kernel.h"

SEC("xdp")
int peek(struct xdp_md *ctx)
{
	struct ethhdr eth = {};

	if (bpf_skb_load_bytes(ctx, 0, &eth, sizeof(eth)))
		return XDP_PASS;
	return eth.protocol == bpf_htons(0x86dd) ? XDP_DROP : XDP_PASS;
}

char _license[] SEC("license") = "GPL";
