/* The frame of every program: one object file serves the kernel, the sandbox and, with -DNATIVE, a plain process. */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define MEMORY_BYTES 4096

/* An Ethernet frame that carries UDP over IPv4, then numbers of no meaning. */
__attribute__((aligned(16))) u8 memory[MEMORY_BYTES] = {
	0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x08, 0x00,
	0x45, 0, 5, 0xce, 0x12, 0x34, 0x40, 0, 64, 17, 0, 0, 10, 1, 2, 3, 192, 168, 7, 9,
	0x30, 0x39, 0, 53, 5, 0xba, 0, 0,
	17, 33, 91, 250, 3, 77, 128, 9, 64, 201, 5, 13, 88, 142, 7, 255, 1, 99, 100, 31,
};

#ifdef NATIVE
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#define PROGRAM __attribute__((noinline)) static u64 program(u8 *mem)
#define NOINLINE __attribute__((noinline)) static
static u64 program(u8 *mem);

static u64 clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

/* Prints the mean time of so many runs in nanoseconds, and the result. */
int main(int argc, char **argv)
{
	u64 runs = argc > 1 ? strtoull(argv[1], 0, 10) : 1, sum = 0, start, end;
	u8 *mem = memory;

	start = clock_ns();
	for (u64 run = 0; run < runs; run++) {
		asm volatile("" : "+r"(mem) : : "memory");
		sum = program(mem);
	}
	end = clock_ns();
	printf("%.3f %u\n", (double)(end - start) / runs, (u32)sum);
	return 0;
}
#else
#define SEC(name) __attribute__((section(name), used))
#define NOINLINE __attribute__((noinline)) static
#define PROGRAM static __attribute__((always_inline)) u64 program(u8 *mem)
PROGRAM;

SEC("xdp") int bench(void *context)
{
	u8 *mem = memory;

	/* The compiler does not know what the pointer points to, as if it were an argument. */
	asm volatile("" : "+r"(mem));
	return (int)program(mem);
}

char _license[] SEC("license") = "GPL";
#endif
