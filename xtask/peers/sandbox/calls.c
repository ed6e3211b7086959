/* 256 calls of a function of the program. */
#include "program.h"

NOINLINE u64 step(u64 sum, u64 number)
{
	asm volatile("" : "+r"(sum));
	return sum * 3 + number;
}

PROGRAM
{
	u64 sum = mem[42];

	for (u32 i = 0; i < 256; i++)
		sum = step(sum, i);
	return sum;
}
