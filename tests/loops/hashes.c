// Arithmetic over many rounds: hashes, sums, a generator of random numbers. The count is fixed, and only the addresses depend on it.
#include "memory.h"

#define LEFT32(x, n) ((x) << (n) | (x) >> (32 - (n)))
#define LEFT64(x, n) ((x) << (n) | (x) >> (64 - (n)))

SEC("xdp")
int generator(struct xdp_md *ctx)
{
	__u8 *m = table();

	if (!m)
		return 0;
	__u64 a = *(__u64 *)m | 1, b = *(__u64 *)(m + 8);

	for (int i = 0; i < 1000; i++) {
		a = a * 6364136223846793005ULL + b;
		b ^= a >> 13;
		b += a / ((b & 0xff) + 1);
		a ^= b % 1021;
	}
	*(__u64 *)(m + 16) = a + b;
	return (int)(a ^ b);
}

SEC("xdp")
int checksum(struct xdp_md *ctx)
{
	__u16 *words = (__u16 *)table();
	__u64 sum = 0;

	if (!words)
		return 0;
	for (int i = 0; i < 750; i++)
		sum += words[i];
	for (int i = 0; i < 4; i++)
		sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)~sum;
}

// The fold goes on as long as there is something to fold.
SEC("xdp")
int checksum_while(struct xdp_md *ctx)
{
	__u16 *words = (__u16 *)table();
	__u64 sum = 0;

	if (!words)
		return 0;
	for (int i = 0; i < 750; i++)
		sum += words[i];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)~sum;
}

SEC("xdp")
int lookup3(struct xdp_md *ctx)
{
	__u32 *words = (__u32 *)table();
	__u32 a = 1, b = 2, c = 3;

	if (!words)
		return 0;
	for (int left = 256; left > 3; left -= 3, words += 3) {
		a += words[0];
		b += words[1];
		c += words[2];
		a -= c, a ^= LEFT32(c, 4), c += b;
		b -= a, b ^= LEFT32(a, 6), a += c;
		c -= b, c ^= LEFT32(b, 8), b += a;
		a -= c, a ^= LEFT32(c, 16), c += b;
		b -= a, b ^= LEFT32(a, 19), a += c;
		c -= b, c ^= LEFT32(b, 4), b += a;
	}
	return c;
}

static __always_inline void half_round(__u64 v[4], int s, int t)
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = LEFT64(v[1], s) ^ v[0];
	v[3] = LEFT64(v[3], t) ^ v[2];
	v[0] = LEFT64(v[0], 32);
}

SEC("xdp")
int sip_rounds(struct xdp_md *ctx)
{
	__u64 *words = (__u64 *)table();
	__u64 v[4] = { 1, 2, 3, 4 };

	if (!words)
		return 0;
	for (int i = 0; i < 64; i++) {
		v[3] ^= words[i];
		half_round(v, 13, 16);
		half_round(v, 17, 21);
		v[0] ^= words[i];
	}
	return (int)(v[0] ^ v[1] ^ v[2] ^ v[3]);
}

static __noinline __u64 mix(__u64 a, __u64 b)
{
	return (a ^ b) * 0x9e3779b97f4a7c15ULL;
}

SEC("xdp")
int by_calls(struct xdp_md *ctx)
{
	__u8 *m = table();

	if (!m)
		return 0;
	__u64 hash = *(__u64 *)m;

	for (int i = 0; i < 256; i++)
		hash = mix(hash, i);
	return (int)hash;
}

SEC("xdp")
int by_helper_calls(struct xdp_md *ctx)
{
	__u32 sum = 0;

	for (int i = 0; i < 256; i++)
		sum += bpf_get_prandom_u32();
	return sum;
}
