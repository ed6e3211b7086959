// Lets packets to listening sockets pass. On one of the two ways out the socket is not given back.
#include "kernel.h"

SEC("tc")
int known_only(struct __sk_buff *skb)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *sock;

	if (bpf_skb_load_bytes(skb, 26, &tuple, 12))
		return TC_OK;
	sock = bpf_sk_lookup_tcp(skb, &tuple, sizeof(tuple), -1, 0);
	if (!sock)
		return TC_SHOT;
	if (skb->mark == 7)
		return TC_OK;
	bpf_sk_release(sock);
	return TC_OK;
}

char _license[] SEC("license") = "GPL";
