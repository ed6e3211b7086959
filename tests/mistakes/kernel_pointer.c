// Reads a field of the file that is read. To a kernel probe an argument is a number, not memory.
#include "kernel.h"

struct file {
	__u64 lock;
	__u32 mode;
	__u32 flags;
};

SEC("kprobe/vfs_read")
int read(struct pt_regs *ctx)
{
	struct file *file = (void *)ctx->di;

	return file->mode & 1;
}

char _license[] SEC("license") = "GPL";
