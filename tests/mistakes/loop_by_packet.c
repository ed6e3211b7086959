// Copies the options of an IPv4 header. How many there are says the packet, and a packet may say anything.
#include "kernel.h"

struct options {
	__u8 bytes[40];
};

struct {
	__uint(type, ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct options);
} last_options SEC(".maps");

SEC("xdp")
int copy(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data;
	struct iphdr *ip = data + sizeof(struct ethhdr);

	if ((void *)(ip + 1) > end)
		return XDP_PASS;
	__u32 length = (ip->version_and_length & 15) * 4 - sizeof(*ip);
	__u8 *option = (void *)(ip + 1);
	__u32 zero = 0;
	struct options *copy = bpf_map_lookup_elem(&last_options, &zero);
	if (!copy)
		return XDP_PASS;
#pragma clang loop vectorize(disable) unroll(disable)
	for (__u32 i = 0; i < length; i++) {
		if ((void *)(option + 1) > end)
			break;
		copy->bytes[i] = *option++;
	}
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
