//! Tests of refinement, with events made by hand and packets made by the parser's own builder.

use std::net::IpAddr;

use domain::base::iana::{Rcode, Rtype};
use domain::base::message_builder::{MessageBuilder, StaticCompressor};
use domain::base::{Name, RelativeName};
use domain::rdata::{A, Aaaa, Cname};
use nonna_event::{Ring, Text};
use proptest::prelude::*;

use super::*;

fn field(name: &str, field_type: FieldType) -> Field {
    Field { name: name.to_owned(), field_type, description: String::new() }
}

fn schema(name: &str, fields: Vec<Field>) -> EventSchema {
    EventSchema { id: 1, name: name.to_owned(), fields, ring: Ring::Volume }
}

fn event(schema: &EventSchema, values: Vec<Value>) -> Event {
    Event { schema: Arc::new(schema.clone()), generation: 0, values }
}

fn text(text: &str) -> Value {
    Value::Text(Text { bytes: text.as_bytes().to_vec(), ..Text::default() })
}

fn shown(event: &Event, field: &str) -> String {
    match event.get(field).unwrap() {
        Value::Text(text) => String::from_utf8(text.bytes.clone()).unwrap(),
        Value::TextList { items, .. } => {
            items.iter().map(|item| String::from_utf8_lossy(item)).collect::<Vec<_>>().join(" ")
        }
        other => panic!("{other:?}"),
    }
}

fn packet_schema() -> EventSchema {
    let protocol = FieldType::Named { set: nonna_event::NameSet::IpProtocol, bytes: 2 };
    let payload = FieldType::Bytes { max_bytes: 512 };
    schema("dns_packet", vec![field("network.protocol", protocol), field("dns.payload", payload)])
}

fn read(protocol: u64, payload: &[u8]) -> (Refined, Vec<Event>) {
    let schema = packet_schema();
    let mut out = Vec::new();
    let payload = Value::Bytes(payload[..payload.len().min(512)].to_vec());
    let refined = Refiner::new(std::slice::from_ref(&schema))
        .refine(event(&schema, vec![Value::Unsigned(protocol), payload]), &mut out);
    (refined, out)
}

const UDP: u64 = 17;
const TCP: u64 = 6;

fn name(text: &str) -> Name<Vec<u8>> {
    text.parse().unwrap()
}

fn question(asked: &str, kind: Rtype) -> Vec<u8> {
    let mut message = MessageBuilder::new_vec();
    message.header_mut().set_rd(true);
    let mut message = message.question();
    message.push((name(asked), kind)).unwrap();
    let mut message = message.additional();
    message
        .opt(|opt| {
            opt.set_udp_payload_size(1232);
            Ok(())
        })
        .unwrap();
    message.finish()
}

/// An answer with a chain of names, compressed, and an extension record.
fn answer(asked: &str, addresses: &[&str]) -> Vec<u8> {
    let compressed = StaticCompressor::new(Vec::new());
    let mut message = MessageBuilder::from_target(compressed).unwrap();
    message.header_mut().set_qr(true);
    let mut message = message.question();
    message.push((name(asked), Rtype::A)).unwrap();
    let mut message = message.answer();
    let host = RelativeName::<Vec<u8>>::vec_from_str("host").unwrap().chain(name(asked)).unwrap();
    message.push((name(asked), 60, Cname::new(&host))).unwrap();
    for address in addresses {
        match address.parse().unwrap() {
            IpAddr::V4(address) => message.push((&host, 60, A::new(address))).unwrap(),
            IpAddr::V6(address) => message.push((&host, 60, Aaaa::new(address))).unwrap(),
        }
    }
    let mut message = message.additional();
    message
        .opt(|opt| {
            opt.set_udp_payload_size(1232);
            Ok(())
        })
        .unwrap();
    message.finish().into_target()
}

