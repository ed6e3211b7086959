// A filter whose maps somebody must fill: who is blocked, and what else looks at packets. Compiled with
//   clang-14 -O2 -g -target bpf -I/usr/include/x86_64-linux-gnu -c blocklist.c -o blocklist.o
// and committed beside this file, so that tests need no compiler.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>

#define SEC(name) __attribute__((section(name), used))

static void *(*bpf_map_lookup_elem)(void *, const void *) = (void *)1;
static long (*bpf_tail_call)(void *, void *, __u32) = (void *)12;

struct network {
	__u32 bits;
	__u32 address;
};

struct {
	int (*type)[BPF_MAP_TYPE_LPM_TRIE];
	int (*max_entries)[100];
	int (*map_flags)[BPF_F_NO_PREALLOC];
	struct network *key;
	__u32 *value;
} blocked SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_PROG_ARRAY];
	int (*max_entries)[4];
	__u32 *key;
	__u32 *value;
} next SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_PERCPU_ARRAY];
	int (*max_entries)[2];
	__u32 *key;
	__u64 *value;
} counts SEC(".maps");

SEC("xdp") int entry(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + sizeof(struct ethhdr);
	if ((void *)(ip + 1) > end)
		return XDP_PASS;
	struct network sender = { .bits = 32, .address = ip->saddr };
	__u32 *verdict = bpf_map_lookup_elem(&blocked, &sender), index = 1;
	if (verdict) {
		__u64 *count = bpf_map_lookup_elem(&counts, &index);
		if (count)
			*count += 1;
		return *verdict;
	}
	bpf_tail_call(ctx, &next, 0);
	return XDP_PASS;
}

SEC("xdp") int bounce(struct xdp_md *ctx)
{
	return XDP_TX;
}

char _license[] SEC("license") = "GPL";
