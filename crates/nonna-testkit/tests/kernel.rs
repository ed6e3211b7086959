//! The testkit's own promises, held on every kernel: isolation, leaks, time limits and honest skips.
//!
//! A test that must fail cannot be a test of the suite, so those run this binary again with another suite in it.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, ExitCode, Output};
use std::time::Duration;

use nonna_testkit::{KernelTest, Need, Outcome, Share, Suite, Verdict};

/// Chooses the suite of tests that misbehave.
const MISBEHAVING: &str = "NONNA_TESTKIT_MISBEHAVING";
const NOWHERE: &str = "a folder that does not exist";

fn main() -> ExitCode {
    if std::env::var_os(MISBEHAVING).is_some() {
        return misbehaving().main();
    }
    Suite::new("nonna-testkit", env!("CARGO_MANIFEST_DIR"))
        .test(KernelTest::new("loopback_is_up_in_a_network_of_its_own", &[Need::Root], loopback_is_up))
        .test(
            KernelTest::new("a_shared_network_is_the_machine_s", &[Need::Root], network_is_shared)
                .share(Share::Network),
        )
        .test(KernelTest::new("mounts_stay_in_the_test", &[Need::Root], mounts_stay))
        .test(KernelTest::new("bpffs_and_tracefs_are_mounted", &[Need::Root], kernel_file_systems))
        .test(KernelTest::new("the_cgroup_is_its_own", &[Need::Root], cgroup_is_own))
        .test(KernelTest::new("an_open_file_fails_its_test", &[Need::Root], || {
            fails_with("leaves_a_file_open", "left open: ")
        }))
        .test(KernelTest::new(
            "a_process_left_behind_fails_its_test",
            &[Need::Root, Need::Tool("sleep")],
            || fails_with("leaves_a_process", "left processes running: sleep"),
        ))
        .test(KernelTest::new("a_test_that_hangs_is_killed", &[Need::Root], || {
            fails_with("hangs", "still running after")
        }))
        .test(KernelTest::new("a_panic_fails_only_its_test", &[Need::Root], || {
            fails_with("panics", "on purpose")
        }))
        .test(KernelTest::new("an_error_shows_its_causes", &[Need::Root], || {
            fails_with("returns_an_error", "not found")
        }))
        .test(KernelTest::new(
            "a_suite_that_skips_everything_fails",
            &[Need::Root],
            skipping_everything_fails,
        ))
        .test(KernelTest::new(
            "a_declared_module_and_tool_are_there",
            &[
                Need::Root,
                Need::Module("veth"),
                Need::Module("sch_ingress"),
                Need::Tool("ip"),
                Need::Tool("tc"),
            ],
            module_and_tool,
        ))
        .main()
}

fn misbehaving() -> Suite {
    let pins = format!("{}/{NOWHERE}", env!("CARGO_MANIFEST_DIR"));
    let mut suite = Suite::new("misbehaving", &pins);
    if std::env::var(MISBEHAVING).is_ok_and(|which| which == "skips_everything") {
        let probe = Need::Probe { name: "moon", probe: || Err("no moon tonight".to_owned()) };
        return suite.test(KernelTest::new("skips_everything", &[probe], || Ok(())));
    }
    type Test = fn() -> Outcome;
    let tests: [(&str, Test); 5] = [
        ("leaves_a_file_open", || {
            std::mem::forget(std::fs::File::open("/proc/self/status")?);
            Ok(())
        }),
        ("leaves_a_process", || {
            Command::new("sleep").arg("600").spawn()?;
            Ok(())
        }),
        ("hangs", || {
            loop {
                std::thread::sleep(Duration::from_secs(600));
            }
        }),
        ("panics", || panic!("on purpose")),
        ("returns_an_error", || Err("not found".into())),
    ];
    for (name, run) in tests {
        let limit = Duration::from_millis(if name == "hangs" { 300 } else { 20_000 });
        suite = suite.test(KernelTest::new(name, &[], run).time_limit(limit));
    }
    suite
}

fn run_misbehaving(name: &str) -> std::io::Result<Output> {
    Command::new(std::env::current_exe()?)
        .args([name, "--exact"])
        .env(MISBEHAVING, name)
        .env_remove("NONNA_VERDICT_FILE")
        .output()
}

