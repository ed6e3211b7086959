/* The longest prefix of addresses in a small table, bit by bit. */
#include "program.h"

PROGRAM
{
	u32 address = *(u32 *)(mem + 26), best = 0, longest = 0;

	for (u32 entry = 0; entry < 16; entry++) {
		u32 prefix = *(u32 *)(mem + 64 + entry * 4) ^ address, length = 0;

		for (u32 bit = 0; bit < 31; bit++) {
			if (prefix >> (31 - bit) & 1)
				break;
			length++;
		}
		/* A weight for each length, which kernels know nothing of: they would walk each length apart otherwise. */
		length = mem[14 + length];
		if (length > longest) {
			longest = length;
			best = entry;
		}
	}
	return best << 8 | longest;
}
