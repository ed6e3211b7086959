//! Classic programs against the kernel: the same checker's verdict, and the same result for every packet.
//!
//! The kernel's machine is a datagram socket with the program attached: it cuts each datagram to as many bytes as the
//! program returns and drops it at 0. So a program that ends below the datagram's length shows its result.

use std::io::{ErrorKind, Read, Write};

use nonna_bpf::MemSize;
use nonna_sandbox::classic::{
    Alu, ClassicInsn, Condition, Encoded, Extension, Filter, Operand, Over, Register, parse, translate,
};
use proptest::prelude::*;
use socket2::{Domain, SockFilter, Socket, Type};

#[path = "classic/machine.rs"]
mod machine;

/// Results are below this; datagrams are longer.
const RESULTS: u32 = 4001;
const DATAGRAM_BYTES: usize = 4096;

/// A pair of sockets, the program on the receiving end; `None` where the kernel refuses it.
fn attached(program: &[Encoded]) -> Option<(Socket, Socket)> {
    let (sender, receiver) = Socket::pair(Domain::UNIX, Type::DGRAM, None).expect("sockets");
    receiver.set_nonblocking(true).expect("a socket can be told not to wait");
    let filters: Vec<SockFilter> =
        program.iter().map(|insn| SockFilter::new(insn.code, insn.jt, insn.jf, insn.k)).collect();
    match receiver.attach_filter(&filters) {
        Ok(()) => Some((sender, receiver)),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            None
        }
    }
}

/// What the kernel makes of a datagram.
fn in_kernel((sender, receiver): &mut (Socket, Socket), packet: &[u8]) -> u32 {
    sender.write_all(packet).expect("the datagram leaves");
    let mut received = [0; DATAGRAM_BYTES];
    match receiver.read(&mut received) {
        Ok(bytes) => bytes as u32,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
            0
        }
    }
}

fn insn() -> impl Strategy<Value = ClassicInsn> {
    let size = prop_oneof![Just(MemSize::B), Just(MemSize::H), Just(MemSize::W)];
    let offset = prop_oneof![
        8 => 0u32..100,
        2 => 4080u32..4100,
        1 => any::<u32>(),
        1 => Just(Extension::XorX.offset()),
        1 => 0xffff_f000u32..=u32::MAX,
    ];
    let small = prop_oneof![4 => 0u32..40, 2 => 4000u32..5000, 2 => any::<u32>()];
    let register = prop_oneof![Just(Register::A), Just(Register::X)];
    let operand = prop_oneof![small.clone().prop_map(Operand::K), Just(Operand::X)];
    let alu = prop_oneof![
        Just(Alu::Add),
        Just(Alu::Sub),
        Just(Alu::Mul),
        Just(Alu::Div),
        Just(Alu::Or),
        Just(Alu::And),
        Just(Alu::Lsh),
        Just(Alu::Rsh),
        Just(Alu::Mod),
        Just(Alu::Xor),
    ];
    let condition = prop_oneof![
        Just(Condition::Equal),
        Just(Condition::Above),
        Just(Condition::AtLeast),
        Just(Condition::AnyBit),
    ];
    prop_oneof![
        4 => (size.clone(), offset.clone()).prop_map(|(size, offset)| ClassicInsn::LoadPacket { size, offset }),
        2 => (size, offset.clone()).prop_map(|(size, offset)| ClassicInsn::LoadPacketIndexed { size, offset }),
        2 => offset.prop_map(|offset| ClassicInsn::LoadHeaderLength { offset: offset % 5000 }),
        1 => register.clone().prop_map(ClassicInsn::LoadLength),
        3 => (register.clone(), small).prop_map(|(register, k)| ClassicInsn::LoadConstant(register, k)),
        2 => (register.clone(), 0u32..3).prop_map(|(register, slot)| ClassicInsn::LoadScratch(register, slot)),
        4 => (register, 0u32..3).prop_map(|(register, slot)| ClassicInsn::StoreScratch(register, slot)),
        8 => (alu, operand.clone()).prop_map(|(op, operand)| ClassicInsn::Alu(op, operand)),
        1 => Just(ClassicInsn::Negate),
        1 => (0u32..3).prop_map(ClassicInsn::Jump),
        6 => (condition, operand, 0u8..5, 0u8..5).prop_map(|(condition, operand, taken, otherwise)| {
            ClassicInsn::JumpIf { condition, operand, taken, otherwise }
        }),
        1 => (0..RESULTS).prop_map(ClassicInsn::ReturnConstant),
        1 => prop_oneof![
            Just(Extension::NetlinkAttribute), Just(Extension::NestedNetlinkAttribute), Just(Extension::Mark),
            Just(Extension::InterfaceIndex), Just(Extension::HardwareType), Just(Extension::VlanTagPresent),
            Just(Extension::PacketType), Just(Extension::Hash), Just(Extension::Queue), Just(Extension::VlanTag),
        ].prop_map(|extension| ClassicInsn::LoadPacket { size: MemSize::W, offset: extension.offset() }),
        2 => Just(ClassicInsn::Tax),
        2 => Just(ClassicInsn::Txa),
    ]
}

