// Bytes and limit of a mark are in two maps. Both are looked up, and one of them is tested twice.
#include "kernel.h"

struct {
	__uint(type, HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u64);
} bytes SEC(".maps");

struct {
	__uint(type, HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u64);
} limits SEC(".maps");

SEC("tc")
int limit(struct __sk_buff *skb)
{
	__u32 mark = skb->mark;
	__u64 *used = bpf_map_lookup_elem(&bytes, &mark);
	if (!used)
		return TC_OK;
	__u64 *most = bpf_map_lookup_elem(&limits, &mark);
	if (!used)
		return TC_OK;
	*used += skb->len;
	return *used > *most ? TC_SHOT : TC_OK;
}

char _license[] SEC("license") = "GPL";
