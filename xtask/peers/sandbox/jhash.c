/* A hash of 32-bit words in the manner of Jenkins' lookup3, over 240 bytes. */
#include "program.h"

#define ROTATE(x, by) ((x) << (by) | (x) >> (32 - (by)))

PROGRAM
{
	u32 a = 0xdeadbeef + 240, b = a, c = a;

	for (u32 i = 0; i < 240; i += 12) {
		a += *(u32 *)(mem + i);
		b += *(u32 *)(mem + i + 4);
		c += *(u32 *)(mem + i + 8);
		a -= c; a ^= ROTATE(c, 4); c += b;
		b -= a; b ^= ROTATE(a, 6); a += c;
		c -= b; c ^= ROTATE(b, 8); b += a;
		a -= c; a ^= ROTATE(c, 16); c += b;
		b -= a; b ^= ROTATE(a, 19); a += c;
		c -= b; c ^= ROTATE(b, 4); b += a;
	}
	c ^= b; c -= ROTATE(b, 14);
	a ^= c; a -= ROTATE(c, 11);
	b ^= a; b -= ROTATE(a, 25);
	return c ^ b;
}