/// Whether the same packet gives the same result twice, here as on the kernel's socket: that knows another protocol than the
/// frame here, and loads from below the extensions count from headers, which it lacks.
fn of_the_packet_alone(insn: &ClassicInsn) -> bool {
    match insn {
        ClassicInsn::LoadPacket { offset, .. } => {
            !matches!(
                Extension::at(*offset),
                Some(
                    Extension::Protocol
                        | Extension::Processor
                        | Extension::Random
                        | Extension::PayloadOffset
                        | Extension::VlanProtocol
                )
            ) && (*offset <= i32::MAX as u32 || *offset >= EXTENSIONS)
        }
        ClassicInsn::LoadPacketIndexed { offset, .. } => *offset < 1 << 20,
        _ => true,
    }
}

/// Where the offsets of extensions begin.
const EXTENSIONS: u32 = 0xffff_f000;

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_programs_get_the_kernels_verdict_and_results(
        body in prop::collection::vec(insn(), 0..24),
        seed in any::<u64>(),
    ) {
        let mut insns = body;
        insns.retain(of_the_packet_alone);
        insns.push(ClassicInsn::Alu(Alu::Mod, Operand::K(RESULTS)));
        insns.push(ClassicInsn::ReturnA);
        let program: Vec<Encoded> = insns.iter().map(|insn| insn.encode()).collect();
        let filter = Filter::new(&program);
        let Some(mut sockets) = attached(&program) else {
            prop_assert!(filter.is_err(), "the kernel refuses {insns:?}");
            return Ok(());
        };
        let filter = filter.map_err(|error| TestCaseError::fail(format!("{error}: {insns:?}")))?;
        let buffered = machine::prepare(&translate(&filter, Over::SocketBuffer).expect("it serves all"));
        let plain = translate(&filter, Over::Memory).ok().map(|insns| machine::prepare(&insns));
        let mut packet = machine::bytes(seed, DATAGRAM_BYTES);
        for round in 0..3u64 {
            let expected = in_kernel(&mut sockets, &packet);
            // A jump may leave out what keeps results small; the kernel cuts nothing off then.
            let result = machine::over_socket_buffer(&buffered, &packet).min(DATAGRAM_BYTES as u32);
            prop_assert_eq!(result, expected, "{:?}", insns);
            if let Some(plain) = &plain {
                let result = machine::over_memory(plain, &mut packet).min(DATAGRAM_BYTES as u32);
                prop_assert_eq!(result, expected, "{:?}", insns);
            }
            packet = machine::bytes(seed ^ round, DATAGRAM_BYTES);
        }
    }

    #[test]
    fn mutated_encodings_get_the_kernels_verdict(
        program in prop::collection::vec((0u16..0xc0, 0u8..4, 0u8..4, 0u32..40), 1..8),
    ) {
        let mut program: Vec<Encoded> =
            program.into_iter().map(|(code, jt, jf, k)| Encoded { code, jt, jf, k }).collect();
        program.push(ClassicInsn::ReturnConstant(1).encode());
        prop_assert_eq!(Filter::new(&program).is_ok(), attached(&program).is_some(), "{:?}", program);
    }
}

