// Writes a record of any length. If writing fails the program leaves, and the room in the ring stays taken.
#include "kernel.h"

struct {
	__uint(type, RING);
	__uint(max_entries, 4096);
} events SEC(".maps");

SEC("tc")
int note(struct __sk_buff *skb)
{
	struct bpf_dynptr record;
	__u32 length = skb->len;

	bpf_ringbuf_reserve_dynptr(&events, 64, 0, &record);
	if (bpf_dynptr_write(&record, 0, &length, sizeof(length), 0))
		return TC_OK;
	bpf_ringbuf_submit_dynptr(&record, 0);
	return TC_OK;
}

char _license[] SEC("license") = "GPL";
