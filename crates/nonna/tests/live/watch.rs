//! `nonna watch`.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::Duration;

use nonna_bpf::Feature;
use nonna_testkit::{KernelTest, Need, Outcome, Suite};
use serde_json::Value;

use crate::{NONNA, all, nonna, stdout};

const NEEDS: &[Need] =
    &[Need::Root, Need::Feature(Feature::RawTracepoint), Need::Feature(Feature::RingBuffer)];

/// Programs that are started to be counted.
const N_PROGRAMS: usize = 500;

/// Adds the tests of this file.
pub fn tests(suite: Suite) -> Suite {
    let with = |needs: &[Need]| [NEEDS, needs].concat();
    let shell = with(&[Need::Tool("sh"), Need::Tool("cat"), Need::Path("/etc/shadow")]);
    let cat = with(&[Need::Tool("cat"), Need::Path("/etc/shadow")]);
    let program = with(&[Need::Tool("true")]);
    suite
        .test(KernelTest::new("a_shell_is_told_as_json", &shell, a_shell_is_told_as_json))
        .test(KernelTest::new("connections_are_told", NEEDS, connections_are_told))
        .test(KernelTest::new("sentences_are_for_people", &cat, sentences_are_for_people))
        .test(KernelTest::new("no_exec_is_lost", &program, no_exec_is_lost))
        .test(KernelTest::new("long_arguments_are_marked_as_cut", &program, long_arguments_are_marked))
        .test(KernelTest::new("exits_are_told_once", NEEDS, exits_are_told_once))
        .test(KernelTest::new("without_root_it_says_what_it_lacks", &[Need::Root], without_root))
        .test(KernelTest::new("unknown_events_are_refused", NEEDS, unknown_events_are_refused))
}

/// A running `nonna watch`.
pub struct Watch {
    child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Watch {
    /// Starts it and waits until it watches.
    pub fn start(args: &[&str]) -> std::io::Result<Self> {
        Watch::start_verb("watch", args)
    }

    /// The same for another verb that watches.
    pub fn start_verb(verb: &str, args: &[&str]) -> std::io::Result<Self> {
        let mut child =
            Command::new(NONNA).arg(verb).args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let stderr = child.stderr.take().ok_or_else(|| std::io::Error::other("standard error is piped"))?;
        let mut stderr = BufReader::new(stderr);
        let mut line = String::new();
        while !line.contains("watches") {
            line.clear();
            if stderr.read_line(&mut line)? == 0 {
                let output = child.wait_with_output()?;
                return Err(std::io::Error::other(format!("it ended: {}", all(&output))));
            }
        }
        Ok(Self { child, stderr })
    }

    /// Ends it as Ctrl-C does and returns what it printed.
    pub fn stop(self) -> std::io::Result<Output> {
        // Records of the last moment are still on their way.
        std::thread::sleep(Duration::from_millis(100));
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        let pid = pid.ok_or_else(|| std::io::Error::other("a child has a pid"))?;
        rustix::process::kill_process(pid, rustix::process::Signal::INT)?;
        let Self { child, mut stderr } = self;
        let reading = std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = std::io::Read::read_to_end(&mut stderr, &mut text);
            text
        });
        let mut output = child.wait_with_output()?;
        output.stderr = reading.join().unwrap_or_default();
        Ok(output)
    }
}

/// The lines of JSON that were printed.
pub fn objects(output: &Output) -> Result<Vec<Value>, serde_json::Error> {
    stdout(output).lines().map(serde_json::from_str).collect()
}

/// Events of a name whose process has this name.
fn of<'v>(events: &'v [Value], event: &str, name: &str) -> Vec<&'v Value> {
    events.iter().filter(|e| e["event"] == event && e["process"]["name"] == name).collect()
}

fn a_shell_is_told_as_json() -> Outcome {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("x");
    let watch = Watch::start(&["-f", "json"])?;
    let script = format!("cat /etc/shadow > {}; exit 3", file.display());
    let mut shell = Command::new("sh").args(["-c", &script]).spawn()?;
    let pid = shell.id();
    shell.wait()?;
    let output = watch.stop()?;
    let events = objects(&output)?;
    let shells = of(&events, "process_exec", "sh");
    let shell = shells.iter().find(|e| e["process"]["pid"] == pid).ok_or_else(|| all(&output))?;
    assert_eq!(shell["process"]["args"], serde_json::json!(["sh", "-c", script]));
    assert_eq!(shell["process"]["ppid"], std::process::id());
    assert_eq!(shell["process"]["user"], "root");
    let cats = of(&events, "process_exec", "cat");
    let cat = cats.iter().find(|e| e["process"]["ppid"] == pid).ok_or_else(|| all(&output))?;
    assert_eq!(cat["parent"]["exec_id"], shell["process"]["exec_id"]);
    let opened = |name: &str, path: &str| {
        of(&events, "file_open", name).into_iter().find(|e| e["file"]["path"] == path).cloned()
    };
    let shadow = opened("cat", "/etc/shadow").ok_or_else(|| all(&output))?;
    assert_eq!(shadow["file"]["access"], "read");
    let path = file.to_str().ok_or("the path is text")?;
    let written = opened("sh", path).ok_or_else(|| all(&output))?;
    assert_eq!((&written["file"]["access"], &written["file"]["created"]), (&"write".into(), &true.into()));
    let exits = of(&events, "process_exit", "sh");
    let exit = exits.iter().find(|e| e["process"]["pid"] == pid).ok_or_else(|| all(&output))?;
    assert_eq!(exit["exit_code"], 3);
    let last = events.last().ok_or("there is a summary")?;
    assert_eq!((&last["event"], &last["drops"]), (&"summary".into(), &serde_json::json!([])));
    assert_eq!(output.status.code(), Some(130));
    Ok(())
}

