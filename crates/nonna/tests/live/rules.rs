//! `nonna watch --rules` with the rules that most people run: what they look for is done, and each tells it exactly once.
//!
//! The deeds are those of Falco's event generator (`events/syscall` in falcosecurity/event-generator), made with programs that every
//! machine has, and with this one where a single call is meant.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::ptrace;
use nix::unistd::Pid;
use nonna_bpf::Feature;
use nonna_testkit::{KernelTest, Need, Outcome, Suite};
use serde_json::Value;

use crate::watch::Watch;
use crate::{all, stdout};

/// Says to this program, started anew, which single call to make.
const DEED: &str = "NONNA_TEST_DEED";
/// The user `daemon`, one of those that people do not log in as.
const DAEMON: u32 = 1;

/// Adds the tests of this file.
pub fn tests(suite: Suite) -> Suite {
    let needs = [
        Need::Root,
        Need::Feature(Feature::RawTracepoint),
        Need::Feature(Feature::RingBuffer),
        Need::Path("/etc/shadow"),
        Need::Tool("dash"),
        Need::Tool("find"),
        Need::Tool("shred"),
        Need::Tool("true"),
        Need::Tool("cat"),
        Need::Tool("ln"),
        Need::Tool("ls"),
        Need::Tool("sh"),
        Need::Tool("sleep"),
        Need::Tool("cp"),
        Need::Tool("mv"),
        Need::Tool("rm"),
        Need::Tool("mkdir"),
    ];
    suite
        .test(KernelTest::new("each_deed_raises_its_rule_once", &needs, each_deed_raises_its_rule_once))
        .test(KernelTest::new(
            "containers_have_rules_of_their_own",
            &needs,
            containers_have_rules_of_their_own,
        ))
        .test(KernelTest::new("usual_work_raises_nothing", &needs, usual_work_raises_nothing))
        .test(KernelTest::new(
            "the_rules_inside_find_what_is_done",
            &needs,
            the_rules_inside_find_what_is_done,
        ))
        .test(KernelTest::new("the_cost_of_a_rule_is_explained", &needs, the_cost_of_a_rule_is_explained))
        .test(KernelTest::new("a_recording_gives_the_same_alerts", &needs, a_recording_gives_the_same_alerts))
        .test(KernelTest::new("wrong_rules_start_nothing", &[Need::Root], wrong_rules_start_nothing))
}

/// Does a single deed where this program was started for one.
pub fn do_deed() -> bool {
    match std::env::var(DEED).as_deref() {
        Ok("be held") => {
            let _ = ptrace::traceme();
        }
        Ok("hold") => {
            if let Ok(mut other) = Command::new("sleep").arg("5").spawn() {
                let pid = Pid::from_raw(other.id().cast_signed());
                if ptrace::attach(pid).is_ok() {
                    let _ = nix::sys::wait::waitpid(pid, None);
                    let _ = ptrace::detach(pid, None);
                }
                let _ = other.kill();
                let _ = other.wait();
            }
        }
        _ => return false,
    }
    true
}

/// Does a deed in a process of its own.
fn deed(what: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.env(DEED, what);
    command
}

/// The rules; guests of other kernels are given them at the same place.
pub fn rules() -> PathBuf {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(3);
    above.unwrap_or(Path::new("/")).join("shared/corpus/falco/falco_rules.yaml")
}

/// Where a program is.
fn file_of(program: &str) -> PathBuf {
    let folders = ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(program));
    folders.iter().find(|path| path.exists()).unwrap_or(&folders[0]).clone()
}

/// Another name for a program: what it is called is all that some rules look at.
fn called(program: &str, path: PathBuf) -> std::io::Result<PathBuf> {
    std::fs::copy(file_of(program), &path)?;
    Ok(path)
}

fn run(command: &mut Command) -> std::io::Result<()> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().map(|_| ())
}

/// Starts a program that no disk has.
fn run_from_memory(program: &str) -> std::io::Result<()> {
    let memory = rustix::fs::memfd_create("nothing", rustix::fs::MemfdFlags::empty())?;
    let mut memory = File::from(memory);
    memory.write_all(&std::fs::read(file_of(program))?)?;
    run(&mut Command::new(format!("/proc/self/fd/{}", memory.as_raw_fd())))
}

