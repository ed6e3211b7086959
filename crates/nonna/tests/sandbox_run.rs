//! `nonna sandbox run` from the outside: an object made by clang over a capture, exact to the packet.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use nonna_sandbox::pcap::{CaptureReader, CaptureWriter, Captured};
use serde_json::{Value, json};

fn filter() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../nonna-sandbox/tests/objects/filter.o").to_owned()
}

fn sandbox(args: &[&str]) -> Output {
    let nonna = env!("CARGO_BIN_EXE_nonna");
    Command::new(nonna).args(["sandbox", "run"]).args(args).output().expect("nonna starts")
}

fn json(args: &[&str]) -> Vec<Value> {
    let output = sandbox(&[args, &["-f", "json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("JSON is text");
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// The folder of a test, gone at its end.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().expect("a folder"))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn sum(header: &[u8]) -> [u8; 2] {
    let words = header.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    (!((sum & 0xffff) + (sum >> 16)) as u16).to_be_bytes()
}

struct Ip4<'a> {
    ttl: u8,
    protocol: u8,
    fragment: u16,
    from: [u8; 4],
    to: [u8; 4],
    payload: &'a [u8],
}

impl Ip4<'_> {
    fn frame(&self) -> Vec<u8> {
        let mut header = vec![0x45, 0];
        header.extend((20 + self.payload.len() as u16).to_be_bytes());
        header.extend([0, 1]);
        header.extend(self.fragment.to_be_bytes());
        header.extend([self.ttl, self.protocol, 0, 0]);
        header.extend(self.from);
        header.extend(self.to);
        let sum = sum(&header);
        header[10..12].copy_from_slice(&sum);
        [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0][..], &header, self.payload].concat()
    }
}

const HERE: [u8; 4] = [10, 0, 0, 1];
const THERE: [u8; 4] = [10, 0, 0, 2];

fn udp(source: u16, destination: u16, bytes: usize) -> Vec<u8> {
    let length = (8 + bytes) as u16;
    let parts = [source.to_be_bytes(), destination.to_be_bytes(), length.to_be_bytes(), [0, 0]];
    [parts.concat(), vec![0xab; bytes]].concat()
}

fn tcp(destination: u16) -> Vec<u8> {
    let mut header = vec![0x9c, 0x40];
    header.extend(destination.to_be_bytes());
    header.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0]);
    header
}

fn ip4(ttl: u8, protocol: u8, payload: &[u8]) -> Vec<u8> {
    Ip4 { ttl, protocol, fragment: 0, from: HERE, to: THERE, payload }.frame()
}

/// Packets for `guard`: the verdict, and what the packet becomes.
fn journey() -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let mut cases = Vec::new();
    // Passed, with the time to live counted down.
    for port in [80, 443, 8080] {
        cases.push(("XDP_PASS", ip4(64, 6, &tcp(port)), ip4(63, 6, &tcp(port))));
    }
    cases.push(("XDP_PASS", ip4(2, 17, &udp(5000, 123, 48)), ip4(1, 17, &udp(5000, 123, 48))));
    // Sent back.
    let echo = ip4(64, 17, &udp(5000, 7, 20));
    let mut back =
        Ip4 { ttl: 64, protocol: 17, fragment: 0, from: THERE, to: HERE, payload: &udp(7, 5000, 20) }.frame();
    back[..12].copy_from_slice(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]);
    cases.push(("XDP_TX", echo, back));
    // A tag taken away.
    let inner = ip4(64, 6, &tcp(80));
    let tagged = [&inner[..12], &[0x81, 0, 0, 7], &inner[12..]].concat();
    cases.push(("XDP_PASS", tagged, ip4(63, 6, &tcp(80))));
    // A long answer cut at 200 bytes; a short one goes on as any other.
    let long = ip4(64, 17, &udp(53, 5000, 400));
    let cut = long[..200].to_vec();
    cases.push(("XDP_PASS", long, cut));
    cases.push(("XDP_PASS", ip4(64, 17, &udp(53, 5000, 40)), ip4(63, 17, &udp(53, 5000, 40))));
    // Dropped as they are.
    let fragment =
        Ip4 { ttl: 64, protocol: 17, fragment: 0x2000, from: HERE, to: THERE, payload: &[0; 64] }.frame();
    for dropped in [ip4(64, 6, &tcp(23)), ip4(1, 6, &tcp(80)), ip4(64, 6, &[0; 10]), fragment] {
        cases.push(("XDP_DROP", dropped.clone(), dropped));
    }
    // Not IPv4, and passed as they are.
    let arp = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 2, 8, 6], &[0; 28]].concat();
    cases.push(("XDP_PASS", arp.clone(), arp));
    cases
}

