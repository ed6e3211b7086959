//! The table of helpers.
//!
//! A row is: number, constant, name, version, `[flags]`, `(arguments) -> result`, program types. `VARIANTS` holds the
//! signatures of those helpers that take something else in some program types.

use super::{Access, Argument, DynptrUse, Helper, HelperInfo, ProgramSet, Returns, Signature};
use crate::kinds::ProgramType as P;

const ANY: Argument = Argument::Anything;
const NUMBER: Argument = Argument::Number;
const MAP: Argument = Argument::Map;
const KEY: Argument = Argument::MapKey;
const VALUE: Argument = Argument::MapValue { access: Access::Read, nullable: false };
const VALUE_OUT: Argument = Argument::MapValue { access: Access::Write, nullable: false };
const VALUE_OR_NULL: Argument = Argument::MapValue { access: Access::Read, nullable: true };
const IN: Argument = Argument::Memory { access: Access::Read, nullable: false };
const IN_OR_NULL: Argument = Argument::Memory { access: Access::Read, nullable: true };
const OUT: Argument = Argument::Memory { access: Access::Write, nullable: false };
const INOUT: Argument = Argument::Memory { access: Access::ReadWrite, nullable: false };
const INOUT_OR_NULL: Argument = Argument::Memory { access: Access::ReadWrite, nullable: true };
const SIZE: Argument = Argument::MemorySize { zero: false };
const SIZE0: Argument = Argument::MemorySize { zero: true };
const ALLOC_SIZE: Argument = Argument::AllocationSize;
const CTX: Argument = Argument::Context { nullable: false };
const CTX_OR_NULL: Argument = Argument::Context { nullable: true };
const STACK_OR_NULL: Argument = Argument::StackOrNull;
const CALLBACK: Argument = Argument::Callback;
const STR: Argument = Argument::ConstantString;
const LOCK: Argument = Argument::SpinLock;
const TIMER: Argument = Argument::Timer;
const KPTR_SLOT: Argument = Argument::KernelPointerSlot;
const KPTR: Argument = Argument::KernelPointer;
const RECORD: Argument = Argument::RingbufRecord;
const DYN: Argument = Argument::Dynptr(DynptrUse::Used);
const DYN_NEW: Argument = Argument::Dynptr(DynptrUse::Made);
const DYN_RELEASED: Argument = Argument::Dynptr(DynptrUse::Released);
const SOCK_COMMON: Argument = Argument::SockCommon;
const SOCKET_OR_NULL: Argument = Argument::SocketOrNull;
const SOCK: Argument = Argument::Socket { nullable: false, released: false };
const SOCK_OR_NULL: Argument = Argument::Socket { nullable: true, released: false };
const SOCK_RELEASED: Argument = Argument::Socket { nullable: false, released: true };
const PERCPU: Argument = Argument::PerCpuVariable;

const fn btf(type_name: &'static str) -> Argument {
    Argument::Kernel { type_name, nullable: false }
}

const fn btf_or_null(type_name: &'static str) -> Argument {
    Argument::Kernel { type_name, nullable: true }
}

const fn input(bytes: u32) -> Argument {
    Argument::FixedMemory { bytes, access: Access::Read }
}

const fn out(bytes: u32) -> Argument {
    Argument::FixedMemory { bytes, access: Access::Write }
}

const fn inout(bytes: u32) -> Argument {
    Argument::FixedMemory { bytes, access: Access::ReadWrite }
}

const INT: Returns = Returns::Integer;
const VOID: Returns = Returns::Nothing;
const VALUE_PTR: Returns = Returns::MapValue { nullable: false };
const MAYBE_VALUE: Returns = Returns::MapValue { nullable: true };
const MAYBE_SOCKET: Returns = Returns::SocketOrNull;
const MAYBE_TCP_SOCK: Returns = Returns::TcpSockOrNull;
const MAYBE_SOCK_COMMON: Returns = Returns::SockCommonOrNull;
const MAYBE_RECORD: Returns = Returns::RingbufRecordOrNull;
const MAYBE_DYN: Returns = Returns::DynptrDataOrNull;
const PERCPU_PTR: Returns = Returns::PerCpuVariable { nullable: false };
const MAYBE_PERCPU: Returns = Returns::PerCpuVariable { nullable: true };
const MAYBE_KPTR: Returns = Returns::KernelPointerOrNull;

const fn always(type_name: &'static str) -> Returns {
    Returns::Kernel { type_name, nullable: false }
}

const fn maybe(type_name: &'static str) -> Returns {
    Returns::Kernel { type_name, nullable: true }
}

macro_rules! sets {
    ($($name:ident = $first:ident $(| $more:ident)*;)+) => {
        $(const $name: ProgramSet = ProgramSet::of(P::$first)$(.union(ProgramSet::of(P::$more)))*;)+
    };
}

sets! {
    SOCKET_FILTER = SocketFilter;
    KPROBE = Kprobe;
    CLS = SchedCls | SchedAct;
    XDP = Xdp;
    PERF_EVENT = PerfEvent;
    CGROUP_SKB = CgroupSkb;
    CGROUP_SOCK = CgroupSock;
    LWT = LwtIn | LwtOut | LwtXmit | LwtSeg6local;
    LWT_IN = LwtIn;
    LWT_XMIT = LwtXmit;
    LWT_SEG6LOCAL = LwtSeg6local;
    SOCK_OPS = SockOps;
    SK_SKB = SkSkb;
    CGROUP_DEVICE = CgroupDevice;
    SK_MSG = SkMsg;
    CGROUP_SOCK_ADDR = CgroupSockAddr;
    LIRC_MODE2 = LircMode2;
    SK_REUSEPORT = SkReuseport;
    FLOW_DISSECTOR = FlowDissector;
    CGROUP_SYSCTL = CgroupSysctl;
    CGROUP_SOCKOPT = CgroupSockopt;
    TRACE = Kprobe | Tracepoint | PerfEvent | RawTracepoint | RawTracepointWritable | Tracing | Lsm;
    BTF_TRACE = Tracing | Lsm;
    TRACING = Tracing;
    STRUCT_OPS = StructOps;
    LSM = Lsm;
    SK_LOOKUP = SkLookup;
    SYSCALL = Syscall;
    NETFILTER = Netfilter;
}