fn connections_are_told() -> Outcome {
    let watch = Watch::start(&["-f", "json"])?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    assert!(TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err());
    let blocking = TcpStream::connect(address);
    assert!(blocking.is_err());
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    let _client = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    listener.accept()?;
    let output = watch.stop()?;
    let events = objects(&output)?;
    let pid = std::process::id();
    let find = |event: &str, port_field: &str, port: u16| {
        let mine = events.iter().filter(|e| e["event"] == event && e["process"]["pid"] == pid);
        mine.filter(|e| e["network"][port_field] == port).cloned().collect::<Vec<_>>()
    };
    let refused = find("connect", "remote_port", 9);
    let refused = refused.iter().find(|e| e["errno"] == "ECONNREFUSED").ok_or_else(|| all(&output))?;
    assert_eq!(refused["network"]["remote_address"], "127.0.0.1");
    assert_eq!(
        (&refused["network"]["family"], &refused["network"]["protocol"]),
        (&"AF_INET".into(), &"tcp".into())
    );
    assert_eq!(find("connect", "remote_port", port)[0]["result"], 0);
    assert_eq!(find("listen", "local_port", port).len(), 1, "{}", all(&output));
    assert_eq!(find("accept", "local_port", port).len(), 1, "{}", all(&output));
    Ok(())
}

fn sentences_are_for_people() -> Outcome {
    let watch = Watch::start(&[])?;
    Command::new("cat").arg("/etc/shadow").stdout(Stdio::null()).status()?;
    let output = watch.stop()?;
    let text = stdout(&output);
    let told = text.lines().any(|line| {
        line.contains("cat (pid ") && line.ends_with("read /etc/shadow, which holds the password hashes.")
    });
    assert!(told, "{}", all(&output));
    Ok(())
}

fn no_exec_is_lost() -> Outcome {
    let watch = Watch::start(&["-f", "json"])?;
    for _ in 0..N_PROGRAMS {
        Command::new("true").status()?;
    }
    let output = watch.stop()?;
    let events = objects(&output)?;
    let me = std::process::id();
    for event in ["process_exec", "process_exit"] {
        let told = of(&events, event, "true").into_iter().filter(|e| e["process"]["ppid"] == me).count();
        assert_eq!(told, N_PROGRAMS, "{event}");
    }
    assert_eq!(events.last().ok_or("there is a summary")?["drops"], serde_json::json!([]));
    Ok(())
}

/// The program is over before anybody could look up the rest.
fn long_arguments_are_marked() -> Outcome {
    let args = vec!["x".repeat(999); 50];
    let watch = Watch::start(&["-f", "json"])?;
    Command::new("true").args(&args).status()?;
    Command::new("true").arg("short").status()?;
    let output = watch.stop()?;
    let events = objects(&output)?;
    let mine = of(&events, "process_exec", "true");
    let mine: Vec<&Value> =
        mine.iter().map(|e| &e["process"]).filter(|p| p["ppid"] == std::process::id()).collect();
    let [long, short] = mine.as_slice() else { return Err(all(&output).into()) };
    let whole_bytes = "true".len() + 1 + 50 * 1000;
    if long["args_truncated"] == true {
        assert_eq!(long["args_bytes"], whole_bytes);
        let kept = long["args"].as_array().ok_or("arguments are a list")?;
        // What is kept are whole arguments and the beginning of one.
        assert!(kept.len() > 7 && kept.len() < 51, "{}", kept.len());
        assert!(kept[1..].iter().all(|arg| args[0].starts_with(arg.as_str().unwrap_or("?"))));
    } else {
        // A slow end leaves the time to look; then nothing may be missing.
        assert_eq!(long["args"].as_array().map(Vec::len), Some(51));
    }
    assert_eq!(
        (&short["args"], &short["args_truncated"]),
        (&serde_json::json!(["true", "short"]), &Value::Null)
    );
    Ok(())
}

/// Threads that race to the end are one process that ends once.
fn exits_are_told_once() -> Outcome {
    let watch = Watch::start(&["-f", "json"])?;
    let mut pids = Vec::new();
    for _ in 0..20 {
        // A script has threads for its records and for signals; its end takes them all down at once.
        let script = ["trace", "-q", "-e", "BEGIN { exit(); }"];
        let mut child = Command::new(NONNA).args(script).stdout(Stdio::null()).spawn()?;
        pids.push(child.id());
        child.wait()?;
    }
    let output = watch.stop()?;
    let events = objects(&output)?;
    for pid in pids {
        let exits = events.iter().filter(|e| e["event"] == "process_exit" && e["process"]["pid"] == pid);
        assert_eq!(exits.count(), 1, "{}", all(&output));
    }
    Ok(())
}

fn without_root() -> Outcome {
    let folder = tempfile::tempdir()?;
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let copy = folder.path().join("nonna");
    std::fs::copy(NONNA, &copy)?;
    let output = Command::new(&copy).arg("watch").uid(65534).gid(65534).stdin(Stdio::null()).output()?;
    assert_eq!(output.status.code(), Some(2), "{}", all(&output));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("sudo") && text.contains("check"), "{}", all(&output));
    assert!(!text.contains("os error"), "{}", all(&output));
    Ok(())
}

fn unknown_events_are_refused() -> Outcome {
    let output = nonna(&["watch", "--event", "proces_exec"])?;
    assert_eq!(output.status.code(), Some(2), "{}", all(&output));
    assert!(String::from_utf8_lossy(&output.stderr).contains("process_exec"), "{}", all(&output));
    Ok(())
}