/// Alerts as Falco's JSON, of what happened meanwhile.
fn alerts_of(
    deeds: impl FnOnce() -> std::io::Result<()>,
) -> Result<Vec<Value>, Box<dyn std::error::Error + Send + Sync>> {
    let rules = rules();
    let rules = rules.to_str().ok_or("the path is text")?;
    let watch = Watch::start(&["--rules", rules, "-f", "falco"])?;
    deeds()?;
    let output = watch.stop()?;
    let lines = stdout(&output);
    let alerts: Result<Vec<Value>, _> = lines.lines().map(serde_json::from_str).collect();
    Ok(alerts.map_err(|error| format!("{error}: {}", all(&output)))?)
}

fn each_deed_raises_its_rule_once() -> Outcome {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755))?;
    let starter = called("dash", at("starter"))?;
    let reader = called("cat", at("reader"))?;
    let server = called("dash", at("httpd"))?;
    let login = called("dash", at("login"))?;
    std::fs::write(at("syslog"), "x")?;
    std::fs::write(at("doomed"), "x")?;
    let shm = Path::new("/dev/shm").join(format!("nonna-{}.sh", std::process::id()));
    std::fs::write(&shm, "#!/bin/sh\ntrue\n")?;
    std::fs::set_permissions(&shm, PermissionsExt::from_mode(0o755))?;
    let alerts = alerts_of(|| {
        let mut waiting = Command::new(&server)
            .args(["-c", "sleep 6; read line < /etc/shadow"])
            .stderr(Stdio::null())
            .spawn()?;
        File::create(at("syslog"))?;
        run(Command::new("ln").arg("-v").arg("/etc/shadow").arg(at("shadow_link")))?;
        run(Command::new("ln").args(["-s", "/etc"]).arg(at("etc_link")))?;
        let traversal = format!("{} /etc/../etc/../etc/shadow; true", reader.display());
        run(Command::new(&starter).args(["-c", &traversal]))?;
        run(Command::new("sh").arg("-c").arg(&shm))?;
        run_from_memory("true")?;
        run(Command::new("find").args(["/tmp", "-maxdepth", "1", "-iname", ".aws/credentials"]))?;
        run(Command::new("find").args(["/tmp", "-maxdepth", "1", "-iname", "id_rsa"]))?;
        run(&mut deed("be held"))?;
        run(&mut deed("hold"))?;
        run(Command::new(&reader).arg("/etc/shadow"))?;
        run(Command::new("shred").arg("-u").arg(at("doomed")))?;
        run(Command::new(&server).args(["-c", "sh -c 'ls > /dev/null'; true"]))?;
        run(Command::new(&login).args(["-c", "true"]).uid(DAEMON).gid(DAEMON))?;
        waiting.wait().map(|_| ())
    });
    std::fs::remove_file(&shm)?;
    let alerts = alerts?;
    let expected = [
        "Clear Log Activities",
        "Create Hardlink Over Sensitive Files",
        "Create Symlink Over Sensitive Files",
        "Directory traversal monitored file read",
        "Execution from /dev/shm",
        "Fileless execution via memfd_create",
        "Find AWS Credentials",
        "Search Private Keys or Passwords",
        "PTRACE anti-debug attempt",
        "PTRACE attached to process",
        "Read sensitive file untrusted",
        "Remove Bulk Data from Disk",
        "Run shell untrusted",
        "System user interactive",
        "Read sensitive file trusted after startup",
    ];
    let folder = folder.path().to_string_lossy().into_owned();
    // A machine without that account has no name for whoever it is.
    let has_daemon =
        std::fs::read_to_string("/etc/passwd")?.lines().any(|line| line.starts_with("daemon:x:1:"));
    for rule in expected.into_iter().filter(|rule| has_daemon || *rule != "System user interactive") {
        let found: Vec<&Value> = alerts.iter().filter(|alert| alert["rule"] == rule).collect();
        // Others work on this machine too: what this test did is known by where.
        let own = found.iter().filter(|alert| is_own(alert, &folder)).count();
        assert_eq!(own, 1, "{rule}: {alerts:#?}");
    }
    let alert =
        alerts.iter().find(|alert| alert["rule"] == "Read sensitive file untrusted").ok_or("it is there")?;
    assert_eq!(alert["priority"], "Warning");
    assert_eq!(alert["output_fields"]["fd.name"], "/etc/shadow");
    assert_eq!(alert["output_fields"]["proc.name"], "reader");
    assert_eq!(alert["source"], "syscall");
    Ok(())
}