/// Every type that calls helpers on its own account.
const EVERY: ProgramSet = BASE.union(LIRC_MODE2);

/// Types that share the kernel's base set.
const BASE: ProgramSet =
    PERF_OUT.union(STRUCT_OPS).union(SK_REUSEPORT).union(FLOW_DISSECTOR).union(NETFILTER);

/// Types that may write to a perf event array.
const PERF_OUT: ProgramSet = TRACE
    .union(SYSCALL)
    .union(SOCKET_FILTER)
    .union(CLS)
    .union(XDP)
    .union(CGROUP_SKB)
    .union(CGROUP_SOCK)
    .union(LWT)
    .union(SOCK_OPS)
    .union(SK_SKB)
    .union(CGROUP_DEVICE)
    .union(SK_MSG)
    .union(CGROUP_SOCK_ADDR)
    .union(CGROUP_SYSCTL)
    .union(CGROUP_SOCKOPT)
    .union(SK_LOOKUP);

/// Types that may read the coarse clock: all but those that trace, and a few on cgroups.
const COARSE: ProgramSet =
    BASE.without(TRACE).without(SYSCALL).without(CGROUP_DEVICE).without(CGROUP_SOCKOPT).without(NETFILTER);

/// Types that may cast sockets to the kernel's own types.
const SOCK_CAST: ProgramSet = COARSE
    .union(BTF_TRACE)
    .union(SYSCALL)
    .without(CGROUP_SOCK)
    .without(CGROUP_SYSCTL)
    .without(SK_REUSEPORT)
    .without(STRUCT_OPS);

/// Flag of a row: for programs under a GPL-compatible licence.
const GPL: u8 = 1;
/// Flag of a row: may sleep.
const SLEEPS: u8 = 2;
/// Flag of a row: moves packet data.
const PACKET: u8 = 4;

macro_rules! helpers {
    ($($id:literal $constant:ident $name:literal $since:literal [$($flag:ident)*]
        ($($argument:expr),*) -> $returns:expr, $($set:ident)+;)+) => {
        impl Helper {
            $(
                #[doc = concat!("`bpf_", $name, "`")]
                pub const $constant: Helper = Helper($id);
            )+
        }

        pub(super) static HELPERS: &[HelperInfo] = &[$(HelperInfo {
            helper: Helper::$constant,
            name: concat!("bpf_", $name),
            since: $since,
            gpl_only: (0 $(| $flag)*) & GPL != 0,
            may_sleep: (0 $(| $flag)*) & SLEEPS != 0,
            changes_packet: (0 $(| $flag)*) & PACKET != 0,
            signature: Signature { arguments: &[$($argument),*], returns: $returns },
            programs: ProgramSet::EMPTY$(.union($set))+,
        }),+];
    };
}

/// A signature that holds in some program types instead of the one in the table.
pub(super) struct Variant {
    pub(super) helper: Helper,
    pub(super) programs: ProgramSet,
    pub(super) signature: Signature,
}

macro_rules! variants {
    ($($constant:ident ($($argument:expr),*) -> $returns:expr, $set:expr;)+) => {
        pub(super) static VARIANTS: &[Variant] = &[$(Variant {
            helper: Helper::$constant,
            programs: $set,
            signature: Signature { arguments: &[$($argument),*], returns: $returns },
        }),+];
    };
}

variants! {
    GET_CGROUP_CLASSID () -> INT, BASE.without(CLS).without(LWT);
    GET_SOCKET_COOKIE (SOCK_OR_NULL) -> INT, BTF_TRACE.union(SYSCALL);
    SETSOCKOPT (SOCK, ANY, ANY, IN, SIZE) -> INT, BTF_TRACE.union(STRUCT_OPS).union(CGROUP_SOCKOPT);
    GETSOCKOPT (SOCK, ANY, ANY, OUT, SIZE) -> INT, BTF_TRACE.union(STRUCT_OPS).union(CGROUP_SOCKOPT);
    SK_STORAGE_GET (MAP, CTX, VALUE_OR_NULL, ANY) -> MAYBE_VALUE, CGROUP_SOCK;
    SK_STORAGE_GET (MAP, btf_or_null("sock_common"), VALUE_OR_NULL, ANY) -> MAYBE_VALUE, TRACING.union(SYSCALL);
    SK_STORAGE_DELETE (MAP, btf_or_null("sock_common")) -> INT, TRACING.union(SYSCALL);
    SK_ASSIGN (CTX, SOCKET_OR_NULL, ANY) -> INT, SK_LOOKUP;
    XDP_GET_BUFF_LEN (btf("xdp_buff")) -> INT, BTF_TRACE.union(SYSCALL);
}

