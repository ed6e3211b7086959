//! Packets of several shapes.

fn frame(protocol: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    frame.extend(protocol.to_be_bytes());
    frame.extend(payload);
    frame
}

fn ip4(payload_bytes: usize) -> Vec<u8> {
    let mut packet = vec![0x45, 1];
    packet.extend((20 + payload_bytes as u16).to_be_bytes());
    packet.extend([0x12, 0x34, 0x40, 0, 64, 6, 0xab, 0xcd, 10, 0, 0, 1, 10, 0, 0, 2]);
    packet.extend((0..payload_bytes).map(|index| index as u8));
    packet
}

/// By name.
pub fn all() -> Vec<(&'static str, Vec<u8>)> {
    let mut ip6 = vec![0x60, 0x10, 0, 0, 0, 30, 17, 64];
    ip6.extend((0..32).map(|index| 0xf0 ^ index));
    ip6.extend([7; 30]);
    let tagged = [&[0x20, 7, 8, 0][..], &ip4(40)].concat();
    let twice = [&[0x00, 9, 0x81, 0, 0x20, 7, 8, 0][..], &ip4(40)].concat();
    let mut broadcast = frame(0x0806, &[1; 28]);
    broadcast[..6].fill(0xff);
    vec![
        ("ip4", frame(0x0800, &ip4(40))),
        ("ip4, odd", frame(0x0800, &ip4(333))),
        ("ip4, long", frame(0x0800, &ip4(3000))),
        ("ip6", frame(0x86dd, &ip6)),
        ("tagged", frame(0x8100, &tagged)),
        ("tagged twice", frame(0x88a8, &twice)),
        ("arp", broadcast),
        ("a header alone", frame(0x1234, &[])),
        ("802.3", frame(40, &[3; 40])),
    ]
}

/// A packet that depends on the seed alone: mostly IPv4 with ports that programs look for, sometimes tagged, sometimes cut.
pub fn random(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = |below: u64| {
        // Marsaglia's xorshift.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 16) % below
    };
    let ports = [7u16, 23, 53, 80, 443, 8080];
    let pick = |next: &mut dyn FnMut(u64) -> u64| ports[next(ports.len() as u64) as usize].to_be_bytes();
    let mut payload = [pick(&mut next), pick(&mut next)].concat();
    let bytes = 16 + next(300) as usize;
    payload.extend((0..bytes).map(|_| next(256) as u8));
    let mut packet = ip4(payload.len());
    packet.truncate(20);
    packet.extend(payload);
    packet[8] = next(4) as u8;
    packet[9] = [6, 17, 17, 1][next(4) as usize];
    if next(8) == 0 {
        packet[6] = 0x20;
    } else {
        packet[6] = 0x40;
    }
    if next(3) == 0 {
        packet[19] = 3;
    }
    let mut frame = frame([0x0800, 0x0800, 0x0800, 0x86dd, 0x0806][next(5) as usize], &packet);
    if next(4) == 0 {
        let tagged = [&frame[..12], &[0x81, 0, 0, 7], &frame[12..]].concat();
        frame = tagged;
    }
    if next(6) == 0 {
        // The kernel takes no packet without its network header.
        frame.truncate(54 + next(20) as usize);
    }
    frame
}