/// Whether an alert is of this test: it names its folder, or what only this test does.
fn is_own(alert: &Value, folder: &str) -> bool {
    let text = alert.to_string();
    let parts = ["/proc/self/fd/", "/proc/self/exe", "nonna-", ".aws/credentials", "id_rsa", "ln -"];
    text.contains(folder) || parts.iter().any(|part| text.contains(part)) || text.contains("kernel_live")
}

/// A process is in a container if its control group is named as a container's.
fn containers_have_rules_of_their_own() -> Outcome {
    let id = "f00dcafe".repeat(8);
    let group =
        nonna_kernel::cgroup_root().ok_or("control groups are mounted")?.join(format!("docker-{id}.scope"));
    std::fs::create_dir(&group)?;
    let folder = tempfile::tempdir()?;
    let command = format!(
        "echo $$ > {}/cgroup.procs; exec find {} -name id_rsa",
        group.display(),
        folder.path().display()
    );
    let alerts = alerts_of(|| run(Command::new("dash").args(["-c", &command])));
    std::fs::remove_dir(&group)?;
    let alerts = alerts?;
    let folder = folder.path().to_string_lossy().into_owned();
    let found: Vec<&Value> = alerts.iter().filter(|alert| alert.to_string().contains(&folder)).collect();
    assert_eq!(found.len(), 1, "{alerts:#?}");
    assert_eq!(found[0]["rule"], "Search Private Keys or Passwords");
    Ok(())
}

/// Files are written, copied and removed, and programs started, by nobody in particular.
fn usual_work_raises_nothing() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().display();
    let work = format!(
        "cd {path}; for i in 1 2 3 4 5 6 7 8; do echo $i > f$i; cp f$i g$i; mv g$i h$i; done; find . -name 'f*' > list; \
         cat list f1; mkdir -p a/b; ln -s ../f1 a/link; rm -r a f1; ls -l"
    );
    let alerts = alerts_of(|| {
        run(Command::new("dash").args(["-c", &work]))?;
        std::thread::sleep(Duration::from_millis(50));
        Ok(())
    })?;
    let folder = folder.path().to_string_lossy().into_owned();
    let own: Vec<&Value> = alerts.iter().filter(|alert| alert.to_string().contains(&folder)).collect();
    assert!(own.is_empty(), "{own:#?}");
    Ok(())
}

/// Without rules of one's own, what those inside find is told beside everything else.
fn the_rules_inside_find_what_is_done() -> Outcome {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755))?;
    let reader = called("cat", at("reader"))?;
    let server = called("dash", at("nginx"))?;
    let shm = Path::new("/dev/shm").join(format!("nonna-{}", std::process::id()));
    std::fs::copy(file_of("true"), &shm)?;
    std::fs::create_dir(at(".ssh"))?;
    std::fs::write(at(".ssh/id_rsa"), "x")?;
    let watch = Watch::start(&["-f", "json"])?;
    let done = (|| {
        run(Command::new(&reader).arg("/etc/shadow"))?;
        run(Command::new(&reader).arg(at(".ssh/id_rsa")))?;
        std::fs::write(at("authorized_keys"), "x")?;
        std::fs::set_permissions(at("reader"), PermissionsExt::from_mode(0o4755))?;
        run_from_memory("true")?;
        run(&mut Command::new(&shm))?;
        run(&mut deed("hold"))?;
        run(Command::new(&server).args(["-c", "sh -c 'ls > /dev/null'; true"]))?;
        run(Command::new("cp").arg(at("authorized_keys")).arg(at("copy")))
    })();
    let output = watch.stop()?;
    std::fs::remove_file(&shm)?;
    done?;
    let told = crate::watch::objects(&output)?;
    let path = folder.path().to_string_lossy().into_owned();
    for rule in [
        "The hashes of passwords are read",
        "A private key is read",
        "Somebody is given a key to log in with",
        "A program is made to run with the rights of its owner",
        "A program runs from memory",
        "A program runs from shared memory",
        "A program looks into another",
        "A web server starts a shell",
    ] {
        let own = told.iter().filter(|event| event["rule"]["name"] == rule && is_own(event, &path)).count();
        assert_eq!(own, 1, "{rule}: {}", all(&output));
    }
    let copy = Value::from(at("copy").to_string_lossy().into_owned());
    let plain: Vec<&Value> = told.iter().filter(|event| event["file"]["path"] == copy).collect();
    assert!(!plain.is_empty(), "usual work is told too: {}", all(&output));
    assert!(plain.iter().all(|event| event["rule"].is_null()), "{plain:#?}");
    Ok(())
}

