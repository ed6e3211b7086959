// What the programs of this folder need of the kernel's interface: types, helpers by their number, and the shape of maps.
// It stands for <linux/bpf.h> and <bpf/bpf_helpers.h>, so that a program and its diagnostic can be read without them.

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef int __s32;
typedef long long __s64;

#define SEC(name) __attribute__((section(name), used))
#define __always_inline inline __attribute__((always_inline))
#define __noinline __attribute__((noinline))
#define __uint(name, number) int(*name)[number]
#define __type(name, type) typeof(type) *name
#define offsetof(type, member) __builtin_offsetof(type, member)
#define bpf_htons(number) __builtin_bswap16(number)
#define bpf_ntohs(number) __builtin_bswap16(number)

enum map_type { HASH = 1, ARRAY = 2, PROGRAMS = 3, PERF_EVENTS = 4, RING = 27 };
enum xdp_action { XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_TX, XDP_REDIRECT };
enum tc_action { TC_OK = 0, TC_SHOT = 2 };

struct xdp_md {
	__u32 data;
	__u32 data_end;
	__u32 data_meta;
	__u32 ingress_ifindex;
	__u32 rx_queue_index;
	__u32 egress_ifindex;
};

struct __sk_buff {
	__u32 len;
	__u32 pkt_type;
	__u32 mark;
	__u32 queue_mapping;
	__u32 protocol;
	__u32 vlan_present;
	__u32 vlan_tci;
	__u32 vlan_proto;
	__u32 priority;
	__u32 ingress_ifindex;
	__u32 ifindex;
	__u32 tc_index;
	__u32 cb[5];
	__u32 hash;
	__u32 tc_classid;
	__u32 data;
	__u32 data_end;
};

struct bpf_sock_addr {
	__u32 user_family;
	__u32 user_ip4;
	__u32 user_ip6[4];
	__u32 user_port;
	__u32 family;
	__u32 type;
	__u32 protocol;
};

// Registers of x86-64, as kernel probes see them.
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di;
	unsigned long orig_ax, ip, cs, flags, sp, ss;
};

struct syscall_enter {
	__u64 common;
	long number;
	unsigned long args[6];
};

struct ethhdr {
	__u8 to[6];
	__u8 from[6];
	__u16 protocol;
} __attribute__((packed));

struct iphdr {
	__u8 version_and_length;
	__u8 tos;
	__u16 total_length;
	__u16 id;
	__u16 fragment;
	__u8 ttl;
	__u8 protocol;
	__u16 sum;
	__u32 from;
	__u32 to;
};

struct tcphdr {
	__u16 source;
	__u16 destination;
	__u32 sequence;
	__u32 acknowledged;
	__u8 header_length;
	__u8 flags;
	__u16 window;
	__u16 sum;
	__u16 urgent;
};

struct bpf_sock;
struct bpf_sock_tuple {
	__u32 from;
	__u32 to;
	__u16 source;
	__u16 destination;
};

struct bpf_spin_lock {
	__u32 value;
};
struct bpf_dynptr {
	__u64 words[2];
} __attribute__((aligned(8)));

static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*bpf_map_update_elem)(void *map, const void *key, const void *value, __u64 flags) = (void *)2;
static __u64 (*bpf_ktime_get_ns)(void) = (void *)5;
static long (*bpf_trace_printk)(const char *format, __u32 length, ...) = (void *)6;
static __u32 (*bpf_get_prandom_u32)(void) = (void *)7;
static __u64 (*bpf_get_current_pid_tgid)(void) = (void *)14;
static long (*bpf_get_current_comm)(void *buffer, __u32 length) = (void *)16;
static long (*bpf_perf_event_output)(void *ctx, void *map, __u64 flags, void *data, __u64 length) = (void *)25;
static long (*bpf_skb_load_bytes)(const void *skb, __u32 offset, void *to, __u32 length) = (void *)26;
static void *(*bpf_get_current_task)(void) = (void *)35;
static long (*bpf_xdp_adjust_head)(struct xdp_md *ctx, int delta) = (void *)44;
static struct bpf_sock *(*bpf_sk_lookup_tcp)(void *ctx, struct bpf_sock_tuple *tuple, __u32 length, __u64 netns,
					     __u64 flags) = (void *)84;
static long (*bpf_sk_release)(void *sock) = (void *)86;
static long (*bpf_spin_lock)(struct bpf_spin_lock *lock) = (void *)93;
static long (*bpf_spin_unlock)(struct bpf_spin_lock *lock) = (void *)94;
static long (*bpf_probe_read_user)(void *to, __u32 length, const void *from) = (void *)112;
static long (*bpf_probe_read_kernel)(void *to, __u32 length, const void *from) = (void *)113;
static long (*bpf_probe_read_user_str)(void *to, __u32 length, const void *from) = (void *)114;
static void *(*bpf_ringbuf_reserve)(void *ring, __u64 length, __u64 flags) = (void *)131;
static void (*bpf_ringbuf_submit)(void *record, __u64 flags) = (void *)132;
static void (*bpf_ringbuf_discard)(void *record, __u64 flags) = (void *)133;
static long (*bpf_xdp_load_bytes)(struct xdp_md *ctx, __u32 offset, void *to, __u32 length) = (void *)189;
static long (*bpf_ringbuf_reserve_dynptr)(void *ring, __u32 length, __u64 flags, struct bpf_dynptr *dynptr) =
	(void *)198;
static void (*bpf_ringbuf_submit_dynptr)(struct bpf_dynptr *dynptr, __u64 flags) = (void *)199;
static long (*bpf_dynptr_write)(const struct bpf_dynptr *to, __u32 offset, void *from, __u32 length, __u64 flags) =
	(void *)202;
