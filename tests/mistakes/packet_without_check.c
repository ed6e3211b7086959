// Lets IPv4 pass. The first bytes of a packet are read as if every packet had them.
#include "kernel.h"

SEC("xdp")
int only_ip4(struct xdp_md *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data;

	return eth->protocol == bpf_htons(0x0800) ? XDP_PASS : XDP_DROP;
}

char _license[] SEC("license") = "GPL";
