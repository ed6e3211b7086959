/* Arithmetic between registers, with divisions. */
#include "program.h"

PROGRAM
{
	u64 a = mem[42] + 3, b = mem[43] + 0x9e3779b97f4a7c15ull, c = mem[44];

	for (u32 i = 1; i <= 1000; i++) {
		a = a * 6364136223846793005ull + i;
		b ^= a >> 29;
		c += (b << 7) - (a & 0xffff);
		b = b * 5 + (c >> 3);
		c ^= a / (i + 7);
		a -= (b | 1) % 1021;
		b += c & 0xff00ff00ff00ffull;
	}
	return a ^ b ^ c;
}
