// Reads the packet as tc programs do. A socket filter has no pointers to it.
#include "kernel.h"

SEC("socket")
int first_byte(struct __sk_buff *skb)
{
	__u8 *data = (void *)(long)skb->data;

	if ((void *)(data + 1) > (void *)(long)skb->data_end)
		return 0;
	return *data == 2 ? skb->len : 0;
}

char _license[] SEC("license") = "GPL";
