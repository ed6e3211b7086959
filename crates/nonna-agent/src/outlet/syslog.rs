//! Syslog: one datagram an alert, as RFC 3164 to this machine's daemon and as RFC 5424 over UDP.
//!
//! A datagram is one line of text, so there is no crate for it here. The facility is `authpriv`, whose logs only the administrator reads.

use std::io;
use std::net::{ToSocketAddrs as _, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use jiff::fmt::strtime;
use jiff::{Timestamp, Zoned};

use super::{Line, Shared, Write};

/// `authpriv` in RFC 3164 (section 4.1.1).
const FACILITY: u8 = 10;
/// What daemons take of a local message.
const LOCAL_BYTES: usize = 8192;
/// What receivers should take of a datagram (RFC 5424, section 6.1).
const REMOTE_BYTES: usize = 2048;
/// How long a daemon may stay busy.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) enum Syslog {
    Local { socket: UnixDatagram, path: PathBuf },
    Remote { socket: UdpSocket, hostname: String },
}

impl Syslog {
    pub(super) fn local(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self::Local { socket, path: path.to_owned() })
    }

    pub(super) fn remote(to: &str, hostname: &str) -> io::Result<Self> {
        let address = to.to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
        let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any)?;
        socket.set_write_timeout(Some(PATIENCE))?;
        socket.connect(address)?;
        Ok(Self::Remote { socket, hostname: hostname.to_owned() })
    }

    fn send(&self, line: &Line) -> io::Result<usize> {
        let priority = FACILITY * 8 + line.priority as u8;
        let pid = process::id();
        match self {
            Self::Local { socket, path } => {
                let time = strtime::format("%b %e %H:%M:%S", &Zoned::now()).unwrap_or_default();
                let head = format!("<{priority}>{time} nonna[{pid}]: ");
                socket.send_to(&message(head, &line.text, LOCAL_BYTES), path)
            }
            Self::Remote { socket, hostname } => {
                let head = format!("<{priority}>1 {:.6} {hostname} nonna {pid} alert - ", Timestamp::now());
                let bytes = message(head, &line.text, REMOTE_BYTES);
                // The answer to an earlier datagram, that nobody listens, comes back as an error of this one.
                socket.send(&bytes).or_else(|_| socket.send(&bytes))
            }
        }
    }
}

impl Write for Syslog {
    fn write(&mut self, lines: &[Line], _shared: &Shared, lost: &mut dyn FnMut(&str, u64)) {
        for line in lines {
            if let Err(error) = self.send(line) {
                lost(&error.kind().to_string(), 1);
            }
        }
    }
}

/// The whole datagram: control characters escaped, cut at a limit.
fn message(head: String, text: &str, most_bytes: usize) -> Vec<u8> {
    let mut message = head;
    for c in text.chars() {
        let start = message.len();
        if c.is_control() {
            message.push_str(&c.escape_default().to_string());
        } else {
            message.push(c);
        }
        if message.len() > most_bytes {
            message.truncate(start);
            break;
        }
    }
    message.into_bytes()
}