fn captured(index: u64, bytes: Vec<u8>) -> Captured {
    let original_bytes = bytes.len() as u32;
    Captured { time: Duration::new(1_700_000_000 + index, 123_456_789), original_bytes, bytes, link: 1 }
}

fn write(file: &Path, packets: impl IntoIterator<Item = Captured>) {
    let mut writer = CaptureWriter::new(std::fs::File::create(file).expect("a file"), 1).expect("a capture");
    packets.into_iter().for_each(|packet| writer.write(&packet).expect("it is written"));
}

fn read(file: &Path) -> Vec<Captured> {
    let reader = CaptureReader::new(std::fs::File::open(file).expect("a file")).expect("a capture");
    reader.map(|packet| packet.expect("a packet")).collect()
}

#[test]
fn an_xdp_filter_runs_over_a_capture() {
    let folder = Folder::new();
    let (from, to) = (folder.file("in.pcap"), folder.file("out.pcap"));
    let cases: Vec<_> = journey().into_iter().cycle().take(100).collect();
    let mut packets: Vec<Captured> = cases
        .iter()
        .enumerate()
        .map(|(index, (_, before, _))| captured(index as u64, before.clone()))
        .collect();
    packets.push(captured(100, vec![1, 2, 3]));
    write(&from, packets);
    let (from, to_name) = (from.display().to_string(), to.display().to_string());
    let args = [&filter()[..], "--program", "guard", "--pcap", &from, "--write-pcap", &to_name];
    let told = json(&args);

    let count = |verdict| cases.iter().filter(|(expected, ..)| *expected == verdict).count();
    let changed: Vec<Captured> = cases
        .iter()
        .enumerate()
        .filter(|(_, (_, before, after))| before != after)
        .map(|(index, (_, _, after))| captured(index as u64, after.clone()))
        .collect();
    assert_eq!(told[0]["packets"], 100);
    assert_eq!(
        told[0]["verdicts"],
        json!({ "XDP_DROP": count("XDP_DROP"), "XDP_PASS": count("XDP_PASS"), "XDP_TX": count("XDP_TX") })
    );
    assert_eq!(told[0]["changed"], changed.len());
    let short = "a packet of 3 bytes is too short: its headers take 14";
    assert_eq!(told[0]["left_out"], json!({ short: 1 }));
    let written = read(&to);
    assert_eq!(written.len(), changed.len());
    for (written, expected) in written.iter().zip(&changed) {
        assert_eq!(written, expected);
    }

    let plain = String::from_utf8(sandbox(&args).stdout).expect("words");
    assert!(plain.starts_with(&format!("guard over {from}: 100 packets\n  XDP_DROP  ")), "{plain}");
    assert!(plain.contains(&format!("{} packets changed, written to {to_name}\n", changed.len())), "{plain}");
    assert!(plain.contains(&format!("1 packet left out: {short}\n")), "{plain}");
}

#[test]
fn one_packet_is_told_with_its_verdict_and_bytes() {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let engines: &[&str] =
        if cfg!(target_arch = "x86_64") { &["interpreter", "jit"] } else { &["interpreter"] };
    for (engine, (verdict, before, after)) in
        engines.iter().flat_map(|e| journey().into_iter().map(move |c| (e, c)))
    {
        let packet = hex(&before);
        let told =
            json(&[&filter(), "-p", "guard", "--packet", &packet, "--repeat", "3", "--engine", engine]);
        assert_eq!(told[0]["verdict"], verdict);
        assert_eq!(told[0]["packet"], hex(&after));
        assert_eq!(told[0]["changed"], before != after);
        assert!(told[0]["instructions"].as_u64().is_some() && told[0]["ns"].as_f64().is_some());
    }
}

