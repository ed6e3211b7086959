// Counts packets by protocol. A lookup in an array gives null for an index past its end, and the programmer is sure there is none.
#include "kernel.h"

struct {
	__uint(type, ARRAY);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u64);
} packets SEC(".maps");

SEC("xdp")
int count(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);

	if ((void *)(ip + 1) > end)
		return XDP_PASS;
	__u32 protocol = ip->protocol;
	__u64 *counter = bpf_map_lookup_elem(&packets, &protocol);
	*counter += 1;
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
