//! Places with real sockets, files and programs.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::thread;

use nonna_rules::load::Priority;

use super::*;

fn send(to: &str, rotation: Option<u64>, n_lines: u64) -> Drops {
    let address = Address::parse(to).unwrap();
    let rotation = Rotation { most_bytes: rotation, n_kept: 50 };
    let mut outlet = Outlet::start(&address, rotation, "here").unwrap();
    for n in 0..n_lines {
        outlet.send(Line { text: format!("line {n}").into(), priority: Priority::Warning });
    }
    let mut drops = Drops::new();
    outlet.end(&mut drops);
    drops
}

#[test]
fn a_file_that_rotates_has_every_line_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alerts");
    let drops = send(&format!("file:{}", path.display()), Some(4096), 10_000);
    assert_eq!(drops.total(), 0);
    let mut names: Vec<u32> = fs::read_dir(&dir)
        .unwrap()
        .filter_map(|entry| entry.unwrap().path().extension()?.to_str()?.parse().ok())
        .collect();
    names.sort_unstable_by(|a, b| b.cmp(a));
    assert!(names.len() > 5, "{names:?}");
    let old = names.iter().map(|n| fs::read_to_string(dir.path().join(format!("alerts.{n}"))).unwrap());
    let all: String = old.chain([fs::read_to_string(&path).unwrap()]).collect();
    let expected: String = (0..10_000).map(|n| format!("line {n}\n")).collect();
    assert_eq!(all, expected);
}

#[test]
fn a_full_disk_is_counted() {
    let drops = send("file:/dev/full", None, 100);
    assert_eq!(drops.total(), 100);
}

#[test]
fn syslog_gets_priority_and_text() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let socket = UnixDatagram::bind(&path).unwrap();
    assert_eq!(send(&format!("syslog:{}", path.display()), None, 1).total(), 0);
    let mut bytes = [0; 1024];
    let n_bytes = socket.recv(&mut bytes).unwrap();
    let text = std::str::from_utf8(&bytes[..n_bytes]).unwrap();
    assert!(text.starts_with("<84>") && text.ends_with(": line 0"), "{text}");
}

#[test]
fn nobody_at_the_socket_is_counted() {
    assert_eq!(send("syslog:/nonexistent/log", None, 3).total(), 3);
}

#[test]
fn a_program_reads_all_lines_before_it_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("read");
    let drops = send(&format!("program:sh -c 'cat >> {}'", path.display()), None, 1000);
    assert_eq!((drops.total(), fs::read_to_string(&path).unwrap().lines().count()), (0, 1000));
}

#[test]
fn a_webhook_gets_each_alert_over_one_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut text, mut bytes) = (String::new(), [0; 4096]);
        while text.matches("line ").count() < 3 {
            let n_bytes = stream.read(&mut bytes).unwrap();
            assert!(n_bytes > 0, "the connection was closed early: {text}");
            let before = text.matches("line ").count();
            text.push_str(std::str::from_utf8(&bytes[..n_bytes]).unwrap());
            if text.matches("line ").count() > before {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
            }
        }
        text
    });
    assert_eq!(send(&url, None, 3).total(), 0);
    let text = server.join().unwrap().to_lowercase();
    assert_eq!(text.matches("content-type: application/json").count(), 3, "{text}");
}

#[test]
fn a_webhook_that_refuses_is_counted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    assert_eq!(send(&url, None, 2).total(), 2);
}

#[test]
fn places_are_read_or_refused() {
    let address = Address::parse("falco-text+file:/a+b").unwrap();
    assert_eq!(address.shape(crate::alert::Shape::Json), crate::alert::Shape::FalcoText);
    assert_eq!(address.place, Place::File("/a+b".into()));
    assert!(
        ["", "file:", "program:", "https://x/", "pigeon:x"].iter().all(|text| Address::parse(text).is_err())
    );
}
