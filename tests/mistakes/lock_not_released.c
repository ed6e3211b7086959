// A token bucket behind a lock. Who finds it empty leaves, and takes the lock along.
#include "kernel.h"

struct bucket {
	struct bpf_spin_lock lock;
	__u32 tokens;
};

struct {
	__uint(type, ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bucket);
} buckets SEC(".maps");

SEC("tc")
int shape(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct bucket *bucket = bpf_map_lookup_elem(&buckets, &zero);
	if (!bucket)
		return TC_OK;
	bpf_spin_lock(&bucket->lock);
	if (bucket->tokens == 0)
		return TC_SHOT;
	bucket->tokens -= 1;
	bpf_spin_unlock(&bucket->lock);
	return TC_OK;
}

char _license[] SEC("license") = "GPL";
