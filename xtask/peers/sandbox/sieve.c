/* The sieve of Eratosthenes over bytes of memory. */
#include "program.h"

#define LIMIT 2000 /* The mask below never bites; it shows the bound. */
#define AT 1024

PROGRAM
{
	u64 primes = 0;

	for (u32 i = 0; i < LIMIT; i++) {
		/* Not a call of memset, which programs do not have. */
		asm volatile("");
		mem[AT + i] = 1;
	}
	for (u32 i = 2; i < LIMIT; i++) {
		if (!mem[AT + i])
			continue;
		primes++;
		for (u32 j = i * 2; j < LIMIT; j += i)
			mem[AT + (j & 2047)] = 0;
	}
	return primes;
}
