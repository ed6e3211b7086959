/*
 * The frame of every program: the same source becomes an object for the kernel, the sandbox and other machines, and, with
 * -DNATIVE=NAME, a function of that name that a process calls.
 *
 * The objects beside the sources are prebuilt, so that whoever measures needs no compiler:
 *
 *   for name in *.c; do name=${name%.c}
 *     clang-14 -g -O2 -target bpf -mcpu=v3 -c $name.c -o $name.bpf.o && llvm-strip-14 -g $name.bpf.o
 *     clang-14 -O2 -fPIC -DNATIVE=native_$name -c $name.c -o $name.x86_64.o
 *   done
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define MEMORY_BYTES 4096

#ifdef NATIVE
#define PROGRAM u64 NATIVE(u8 *mem)
#define NOINLINE __attribute__((noinline)) static

/* The process has the same helpers as other machines. */
u64 peer_lookup(u64 map, u64 key, u64, u64, u64);
u64 peer_processor(u64, u64, u64, u64, u64);
PROGRAM;
#else
#define SEC(name) __attribute__((section(name), used))
#define NOINLINE __attribute__((noinline)) static
#define PROGRAM static __attribute__((always_inline)) u64 program(u8 *mem)
PROGRAM;

/* An Ethernet frame that carries UDP over IPv4, then numbers of no meaning. */
__attribute__((aligned(16))) u8 memory[MEMORY_BYTES] = {
	0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x08, 0x00,
	0x45, 0, 5, 0xce, 0x12, 0x34, 0x40, 0, 64, 17, 0, 0, 10, 1, 2, 3, 192, 168, 7, 9,
	0x30, 0x39, 0, 53, 5, 0xba, 0, 0,
	17, 33, 91, 250, 3, 77, 128, 9, 64, 201, 5, 13, 88, 142, 7, 255, 1, 99, 100, 31,
};

SEC("xdp") int bench(void *context)
{
	u8 *mem = memory;

	/* The compiler does not know what the pointer points to, as if it were an argument. */
	asm volatile("" : "+r"(mem));
	return (int)program(mem);
}

char _license[] SEC("license") = "GPL";
#endif