#[test]
fn a_question_tells_name_and_type() {
    for (kind, told) in [(Rtype::A, "A"), (Rtype::AAAA, "AAAA"), (Rtype::MX, "MX"), (Rtype::HTTPS, "HTTPS")] {
        let (refined, out) = read(UDP, &question("www.example.com", kind));
        assert_eq!((refined, out.len(), out[0].schema.name.as_str()), (Refined::Whole, 1, "dns_question"));
        assert_eq!(
            (shown(&out[0], "dns.name"), shown(&out[0], "dns.type")),
            ("www.example.com".to_owned(), told.to_owned())
        );
        assert_eq!(out[0].unsigned("network.protocol"), Some(UDP));
        assert!(out[0].get("dns.payload").is_none());
    }
}

#[test]
fn an_answer_tells_all_addresses() {
    let (refined, out) = read(UDP, &answer("example.com", &["192.0.2.1", "2001:db8::1", "192.0.2.2"]));
    assert_eq!((refined, out[0].schema.name.as_str()), (Refined::Whole, "dns_answer"));
    assert_eq!(shown(&out[0], "dns.name"), "example.com");
    assert_eq!(shown(&out[0], "dns.rcode"), "NOERROR");
    assert_eq!(shown(&out[0], "dns.addresses"), "192.0.2.1 2001:db8::1 192.0.2.2");
}

#[test]
fn a_name_that_does_not_exist_has_no_addresses() {
    let mut message = MessageBuilder::new_vec();
    message.header_mut().set_qr(true);
    message.header_mut().set_rcode(Rcode::NXDOMAIN);
    let mut message = message.question();
    message.push((name("no.such.name"), Rtype::A)).unwrap();
    let (_, out) = read(UDP, &message.finish());
    assert_eq!(
        (shown(&out[0], "dns.rcode"), shown(&out[0], "dns.addresses")),
        ("NXDOMAIN".to_owned(), String::new())
    );
}

#[test]
fn messages_over_tcp_follow_their_length() {
    let message = answer("example.com", &["192.0.2.1"]);
    let length = u16::try_from(message.len()).unwrap().to_be_bytes();
    let one = [&length[..], &message].concat();
    assert_eq!(read(TCP, &one).1.len(), 1);
    assert_eq!(read(TCP, &[one.clone(), one].concat()).1.len(), 2, "two messages in one packet");
    assert_eq!(read(TCP, &length), (Refined::Whole, Vec::new()), "a length that was sent by itself");
    assert_eq!(read(TCP, &message).1.len(), 1, "the message that follows it");
}

#[test]
fn a_packet_that_was_cut_tells_what_it_held() {
    let addresses: Vec<String> = (0..60).map(|n| format!("192.0.2.{n}")).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let message = answer("example.com", &addresses);
    assert!(message.len() > 512);
    let (refined, out) = read(UDP, &message);
    assert_eq!(refined, Refined::Whole);
    let told = shown(&out[0], "dns.addresses");
    assert!(told.starts_with("192.0.2.0 192.0.2.1 ") && told.split(' ').count() > 20, "{told}");
    let length = u16::try_from(message.len()).unwrap().to_be_bytes();
    assert_eq!(read(TCP, &[&length[..], &message].concat()).1.len(), 1);
}

#[test]
fn what_breaks_the_protocol_is_counted() {
    let mut circle = question("a", Rtype::A);
    // The name becomes a pointer to itself (RFC 1035 4.1.4).
    circle[12..14].copy_from_slice(&[0xc0, 12]);
    let whole = answer("example.com", &["192.0.2.1"]);
    for bytes in [&b""[..], b"x", &circle, &whole[..whole.len() - 20]] {
        assert_eq!(read(UDP, bytes).0, Refined::Malformed, "{bytes:02x?}");
    }
    let mut two = question("a", Rtype::A);
    two[5] = 2;
    assert_eq!(read(UDP, &two).0, Refined::Malformed, "there is never more than one question");
}

#[test]
fn other_operations_are_nothing_to_tell() {
    let mut update = question("example.com", Rtype::SOA);
    update[2] |= 5 << 3;
    assert_eq!(read(UDP, &update), (Refined::Whole, Vec::new()));
    let empty = MessageBuilder::new_vec().finish();
    assert_eq!(read(UDP, &empty), (Refined::Whole, Vec::new()));
}

