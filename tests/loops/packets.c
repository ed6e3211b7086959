// Rounds over a packet, of which nobody knows how long it is.
#include "memory.h"

SEC("xdp")
int byte_by_byte(struct xdp_md *ctx)
{
	__u8 *data = (__u8 *)(long)ctx->data, *end = (__u8 *)(long)ctx->data_end;
	__u32 sum = 0;

	for (int i = 0; i < 1500; i++) {
		if (data + i + 1 > end)
			break;
		sum += data[i];
	}
	return sum & 1 ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
int word_by_word(struct xdp_md *ctx)
{
	__u8 *data = (__u8 *)(long)ctx->data, *end = (__u8 *)(long)ctx->data_end;
	__u32 sum = 0;

	for (int i = 0; i < 375; i++) {
		if (data + 4 > end)
			break;
		sum += *(__u32 *)data;
		data += 4;
	}
	return sum & 1 ? XDP_DROP : XDP_PASS;
}

// Tags before the header, and options after it whose own bytes say how long they are.
SEC("xdp")
int headers(struct xdp_md *ctx)
{
	__u8 *m = table();

	if (!m)
		return 0;
	__u32 protocol = 0, at = 14;
	__u16 type = m[12] << 8 | m[13];

	for (int i = 0; i < 2 && (type == 0x8100 || type == 0x88a8); i++) {
		type = m[at + 2] << 8 | m[at + 3];
		at += 4;
	}
	if (type == 0x800) {
		__u8 words = m[at] & 15;

		if (words < 5)
			return XDP_ABORTED;
		protocol = m[at + 9];
		at += words * 4;
	} else if (type == 0x86dd) {
		protocol = m[at + 6];
		at += 40;
		for (int i = 0; i < 4; i++) {
			if (protocol != 0 && protocol != 43 && protocol != 60)
				break;
			protocol = m[at];
			at += (m[at + 1] + 1) * 8;
		}
	}
	if (protocol != 6 && protocol != 17)
		return XDP_PASS;
	return m[at + 3] == 22 ? XDP_DROP : XDP_PASS;
}