fn fails_with(name: &'static str, report: &str) -> Outcome {
    let output = run_misbehaving(name)?;
    let said = String::from_utf8(output.stdout)?;
    let verdicts = Verdict::find_all(&said);
    assert_eq!(output.status.code(), Some(101), "{said}");
    assert_eq!(verdicts.len(), 1, "{said}");
    assert_eq!((verdicts[0].passed, &verdicts[0].failures[..]), (0, &[name.to_owned()][..]), "{said}");
    assert!(said.contains(report), "{said}");
    assert!(said.trim_end().ends_with("0 passed, 1 failed, 0 skipped"), "{said}");
    Ok(())
}

fn skipping_everything_fails() -> Outcome {
    let output = run_misbehaving("skips_everything")?;
    let said = String::from_utf8(output.stdout)?;
    assert_eq!(output.status.code(), Some(101), "{said}");
    assert!(said.contains("every test was skipped"), "{said}");
    assert!(said.contains("skipped   1  needs probe moon, found: no moon tonight"), "{said}");
    Ok(())
}

fn loopback_is_up() -> Outcome {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    assert_eq!(client.peer_addr()?, listener.local_addr()?);
    let devices = std::fs::read_to_string("/proc/self/net/dev")?;
    assert_eq!(devices.lines().skip(2).count(), 1, "only the loopback device: {devices}");
    assert_ne!(std::fs::read_link("/proc/self/ns/net")?, std::fs::read_link(parent("ns/net"))?);
    Ok(())
}

fn network_is_shared() -> Outcome {
    assert_eq!(std::fs::read_link("/proc/self/ns/net")?, std::fs::read_link(parent("ns/net"))?);
    Ok(())
}

fn mounts_stay() -> Outcome {
    let folder = tempfile::tempdir()?;
    rustix::mount::mount("tmpfs", folder.path(), "tmpfs", rustix::mount::MountFlags::empty(), None)?;
    let here = std::fs::read_to_string("/proc/self/mountinfo")?;
    let there = std::fs::read_to_string(parent("mountinfo"))?;
    let path = folder.path().to_string_lossy().into_owned();
    assert!(here.contains(&path) && !there.contains(&path));
    rustix::mount::unmount(folder.path(), rustix::mount::UnmountFlags::empty())?;
    Ok(())
}

fn kernel_file_systems() -> Outcome {
    // The kernel itself may pin its two debugging iterators (`kernel/bpf/preload`).
    let made_by_others = |name: &std::ffi::OsString| !name.to_string_lossy().ends_with(".debug");
    let names: Vec<_> =
        std::fs::read_dir("/sys/fs/bpf")?.map(|e| Ok(e?.file_name())).collect::<std::io::Result<_>>()?;
    assert!(!names.iter().any(made_by_others), "a fresh bpffs is empty: {names:?}");
    let probe = Path::new("/sys/fs/bpf/made_by_a_test");
    std::fs::create_dir(probe)?;
    assert!(Path::new("/sys/kernel/tracing/events").exists());
    Ok(())
}

fn cgroup_is_own() -> Outcome {
    let own = std::fs::read_to_string("/proc/self/cgroup")?;
    let unified = own.lines().find_map(|l| l.strip_prefix("0::")).expect("the unified hierarchy has a line");
    assert!(unified.contains("nonna-test-"), "{own}");
    let processes = std::fs::read_to_string(format!(
        "{}{unified}/cgroup.procs",
        nonna_testkit::unified_mount()?.display()
    ))?;
    assert_eq!(processes.trim(), std::process::id().to_string());
    Ok(())
}

fn module_and_tool() -> Outcome {
    for (tool, args) in [
        ("ip", "link add left type veth peer name right"),
        ("ip", "link set left up"),
        ("tc", "qdisc add dev left clsact"),
    ] {
        let output = Command::new(tool).args(args.split(' ')).output()?;
        assert!(output.status.success(), "{tool} {args}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let devices = std::fs::read_to_string("/proc/self/net/dev")?;
    assert!(devices.contains("left") && devices.contains("right"), "{devices}");
    Ok(())
}

fn parent(file: &str) -> String {
    let status = std::fs::read_to_string("/proc/self/status").expect("every process has a status");
    let pid = status.lines().find_map(|l| l.strip_prefix("PPid:")).expect("a status names the parent");
    format!("/proc/{}/{file}", pid.trim())
}
