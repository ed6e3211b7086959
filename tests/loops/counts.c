// How often these go round is known only while they run: a bound in a variable, a bound in memory, a way out in the middle.
#include "memory.h"

SEC("xdp")
int up_to_a_variable(struct xdp_md *ctx)
{
	__u8 *m = table();
	__u32 sum = 0;

	if (!m)
		return 0;
	__u32 n = *(__u32 *)m;

	if (n > 1000)
		n = 1000;
	for (__u32 i = 0; i < n; i++)
		sum += m[i];
	return sum;
}

SEC("xdp")
int up_to_a_product(struct xdp_md *ctx)
{
	__u8 *m = table();
	__u32 sum = 0;

	if (!m)
		return 0;
	__u32 n = m[0] * 16;

	for (__u32 i = 0; i < n; i++)
		sum += m[i];
	return sum;
}

SEC("xdp")
int between_two_variables(struct xdp_md *ctx)
{
	__u8 *m = table();
	__u32 sum = 0;

	if (!m)
		return 0;
	__u32 from = bpf_get_prandom_u32() & 1023, to = bpf_get_prandom_u32() & 4095;

	for (__u32 i = from; i < to; i++)
		sum = (sum << 3 | sum >> 29) + m[i];
	return sum;
}

SEC("xdp")
int by_twos(struct xdp_md *ctx)
{
	__u8 *m = table();
	__u32 sum = 0;

	if (!m)
		return 0;
	__u32 n = bpf_get_prandom_u32() & 1023;

	for (__u32 i = 0; i < n; i += 2)
		sum += m[i];
	return sum;
}

SEC("xdp")
int downwards(struct xdp_md *ctx)
{
	__u8 *m = table();
	__u32 sum = 0;

	if (!m)
		return 0;
	int n = bpf_get_prandom_u32() & 2047;

	for (int i = n - 1; i >= 0; i--)
		sum += m[i];
	return sum;
}

SEC("xdp")
int up_to_a_pointer(struct xdp_md *ctx)
{
	__u8 *m = table();
	__u32 sum = 0;

	if (!m)
		return 0;
	__u8 *end = m + (*(__u16 *)m & 0x3fff);

	for (__u8 *p = m; p != end; p++)
		sum = sum * 31 + *p;
	return sum;
}

SEC("xdp")
int square_of_a_variable(struct xdp_md *ctx)
{
	__u8 *m = table();
	__u32 sum = 0;

	if (!m)
		return 0;
	__u32 n = bpf_get_prandom_u32() & 127;

	for (__u32 i = 0; i < n; i++)
		for (__u32 j = 0; j < n; j++)
			sum += m[i * 128 + j];
	return sum;
}

SEC("xdp")
int out_in_the_middle(struct xdp_md *ctx)
{
	__u8 *m = table();
	__u32 n = 0;

	if (!m)
		return 0;
	__u32 most = *(__u16 *)m;

	if (most > 16000)
		most = 16000;
	for (__u32 i = 0; i < most; i++) {
		if (!m[i])
			break;
		n++;
	}
	return n;
}

// Sorting by insertion: the inner count runs down from where the outer one is.
SEC("xdp")
int insertion(struct xdp_md *ctx)
{
	__u8 *m = table();

	if (!m)
		return 0;
	__u32 n = bpf_get_prandom_u32() & 1023;

	for (__u32 i = 1; i < n; i++) {
		__u8 value = m[i];
		__u32 at = i;

		for (; at > 0 && m[at - 1] > value; at--)
			m[at] = m[at - 1];
		m[at] = value;
	}
	return 0;
}
