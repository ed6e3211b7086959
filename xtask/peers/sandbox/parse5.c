/* The five numbers that name a flow, out of an Ethernet frame, and a hash of them. */
#include "program.h"

static u32 be16(const u8 *at)
{
	return at[0] << 8 | at[1];
}

static u32 be32(const u8 *at)
{
	return (u32)be16(at) << 16 | be16(at + 2);
}

PROGRAM
{
	u32 type = be16(mem + 12), offset = 14, source, target, ports, length;
	u64 hash;

	for (int tags = 0; tags < 2 && (type == 0x8100 || type == 0x88a8); tags++) {
		type = be16(mem + offset + 2);
		offset += 4;
	}
	if (type != 0x0800 || mem[offset] >> 4 != 4)
		return 0;
	length = (mem[offset] & 15) * 4;
	if (length < 20)
		return 1;
	if (mem[offset + 9] != 17 && mem[offset + 9] != 6)
		return 2;
	source = be32(mem + offset + 12);
	target = be32(mem + offset + 16);
	ports = be32(mem + offset + length);
	hash = source * 0x9e3779b1ull ^ (u64)target << 17 ^ (u64)ports << 5 ^ mem[offset + 9];
	hash ^= hash >> 33;
	hash *= 0xff51afd7ed558ccdull;
	hash ^= hash >> 29;
	return hash;
}
