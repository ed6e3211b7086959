// Answers as a tc program would. A cgroup hook asks something else: 1 allows, 0 forbids, and there is no 2.
#include "kernel.h"

SEC("cgroup/connect4")
int allow(struct bpf_sock_addr *ctx)
{
	if (ctx->user_port == bpf_htons(25))
		return TC_SHOT;
	return 1;
}

char _license[] SEC("license") = "GPL";
