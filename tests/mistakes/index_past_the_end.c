// Five counters, the last of which has number 4.
#include "kernel.h"

enum { N_COUNTERS = 5 };

struct counters {
	__u32 of[N_COUNTERS];
};

struct {
	__uint(type, ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counters);
} counters SEC(".maps");

SEC("socket")
int count(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct counters *counters_now = bpf_map_lookup_elem(&counters, &zero);
	if (!counters_now)
		return 0;
	__u32 *last = &counters_now->of[0] + N_COUNTERS;
	*last += 1;
	return skb->len;
}

char _license[] SEC("license") = "GPL";
