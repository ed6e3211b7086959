//! Programs, one for each thing that a context or a helper does.

use nonna_bpf::{AttachType, ProgramType};

/// A program and what it is given beside the packet.
pub struct Case {
    pub name: &'static str,
    pub program_type: ProgramType,
    pub attach_type: Option<AttachType>,
    pub section: &'static str,
    /// Lines, parted by semicolons.
    pub text: &'static str,
    pub fields: &'static [(&'static str, &'static [u64])],
    pub metadata: &'static [u8],
}

const fn case(
    name: &'static str,
    program_type: ProgramType,
    section: &'static str,
    text: &'static str,
) -> Case {
    Case { name, program_type, attach_type: None, section, text, fields: &[], metadata: &[] }
}

const fn xdp(name: &'static str, text: &'static str) -> Case {
    case(name, ProgramType::Xdp, "xdp", text)
}

const fn tc(name: &'static str, text: &'static str) -> Case {
    case(name, ProgramType::SchedCls, "tc", text)
}

const fn with(case: Case, fields: &'static [(&'static str, &'static [u64])]) -> Case {
    Case { fields, ..case }
}

pub const XDP: &[Case] = &[
    xdp("length", "r2 = *(u32 *)(r1 +0); r0 = *(u32 *)(r1 +4); r0 -= r2; exit"),
    xdp("metadata is empty", "r2 = *(u32 *)(r1 +8); r0 = *(u32 *)(r1 +0); r0 -= r2; exit"),
    Case {
        metadata: &[1, 2, 3, 4, 5, 6, 7, 8],
        ..xdp(
            "metadata is read and written",
            "r2 = *(u32 *)(r1 +8); r3 = *(u32 *)(r1 +0); r4 = r2; r4 += 8; r0 = 0; if r4 > r3 goto out; \
             r0 = *(u8 *)(r2 +5); *(u8 *)(r2 +6) = 9; out: exit",
        )
    },
    xdp("the device", "r0 = *(u32 *)(r1 +12); r2 = *(u32 *)(r1 +16); r0 <<= 8; r0 |= r2; exit"),
    xdp("a head of 14 more", "r6 = r1; r2 = -14; call 44; exit"),
    xdp("a head of 216 more", "r6 = r1; r2 = -216; call 44; exit"),
    xdp("a head of 217 more", "r6 = r1; r2 = -217; call 44; exit"),
    xdp("a head less", "r6 = r1; r2 = 10; call 44; exit"),
    xdp("a head of nearly all less", "r6 = r1; r2 = 46; call 44; exit"),
    xdp(
        "a new head is written",
        "r6 = r1; r2 = -4; call 44; r2 = *(u32 *)(r6 +0); r3 = *(u32 *)(r6 +4); r4 = r2; r4 += 4; \
         if r4 > r3 goto out; *(u32 *)(r2 +0) = 0x01020304; out: r0 = 2; exit",
    ),
    Case { metadata: &[1, 2, 3, 4], ..xdp("metadata moves with the head", "r2 = -20; call 44; exit") },
    Case { metadata: &[1, 2, 3, 4], ..xdp("metadata takes head room", "r2 = -213; call 44; exit") },
    xdp("a tail of 20 more", "r2 = 20; call 65; exit"),
    xdp("a tail of 400 more", "r2 = 400; call 65; exit"),
    xdp("a tail of a page more", "r2 = 4096; call 65; exit"),
    xdp("a tail less", "r2 = -20; call 65; exit"),
    xdp("a tail of much less", "r2 = -60; call 65; exit"),
    xdp(
        "less and more again",
        "r6 = r1; r2 = -8; call 65; r1 = r6; r2 = 16; call 65; r0 &= 255; r7 = r0; r1 = r6; call 188; r0 <<= 8; r0 |= r7; exit",
    ),
    xdp("metadata of 32", "r2 = -32; call 54; exit"),
    xdp("metadata of 30", "r2 = -30; call 54; exit"),
    xdp("metadata of 256", "r2 = -256; call 54; exit"),
    xdp("metadata of less than nothing", "r2 = 4; call 54; exit"),
    xdp(
        "loads bytes",
        "r6 = r1; *(u64 *)(r10 -8) = 0; r2 = 10; r3 = r10; r3 += -8; r4 = 6; call 189; if r0 != 0 goto out; \
         r0 = *(u32 *)(r10 -8); out: exit",
    ),
    xdp("loads far away", "*(u64 *)(r10 -8) = 0; r2 = 0x10000; r3 = r10; r3 += -8; r4 = 6; call 189; exit"),
    xdp("loads past the end", "*(u64 *)(r10 -8) = 0; r2 = 65000; r3 = r10; r3 += -8; r4 = 6; call 189; exit"),
    xdp("stores bytes", "*(u64 *)(r10 -8) = 0x55; r2 = 3; r3 = r10; r3 += -8; r4 = 8; call 190; exit"),
    xdp(
        "stores past the end",
        "*(u64 *)(r10 -8) = 0x55; r2 = 52; r3 = r10; r3 += -8; r4 = 8; call 190; exit",
    ),
    xdp("redirects", "r1 = 1; r2 = 0; call 23; exit"),
    xdp("redirects with a flag", "r1 = 1; r2 = 1; call 23; exit"),
    xdp(
        "a difference of sums",
        "*(u64 *)(r10 -16) = 0x12345; *(u64 *)(r10 -8) = 0x7abcdef; r1 = r10; r1 += -16; r2 = 8; r3 = r10; r3 += -8; r4 = 8; \
         r5 = 77; call 28; exit",
    ),
    xdp(
        "a sum of one side",
        "*(u64 *)(r10 -8) = -5; r1 = 0; r2 = 0; r3 = r10; r3 += -8; r4 = 8; r5 = 1; call 28; exit",
    ),
    xdp(
        "a sum taken away",
        "*(u64 *)(r10 -8) = -5; r3 = 0; r4 = 0; r1 = r10; r1 += -8; r2 = 8; r5 = 99; call 28; exit",
    ),
    xdp(
        "zeros taken away",
        "*(u64 *)(r10 -8) = 0; r3 = 0; r4 = 0; r1 = r10; r1 += -8; r2 = 8; r5 = 0; call 28; exit",
    ),
    xdp(
        "zeros for zeros",
        "*(u64 *)(r10 -8) = 0; r3 = r10; r3 += -8; r4 = 8; r1 = r10; r1 += -8; r2 = 8; r5 = 0; call 28; exit",
    ),
    xdp(
        "a device's limit",
        "*(u32 *)(r10 -4) = 0; r2 = 0; r3 = r10; r3 += -4; r4 = 0; r5 = 0; call 163; r0 <<= 20; r1 = *(u32 *)(r10 -4); r0 |= r1; exit",
    ),
    xdp(
        "no such device",
        "*(u32 *)(r10 -4) = 0; r2 = 9999; r3 = r10; r3 += -4; r4 = 0; r5 = 0; call 163; exit",
    ),
    xdp(
        "beyond a device's limit",
        "*(u32 *)(r10 -4) = 65537; r2 = 1; r3 = r10; r3 += -4; r4 = 0; r5 = 0; call 163; exit",
    ),
];

