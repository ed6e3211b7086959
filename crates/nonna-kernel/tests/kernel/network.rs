//! Network devices and cgroups: verdicts on packets and connections.

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use nonna_bpf::{AttachType, Feature, Hook, MapIdx, Program, ProgramIdx, ProgramType};
use nonna_kernel::{Direction, Link, Loaded, XdpMode};
use nonna_testkit::{KernelTest, Outcome};

use crate::support::*;
use crate::test;

pub fn tests() -> Vec<KernelTest> {
    vec![
        test("a_device_program_drops_and_is_replaced", &[Feature::Xdp], xdp),
        test("a_queue_program_drops_and_is_replaced", &[Feature::Tcx], tcx),
        test("a_cgroup_program_denies_connections", &[Feature::CgroupSock], cgroup),
    ]
}

/// The loopback device, which every network namespace has first.
const LOOPBACK: u32 = 1;

/// Counts packets in map 0 and returns a verdict.
fn verdict(name: &str, program_type: ProgramType, section: &str, verdict: i32) -> Program {
    let text = format!("{}r0 = {verdict}\nexit", count_in(0));
    program(name, program_type, Hook::Section(section.to_owned()), &text)
}

/// Whether a datagram to ourselves arrives.
fn arrives() -> std::io::Result<bool> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    socket.send_to(b"hello", socket.local_addr()?)?;
    Ok(socket.recv(&mut [0; 16]).is_ok())
}

/// Program 0 drops, program 1 passes; `link` is of program 0.
fn drops_until_replaced(loaded: &Loaded, link: Link) -> Outcome {
    let (drop_all, pass_all) = (loaded.program(ProgramIdx(0)), loaded.program(ProgramIdx(1)));
    assert!(!arrives()?, "a dropped packet arrives");
    assert!(count_of(loaded.map(MapIdx(0))) > 0);
    assert!(link.replace(drop_all, Some(pass_all)).is_err(), "another program runs than the one expected");
    link.replace(pass_all, Some(drop_all))?;
    assert!(arrives()?, "a passed packet does not arrive");
    link.replace(drop_all, None)?;
    assert!(!arrives()?);
    drop(link);
    assert!(arrives()?, "it drops on after detaching");
    Ok(())
}

fn xdp() -> Outcome {
    // `XDP_DROP` and `XDP_PASS`.
    let programs = [("drop", 1), ("pass", 2)].map(|(name, v)| verdict(name, ProgramType::Xdp, "xdp", v));
    let loaded = load(vec![counter()], programs.into());
    let link = loaded.program(ProgramIdx(0)).attach_xdp(LOOPBACK, XdpMode::Generic)?;
    drops_until_replaced(&loaded, link)
}

fn tcx() -> Outcome {
    // `TCX_DROP` and `TCX_PASS`.
    let programs =
        [("drop", 2), ("pass", 0)].map(|(name, v)| verdict(name, ProgramType::SchedCls, "tcx/ingress", v));
    let loaded = load(vec![counter()], programs.into());
    let link = loaded.program(ProgramIdx(0)).attach_tcx(LOOPBACK, Direction::Ingress)?;
    drops_until_replaced(&loaded, link)
}

fn cgroup() -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let deny = verdict("deny", ProgramType::CgroupSockAddr, "cgroup/connect4", 0);
    let loaded = load(vec![counter()], vec![typed(deny, AttachType::CgroupInet4Connect, None)]);
    let link = loaded.program(ProgramIdx(0)).attach_cgroup(&own_cgroup())?;
    let denied = TcpStream::connect(address).expect_err("it is denied");
    assert_eq!(denied.kind(), std::io::ErrorKind::PermissionDenied);
    assert_eq!(count_of(loaded.map(MapIdx(0))), 1);
    drop(link);
    TcpStream::connect(address)?;
    Ok(())
}