/// What the kernel tests, and what is left.
fn the_cost_of_a_rule_is_explained() -> Outcome {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("rules.yaml");
    let condition = "evt.type = openat and fd.name = /etc/shadow and fd.num >= 0 and proc.name != sshd";
    let rule = format!("- rule: r\n  desc: d\n  condition: {condition}\n  output: o\n  priority: INFO\n");
    std::fs::write(&file, rule)?;
    let output = crate::nonna(&["check", "--explain-cost", file.to_str().ok_or("the path is text")?])?;
    let expected = "r\n  file_open: the kernel sends those where result >= 0 and file.path is /etc/shadow\n    \
                    the agent then tests evt.type, proc.name\n  file_open_failed: the kernel sends none\n";
    assert_eq!(stdout(&output), expected, "{}", all(&output));
    Ok(())
}

/// What was recorded gives the alerts that it would have given then, and needs no rights.
fn a_recording_gives_the_same_alerts() -> Outcome {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let reader = called("cat", at("reader"))?;
    let (file, rules) = (at("recording"), rules());
    let (file, rules) = (file.to_str().ok_or("text")?, rules.to_str().ok_or("text")?);
    let recorder = Watch::start_verb("record", &["-o", file, "--rules", rules])?;
    let live = Watch::start(&["--rules", rules, "-f", "falco"])?;
    run(Command::new(&reader).arg("/etc/shadow"))?;
    run_from_memory("true")?;
    let live = live.stop()?;
    recorder.stop()?;
    let replayed = crate::nonna(&["replay", file, "--rules", rules, "-f", "falco"])?;
    assert_eq!(replayed.status.code(), Some(0), "{}", all(&replayed));
    let path = folder.path().to_string_lossy().into_owned();
    let own = |output| -> Result<Vec<(Value, Value)>, serde_json::Error> {
        let alerts: Result<Vec<Value>, _> = stdout(output).lines().map(serde_json::from_str).collect();
        let own = alerts?.into_iter().filter(|alert| is_own(alert, &path));
        // The clocks of two agents are measured one after the other, so times may differ by some microseconds.
        Ok(own.map(|alert| (alert["rule"].clone(), alert["output_fields"]["proc.cmdline"].clone())).collect())
    };
    let (live, replayed) = (own(&live)?, own(&replayed)?);
    assert_eq!(live.len(), 2, "{live:?}");
    assert_eq!(replayed, live);
    Ok(())
}

fn wrong_rules_start_nothing() -> Outcome {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("wrong.yaml");
    std::fs::write(
        &file,
        "- rule: r\n  desc: d\n  condition: evt.type = opn\n  output: o\n  priority: INFO\n",
    )?;
    let output = crate::nonna(&["watch", "--rules", file.to_str().ok_or("the path is text")?])?;
    assert_eq!(output.status.code(), Some(1), "{}", all(&output));
    assert!(String::from_utf8_lossy(&output.stderr).contains("did you mean `open`?"), "{}", all(&output));
    Ok(())
}
