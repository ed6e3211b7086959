/* The Internet checksum of 1500 bytes, word by word. */
#include "program.h"

PROGRAM
{
	u64 sum = 0;

	for (u32 i = 0; i < 1500; i += 2)
		sum += *(u16 *)(mem + i);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (u16)~sum;
}