/// What a tc program finds in one field of 4 bytes.
macro_rules! field {
    ($name:literal, $offset:literal) => {
        tc($name, concat!("r0 = *(u32 *)(r1 +", $offset, "); exit"))
    };
}

pub const TC: &[Case] = &[
    field!("len", 0),
    field!("pkt_type", 4),
    field!("queue_mapping", 12),
    field!("protocol", 16),
    field!("vlan_present", 20),
    field!("vlan_tci", 24),
    field!("vlan_proto", 28),
    field!("ingress_ifindex", 36),
    field!("ifindex", 40),
    field!("tc_index", 44),
    field!("hash", 68),
    field!("tc_classid", 72),
    field!("napi_id", 84),
    field!("wire_len", 160),
    field!("gso_segs", 164),
    field!("gso_size", 176),
    tc("length", "r2 = *(u32 *)(r1 +76); r0 = *(u32 *)(r1 +80); r0 -= r2; exit"),
    tc("metadata is empty", "r2 = *(u32 *)(r1 +140); r0 = *(u32 *)(r1 +76); r0 -= r2; exit"),
    tc("a byte of a field", "r0 = *(u8 *)(r1 +17); exit"),
    with(
        tc("mark and priority", "r0 = *(u32 *)(r1 +8); r2 = *(u32 *)(r1 +32); r0 += r2; exit"),
        &[("mark", &[7]), ("priority", &[0x1000])],
    ),
    with(
        tc("the control block", "r0 = *(u32 *)(r1 +64); *(u32 *)(r1 +48) = 99; *(u64 *)(r1 +56) = 5; exit"),
        &[("cb", &[1, 2, 3, 4, 5])],
    ),
    tc(
        "fields are written",
        "*(u32 *)(r1 +8) = 5; *(u32 *)(r1 +32) = 6; *(u32 *)(r1 +44) = 7; r0 = *(u32 *)(r1 +44); exit",
    ),
    tc(
        "the socket's family",
        "r1 = *(u64 *)(r1 +168); r0 = 77; if r1 == 0 goto out; r0 = *(u32 *)(r1 +4); out: exit",
    ),
    tc(
        "the socket's state",
        "r1 = *(u64 *)(r1 +168); r0 = 77; if r1 == 0 goto out; r0 = *(u32 *)(r1 +72); out: exit",
    ),
    tc(
        "the socket's addresses",
        "r1 = *(u64 *)(r1 +168); r0 = 77; if r1 == 0 goto out; call 95; if r0 == 0 goto out; r2 = *(u32 *)(r0 +24); r3 = *(u32 *)(r0 +52); r4 = *(u32 *)(r0 +8); r2 ^= r3; r0 = r2; r0 += r4; out: exit",
    ),
    tc(
        "direct stores",
        "r2 = *(u32 *)(r1 +76); r3 = *(u32 *)(r1 +80); r4 = r2; r4 += 4; r0 = 0; if r4 > r3 goto out; *(u32 *)(r2 +0) = 0x77; out: exit",
    ),
    tc(
        "loads bytes",
        "*(u64 *)(r10 -8) = 0; r2 = 12; r3 = r10; r3 += -8; r4 = 8; call 26; r1 = *(u32 *)(r10 -8); r0 ^= r1; exit",
    ),
    tc(
        "loads past the end",
        "*(u64 *)(r10 -8) = -1; r2 = 65000; r3 = r10; r3 += -8; r4 = 8; call 26; r1 = *(u32 *)(r10 -8); r0 ^= r1; exit",
    ),
    tc(
        "loads from the network header",
        "*(u64 *)(r10 -8) = 0; r2 = 8; r3 = r10; r3 += -8; r4 = 4; r5 = 1; call 68; r1 = *(u32 *)(r10 -8); r0 ^= r1; exit",
    ),
    tc(
        "loads from the link header",
        "*(u64 *)(r10 -8) = 0; r2 = 8; r3 = r10; r3 += -8; r4 = 4; r5 = 0; call 68; r1 = *(u32 *)(r10 -8); r0 ^= r1; exit",
    ),
    tc(
        "stores bytes",
        "*(u64 *)(r10 -8) = 0x1234567; r2 = 13; r3 = r10; r3 += -8; r4 = 7; r5 = 0; call 9; exit",
    ),
    tc(
        "stores past the end",
        "*(u64 *)(r10 -8) = 0x1234567; r2 = 50; r3 = r10; r3 += -8; r4 = 8; r5 = 3; call 9; exit",
    ),
    tc(
        "stores with a wrong flag",
        "*(u64 *)(r10 -8) = 0x1234567; r2 = 3; r3 = r10; r3 += -8; r4 = 8; r5 = 8; call 9; exit",
    ),
    tc("replaces a header's sum, 2 bytes", "r2 = 24; r3 = 0x1234; r4 = 0x4321; r5 = 2; call 10; exit"),
    tc(
        "replaces a header's sum, 4 bytes",
        "r2 = 24; r3 = 0x12345678; r4 = 0x43218765; r5 = 4; call 10; exit",
    ),
    tc("replaces a header's sum by a difference", "r2 = 24; r3 = 0; r4 = 0x43218765; r5 = 0; call 10; exit"),
    tc("replaces a sum at an odd place", "r2 = 25; r3 = 0x1234; r4 = 0x4321; r5 = 2; call 10; exit"),
    tc("replaces a sum past the end", "r2 = 65000; r3 = 0x1234; r4 = 0x4321; r5 = 2; call 10; exit"),
    tc("replaces a transport sum", "r2 = 50; r3 = 0x1234; r4 = 0x4321; r5 = 0x12; call 11; exit"),
    tc(
        "replaces a transport sum, 4 bytes",
        "r2 = 50; r3 = 0x1234567; r4 = 0x43210; r5 = 0x14; call 11; exit",
    ),
    tc(
        "replaces a transport sum that may be missing",
        "r2 = 50; r3 = 0x1234567; r4 = 0x43210; r5 = 0x24; call 11; exit",
    ),
    tc("replaces a transport sum by a difference", "r2 = 50; r3 = 0; r4 = 0x43210; r5 = 0x10; call 11; exit"),
    tc("a wrong size", "r2 = 50; r3 = 0; r4 = 0x43210; r5 = 3; call 11; exit"),
    tc("there is no sum to update", "r2 = 5; call 40; exit"),
    tc("there is no sum's level", "r2 = 0; call 135; exit"),
    tc("pulls all", "r2 = 0; call 39; exit"),
    tc("pulls too much", "r2 = 5000; call 39; exit"),
    tc("a longer tail", "r2 = 900; r3 = 0; call 38; exit"),
    tc("a shorter tail", "r2 = 20; r3 = 0; call 38; exit"),
    tc("a tail shorter than the link header", "r2 = 10; r3 = 0; call 38; exit"),
    tc("a tail of too much", "r2 = 20000; r3 = 0; call 38; exit"),
    tc("a longer head", "r6 = r1; r2 = 14; r3 = 0; call 43; r7 = r0; r0 = *(u32 *)(r6 +0); r0 += r7; exit"),
    tc("a much longer head", "r2 = 1200; r3 = 0; call 43; exit"),
    tc("a head of too much", "r2 = 20000; r3 = 0; call 43; exit"),
    tc("another type", "r6 = r1; r2 = 0; call 32; r1 = *(u32 *)(r6 +4); r0 <<= 8; r0 |= r1; exit"),
    tc("no such type", "r2 = 7; call 32; exit"),
    tc(
        "IPv4 to IPv6",
        "r6 = r1; r2 = 0xdd86; r3 = 0; call 31; r7 = r0; r0 = *(u32 *)(r6 +16); r0 += r7; exit",
    ),
    tc(
        "IPv6 to IPv4",
        "r6 = r1; r2 = 0x0008; r3 = 0; call 31; r7 = r0; r0 = *(u32 *)(r6 +16); r0 += r7; exit",
    ),
    tc("room behind the network header", "r2 = 8; r3 = 0; r4 = 0; call 50; exit"),
    tc("room behind the link header", "r2 = 20; r3 = 1; r4 = 0; call 50; exit"),
    tc(
        "room for a tunnel",
        "r6 = r1; r2 = 40; r3 = 1; r4 = 4; call 50; r7 = r0; r0 = *(u32 *)(r6 +16); r0 += r7; exit",
    ),
    tc(
        "room for a tunnel twice",
        "r6 = r1; r2 = 20; r3 = 1; r4 = 2; call 50; r1 = r6; r2 = 20; r3 = 1; r4 = 2; call 50; exit",
    ),
    tc(
        "a tail after a tunnel",
        "r6 = r1; r2 = 20; r3 = 1; r4 = 2; call 50; r1 = r6; r2 = 30; r3 = 0; call 38; exit",
    ),
    tc("two protocols of a tunnel", "r2 = 20; r3 = 1; r4 = 6; call 50; exit"),
    tc("less room", "r2 = -8; r3 = 0; r4 = 0; call 50; exit"),
    tc("less room behind the link header", "r2 = -16; r3 = 1; r4 = 0; call 50; exit"),
    tc(
        "out of a tunnel",
        "r6 = r1; r2 = -20; r3 = 1; r4 = 0x80; call 50; r7 = r0; r0 = *(u32 *)(r6 +16); r0 += r7; exit",
    ),
    tc("out of a tunnel that cannot be", "r2 = 20; r3 = 1; r4 = 0x80; call 50; exit"),
    tc("too much less room", "r2 = -4000; r3 = 1; r4 = 0; call 50; exit"),
    tc("much too much room", "r2 = 5000; r3 = 1; r4 = 0; call 50; exit"),
    tc("a mode that is none", "r2 = 4; r3 = 2; r4 = 0; call 50; exit"),
    tc("a flag that is none", "r2 = 4; r3 = 1; r4 = 0x400; call 50; exit"),
    tc(
        "a tag",
        "r6 = r1; r2 = 0x0081; r3 = 0x2005; call 18; r0 = *(u32 *)(r6 +24); r1 = *(u32 *)(r6 +28); r2 = *(u32 *)(r6 +20); r0 ^= r1; r0 += r2; exit",
    ),
    tc(
        "two tags",
        "r6 = r1; r2 = 0x0081; r3 = 0x2005; call 18; r1 = r6; r2 = 0xa888; r3 = 9; call 18; r0 = *(u32 *)(r6 +24); r1 = *(u32 *)(r6 +28); r0 ^= r1; r2 = *(u32 *)(r6 +16); r0 += r2; exit",
    ),
    tc(
        "a tag away",
        "r6 = r1; call 19; r7 = r0; r0 = *(u32 *)(r6 +16); r1 = *(u32 *)(r6 +24); r0 += r7; r1 <<= 16; r0 += r1; exit",
    ),
    tc(
        "two tags away",
        "r6 = r1; call 19; r1 = r6; call 19; r7 = r0; r0 = *(u32 *)(r6 +16); r1 = *(u32 *)(r6 +24); r0 += r7; r1 <<= 16; r0 += r1; exit",
    ),
    tc(
        "a tag to and away",
        "r6 = r1; r2 = 0x0081; r3 = 0x2005; call 18; r1 = r6; call 19; r0 = *(u32 *)(r6 +16); exit",
    ),
    tc("congestion", "call 97; exit"),
    tc("redirects", "r1 = 1; r2 = 0; call 23; exit"),
    tc("redirects inwards", "r1 = 1; r2 = 1; call 23; exit"),
    tc("redirects with a wrong flag", "r1 = 1; r2 = 2; call 23; exit"),
    tc("redirects to a peer", "r1 = 1; r2 = 0; call 155; exit"),
    tc("a hash that is set", "r6 = r1; r2 = 0x1234; call 48; r0 = *(u32 *)(r6 +68); exit"),
    tc(
        "a hash that is set and forgotten",
        "r6 = r1; r2 = 0x1234; call 48; r1 = r6; call 41; r0 = *(u32 *)(r6 +68); exit",
    ),
    tc("a time", "r6 = r1; r2 = 1000; r3 = 1; call 192; r7 = r0; r0 = *(u64 *)(r6 +152); r0 += r7; exit"),
    tc("a time without a kind", "r2 = 1000; r3 = 0; call 192; exit"),
    tc(
        "a device's limit",
        "*(u32 *)(r10 -4) = 0; r2 = 0; r3 = r10; r3 += -4; r4 = 0; r5 = 0; call 163; r0 <<= 20; r1 = *(u32 *)(r10 -4); r0 |= r1; exit",
    ),
    tc("LD_ABS, a byte", "r6 = r1; r0 = *(u8 *)skb[14]; exit"),
    tc("LD_ABS, two bytes", "r6 = r1; r0 = *(u16 *)skb[12]; exit"),
    tc("LD_ABS, four bytes", "r6 = r1; r0 = *(u32 *)skb[26]; exit"),
    tc("LD_ABS past the end", "r6 = r1; r0 = *(u32 *)skb[65000]; r0 = 7; exit"),
    tc("LD_ABS from the network header", "r6 = r1; r0 = *(u32 *)skb[-1048576]; exit"),
    tc("LD_IND", "r6 = r1; r7 = 20; r0 = *(u16 *)skb[r7 + 3]; exit"),
    tc("LD_IND past the end", "r6 = r1; r7 = -20; r0 = *(u16 *)skb[r7 + 3]; r0 = 9; exit"),
];

