// Packet programs for the tests of the sandbox. Compiled with
//   clang-14 -O2 -g -target bpf -I/usr/include/x86_64-linux-gnu -c filter.c -o filter.o
// and committed beside this file, so that tests need no compiler.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#define SEC(name) __attribute__((section(name), used))
#define swap16(x) __builtin_bswap16(x)
#define swap32(x) __builtin_bswap32(x)

static long (*bpf_skb_store_bytes)(void *, __u32, const void *, __u32, __u64) = (void *)9;
static long (*bpf_l3_csum_replace)(void *, __u32, __u64, __u64, __u64) = (void *)10;
static long (*bpf_l4_csum_replace)(void *, __u32, __u64, __u64, __u64) = (void *)11;
static long (*bpf_skb_vlan_push)(void *, __u16, __u16) = (void *)18;
static long (*bpf_xdp_adjust_head)(void *, int) = (void *)44;
static long (*bpf_xdp_adjust_tail)(void *, int) = (void *)65;

struct tag {
	__u16 id;
	__u16 protocol;
};

// Adds a 16-bit change to a header's checksum (RFC 1624).
static __always_inline void change(__u16 *sum, __u16 from, __u16 to)
{
	__u32 all = (__u16)~*sum + (__u16)~from + to;

	all = (all & 0xffff) + (all >> 16);
	*sum = ~((all & 0xffff) + (all >> 16));
}

// Drops telnet and fragments, sends pings to port 7 back, takes VLAN tags away, cuts DNS answers that are too long,
// and counts down the time to live of the rest.
SEC("xdp")
int guard(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data, old;
	struct iphdr *ip;
	struct udphdr *udp;
	int long_by;

	if (data + sizeof(*eth) + sizeof(struct tag) > end)
		return XDP_PASS;
	if (eth->h_proto == swap16(ETH_P_8021Q)) {
		struct tag *tag = (void *)(eth + 1);

		old = *eth;
		old.h_proto = tag->protocol;
		if (bpf_xdp_adjust_head(ctx, sizeof(*tag)))
			return XDP_ABORTED;
		data = (void *)(long)ctx->data;
		end = (void *)(long)ctx->data_end;
		eth = data;
		if (data + sizeof(*eth) > end)
			return XDP_ABORTED;
		*eth = old;
	}
	if (eth->h_proto != swap16(ETH_P_IP))
		return XDP_PASS;
	ip = data + sizeof(*eth);
	if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl != 5)
		return XDP_DROP;
	if (ip->frag_off & swap16(0x3fff))
		return XDP_DROP;
	if (ip->protocol == IPPROTO_TCP) {
		struct tcphdr *tcp = (void *)(ip + 1);

		if ((void *)(tcp + 1) > end || tcp->dest == swap16(23))
			return XDP_DROP;
	}
	udp = (void *)(ip + 1);
	if (ip->protocol == IPPROTO_UDP && (void *)(udp + 1) <= end) {
		if (udp->dest == swap16(7)) {
			__u32 address = ip->saddr;
			__u16 port = udp->source;

			old = *eth;
			__builtin_memcpy(eth->h_dest, old.h_source, ETH_ALEN);
			__builtin_memcpy(eth->h_source, old.h_dest, ETH_ALEN);
			ip->saddr = ip->daddr;
			ip->daddr = address;
			udp->source = udp->dest;
			udp->dest = port;
			return XDP_TX;
		}
		long_by = (end - data) - 200;
		if (udp->source == swap16(53) && long_by > 0) {
			if (bpf_xdp_adjust_tail(ctx, -long_by))
				return XDP_ABORTED;
			return XDP_PASS;
		}
	}
	if (ip->ttl <= 1)
		return XDP_DROP;
	{
		__u16 *word = (__u16 *)&ip->ttl, from = *word;

		ip->ttl--;
		change(&ip->check, from, *word);
	}
	return XDP_PASS;
}

// Sends what goes to 10.0.0.2 to 10.9.9.9 and tags what is no IPv4.
SEC("tc")
int shape(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	__u32 from = swap32(0x0a000002), to = swap32(0x0a090909);

	skb->mark = skb->len;
	if ((void *)(ip + 1) > end || eth->h_proto != swap16(ETH_P_IP)) {
		if (bpf_skb_vlan_push(skb, swap16(ETH_P_8021Q), 7) || bpf_skb_vlan_push(skb, swap16(ETH_P_8021Q), 8))
			return TC_ACT_SHOT;
		return TC_ACT_OK;
	}
	if (ip->daddr != from)
		return TC_ACT_PIPE;
	if (ip->protocol == IPPROTO_TCP || ip->protocol == IPPROTO_UDP) {
		__u32 at = ETH_HLEN + sizeof(*ip) +
			(ip->protocol == IPPROTO_TCP ? __builtin_offsetof(struct tcphdr, check) :
						       __builtin_offsetof(struct udphdr, check));
		__u64 flags = BPF_F_PSEUDO_HDR | sizeof(to) | (ip->protocol == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0);

		if (bpf_l4_csum_replace(skb, at, from, to, flags))
			return TC_ACT_SHOT;
	}
	if (bpf_l3_csum_replace(skb, ETH_HLEN + __builtin_offsetof(struct iphdr, check), from, to, sizeof(to)))
		return TC_ACT_SHOT;
	if (bpf_skb_store_bytes(skb, ETH_HLEN + __builtin_offsetof(struct iphdr, daddr), &to, sizeof(to), 0))
		return TC_ACT_SHOT;
	return TC_ACT_REDIRECT;
}

// Lets nothing but IPv4 to ports below 1024 through, and remembers the port.
SEC("cgroup_skb/egress")
int meter(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct iphdr *ip = data;
	struct udphdr *ports = (void *)(ip + 1);

	if (skb->protocol != swap16(ETH_P_IP) || (void *)(ports + 1) > end)
		return 0;
	if (ip->ihl != 5 || (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP))
		return 0;
	skb->mark = swap16(ports->dest);
	return swap16(ports->dest) < 1024;
}

char _license[] SEC("license") = "GPL";
