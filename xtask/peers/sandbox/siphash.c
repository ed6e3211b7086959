/* SipHash-2-4 of 256 bytes. */
#include "program.h"

#define ROTATE(x, by) ((x) << (by) | (x) >> (64 - (by)))
#define ROUND                                             \
	do {                                              \
		v0 += v1; v1 = ROTATE(v1, 13); v1 ^= v0;  \
		v0 = ROTATE(v0, 32);                      \
		v2 += v3; v3 = ROTATE(v3, 16); v3 ^= v2;  \
		v0 += v3; v3 = ROTATE(v3, 21); v3 ^= v0;  \
		v2 += v1; v1 = ROTATE(v1, 17); v1 ^= v2;  \
		v2 = ROTATE(v2, 32);                      \
	} while (0)

PROGRAM
{
	u64 k0 = 0x0706050403020100ull, k1 = 0x0f0e0d0c0b0a0908ull;
	u64 v0 = 0x736f6d6570736575ull ^ k0, v1 = 0x646f72616e646f6dull ^ k1;
	u64 v2 = 0x6c7967656e657261ull ^ k0, v3 = 0x7465646279746573ull ^ k1;

	for (u32 i = 0; i < 256; i += 8) {
		u64 word = *(u64 *)(mem + i);

		v3 ^= word;
		ROUND;
		ROUND;
		v0 ^= word;
	}
	v3 ^= 256ull << 56;
	ROUND;
	ROUND;
	v0 ^= 256ull << 56;
	v2 ^= 0xff;
	ROUND;
	ROUND;
	ROUND;
	ROUND;
	return v0 ^ v1 ^ v2 ^ v3;
}