/// A cgroup program returns 0 or 1, so what it finds stands in `mark`.
const fn cgroup(name: &'static str, text: &'static str) -> Case {
    Case {
        attach_type: Some(AttachType::CgroupInetIngress),
        ..case(name, ProgramType::CgroupSkb, "cgroup_skb/ingress", text)
    }
}

pub const CGROUP: &[Case] = &[
    cgroup("allows", "r0 = 1; exit"),
    cgroup("drops", "r0 = 0; exit"),
    cgroup("len", "r2 = *(u32 *)(r1 +0); *(u32 *)(r1 +8) = r2; r0 = 1; exit"),
    cgroup("protocol", "r2 = *(u32 *)(r1 +16); *(u32 *)(r1 +8) = r2; r0 = 1; exit"),
    cgroup("family", "r2 = *(u32 *)(r1 +88); *(u32 *)(r1 +8) = r2; r0 = 1; exit"),
    cgroup("remote_ip4", "r2 = *(u32 *)(r1 +92); *(u32 *)(r1 +8) = r2; r0 = 1; exit"),
    cgroup("local_ip4", "r2 = *(u32 *)(r1 +96); *(u32 *)(r1 +8) = r2; r0 = 1; exit"),
    cgroup("remote_ip6", "r2 = *(u32 *)(r1 +108); *(u32 *)(r1 +8) = r2; r0 = 1; exit"),
    cgroup("local_ip6", "r2 = *(u32 *)(r1 +120); *(u32 *)(r1 +8) = r2; r0 = 1; exit"),
    cgroup("remote_port", "r2 = *(u32 *)(r1 +132); *(u32 *)(r1 +8) = r2; r0 = 1; exit"),
    cgroup(
        "the first byte",
        "r2 = *(u32 *)(r1 +76); r3 = *(u32 *)(r1 +80); r4 = r2; r4 += 1; r0 = 1; if r4 > r3 goto out; r2 = *(u8 *)(r2 +0); *(u32 *)(r1 +8) = r2; out: exit",
    ),
    cgroup(
        "loads bytes",
        "r6 = r1; *(u64 *)(r10 -8) = 0; r2 = 0; r3 = r10; r3 += -8; r4 = 4; call 26; r1 = *(u32 *)(r10 -8); *(u32 *)(r6 +8) = r1; r0 = 1; exit",
    ),
    cgroup(
        "loads from the link header",
        "r6 = r1; *(u64 *)(r10 -8) = 0; r2 = 2; r3 = r10; r3 += -8; r4 = 4; r5 = 0; call 68; r1 = *(u32 *)(r10 -8); *(u32 *)(r6 +8) = r1; r0 = 1; exit",
    ),
    with(
        cgroup("mark and priority", "r2 = *(u32 *)(r1 +8); r2 += 1; *(u32 *)(r1 +32) = r2; r0 = 1; exit"),
        &[("mark", &[41])],
    ),
];

const fn filter(name: &'static str, text: &'static str) -> Case {
    case(name, ProgramType::SocketFilter, "socket", text)
}

pub const SOCKET_FILTER: &[Case] = &[
    filter("len", "r0 = *(u32 *)(r1 +0); exit"),
    filter("protocol", "r0 = *(u32 *)(r1 +16); exit"),
    filter("ifindex", "r0 = *(u32 *)(r1 +40); exit"),
    filter("LD_ABS", "r6 = r1; r0 = *(u16 *)skb[2]; exit"),
    filter("LD_ABS from the link header", "r6 = r1; r0 = *(u16 *)skb[-2097140]; exit"),
    filter("LD_ABS before everything", "r6 = r1; r0 = *(u16 *)skb[-2147483648]; r0 = 4; exit"),
    filter("LD_IND", "r6 = r1; r7 = 6; r0 = *(u32 *)skb[r7 + 3]; exit"),
    filter(
        "loads bytes",
        "*(u64 *)(r10 -8) = 0; r2 = 1; r3 = r10; r3 += -8; r4 = 4; call 26; r1 = *(u32 *)(r10 -8); r0 ^= r1; exit",
    ),
];
