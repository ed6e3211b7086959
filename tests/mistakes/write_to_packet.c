// Marks packets of a service on their way in. A cgroup's hook may look at packets and let them pass or not, but not change them.
#include "kernel.h"

SEC("cgroup_skb/ingress")
int mark(struct __sk_buff *skb)
{
	void *end = (void *)(long)skb->data_end;
	struct iphdr *ip = (void *)(long)skb->data;

	if ((void *)(ip + 1) > end)
		return 1;
	ip->tos = 0x10;
	return 1;
}

char _license[] SEC("license") = "GPL";
