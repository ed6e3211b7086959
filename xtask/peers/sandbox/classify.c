/* A machine of states over 256 bytes: counts words, numbers and the rest. */
#include "program.h"

PROGRAM
{
	u32 state = 0, words = 0, numbers = 0, others = 0;

	for (u32 i = 0; i < 256; i++) {
		u8 byte = mem[i] ^ (u8)(i * 7);

		if ((byte | 32) >= 'a' && (byte | 32) <= 'z') {
			words += state != 1;
			state = 1;
		} else if (byte >= '0' && byte <= '9') {
			numbers += state == 0;
			state = state == 1 ? 1 : 2;
		} else {
			others += state == 2 ? 2 : 1;
			state = byte == '_' ? state : 0;
		}
	}
	return (u64)words << 20 ^ numbers << 10 ^ others;
}
