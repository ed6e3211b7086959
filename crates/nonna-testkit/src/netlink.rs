//! Brings the loopback device up, with one message to rtnetlink.
//!
//! A new network namespace has a loopback device that is down, and nothing else. This is the only network configuration that
//! every test needs, so it must not depend on a tool.

use std::io;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, netlink};

/// `RTM_NEWLINK` (`linux/rtnetlink.h`).
const RTM_NEWLINK: u16 = 16;
/// `NLM_F_REQUEST | NLM_F_ACK` (`linux/netlink.h`).
const REQUEST_WITH_ACK: u16 = 1 | 4;
/// `NLMSG_ERROR`: also the type of an acknowledgement.
const NLMSG_ERROR: u16 = 2;
/// `IFF_UP` (`linux/if.h`).
const IFF_UP: u32 = 1;
/// The loopback device is always the first of its namespace.
const LOOPBACK_INDEX: i32 = 1;

/// Sets the loopback device of the calling thread's network namespace up.
///
/// # Errors
///
/// What the kernel answers.
pub fn loopback_up() -> io::Result<()> {
    let socket = rustix::net::socket(AddressFamily::NETLINK, SocketType::RAW, None)?;
    let kernel = netlink::SocketAddrNetlink::new(0, 0);
    rustix::net::sendto(&socket, &new_link_up(), SendFlags::empty(), &kernel)?;
    let mut answer = [0_u8; 256];
    let (len, _) = rustix::net::recv(&socket, &mut answer[..], RecvFlags::empty())?;
    acknowledged(&answer[..len])
}

/// `struct nlmsghdr` and `struct ifinfomsg`, in the machine's byte order.
fn new_link_up() -> Vec<u8> {
    let mut message = Vec::with_capacity(32);
    message.extend(32_u32.to_ne_bytes());
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend(REQUEST_WITH_ACK.to_ne_bytes());
    message.extend(1_u32.to_ne_bytes());
    message.extend(0_u32.to_ne_bytes());
    message.extend([0, 0]);
    message.extend(0_u16.to_ne_bytes());
    message.extend(LOOPBACK_INDEX.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    message
}

/// `struct nlmsgerr` after the header: 0 acknowledges, a negative errno refuses.
fn acknowledged(answer: &[u8]) -> io::Result<()> {
    let odd = || io::Error::new(io::ErrorKind::InvalidData, "rtnetlink answered with something else");
    let kind = answer.get(4..6).and_then(|b| b.try_into().ok()).map(u16::from_ne_bytes).ok_or_else(odd)?;
    let code = answer.get(16..20).and_then(|b| b.try_into().ok()).map(i32::from_ne_bytes).ok_or_else(odd)?;
    match (kind, code) {
        (NLMSG_ERROR, 0) => Ok(()),
        (NLMSG_ERROR, code) => Err(io::Error::from_raw_os_error(-code)),
        _ => Err(odd()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_says_its_length() {
        let message = new_link_up();
        assert_eq!(u32::from_ne_bytes(message[..4].try_into().unwrap()) as usize, message.len());
    }

    #[test]
    fn answers_are_told_apart() {
        let mut answer = vec![0_u8; 20];
        answer[4..6].copy_from_slice(&NLMSG_ERROR.to_ne_bytes());
        assert!(acknowledged(&answer).is_ok());
        answer[16..20].copy_from_slice(&(-1_i32).to_ne_bytes());
        assert_eq!(acknowledged(&answer).unwrap_err().raw_os_error(), Some(1));
        assert!(acknowledged(&answer[..10]).is_err());
    }
}
