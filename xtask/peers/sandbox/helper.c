/* 256 calls of a helper that does nearly nothing: the number of the processor. */
#include "program.h"

#ifdef NATIVE
#define processor() peer_processor(0, 0, 0, 0, 0)
#else
static u32 (*processor)(void) = (void *)8;
#endif

PROGRAM
{
	u64 sum = mem[42];

	for (u32 i = 0; i < 256; i++)
		sum += (u32)processor() >> 16;
	return sum;
}
