// A table in a map of one value, for programs that go round over memory.
#include "../mistakes/kernel.h"

struct table {
	__u8 bytes[16384];
};

struct {
	__uint(type, ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct table);
} memory SEC(".maps");

static __always_inline __u8 *table(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&memory, &zero);
}
