//! `nonna watch` about the domain name system: questions and answers, whichever call carries them.

use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;

use nonna_bpf::Feature;
use nonna_testkit::{KernelTest, Need, Outcome, Suite};
use rustix::net::{self, RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendFlags};
use serde_json::{Value, json};

use crate::all;
use crate::watch::{Watch, objects};

const NEEDS: &[Need] =
    &[Need::Root, Need::Feature(Feature::RawTracepoint), Need::Feature(Feature::RingBuffer)];
/// Where the test's own name server is.
const SERVER: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 53);
/// What it answers to every question.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 77);

/// Adds the tests of this file.
pub fn tests(suite: Suite) -> Suite {
    suite
        .test(KernelTest::new("names_are_told_with_their_answers", NEEDS, names_are_told))
        .test(KernelTest::new("names_over_connections_are_told", NEEDS, names_over_connections_are_told))
}

/// A question for the address of a name of one part (RFC 1035 4.1).
fn question(name: &str) -> Vec<u8> {
    let mut packet = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    packet.push(u8::try_from(name.len()).expect("a short name"));
    packet.extend_from_slice(name.as_bytes());
    packet.extend_from_slice(&[0, 0, 1, 0, 1]);
    packet
}

/// The answer to a question: the question again, then an address.
fn answer(question: &[u8]) -> Vec<u8> {
    let mut packet = question.to_vec();
    packet[2..4].copy_from_slice(&[0x81, 0x80]);
    packet[7] = 1;
    packet.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
    packet.extend_from_slice(&ADDRESS.octets());
    packet
}

/// The names in events of one kind, in order.
fn names<'e>(events: &'e [Value], event: &str) -> Vec<&'e str> {
    let mine = events.iter().filter(|e| e["event"] == event && e["process"]["pid"] == std::process::id());
    mine.filter_map(|e| e["dns"]["name"].as_str()).collect()
}

fn names_are_told() -> Outcome {
    let server = UdpSocket::bind(SERVER)?;
    let n_questions = 6;
    let serving = thread::spawn(move || -> std::io::Result<()> {
        let mut packet = [0; 512];
        for _ in 0..n_questions {
            let (bytes, from) = server.recv_from(&mut packet)?;
            server.send_to(&answer(&packet[..bytes]), from)?;
        }
        Ok(())
    });
    let watch = Watch::start(&["-f", "json"])?;
    let mut packet = [0; 512];
    let connected = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    connected.connect(SERVER)?;
    connected.send(&question("connected"))?;
    connected.recv(&mut packet)?;
    let free = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    free.send_to(&question("unconnected"), SERVER)?;
    free.recv_from(&mut packet)?;

    let to = SocketAddr::from(SERVER);
    let mut none = SendAncillaryBuffer::default();
    net::sendmsg_addr(&free, &to, &[IoSlice::new(&question("message"))], &mut none, SendFlags::empty())?;
    let mut none = RecvAncillaryBuffer::default();
    net::recvmsg(&free, &mut [IoSliceMut::new(&mut packet)], &mut none, RecvFlags::empty())?;

    let any = net::SocketAddrAny::from(to);
    let several = ["several1", "several2", "several3"].map(question);
    let parts = several.each_ref().map(|packet| [IoSlice::new(packet)]);
    let mut buffers = parts.each_ref().map(|_| SendAncillaryBuffer::default());
    let mut headers: Vec<_> = parts
        .iter()
        .zip(&mut buffers)
        .map(|(parts, buffer)| net::MMsgHdr::new_with_addr(&any, parts, buffer))
        .collect();
    assert_eq!(net::sendmmsg(&free, &mut headers, SendFlags::empty())?, 3);
    for _ in 0..3 {
        free.recv_from(&mut packet)?;
    }
    serving.join().map_err(|_| "the server panicked")??;
    assert!(TcpStream::connect((ADDRESS, 9)).is_err());
    let output = watch.stop()?;
    let events = objects(&output)?;
    let expected = ["connected", "unconnected", "message", "several1", "several2", "several3"];
    assert_eq!(names(&events, "dns_question"), expected, "{}", all(&output));
    assert_eq!(names(&events, "dns_answer"), expected, "{}", all(&output));
    let told = events.iter().find(|e| e["event"] == "dns_answer").ok_or("there is an answer")?;
    assert_eq!(told["dns"]["addresses"], json!([ADDRESS.to_string()]));
    assert_eq!(
        (&told["dns"]["type"], &told["dns"]["rcode"], &told["network"]["protocol"]),
        (&json!("A"), &json!("NOERROR"), &json!("udp"))
    );
    let called = events.iter().find(|e| e["event"] == "connect" && e["network"]["remote_port"] == 9);
    let called = called.ok_or_else(|| all(&output))?;
    assert_eq!(called["network"]["remote_name"], "several3");
    Ok(())
}

/// Over TCP the length stands before the message, in the same piece or in one of its own.
fn names_over_connections_are_told() -> Outcome {
    let server = TcpListener::bind(SERVER)?;
    let serving = thread::spawn(move || -> std::io::Result<()> {
        let (mut caller, _) = server.accept()?;
        for _ in 0..2 {
            let mut length = [0; 2];
            caller.read_exact(&mut length)?;
            let mut packet = vec![0; usize::from(u16::from_be_bytes(length))];
            caller.read_exact(&mut packet)?;
            caller.write_all(&framed(&answer(&packet)))?;
        }
        Ok(())
    });
    let watch = Watch::start(&["-f", "json"])?;
    let caller = TcpStream::connect(SERVER)?;
    let mut packet = [0; 512];
    net::send(&caller, &framed(&question("whole")), SendFlags::empty())?;
    net::recv(&caller, &mut packet[..], RecvFlags::empty())?;
    let asked = question("pieces");
    let length = u16::try_from(asked.len())?.to_be_bytes();
    let sent = (&caller).write_vectored(&[IoSlice::new(&length), IoSlice::new(&asked)])?;
    assert_eq!(sent, length.len() + asked.len());
    net::recv(&caller, &mut packet[..], RecvFlags::empty())?;
    serving.join().map_err(|_| "the server panicked")??;
    let output = watch.stop()?;
    let events = objects(&output)?;
    for event in ["dns_question", "dns_answer"] {
        assert_eq!(names(&events, event), ["whole", "pieces"], "{event}: {}", all(&output));
    }
    Ok(())
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).expect("a short message");
    [&length.to_be_bytes()[..], message].concat()
}
