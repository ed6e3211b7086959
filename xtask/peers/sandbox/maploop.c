/* 64 lookups in a hash of 32-bit keys, all of them of keys that are absent. */
#include "program.h"

#ifdef NATIVE
static u64 table[256];

NOINLINE u64 *lookup(const u32 *key)
{
	u64 *slot = &table[*key * 0x9e3779b1u >> 24];

	return *slot ? slot : 0;
}
#else
struct {
	int (*type)[1];
	int (*max_entries)[1024];
	u32 *key;
	u64 *value;
} table SEC(".maps");

static u64 *(*find)(void *map, const void *key) = (void *)1;
#define lookup(key) find(&table, key)
#endif

PROGRAM
{
	u64 sum = mem[42];

	for (u32 i = 0; i < 64; i++) {
		u32 key = i * 3;
		u64 *value = lookup(&key);

		sum += value ? *value : 1;
	}
	return sum;
}