#[test]
fn indices_below_0_come_back_into_the_packet() {
    let byte = |offset| ClassicInsn::LoadPacket { size: MemSize::B, offset };
    let indexed = ClassicInsn::LoadPacketIndexed { size: MemSize::B, offset: 39 };
    let insns = [byte(25), ClassicInsn::Negate, ClassicInsn::Tax, indexed, ClassicInsn::ReturnA];
    let program: Vec<Encoded> = insns.iter().map(|insn| insn.encode()).collect();
    let filter = Filter::new(&program).expect("it keeps the rules");
    let mut packet = vec![0; DATAGRAM_BYTES];
    (packet[25], packet[31]) = (8, 77);
    let mut sockets = attached(&program).expect("the kernel takes it");
    assert_eq!(in_kernel(&mut sockets, &packet), 77);
    for over in [Over::SocketBuffer, Over::Memory] {
        let prepared = machine::prepare(&translate(&filter, over).expect("it serves all"));
        let result = match over {
            Over::SocketBuffer => machine::over_socket_buffer(&prepared, &packet),
            Over::Memory => machine::over_memory(&prepared, &mut packet),
        };
        assert_eq!(result, 77);
    }
}

#[test]
fn the_rules_about_size_are_the_kernels() {
    let nothing = ClassicInsn::LoadConstant(Register::A, 1).encode();
    let end = ClassicInsn::ReturnConstant(1).encode();
    for (n_insns, fits) in [(0, false), (1, true), (4096, true), (4097, false)] {
        let mut program = vec![nothing; n_insns];
        if let Some(last) = program.last_mut() {
            *last = end;
        }
        assert_eq!(Filter::new(&program).is_ok(), fits, "{n_insns}");
        assert_eq!(attached(&program).is_some(), fits, "{n_insns}");
    }
    // Every jump of the longest program that needs most room still reaches.
    let load = ClassicInsn::LoadHeaderLength { offset: 40_000 }.encode();
    let mut program = vec![load; 4095];
    program[0] = ClassicInsn::Jump(4094).encode();
    program.push(end);
    let filter = Filter::new(&program).expect("it keeps the rules");
    let insns = translate(&filter, Over::Memory).expect("plain memory serves it");
    assert!(insns.len() > 32_768);
    assert_eq!(machine::over_memory(&machine::prepare(&insns), &mut [0; 8]), 1);
}

/// Filters by `tcpdump -ddd -y EN10MB EXPRESSION`, and which of the packets of `machine` they take.
#[test]
fn filters_of_tcpdump_take_the_right_packets() {
    let filters: [(&str, &str, &[&str]); 12] = [
        ("ip", include_str!("classic/ip.txt"), &["dns", "web", "web-reset", "ping", "fragment"]),
        ("arp", include_str!("classic/arp.txt"), &["arp"]),
        ("tcp", include_str!("classic/tcp.txt"), &["web", "web-reset", "web6"]),
        ("udp port 53", include_str!("classic/udp_port_53.txt"), &["dns"]),
        ("tcp dst port 80", include_str!("classic/tcp_dst_port_80.txt"), &["web", "web-reset", "web6"]),
        ("host 10.0.0.2", include_str!("classic/host.txt"), &["dns", "ping", "arp"]),
        ("net 192.168.0.0/16", include_str!("classic/net.txt"), &["web", "web-reset", "fragment"]),
        ("icmp or icmp6", include_str!("classic/icmp.txt"), &["ping"]),
        ("tcp[tcpflags] & tcp-rst != 0", include_str!("classic/reset.txt"), &["web-reset"]),
        ("greater 100", include_str!("classic/greater.txt"), &["ping"]),
        ("vlan 7", include_str!("classic/vlan.txt"), &["tagged"]),
        ("ip[6:2] & 0x1fff != 0", include_str!("classic/fragment.txt"), &["fragment"]),
    ];
    for (expression, text, taken) in filters {
        let filter = Filter::new(&parse(text).expect(expression)).expect(expression);
        let prepared = machine::prepare(&translate(&filter, Over::Memory).expect(expression));
        for (name, mut packet) in machine::packets() {
            let result = machine::over_memory(&prepared, &mut packet);
            assert_eq!(result != 0, taken.contains(&name), "`{expression}` over {name}: {result}");
        }
    }
}

#[test]
fn plain_memory_has_no_device() {
    let load = ClassicInsn::LoadPacket { size: MemSize::W, offset: Extension::InterfaceIndex.offset() };
    let filter = Filter::new(&[load.encode(), ClassicInsn::ReturnA.encode()]).expect("it keeps the rules");
    let error = translate(&filter, Over::Memory).expect_err("there is none");
    assert_eq!((error.insn, error.extension), (0, Extension::InterfaceIndex));
    assert!(translate(&filter, Over::SocketBuffer).is_ok());
}