#[test]
fn a_peer_is_told_once_for_each_process() {
    let number = FieldType::Unsigned { bytes: 8 };
    let names = ["pid", "network.protocol", "network.remote_port"];
    let mut fields: Vec<Field> = names.iter().map(|name| field(name, number.clone())).collect();
    fields.push(field("network.remote_address", FieldType::Inet));
    fields.push(field("result", FieldType::Signed { bytes: 8 }));
    let schema = schema("udp_send", fields);
    let mut refiner = Refiner::new(std::slice::from_ref(&schema));
    let mut send = |pid, address: &str, port, result| {
        let numbers = [pid, UDP, port].map(Value::Unsigned);
        let rest = [Value::Inet(address.parse().unwrap()), Value::Signed(result)];
        refiner.refine(event(&schema, numbers.into_iter().chain(rest).collect()), &mut Vec::new())
    };
    assert_eq!(send(1, "192.0.2.1", 53, 10), Refined::Whole);
    assert_eq!(send(1, "192.0.2.1", 53, 99), Refined::Repeated);
    assert_eq!(send(1, "::ffff:192.0.2.1", 53, 99), Refined::Repeated, "the same address in the new form");
    for (pid, address, port, result) in
        [(2, "192.0.2.1", 53, 1), (1, "192.0.2.2", 53, 1), (1, "192.0.2.1", 54, 1), (1, "192.0.2.1", 53, -1)]
    {
        assert_eq!(send(pid, address, port, result), Refined::Whole);
    }
    for port in 1_000..6_000 {
        send(1, "192.0.2.1", port, 1);
    }
    assert_eq!(send(1, "192.0.2.1", 53, 10), Refined::Whole, "what is remembered is bounded");
}

fn path_schema(name: &str) -> EventSchema {
    let fields = ["file.path", "file.base", "file.target"].map(|name| field(name, FieldType::Path));
    schema(name, fields.to_vec())
}

#[test]
fn paths_are_told_from_the_root_and_folders_are_not_told() {
    for (name, target) in [("file_link", "/home/anna/b"), ("file_symlink", "./b")] {
        let schema = path_schema(name);
        let mut out = Vec::new();
        let values = vec![text("../bob/a"), text("/home/anna"), text("./b")];
        Refiner::new(std::slice::from_ref(&schema)).refine(event(&schema, values), &mut out);
        assert_eq!(
            (shown(&out[0], "file.path"), shown(&out[0], "file.target")),
            ("/home/bob/a".to_owned(), target.to_owned())
        );
        assert!(out[0].get("file.base").is_none());
        assert_eq!(*out[0].schema, told(&[schema])[0]);
        assert_eq!(out[0].values.len(), out[0].schema.fields.len());
        assert!(out[0].text("file.path").unwrap().racy);
    }
}

#[test]
fn what_is_told_can_be_traced_back_to_what_is_sent() {
    let schemas = [packet_schema(), path_schema("file_link")];
    let told = told(&schemas);
    let names: Vec<&str> = told.iter().map(|schema| schema.name.as_str()).collect();
    assert_eq!(names, ["dns_question", "dns_answer", "file_link"]);
    for name in names {
        assert!(schemas.iter().any(|schema| schema.name == source(name)));
    }
}

proptest! {
    #[test]
    fn no_packet_makes_it_panic(tcp in any::<bool>(), bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        read(if tcp { TCP } else { UDP }, &bytes);
    }

    #[test]
    fn no_damage_to_a_packet_makes_it_panic(at in 0..200_usize, byte in any::<u8>(), cut in 0..200_usize) {
        let mut message = answer("example.com", &["192.0.2.1", "2001:db8::1"]);
        let (at, cut) = (at % message.len(), cut % message.len());
        message[at] = byte;
        for protocol in [UDP, TCP] {
            read(protocol, &message[..message.len() - cut]);
        }
    }
}
