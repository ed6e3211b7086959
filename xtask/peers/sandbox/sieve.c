/* The sieve of Eratosthenes over bytes of memory. */
#include "program.h"

#define LIMIT 2000
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
		for (u64 j = i * 2; j < LIMIT; j += i) {
			u64 at = j;

			/* The mask never bites; it shows the bound to who relates no numbers with each other. */
			asm volatile("" : "+r"(at));
			mem[AT + (at & 2047)] = 0;
		}
	}
	return primes;
}