#[test]
fn tc_and_cgroup_programs_show_what_they_keep() {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let packet = ip4(64, 6, &tcp(443));
    let shaped = json(&[&filter(), "-p", "shape", "--packet", &hex(&packet)]);
    assert_eq!(shaped[0]["verdict"], "TC_ACT_REDIRECT");
    assert_eq!(shaped[0]["context"]["mark"], packet.len());
    let context = format!(r#"{{"packet": "{}", "mark": 1, "cb": [1, 2]}}"#, hex(&packet));
    let metered = json(&[&filter(), "-p", "meter", "--context", &context]);
    assert_eq!((&metered[0]["verdict"], &metered[0]["context"]["mark"]), (&json!("allow"), &json!(443)));
    assert_eq!(metered[0]["context"]["cb"], json!([1, 2, 0, 0, 0]));
    assert_eq!((&metered[0]["result"], &metered[0]["changed"]), (&json!(1), &json!(false)));
}

#[test]
fn what_is_wrong_is_said_with_a_name_and_a_code() {
    let folder = Folder::new();
    let (text, empty) = (folder.file("notes.txt"), folder.file("empty.pcap"));
    std::fs::write(&text, "no capture at all, but long enough to be looked at").expect("a file");
    write(&empty, []);
    let (text, filter) = (text.display().to_string(), filter());
    for (args, slug, code) in [
        (&[&filter[..], "-p", "gaurd", "--packet", "00"][..], "no-such-program", 1),
        (&[&filter, "--packet", "00"], "no-such-program", 1),
        (&[&filter, "-p", "guard", "--packet", "0g"], "bad-hex", 1),
        (&[&filter, "-p", "guard", "--packet", "00"], "bad-context", 1),
        (&[&filter, "-p", "guard", "--context", r#"{"mark": 1}"#], "no-context-field", 1),
        (&[&filter, "-p", "guard", "--pcap", &text], "bad-capture", 1),
        (&[&text, "--packet", "00"], "unreadable-object", 1),
        (&[&filter, "-p", "guard", "--memory", "00", "--unverified"], "run-stopped", 1),
    ] {
        let output = sandbox(args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(&format!("error[{slug}]")), "{args:?}: {said}");
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    }
    let output = sandbox(&[&filter, "-p", "guard", "--memory", "00", "--unverified"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("filter.c:43: void *data = (void *)(long)ctx->data"), "the line of C: {said}");
    let told = json(&[&filter, "-p", "guard", "--pcap", &empty.display().to_string()]);
    assert_eq!((&told[0]["packets"], &told[0]["ns"]), (&json!(0), &json!(0.0)));
}

#[test]
fn maps_are_told_at_the_end() {
    let folder = Folder::new();
    let file = folder.file("in.pcap");
    let limit = concat!(env!("CARGO_MANIFEST_DIR"), "/../nonna-sandbox/tests/objects/limit.o");
    // Five packets of one address, two of another, and one that is no IPv4; three are allowed.
    let from = |address: [u8; 4]| Ip4 {
        ttl: 9,
        protocol: 17,
        fragment: 0,
        from: address,
        to: THERE,
        payload: &[0; 8],
    };
    let mut packets = vec![from(HERE).frame(); 5];
    packets.extend([from([1, 2, 3, 4]).frame(), from([1, 2, 3, 4]).frame(), vec![0xff; 60]]);
    let bytes: usize = packets.iter().map(Vec::len).sum();
    write(&file, packets.into_iter().enumerate().map(|(index, packet)| captured(index as u64, packet)));
    let file = file.display().to_string();
    let args = [limit, "--pcap", &file];
    let told = json(&args);
    assert_eq!(told[0]["verdicts"], json!({ "XDP_DROP": 2, "XDP_PASS": 6 }));
    let map = |name: &str| {
        told.iter().find(|map| map["name"] == name).unwrap_or_else(|| panic!("{name}: {told:?}"))
    };
    let number =
        |number: u64| number.to_le_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let entry = |key: &str, value: u64| json!({ "key": key, "value": number(value) });
    let mut senders = map("senders")["entries"].as_array().expect("a list").clone();
    senders.sort_by_key(|entry| entry["key"].to_string());
    assert_eq!(senders, [entry("01020304", 2), entry("0a000001", 5)]);
    let verdicts = map("verdicts")["entries"].as_array().expect("a list");
    assert_eq!(verdicts[1..3], [entry("01000000", 2), entry("02000000", 6)]);
    assert_eq!(map("reached")["records"], json!(["0a000001"]));

    let plain = String::from_utf8(sandbox(&args).stdout).expect("words");
    for line in [
        "map senders (hash): 2 entries\n",
        "map verdicts (percpu_array): 5 entries, 2 not zero\n  1 -> 2\n  2 -> 6\n",
        "map reached (ringbuf): 1 record\n  0a000001\n",
        &format!("0 -> {bytes}\n"),
    ] {
        assert!(plain.contains(line), "{line} is not in\n{plain}");
    }
}

fn blocklist() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../nonna-sandbox/tests/objects/blocklist.o").to_owned()
}

#[test]
fn maps_are_filled_before_a_run() {
    let object = blocklist();
    let packet: String = ip4(9, 17, &[0; 8]).iter().map(|byte| format!("{byte:02x}")).collect();
    let run = |more: &[&str]| json(&[&[&object, "--packet", &packet, "--program"], more].concat());
    let entries = |told: &[Value], name: &str| {
        told.iter().find(|map| map["name"] == name).expect("it is told")["entries"].clone()
    };
    assert_eq!(run(&["entry"])[0]["verdict"], "XDP_PASS");
    // By number; the network that fits best says what happens.
    let told = run(&[
        "0",
        "--map",
        "blocked:10.0.0.0/8=1",
        "--map",
        "blocked:10.1.0.0/16=2",
        "--map",
        "counts:1=41",
    ]);
    assert_eq!(told[0]["verdict"], "XDP_DROP");
    assert_eq!(entries(&told, "counts")[1]["value"], "2a00000000000000");
    // What was told is where the next run begins.
    let folder = Folder::new();
    let file = folder.file("maps.jsonl");
    let lines: String = told.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(&file, lines).expect("the folder is ours");
    let again = run(&["entry", "--maps", &file.display().to_string()]);
    assert_eq!(again[0]["verdict"], "XDP_DROP");
    assert_eq!(entries(&again, "counts")[1]["value"], "2b00000000000000");
    // Programs stand in program arrays by name.
    for engine in ["interpreter", "jit"] {
        let told = run(&["entry", "--map", "next:0=bounce", "--engine", engine]);
        assert_eq!(told[0]["verdict"], "XDP_TX", "{engine}");
    }
    let plain = sandbox(&[
        &object,
        "-p",
        "entry",
        "--packet",
        &packet,
        "--map",
        "blocked:10.0.0.0/8=1",
        "--map",
        "next:3=bounce",
    ]);
    let plain = String::from_utf8(plain.stdout).expect("words");
    for line in ["10.0.0.0/8 -> 1\n", "3 -> bounce\n"] {
        assert!(plain.contains(line), "{line} is not in\n{plain}");
    }
}

#[test]
fn entries_that_do_not_fit_are_told_all_at_once() {
    let object = blocklist();
    let output = sandbox(&[
        &object,
        "-p",
        "entry",
        "--packet",
        "00",
        "--map",
        "blcked:1=2",
        "--map",
        "blocked:10.0.0.300=1",
        "--map",
        "counts:1=0x00",
        "--map",
        "counts:2=1",
        "--map",
        "next:0=entr",
        "--map",
        "blocked",
        "--map",
        "blocked:10.0.0.0/33=1",
    ]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for words in [
        "no map `blcked`",
        "did you mean `blocked`?",
        "`10.0.0.300` is neither",
        "has 1 bytes, and 8 are wanted",
        "`counts` does not take it",
        "nothing of the name `entr`",
        "MAP:KEY=VALUE",
        "`33` is no length of a prefix",
    ] {
        assert!(said.contains(words), "{words} is not in\n{said}");
    }
    assert_eq!(said.matches("error[bad-map-entry]").count(), 7, "{said}");
}