helpers! {
    1 MAP_LOOKUP_ELEM "map_lookup_elem" "3.19" [] (MAP, KEY) -> MAYBE_VALUE, EVERY;
    2 MAP_UPDATE_ELEM "map_update_elem" "3.19" [] (MAP, KEY, VALUE, ANY) -> INT, EVERY;
    3 MAP_DELETE_ELEM "map_delete_elem" "3.19" [] (MAP, KEY) -> INT, EVERY;
    4 PROBE_READ "probe_read" "4.1" [GPL] (OUT, SIZE0, ANY) -> INT, TRACE SYSCALL;
    5 KTIME_GET_NS "ktime_get_ns" "4.1" [] () -> INT, EVERY;
    6 TRACE_PRINTK "trace_printk" "4.1" [GPL] (IN, SIZE) -> INT, EVERY;
    7 GET_PRANDOM_U32 "get_prandom_u32" "4.1" [] () -> INT, EVERY;
    8 GET_SMP_PROCESSOR_ID "get_smp_processor_id" "4.1" [] () -> INT, BASE;
    9 SKB_STORE_BYTES "skb_store_bytes" "4.1" [PACKET] (CTX, ANY, IN, SIZE, ANY) -> INT, CLS LWT_XMIT SK_SKB;
    10 L3_CSUM_REPLACE "l3_csum_replace" "4.1" [PACKET] (CTX, ANY, ANY, ANY, ANY) -> INT, CLS LWT_XMIT;
    11 L4_CSUM_REPLACE "l4_csum_replace" "4.1" [PACKET] (CTX, ANY, ANY, ANY, ANY) -> INT, CLS LWT_XMIT;
    12 TAIL_CALL "tail_call" "4.2" [PACKET] (CTX, MAP, ANY) -> VOID, EVERY;
    13 CLONE_REDIRECT "clone_redirect" "4.2" [PACKET] (CTX, ANY, ANY) -> INT, CLS LWT_XMIT;
    14 GET_CURRENT_PID_TGID "get_current_pid_tgid" "4.2" [] () -> INT, BASE;
    15 GET_CURRENT_UID_GID "get_current_uid_gid" "4.2" [] () -> INT, BASE;
    16 GET_CURRENT_COMM "get_current_comm" "4.2" [] (OUT, SIZE) -> INT, BASE;
    17 GET_CGROUP_CLASSID "get_cgroup_classid" "4.3" [] (CTX) -> INT, BASE;
    18 SKB_VLAN_PUSH "skb_vlan_push" "4.3" [PACKET] (CTX, ANY, ANY) -> INT, CLS;
    19 SKB_VLAN_POP "skb_vlan_pop" "4.3" [PACKET] (CTX) -> INT, CLS;
    20 SKB_GET_TUNNEL_KEY "skb_get_tunnel_key" "4.3" [] (CTX, OUT, SIZE, ANY) -> INT, CLS LWT_XMIT;
    21 SKB_SET_TUNNEL_KEY "skb_set_tunnel_key" "4.3" [] (CTX, IN, SIZE, ANY) -> INT, CLS LWT_XMIT;
    22 PERF_EVENT_READ "perf_event_read" "4.3" [GPL] (MAP, ANY) -> INT, BASE;
    23 REDIRECT "redirect" "4.4" [] (ANY, ANY) -> INT, CLS XDP LWT_XMIT;
    24 GET_ROUTE_REALM "get_route_realm" "4.4" [] (CTX) -> INT, LWT CLS;
    25 PERF_EVENT_OUTPUT "perf_event_output" "4.4" [GPL] (CTX, MAP, ANY, IN, SIZE0) -> INT, PERF_OUT;
    26 SKB_LOAD_BYTES "skb_load_bytes" "4.5" [] (CTX, ANY, OUT, SIZE)
        -> INT, LWT CLS SOCKET_FILTER CGROUP_SKB SK_SKB SK_REUSEPORT FLOW_DISSECTOR;
    27 GET_STACKID "get_stackid" "4.6" [GPL] (CTX, MAP, ANY) -> INT, TRACE SYSCALL;
    28 CSUM_DIFF "csum_diff" "4.6" [] (IN_OR_NULL, SIZE0, IN_OR_NULL, SIZE0, ANY) -> INT, LWT CLS XDP;
    29 SKB_GET_TUNNEL_OPT "skb_get_tunnel_opt" "4.6" [] (CTX, OUT, SIZE) -> INT, CLS LWT_XMIT;
    30 SKB_SET_TUNNEL_OPT "skb_set_tunnel_opt" "4.6" [] (CTX, IN, SIZE) -> INT, CLS LWT_XMIT;
    31 SKB_CHANGE_PROTO "skb_change_proto" "4.8" [PACKET] (CTX, ANY, ANY) -> INT, CLS;
    32 SKB_CHANGE_TYPE "skb_change_type" "4.8" [] (CTX, ANY) -> INT, CLS;
    33 SKB_UNDER_CGROUP "skb_under_cgroup" "4.8" [] (CTX, MAP, ANY) -> INT, LWT CLS;
    34 GET_HASH_RECALC "get_hash_recalc" "4.8" [] (CTX) -> INT, LWT CLS;
    35 GET_CURRENT_TASK "get_current_task" "4.8" [GPL] () -> INT, BASE;
    36 PROBE_WRITE_USER "probe_write_user" "4.8" [GPL] (ANY, IN, SIZE) -> INT, TRACE SYSCALL;
    37 CURRENT_TASK_UNDER_CGROUP "current_task_under_cgroup" "4.9" [] (MAP, ANY) -> INT, BASE;
    38 SKB_CHANGE_TAIL "skb_change_tail" "4.9" [PACKET] (CTX, ANY, ANY) -> INT, CLS LWT_XMIT SK_SKB;
    39 SKB_PULL_DATA "skb_pull_data" "4.9" [PACKET] (CTX, ANY) -> INT, LWT CLS SK_SKB;
    40 CSUM_UPDATE "csum_update" "4.9" [] (CTX, ANY) -> INT, CLS LWT_XMIT;
    41 SET_HASH_INVALID "set_hash_invalid" "4.9" [] (CTX) -> INT, CLS LWT_XMIT;
    42 GET_NUMA_NODE_ID "get_numa_node_id" "4.10" [] () -> INT, BASE;
    43 SKB_CHANGE_HEAD "skb_change_head" "4.10" [PACKET] (CTX, ANY, ANY) -> INT, CLS LWT_XMIT SK_SKB;
    44 XDP_ADJUST_HEAD "xdp_adjust_head" "4.10" [PACKET] (CTX, ANY) -> INT, XDP;
    45 PROBE_READ_STR "probe_read_str" "4.11" [GPL] (OUT, SIZE0, ANY) -> INT, TRACE SYSCALL;
    46 GET_SOCKET_COOKIE "get_socket_cookie" "4.12" [] (CTX)
        -> INT, CLS BTF_TRACE SOCKET_FILTER CGROUP_SKB CGROUP_SOCK SOCK_OPS SK_SKB CGROUP_SOCK_ADDR
            SK_REUSEPORT SYSCALL;
    47 GET_SOCKET_UID "get_socket_uid" "4.12" [] (CTX) -> INT, CLS SOCKET_FILTER CGROUP_SKB SK_SKB;
    48 SET_HASH "set_hash" "4.13" [] (CTX, ANY) -> INT, CLS;
    49 SETSOCKOPT "setsockopt" "4.13" [] (CTX, ANY, ANY, IN, SIZE)
        -> INT, BTF_TRACE SOCK_OPS CGROUP_SOCK_ADDR CGROUP_SOCKOPT STRUCT_OPS;
    50 SKB_ADJUST_ROOM "skb_adjust_room" "4.13" [PACKET] (CTX, ANY, ANY, ANY) -> INT, CLS SK_SKB;
    51 REDIRECT_MAP "redirect_map" "4.14" [] (MAP, ANY, ANY) -> INT, XDP;
    52 SK_REDIRECT_MAP "sk_redirect_map" "4.14" [] (CTX, MAP, ANY, ANY) -> INT, SK_SKB;
    53 SOCK_MAP_UPDATE "sock_map_update" "4.14" [] (CTX, MAP, KEY, ANY) -> INT, SOCK_OPS;
    54 XDP_ADJUST_META "xdp_adjust_meta" "4.15" [PACKET] (CTX, ANY) -> INT, XDP;
    55 PERF_EVENT_READ_VALUE "perf_event_read_value" "4.15" [GPL] (MAP, ANY, OUT, SIZE) -> INT, BASE;
    56 PERF_PROG_READ_VALUE "perf_prog_read_value" "4.15" [GPL] (CTX, OUT, SIZE) -> INT, PERF_EVENT;
    57 GETSOCKOPT "getsockopt" "4.15" [] (CTX, ANY, ANY, OUT, SIZE)
        -> INT, BTF_TRACE SOCK_OPS CGROUP_SOCK_ADDR CGROUP_SOCKOPT STRUCT_OPS;
    58 OVERRIDE_RETURN "override_return" "4.16" [GPL] (CTX, ANY) -> INT, KPROBE;
    59 SOCK_OPS_CB_FLAGS_SET "sock_ops_cb_flags_set" "4.16" [] (CTX, ANY) -> INT, SOCK_OPS;
    60 MSG_REDIRECT_MAP "msg_redirect_map" "4.17" [] (CTX, MAP, ANY, ANY) -> INT, SK_MSG;
    61 MSG_APPLY_BYTES "msg_apply_bytes" "4.17" [] (CTX, ANY) -> INT, SK_MSG;
    62 MSG_CORK_BYTES "msg_cork_bytes" "4.17" [] (CTX, ANY) -> INT, SK_MSG;
    63 MSG_PULL_DATA "msg_pull_data" "4.17" [PACKET] (CTX, ANY, ANY, ANY) -> INT, SK_MSG;
    64 BIND "bind" "4.17" [] (CTX, IN, SIZE) -> INT, CGROUP_SOCK_ADDR;
    65 XDP_ADJUST_TAIL "xdp_adjust_tail" "4.18" [PACKET] (CTX, ANY) -> INT, XDP;
    66 SKB_GET_XFRM_STATE "skb_get_xfrm_state" "4.18" [] (CTX, ANY, OUT, SIZE, ANY) -> INT, CLS;
    67 GET_STACK "get_stack" "4.18" [GPL] (CTX, OUT, SIZE0, ANY) -> INT, TRACE SYSCALL;
    68 SKB_LOAD_BYTES_RELATIVE "skb_load_bytes_relative" "4.18" [] (CTX, ANY, OUT, SIZE, ANY)
        -> INT, CLS SOCKET_FILTER CGROUP_SKB SK_REUSEPORT;
    69 FIB_LOOKUP "fib_lookup" "4.18" [GPL] (CTX, INOUT, SIZE, ANY) -> INT, CLS XDP;
    70 SOCK_HASH_UPDATE "sock_hash_update" "4.18" [] (CTX, MAP, KEY, ANY) -> INT, SOCK_OPS;
    71 MSG_REDIRECT_HASH "msg_redirect_hash" "4.18" [] (CTX, MAP, KEY, ANY) -> INT, SK_MSG;
    72 SK_REDIRECT_HASH "sk_redirect_hash" "4.18" [] (CTX, MAP, KEY, ANY) -> INT, SK_SKB;
    73 LWT_PUSH_ENCAP "lwt_push_encap" "4.18" [PACKET] (CTX, ANY, IN, SIZE) -> INT, LWT_IN LWT_XMIT;
    74 LWT_SEG6_STORE_BYTES "lwt_seg6_store_bytes" "4.18" [PACKET] (CTX, ANY, IN, SIZE) -> INT, LWT_SEG6LOCAL;
    75 LWT_SEG6_ADJUST_SRH "lwt_seg6_adjust_srh" "4.18" [PACKET] (CTX, ANY, ANY) -> INT, LWT_SEG6LOCAL;
    76 LWT_SEG6_ACTION "lwt_seg6_action" "4.18" [PACKET] (CTX, ANY, IN, SIZE) -> INT, LWT_SEG6LOCAL;
    77 RC_REPEAT "rc_repeat" "4.18" [GPL] (CTX) -> INT, LIRC_MODE2;
    78 RC_KEYDOWN "rc_keydown" "4.18" [GPL] (CTX, ANY, ANY, ANY) -> INT, LIRC_MODE2;
    79 SKB_CGROUP_ID "skb_cgroup_id" "4.18" [] (CTX) -> INT, CLS CGROUP_SKB;
    80 GET_CURRENT_CGROUP_ID "get_current_cgroup_id" "4.18" [] () -> INT, BASE;
    81 GET_LOCAL_STORAGE "get_local_storage" "4.19" [] (MAP, ANY)
        -> VALUE_PTR, CGROUP_SKB CGROUP_SOCK SOCK_OPS CGROUP_DEVICE CGROUP_SOCK_ADDR CGROUP_SYSCTL
            CGROUP_SOCKOPT LSM;
    82 SK_SELECT_REUSEPORT "sk_select_reuseport" "4.19" [] (CTX, MAP, KEY, ANY) -> INT, SK_REUSEPORT;
    83 SKB_ANCESTOR_CGROUP_ID "skb_ancestor_cgroup_id" "4.19" [] (CTX, ANY) -> INT, CLS CGROUP_SKB;
    84 SK_LOOKUP_TCP "sk_lookup_tcp" "4.20" [] (CTX, IN, SIZE0, ANY, ANY)
        -> MAYBE_SOCKET, CLS XDP CGROUP_SKB SK_SKB CGROUP_SOCK_ADDR;
    85 SK_LOOKUP_UDP "sk_lookup_udp" "4.20" [] (CTX, IN, SIZE0, ANY, ANY)
        -> MAYBE_SOCKET, CLS XDP CGROUP_SKB SK_SKB CGROUP_SOCK_ADDR;
    86 SK_RELEASE "sk_release" "4.20" [] (SOCK_RELEASED)
        -> INT, CLS XDP CGROUP_SKB SK_SKB CGROUP_SOCK_ADDR SK_LOOKUP;
    87 MAP_PUSH_ELEM "map_push_elem" "4.20" [] (MAP, VALUE, ANY) -> INT, EVERY;
    88 MAP_POP_ELEM "map_pop_elem" "4.20" [] (MAP, VALUE_OUT) -> INT, EVERY;
    89 MAP_PEEK_ELEM "map_peek_elem" "4.20" [] (MAP, VALUE_OUT) -> INT, EVERY;
    90 MSG_PUSH_DATA "msg_push_data" "4.20" [PACKET] (CTX, ANY, ANY, ANY) -> INT, SK_MSG;
    91 MSG_POP_DATA "msg_pop_data" "5.0" [PACKET] (CTX, ANY, ANY, ANY) -> INT, SK_MSG;
    92 RC_POINTER_REL "rc_pointer_rel" "5.0" [GPL] (CTX, ANY, ANY) -> INT, LIRC_MODE2;
    93 SPIN_LOCK "spin_lock" "5.1" [] (LOCK) -> VOID, BASE;
    94 SPIN_UNLOCK "spin_unlock" "5.1" [] (LOCK) -> VOID, BASE;
    95 SK_FULLSOCK "sk_fullsock" "5.1" [] (SOCK_COMMON) -> MAYBE_SOCKET, CLS CGROUP_SKB;
    96 TCP_SOCK "tcp_sock" "5.1" [] (SOCK_COMMON) -> MAYBE_TCP_SOCK, CLS CGROUP_SKB SOCK_OPS CGROUP_SOCKOPT;
    97 SKB_ECN_SET_CE "skb_ecn_set_ce" "5.1" [] (CTX) -> INT, CLS CGROUP_SKB;
    98 GET_LISTENER_SOCK "get_listener_sock" "5.1" [] (SOCK_COMMON) -> MAYBE_SOCKET, CLS CGROUP_SKB;
    99 SKC_LOOKUP_TCP "skc_lookup_tcp" "5.2" [] (CTX, IN, SIZE0, ANY, ANY)
        -> MAYBE_SOCK_COMMON, CLS XDP CGROUP_SKB SK_SKB CGROUP_SOCK_ADDR;
    100 TCP_CHECK_SYNCOOKIE "tcp_check_syncookie" "5.2" [GPL] (SOCK, IN, SIZE, IN, SIZE) -> INT, CLS XDP;
    101 SYSCTL_GET_NAME "sysctl_get_name" "5.2" [] (CTX, INOUT, SIZE, ANY) -> INT, CGROUP_SYSCTL;
    102 SYSCTL_GET_CURRENT_VALUE "sysctl_get_current_value" "5.2" [] (CTX, OUT, SIZE) -> INT, CGROUP_SYSCTL;
    103 SYSCTL_GET_NEW_VALUE "sysctl_get_new_value" "5.2" [] (CTX, OUT, SIZE) -> INT, CGROUP_SYSCTL;
    104 SYSCTL_SET_NEW_VALUE "sysctl_set_new_value" "5.2" [] (CTX, IN, SIZE) -> INT, CGROUP_SYSCTL;
    105 STRTOL "strtol" "5.2" [] (IN, SIZE, ANY, out(8)) -> INT, BASE;
    106 STRTOUL "strtoul" "5.2" [] (IN, SIZE, ANY, out(8)) -> INT, BASE;
    107 SK_STORAGE_GET "sk_storage_get" "5.2" [] (MAP, SOCK, VALUE_OR_NULL, ANY)
        -> MAYBE_VALUE, CLS BTF_TRACE CGROUP_SKB CGROUP_SOCK SOCK_OPS SK_MSG CGROUP_SOCK_ADDR
            CGROUP_SOCKOPT STRUCT_OPS SYSCALL;
    108 SK_STORAGE_DELETE "sk_storage_delete" "5.2" [] (MAP, SOCK)
        -> INT, CLS BTF_TRACE CGROUP_SKB SOCK_OPS SK_MSG CGROUP_SOCK_ADDR CGROUP_SOCKOPT STRUCT_OPS SYSCALL;
    109 SEND_SIGNAL "send_signal" "5.3" [] (ANY) -> INT, BASE;
    110 TCP_GEN_SYNCOOKIE "tcp_gen_syncookie" "5.3" [GPL] (SOCK, IN, SIZE, IN, SIZE) -> INT, CLS XDP;
    111 SKB_OUTPUT "skb_output" "5.5" [GPL] (btf("sk_buff"), MAP, ANY, IN, SIZE0) -> INT, BTF_TRACE SYSCALL;
    112 PROBE_READ_USER "probe_read_user" "5.5" [GPL] (OUT, SIZE0, ANY) -> INT, BASE;
    113 PROBE_READ_KERNEL "probe_read_kernel" "5.5" [GPL] (OUT, SIZE0, ANY) -> INT, BASE;
    114 PROBE_READ_USER_STR "probe_read_user_str" "5.5" [GPL] (OUT, SIZE0, ANY) -> INT, BASE;
    115 PROBE_READ_KERNEL_STR "probe_read_kernel_str" "5.5" [GPL] (OUT, SIZE0, ANY) -> INT, BASE;
    116 TCP_SEND_ACK "tcp_send_ack" "5.6" [] (btf("tcp_sock"), ANY) -> INT, STRUCT_OPS;
    117 SEND_SIGNAL_THREAD "send_signal_thread" "5.6" [] (ANY) -> INT, BASE;
    118 JIFFIES64 "jiffies64" "5.6" [] () -> INT, BASE;
    119 READ_BRANCH_RECORDS "read_branch_records" "5.7" [GPL] (CTX, INOUT_OR_NULL, SIZE0, ANY)
        -> INT, PERF_EVENT;
    120 GET_NS_CURRENT_PID_TGID "get_ns_current_pid_tgid" "5.7" [] (ANY, ANY, OUT, SIZE) -> INT, BASE;
    121 XDP_OUTPUT "xdp_output" "5.7" [GPL] (btf("xdp_buff"), MAP, ANY, IN, SIZE0) -> INT, BTF_TRACE SYSCALL;
    122 GET_NETNS_COOKIE "get_netns_cookie" "5.7" [] (CTX_OR_NULL)
        -> INT, CLS SOCKET_FILTER CGROUP_SKB CGROUP_SOCK SOCK_OPS SK_MSG CGROUP_SOCK_ADDR CGROUP_SOCKOPT;
    123 GET_CURRENT_ANCESTOR_CGROUP_ID "get_current_ancestor_cgroup_id" "5.7" [] (ANY) -> INT, BASE;
    124 SK_ASSIGN "sk_assign" "5.7" [] (CTX, SOCK, ANY) -> INT, CLS SK_LOOKUP;
    125 KTIME_GET_BOOT_NS "ktime_get_boot_ns" "5.8" [] () -> INT, EVERY;
    126 SEQ_PRINTF "seq_printf" "5.8" [GPL] (btf("seq_file"), IN, SIZE, IN_OR_NULL, SIZE0) -> INT, TRACING;
    127 SEQ_WRITE "seq_write" "5.8" [GPL] (btf("seq_file"), IN, SIZE0) -> INT, TRACING;
    128 SK_CGROUP_ID "sk_cgroup_id" "5.8" [] (SOCK) -> INT, CGROUP_SKB;
    129 SK_ANCESTOR_CGROUP_ID "sk_ancestor_cgroup_id" "5.8" [] (SOCK, ANY) -> INT, CGROUP_SKB;
    130 RINGBUF_OUTPUT "ringbuf_output" "5.8" [] (MAP, IN, SIZE0, ANY) -> INT, BASE;
    131 RINGBUF_RESERVE "ringbuf_reserve" "5.8" [] (MAP, ALLOC_SIZE, ANY) -> MAYBE_RECORD, BASE;
    132 RINGBUF_SUBMIT "ringbuf_submit" "5.8" [] (RECORD, ANY) -> VOID, BASE;
    133 RINGBUF_DISCARD "ringbuf_discard" "5.8" [] (RECORD, ANY) -> VOID, BASE;
    134 RINGBUF_QUERY "ringbuf_query" "5.8" [] (MAP, ANY) -> INT, BASE;
    135 CSUM_LEVEL "csum_level" "5.8" [] (CTX, ANY) -> INT, CLS LWT_XMIT;
    136 SKC_TO_TCP6_SOCK "skc_to_tcp6_sock" "5.9" [] (SOCK) -> maybe("tcp6_sock"), SOCK_CAST;
    137 SKC_TO_TCP_SOCK "skc_to_tcp_sock" "5.9" [] (SOCK) -> maybe("tcp_sock"), SOCK_CAST;
    138 SKC_TO_TCP_TIMEWAIT_SOCK "skc_to_tcp_timewait_sock" "5.9" [] (SOCK)
        -> maybe("tcp_timewait_sock"), SOCK_CAST;
    139 SKC_TO_TCP_REQUEST_SOCK "skc_to_tcp_request_sock" "5.9" [] (SOCK)
        -> maybe("tcp_request_sock"), SOCK_CAST;
    140 SKC_TO_UDP6_SOCK "skc_to_udp6_sock" "5.9" [] (SOCK) -> maybe("udp6_sock"), SOCK_CAST;
    141 GET_TASK_STACK "get_task_stack" "5.9" [] (btf("task_struct"), OUT, SIZE0, ANY) -> INT, BASE;
    142 LOAD_HDR_OPT "load_hdr_opt" "5.10" [] (CTX, INOUT, SIZE, ANY) -> INT, SOCK_OPS;
    143 STORE_HDR_OPT "store_hdr_opt" "5.10" [PACKET] (CTX, IN, SIZE, ANY) -> INT, SOCK_OPS;
    144 RESERVE_HDR_OPT "reserve_hdr_opt" "5.10" [] (CTX, ANY, ANY) -> INT, SOCK_OPS;
    145 INODE_STORAGE_GET "inode_storage_get" "5.10" [] (MAP, btf_or_null("inode"), VALUE_OR_NULL, ANY)
        -> MAYBE_VALUE, LSM;
    146 INODE_STORAGE_DELETE "inode_storage_delete" "5.10" [] (MAP, btf_or_null("inode")) -> INT, LSM;
    147 D_PATH "d_path" "5.10" [] (btf("path"), INOUT, SIZE0) -> INT, BTF_TRACE SYSCALL;
    148 COPY_FROM_USER "copy_from_user" "5.10" [SLEEPS] (OUT, SIZE0, ANY) -> INT, BASE;
    149 SNPRINTF_BTF "snprintf_btf" "5.10" [] (INOUT, SIZE, IN, SIZE, ANY) -> INT, BASE;
    150 SEQ_PRINTF_BTF "seq_printf_btf" "5.10" [GPL] (btf("seq_file"), IN, SIZE0, ANY) -> INT, TRACING;
    151 SKB_CGROUP_CLASSID "skb_cgroup_classid" "5.10" [] (CTX) -> INT, CLS;
    152 REDIRECT_NEIGH "redirect_neigh" "5.10" [] (ANY, IN_OR_NULL, SIZE0, ANY) -> INT, CLS;
    153 PER_CPU_PTR "per_cpu_ptr" "5.10" [] (PERCPU, ANY) -> MAYBE_PERCPU, BASE;
    154 THIS_CPU_PTR "this_cpu_ptr" "5.10" [] (PERCPU) -> PERCPU_PTR, BASE;
    155 REDIRECT_PEER "redirect_peer" "5.10" [] (ANY, ANY) -> INT, CLS;
    156 TASK_STORAGE_GET "task_storage_get" "5.11" [] (MAP, btf_or_null("task_struct"), VALUE_OR_NULL, ANY)
        -> MAYBE_VALUE, BASE;
    157 TASK_STORAGE_DELETE "task_storage_delete" "5.11" [] (MAP, btf_or_null("task_struct")) -> INT, BASE;
    158 GET_CURRENT_TASK_BTF "get_current_task_btf" "5.11" [GPL] () -> always("task_struct"), BASE;
    159 BPRM_OPTS_SET "bprm_opts_set" "5.11" [] (btf("linux_binprm"), ANY) -> INT, LSM;
    160 KTIME_GET_COARSE_NS "ktime_get_coarse_ns" "5.11" [] () -> INT, COARSE;
    161 IMA_INODE_HASH "ima_inode_hash" "5.11" [SLEEPS] (btf("inode"), OUT, SIZE) -> INT, LSM;
    162 SOCK_FROM_FILE "sock_from_file" "5.11" [] (btf("file")) -> maybe("socket"), BTF_TRACE SYSCALL;
    163 CHECK_MTU "check_mtu" "5.12" [GPL] (CTX, ANY, inout(4), ANY, ANY) -> INT, CLS XDP;
    164 FOR_EACH_MAP_ELEM "for_each_map_elem" "5.13" [] (MAP, CALLBACK, STACK_OR_NULL, ANY) -> INT, BASE;
    165 SNPRINTF "snprintf" "5.13" [GPL] (INOUT_OR_NULL, SIZE0, STR, IN_OR_NULL, SIZE0) -> INT, BASE;
    166 SYS_BPF "sys_bpf" "5.14" [SLEEPS] (ANY, IN, SIZE) -> INT, SYSCALL;
    167 BTF_FIND_BY_NAME_KIND "btf_find_by_name_kind" "5.14" [SLEEPS] (IN, SIZE, ANY, ANY) -> INT, SYSCALL;
    168 SYS_CLOSE "sys_close" "5.14" [SLEEPS] (ANY) -> INT, SYSCALL;
    169 TIMER_INIT "timer_init" "5.15" [GPL] (TIMER, MAP, ANY) -> INT, BASE;
    170 TIMER_SET_CALLBACK "timer_set_callback" "5.15" [GPL] (TIMER, CALLBACK) -> INT, BASE;
    171 TIMER_START "timer_start" "5.15" [GPL] (TIMER, ANY, ANY) -> INT, BASE;
    172 TIMER_CANCEL "timer_cancel" "5.15" [GPL] (TIMER) -> INT, BASE;
    173 GET_FUNC_IP "get_func_ip" "5.15" [GPL] (CTX) -> INT, TRACE SYSCALL;
    174 GET_ATTACH_COOKIE "get_attach_cookie" "5.15" [] (CTX) -> INT, TRACE;
    175 TASK_PT_REGS "task_pt_regs" "5.15" [GPL] (btf("task_struct")) -> always("pt_regs"), BASE;
    176 GET_BRANCH_SNAPSHOT "get_branch_snapshot" "5.16" [GPL] (OUT, SIZE0) -> INT, BASE;
    177 TRACE_VPRINTK "trace_vprintk" "5.16" [GPL] (IN, SIZE, IN_OR_NULL, SIZE0) -> INT, BASE;
    178 SKC_TO_UNIX_SOCK "skc_to_unix_sock" "5.16" [] (SOCK) -> maybe("unix_sock"), SOCK_CAST;
    179 KALLSYMS_LOOKUP_NAME "kallsyms_lookup_name" "5.16" [] (IN, SIZE0, ANY, out(8)) -> INT, SYSCALL;
    180 FIND_VMA "find_vma" "5.17" [] (btf("task_struct"), ANY, CALLBACK, STACK_OR_NULL, ANY) -> INT, BASE;
    181 LOOP "loop" "5.17" [] (NUMBER, CALLBACK, STACK_OR_NULL, ANY) -> INT, BASE;
    182 STRNCMP "strncmp" "5.17" [] (IN, SIZE, STR) -> INT, BASE;
    183 GET_FUNC_ARG "get_func_arg" "5.17" [] (CTX, ANY, out(8)) -> INT, BTF_TRACE;
    184 GET_FUNC_RET "get_func_ret" "5.17" [] (CTX, out(8)) -> INT, BTF_TRACE;
    185 GET_FUNC_ARG_CNT "get_func_arg_cnt" "5.17" [] (CTX) -> INT, BTF_TRACE;
    186 GET_RETVAL "get_retval" "5.18" [] ()
        -> INT, CGROUP_SOCK CGROUP_DEVICE CGROUP_SOCK_ADDR CGROUP_SYSCTL CGROUP_SOCKOPT LSM;
    187 SET_RETVAL "set_retval" "5.18" [] (ANY)
        -> INT, CGROUP_SOCK CGROUP_DEVICE CGROUP_SOCK_ADDR CGROUP_SYSCTL CGROUP_SOCKOPT LSM;
    188 XDP_GET_BUFF_LEN "xdp_get_buff_len" "5.18" [] (CTX) -> INT, BTF_TRACE XDP SYSCALL;
    189 XDP_LOAD_BYTES "xdp_load_bytes" "5.18" [] (CTX, ANY, OUT, SIZE) -> INT, XDP;
    190 XDP_STORE_BYTES "xdp_store_bytes" "5.18" [] (CTX, ANY, IN, SIZE) -> INT, XDP;
    191 COPY_FROM_USER_TASK "copy_from_user_task" "5.18" [GPL SLEEPS] (OUT, SIZE0, ANY, btf("task_struct"), ANY)
        -> INT, BASE;
    192 SKB_SET_TSTAMP "skb_set_tstamp" "5.18" [] (CTX, ANY, ANY) -> INT, CLS;
    193 IMA_FILE_HASH "ima_file_hash" "5.18" [SLEEPS] (btf("file"), OUT, SIZE) -> INT, LSM;
    194 KPTR_XCHG "kptr_xchg" "5.19" [] (KPTR_SLOT, KPTR) -> MAYBE_KPTR, BASE;
    195 MAP_LOOKUP_PERCPU_ELEM "map_lookup_percpu_elem" "5.19" [] (MAP, KEY, ANY) -> MAYBE_VALUE, BASE;
    196 SKC_TO_MPTCP_SOCK "skc_to_mptcp_sock" "5.19" [] (SOCK_COMMON) -> maybe("mptcp_sock"), SOCK_CAST;
    197 DYNPTR_FROM_MEM "dynptr_from_mem" "5.19" [] (OUT, SIZE0, ANY, DYN_NEW) -> INT, BASE;
    198 RINGBUF_RESERVE_DYNPTR "ringbuf_reserve_dynptr" "5.19" [] (MAP, ANY, ANY, DYN_NEW) -> INT, BASE;
    199 RINGBUF_SUBMIT_DYNPTR "ringbuf_submit_dynptr" "5.19" [] (DYN_RELEASED, ANY) -> VOID, BASE;
    200 RINGBUF_DISCARD_DYNPTR "ringbuf_discard_dynptr" "5.19" [] (DYN_RELEASED, ANY) -> VOID, BASE;
    201 DYNPTR_READ "dynptr_read" "5.19" [] (OUT, SIZE0, DYN, ANY, ANY) -> INT, BASE;
    202 DYNPTR_WRITE "dynptr_write" "5.19" [] (DYN, ANY, IN, SIZE0, ANY) -> INT, BASE;
    203 DYNPTR_DATA "dynptr_data" "5.19" [] (DYN, ANY, ALLOC_SIZE) -> MAYBE_DYN, BASE;
    204 TCP_RAW_GEN_SYNCOOKIE_IPV4 "tcp_raw_gen_syncookie_ipv4" "6.0" [GPL] (input(20), IN, SIZE0)
        -> INT, CLS XDP;
    205 TCP_RAW_GEN_SYNCOOKIE_IPV6 "tcp_raw_gen_syncookie_ipv6" "6.0" [GPL] (input(40), IN, SIZE0)
        -> INT, CLS XDP;
    206 TCP_RAW_CHECK_SYNCOOKIE_IPV4 "tcp_raw_check_syncookie_ipv4" "6.0" [GPL] (input(20), input(20))
        -> INT, CLS XDP;
    207 TCP_RAW_CHECK_SYNCOOKIE_IPV6 "tcp_raw_check_syncookie_ipv6" "6.0" [GPL] (input(40), input(20))
        -> INT, CLS XDP;
    208 KTIME_GET_TAI_NS "ktime_get_tai_ns" "6.1" [] () -> INT, BASE;
    209 USER_RINGBUF_DRAIN "user_ringbuf_drain" "6.1" [] (MAP, CALLBACK, STACK_OR_NULL, ANY) -> INT, BASE;
    210 CGRP_STORAGE_GET "cgrp_storage_get" "6.2" [] (MAP, btf_or_null("cgroup"), VALUE_OR_NULL, ANY)
        -> MAYBE_VALUE, BASE;
    211 CGRP_STORAGE_DELETE "cgrp_storage_delete" "6.2" [] (MAP, btf_or_null("cgroup")) -> INT, BASE;
}
