// Tables that rounds fill, search and sort: the index is what has to stay inside.
#include "memory.h"

// The inner count starts at a square, which no bound of the outer count gives by itself.
SEC("xdp")
int sieve(struct xdp_md *ctx)
{
	__u8 *m = table();
	__u32 n = 0;

	if (!m)
		return 0;
	for (__u32 i = 2; i < 4096; i++)
		*(volatile __u8 *)(m + i) = 1;
	for (__u32 i = 2; i < 64; i++)
		if (m[i])
			for (__u32 j = i * i; j < 4096; j += i)
				m[j] = 0;
	for (__u32 i = 2; i < 4096; i++)
		n += m[i];
	return n;
}

struct route {
	__u32 prefix;
	__u32 mask;
	__u32 hop;
};

// All routes for all questions; each comparison is two paths to whoever walks them.
SEC("xdp")
int longest_prefix(struct xdp_md *ctx)
{
	__u8 *m = table();
	__u32 sum = 0;

	if (!m)
		return 0;
	struct route *routes = (struct route *)m;
	__u32 *questions = (__u32 *)(m + 8192);

	for (int i = 0; i < 16; i++) {
		__u32 best = 0, hop = 0;

		for (int j = 0; j < 31; j++) {
			struct route *route = &routes[j];

			if ((questions[i] & route->mask) == route->prefix && route->mask >= best) {
				best = route->mask;
				hop = route->hop;
			}
		}
		sum += hop;
	}
	return sum;
}

// A small machine of states over text.
SEC("xdp")
int tokens(struct xdp_md *ctx)
{
	__u8 *m = table();
	__u32 state = 0, words = 0, numbers = 0, others = 0;

	if (!m)
		return 0;
	for (int i = 0; i < 256; i++) {
		__u8 c = m[i];
		__u32 next = 3;

		if (c >= '0' && c <= '9')
			next = 1;
		else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_')
			next = 2;
		else if (c == ' ' || c == '\n' || c == '\t')
			next = 0;
		if (next != state) {
			if (state == 1)
				numbers++;
			else if (state == 2)
				words++;
		}
		if (state == 3)
			others++;
		state = next;
	}
	return words << 16 | numbers << 8 | others;
}

SEC("xdp")
int three_deep(struct xdp_md *ctx)
{
	__u8 *m = table();
	__u32 sum = 0;

	if (!m)
		return 0;
	for (int i = 0; i < 10; i++)
		for (int j = 0; j < 20; j++)
			for (int k = 0; k < 30; k++)
				sum += m[i * 600 + j * 30 + k];
	return sum;
}

SEC("xdp")
int copy_on_the_stack(struct xdp_md *ctx)
{
	__u8 *m = table();
	__u8 copy[64];
	__u32 sum = 0;

	if (!m)
		return 0;
	for (int i = 0; i < 64; i++)
		copy[i] = m[i] + 1;
	for (int i = 0; i < 64; i++)
		sum = sum * 31 + copy[63 - i];
	return sum;
}

SEC("xdp")
int compare_strings(struct xdp_md *ctx)
{
	__u8 *a = table();

	if (!a)
		return 0;
	for (int i = 0; i < 128; i++) {
		if (a[i] != a[128 + i])
			return a[i] - a[128 + i];
		if (!a[i])
			break;
	}
	return 0;
}

SEC("xdp")
int histogram(struct xdp_md *ctx)
{
	__u8 *m = table();

	if (!m)
		return 0;
	__u32 *counts = (__u32 *)(m + 8192);

	for (int i = 0; i < 2048; i++)
		counts[m[i]]++;
	return counts[0];
}

SEC("xdp")
int lookups(struct xdp_md *ctx)
{
	__u32 sum = 0;

	for (__u32 i = 0; i < 64; i++) {
		__u32 key = i * 7;
		__u8 *value = bpf_map_lookup_elem(&memory, &key);

		if (value)
			sum += value[i];
	}
	return sum;
}
