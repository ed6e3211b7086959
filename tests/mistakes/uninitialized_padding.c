// Counts by processor queue and port. Between the two fields of the key lie two bytes that nobody writes.
#include "kernel.h"

struct place {
	__u16 port;
	__u32 queue;
};

struct {
	__uint(type, HASH);
	__uint(max_entries, 1024);
	__type(key, struct place);
	__type(value, __u64);
} seen SEC(".maps");

SEC("tc")
int count(struct __sk_buff *skb)
{
	struct place place;
	__u64 one = 1;

	place.port = skb->ifindex;
	place.queue = skb->queue_mapping;
	bpf_map_update_elem(&seen, &place, &one, 0);
	return TC_OK;
}

char _license[] SEC("license") = "GPL";
