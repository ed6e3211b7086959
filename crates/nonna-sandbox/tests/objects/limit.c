// An XDP filter with maps, for the tests of the sandbox. Compiled with
//   clang-14 -O2 -g -target bpf -I/usr/include/x86_64-linux-gnu -c limit.c -o limit.o
// and committed beside this file, so that tests need no compiler.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>

#define SEC(name) __attribute__((section(name), used))
#define __uint(name, value) int (*name)[value]
#define __type(name, type) type *name

static void *(*bpf_map_lookup_elem)(void *, const void *) = (void *)1;
static long (*bpf_map_update_elem)(void *, const void *, const void *, __u64) = (void *)2;
static long (*bpf_ringbuf_output)(void *, void *, __u64, __u64) = (void *)130;

// How many packets each address sent.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} senders SEC(".maps");

// Packets by verdict.
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 5);
	__type(key, __u32);
	__type(value, __u64);
} verdicts SEC(".maps");

// Addresses that came to the limit.
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} reached SEC(".maps");

// Packets that one address may send.
const volatile __u64 limit = 3;
// Bytes of all packets.
__u64 bytes = 0;

static __always_inline int judge(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	__u64 one = 1, *count;
	__u32 from;

	bytes += end - data;
	if ((void *)(ip + 1) > end || eth->h_proto != __builtin_bswap16(ETH_P_IP))
		return XDP_PASS;
	from = ip->saddr;
	count = bpf_map_lookup_elem(&senders, &from);
	if (!count)
		return bpf_map_update_elem(&senders, &from, &one, BPF_NOEXIST) ? XDP_ABORTED : XDP_PASS;
	*count += 1;
	if (*count == limit + 1)
		bpf_ringbuf_output(&reached, &from, sizeof(from), 0);
	return *count > limit ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
int limiter(struct xdp_md *ctx)
{
	__u32 verdict = judge(ctx);
	__u64 *count = bpf_map_lookup_elem(&verdicts, &verdict);

	if (count)
		*count += 1;
	return verdict;
}

char _license[] SEC("license") = "GPL";
