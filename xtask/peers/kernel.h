/*
 * What the peers need of the kernel, declared by hand: the numbers of map types and helpers (include/uapi/linux/bpf.h) and the way that
 * libbpf's map declarations are written. No header of the system is needed.
 */
#ifndef PEERS_KERNEL_H
#define PEERS_KERNEL_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long s64;

#define SEC(name) __attribute__((section(name), used))
#define INT(name, value) int(*name)[value]
#define TYPE(name, type) type *name

enum {
	PERCPU_HASH = 5,
	PERCPU_ARRAY = 6,
	RINGBUF = 27,
};

static void *(*const map_lookup)(void *map, const void *key) = (void *)1;
static long (*const map_update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static u64 (*const ktime_get_ns)(void) = (void *)5;
static u64 (*const get_current_pid_tgid)(void) = (void *)14;
static long (*const get_current_comm)(void *into, u32 bytes) = (void *)16;
static long (*const probe_read_user_str)(void *into, u32 bytes, const void *from) = (void *)114;
static long (*const ringbuf_output)(void *ring, const void *record, u64 bytes, u64 flags) = (void *)130;
static void *(*const ringbuf_reserve)(void *ring, u64 bytes, u64 flags) = (void *)131;
static void (*const ringbuf_submit)(void *record, u64 flags) = (void *)132;

/* Counts of a script whose places are known: `n` numbers for each processor. */
#define COUNT(name, n)                     \
	struct {                           \
		INT(type, PERCPU_ARRAY);   \
		INT(max_entries, n);       \
		TYPE(key, u32);            \
		TYPE(value, u64);          \
	} name SEC(".maps")

/* The count for each of many keys. */
#define COUNTS(name, key_type)             \
	struct {                           \
		INT(type, PERCPU_HASH);    \
		INT(max_entries, 4096);    \
		TYPE(key, key_type);       \
		TYPE(value, u64);          \
	} name SEC(".maps")

/* The ring of a script and the counters of records that found it full. */
#define RING(ring, drops)                  \
	struct {                           \
		INT(type, RINGBUF);        \
		INT(max_entries, 4 << 20); \
	} ring SEC(".maps");               \
	struct {                           \
		INT(type, PERCPU_ARRAY);   \
		INT(max_entries, 2);       \
		TYPE(key, u32);            \
		TYPE(value, u64);          \
	} drops SEC(".maps")

static inline __attribute__((always_inline)) void add_one(void *map, const void *key)
{
	u64 *count = map_lookup(map, key);

	if (count)
		*count += 1;
}

static inline __attribute__((always_inline)) void add_one_or_insert(void *map, const void *key)
{
	u64 *count = map_lookup(map, key);

	if (count) {
		*count += 1;
	} else {
		u64 one = 1;

		map_update(map, key, &one, 0);
	}
}

char LICENSE[] SEC("license") = "GPL";

#endif
