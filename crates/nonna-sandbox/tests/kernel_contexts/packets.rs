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
