// Each of two functions has a buffer that fits by itself. One calls the other, and 512 bytes are for both together.
#include "kernel.h"

struct text {
	char bytes[304];
};

static __noinline int letters(struct xdp_md *ctx, __u32 from)
{
	struct text text = {};

	bpf_xdp_load_bytes(ctx, from, &text, sizeof(text));
	return text.bytes[0] + text.bytes[sizeof(text) - 1];
}

SEC("xdp")
int compare(struct xdp_md *ctx)
{
	struct text text = {};

	if (bpf_xdp_load_bytes(ctx, 64, &text, sizeof(text)))
		return XDP_PASS;
	return letters(ctx, 512) == text.bytes[0] + text.bytes[sizeof(text) - 1] ? XDP_DROP : XDP_PASS;
}

char _license[] SEC("license") = "GPL";
