// Sends packets back as if they had come by another device. Where a packet came from is not for the program to say.
#include "kernel.h"

SEC("xdp")
int pretend(struct xdp_md *ctx)
{
	ctx->ingress_ifindex = 2;
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
