//! What the tests of classic programs run: the interpreter over a packet, and packets.

use nonna_bpf::{Insn, ProgramType};
use nonna_sandbox::context::{FieldValue, Input, with_context_helpers};
use nonna_sandbox::{Budget, Context, Helpers, Maps, NoHelpers, Prepared, Regions, Run, Stack, run};

pub fn prepare(insns: &[Insn]) -> Prepared {
    Prepared::unproved(insns, &with_context_helpers(Helpers::none())).expect("a translated program can run")
}

pub fn over_memory(program: &Prepared, packet: &mut [u8]) -> u32 {
    let mut stack = Stack::new();
    let mut regions = Regions::new(&mut stack);
    let length = packet.len() as u64;
    let at = regions.lend(packet);
    let (mut maps, mut context, mut host) = (Maps::new(1), Context::default(), NoHelpers);
    let mut sandbox = Run::new(&mut regions, &mut maps, &mut context, &mut host);
    let finished = run(program, [at, length, 0, 0, 0], &mut sandbox, Budget::default());
    finished.expect("a translated program keeps to its packet").result as u32
}

/// As a socket filter that sees these bytes, of a packet that no device brought.
pub fn over_socket_buffer(program: &Prepared, bytes: &[u8]) -> u32 {
    let zero = |name: &str| FieldValue { name: name.to_owned(), values: vec![0] };
    let input = Input {
        fields: vec![zero("ifindex"), zero("pkt_type")],
        packet: [&[0; 12][..], &[0x88, 0xb5], bytes].concat(),
        ..Input::default()
    };
    let mut low = Context::pages(ProgramType::SocketFilter, &input).expect("pages");
    let mut stack = Stack::new();
    let mut regions = Regions::new(&mut stack);
    let context = Context::new(ProgramType::SocketFilter, &input, &mut regions, &mut low);
    let mut context = context.expect("a frame makes a context");
    let (mut maps, mut host) = (Maps::new(1), NoHelpers);
    let at = context.address();
    let mut sandbox = Run::new(&mut regions, &mut maps, &mut context, &mut host);
    let finished = run(program, [at, 0, 0, 0, 0], &mut sandbox, Budget::default());
    finished.expect("a translated program keeps to its packet").result as u32
}

/// Bytes that depend on the seed alone, half of them small.
pub fn bytes(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        // Marsaglia's xorshift.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let byte = (state >> 24) as u8;
        if state & 1 == 0 { byte } else { byte % 16 }
    };
    (0..count).map(|_| next()).collect()
}

fn ethernet(protocol: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    packet.extend(protocol.to_be_bytes());
    packet.extend(payload);
    packet
}

fn ip4(protocol: u8, fragment: u16, from: [u8; 4], to: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut header = vec![0x45, 0];
    header.extend((20 + payload.len() as u16).to_be_bytes());
    header.extend([0, 1]);
    header.extend(fragment.to_be_bytes());
    header.extend([64, protocol, 0, 0]);
    header.extend(from);
    header.extend(to);
    header.extend(payload);
    ethernet(0x0800, &header)
}

fn ports(source: u16, destination: u16, rest: &[u8]) -> Vec<u8> {
    [&source.to_be_bytes()[..], &destination.to_be_bytes(), rest].concat()
}

/// Ethernet packets by name.
pub fn packets() -> Vec<(&'static str, Vec<u8>)> {
    let (here, there) = ([10, 0, 0, 1], [10, 0, 0, 2]);
    let (private, server) = ([192, 168, 1, 9], [93, 184, 216, 34]);
    let segment =
        |flags: u8| ports(40_000, 80, &[0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    let mut arp = vec![0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 2];
    arp.extend(here);
    arp.extend([0; 6]);
    arp.extend(there);
    let mut ip6 = vec![0x60, 0, 0, 0, 0, 20, 6, 64];
    ip6.extend([0xfd; 32]);
    ip6.extend(segment(0x10));
    vec![
        ("dns", ip4(17, 0, here, there, &ports(5353, 53, &[0, 12, 0, 0, 1, 2, 3, 4]))),
        ("web", ip4(6, 0, private, server, &segment(0x10))),
        ("web-reset", ip4(6, 0, private, server, &segment(0x04))),
        ("web6", ethernet(0x86dd, &ip6)),
        ("ping", ip4(1, 0, there, here, &[8; 80])),
        ("fragment", ip4(17, 0x2005, private, server, &[9; 24])),
        ("arp", ethernet(0x0806, &arp)),
        ("tagged", ethernet(0x8100, &[&[0, 7, 8, 6][..], &arp].concat())),
        ("short", vec![1, 2, 3]),
    ]
}
