// Notes when a flow was last seen, and asks for the time while the lock is held.
#include "kernel.h"

struct flow {
	struct bpf_spin_lock lock;
	__u32 n_packets;
	__u64 seen_ns;
};

struct {
	__uint(type, HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct flow);
} flows SEC(".maps");

SEC("tc")
int note(struct __sk_buff *skb)
{
	__u32 hash = skb->hash;
	struct flow *flow = bpf_map_lookup_elem(&flows, &hash);
	if (!flow)
		return TC_OK;
	bpf_spin_lock(&flow->lock);
	flow->n_packets += 1;
	flow->seen_ns = bpf_ktime_get_ns();
	bpf_spin_unlock(&flow->lock);
	return TC_OK;
}

char _license[] SEC("license") = "GPL";
