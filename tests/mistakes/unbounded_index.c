// A histogram of packet lengths. The bucket is computed from the length, and there are only 32 of them.
#include "kernel.h"

struct histogram {
	__u64 buckets[32];
};

struct {
	__uint(type, ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct histogram);
} lengths SEC(".maps");

SEC("tc")
int measure(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct histogram *histogram = bpf_map_lookup_elem(&lengths, &zero);
	if (!histogram)
		return TC_OK;
	__u32 bucket = skb->len / 64;
	histogram->buckets[bucket] += 1;
	return TC_OK;
}

char _license[] SEC("license") = "GPL";
