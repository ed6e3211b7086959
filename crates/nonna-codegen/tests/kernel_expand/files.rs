//! Paths of open files, and filters on them, by a sensor on `flock`.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nonna_bpf::{Hook, SyscallPhase};
use nonna_codegen::Options;
use nonna_event::{DropReason, Event, FieldType, Ring};
use nonna_ir::{FieldSource, Inst, PathSource, Predicate, Relation, TextTest, Type};
use nonna_testkit::{KernelTest, Outcome};
use rustix::fs::{FlockOperation, MemfdFlags};

use crate::kit::{Builder, Fault, Running, string};

pub fn tests() -> Vec<KernelTest> {
    vec![
        crate::test(
            "files_have_the_names_that_the_kernel_gives",
            &[],
            files_have_the_names_that_the_kernel_gives,
        ),
        crate::test("a_filter_lets_through_what_it_describes", &[], a_filter_lets_through_what_it_describes),
        crate::test("many_patterns_are_told_apart", &[], many_patterns_are_told_apart),
        crate::test("threads_do_not_mix_their_paths", &[], threads_do_not_mix_their_paths),
        crate::test("a_flood_is_counted_to_the_last_record", &[], a_flood_is_counted_to_the_last_record),
    ]
}

/// Fields of the event.
const PID: usize = 0;
const FD: usize = 1;
const PATH: usize = 2;

/// Reports the path behind each descriptor that this process gives to `flock`.
fn watch_flock(filter: Predicate) -> Result<Running, Fault> {
    flock_sensor(filter)?.run()
}

fn flock_sensor(filter: Predicate) -> Result<Builder, Fault> {
    let mut builder = Builder::new()?;
    let fields = [
        ("pid", FieldType::Unsigned { bytes: 4 }),
        ("fd", FieldType::Signed { bytes: 4 }),
        ("path", FieldType::Path),
        ("result", FieldType::Signed { bytes: 4 }),
    ];
    let event = builder.event("flock", Ring::Volume, &fields);
    let hook = Hook::Syscall { phase: SyscallPhase::Exit, name: "flock".to_owned() };
    let mine =
        Predicate::Integer { field: PID, relation: Relation::Eq, value: i64::from(std::process::id()) };
    builder.program("flock", hook, |body| {
        let fd = body.b.arg(0, Type::Int);
        let pid = body.pid();
        let file = body.file(fd);
        let result = body.b.inst(Inst::ReturnValue, Type::Int);
        let fields = vec![
            FieldSource::Scalar(pid),
            FieldSource::Scalar(fd),
            FieldSource::Path { source: PathSource::File, pointer: file },
            FieldSource::Scalar(result),
        ];
        body.b.effect(Inst::Emit { event, fields, filter: Some(Predicate::All(vec![mine, filter])) });
    });
    Ok(builder)
}

/// Unlocks a descriptor, which does nothing and is seen; some cannot be locked, and are seen too.
pub fn touch(fd: &impl AsFd) {
    let _ = rustix::fs::flock(fd, FlockOperation::NonBlockingUnlock);
}

/// What the kernel itself calls the file.
fn name_by_kernel(fd: &impl AsFd) -> Result<String, Fault> {
    let link = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
    Ok(std::fs::read_link(link)?.to_string_lossy().into_owned())
}

fn open(path: &str) -> Result<OwnedFd, Fault> {
    Ok(std::fs::File::open(path)?.into())
}

fn files_have_the_names_that_the_kernel_gives() -> Outcome {
    let mut running = watch_flock(Predicate::True)?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("gone");
    let gone = std::fs::File::create(&path)?;
    std::fs::remove_file(&path)?;
    let (pipe, _writer) = rustix::pipe::pipe()?;
    let files: Vec<OwnedFd> = vec![
        gone.into(),
        pipe,
        std::net::UdpSocket::bind("127.0.0.1:0")?.into(),
        rustix::fs::memfd_create("in memory", MemfdFlags::empty())?,
        rustix::event::eventfd(0, rustix::event::EventfdFlags::empty())?,
        rustix::event::epoll::create(rustix::event::epoll::CreateFlags::empty())?,
        rustix::process::pidfd_open(rustix::process::getpid(), rustix::process::PidfdFlags::empty())?,
        open("/")?,
        open("/dev/null")?,
        open("/proc/self/status")?,
        open("/proc/self/ns/net")?,
        open("/proc/self/ns/pid_for_children")?,
        open("/sys/kernel/btf/vmlinux")?,
        open("/sys/fs/cgroup")?,
    ];
    for file in &files {
        touch(file);
        let fd = i64::from(file.as_raw_fd());
        let event = running.find(|event| event.signed("fd") == Some(fd))?;
        assert_eq!(string(&event, "path"), name_by_kernel(file)?);
    }
    Ok(())
}

fn seen(running: &mut Running, files: &[OwnedFd]) -> Result<Vec<String>, Fault> {
    files.iter().for_each(touch);
    Ok(running.events()?.iter().map(|event| string(event, "path")).collect())
}

fn a_filter_lets_through_what_it_describes() -> Outcome {
    let folder = tempfile::tempdir()?;
    let folder = folder.path().canonicalize()?;
    let base = folder.to_string_lossy().into_owned();
    let names = ["a", "ab", "abc", "alpha.conf", "alpha.conf.d", "b/inner/deep/file.so", "b/inner/deepest"];
    let mut files = Vec::new();
    for name in names {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().ok_or("a path has a folder")?)?;
        files.push(OwnedFd::from(std::fs::File::create(path)?));
    }
    let at = |name: &str| format!("{base}/{name}").into_bytes();
    let text = |any: Vec<TextTest>| Predicate::Text { field: PATH, any };
    use TextTest::{Contains, EndsWith, Equals, StartsWith};
    let fds: Vec<i64> = files.iter().map(|file| i64::from(file.as_raw_fd())).collect();
    let cases: Vec<(Predicate, Vec<usize>)> = vec![
        (text(vec![Equals(at("ab"))]), vec![1]),
        (text(vec![StartsWith(at("ab"))]), vec![1, 2]),
        (text(vec![StartsWith(at("alpha")), Equals(at("a")), Equals(at("b/inner"))]), vec![0, 3, 4]),
        (text(vec![EndsWith(b".conf".to_vec()), EndsWith(b"/deep/file.so".to_vec())]), vec![3, 5]),
        (text(vec![StartsWith(at("b/inner/deep/")), StartsWith(at("b/inner/deepest/"))]), vec![5]),
        (Predicate::Not(Box::new(text(vec![StartsWith(at("a")), EndsWith(b".so".to_vec())]))), vec![6]),
        (text(vec![Contains(b"alpha.conf.".to_vec()), Contains(b"/deep/".to_vec())]), vec![4, 5]),
        (text(vec![Contains(b"/abc".to_vec()), Contains(at("b/inner/deepest"))]), vec![2, 6]),
        (Predicate::Not(Box::new(text(vec![Contains(b"/inner/dee".to_vec())]))), vec![0, 1, 2, 3, 4]),
        (
            Predicate::Any(vec![
                Predicate::All(vec![
                    Predicate::OneOf { field: FD, values: fds[..5].to_vec() },
                    text(vec![EndsWith(b"c".to_vec())]),
                ]),
                Predicate::Integer { field: FD, relation: Relation::Ge, value: fds[6] },
            ]),
            vec![2, 6],
        ),
        (Predicate::OneOf { field: FD, values: fds.iter().rev().copied().collect() }, (0..7).collect()),
        (Predicate::Integer { field: FD, relation: Relation::Lt, value: 0 }, vec![]),
        (text(vec![]), vec![]),
        (Predicate::False, vec![]),
    ];
    for (predicate, expected) in cases {
        let mut running = watch_flock(predicate.clone())?;
        let expected: Vec<String> = expected.iter().map(|&nth| format!("{base}/{}", names[nth])).collect();
        assert_eq!(seen(&mut running, &files)?, expected, "{predicate}");
    }
    Ok(())
}

fn many_patterns_are_told_apart() -> Outcome {
    let folder = tempfile::tempdir()?;
    let folder = folder.path().canonicalize()?;
    let base = folder.to_string_lossy().into_owned();
    let name = |nth: usize| format!("{base}/file_{:03}{}", nth, "x".repeat(nth % 11));
    let files = (0..100).map(|nth| Ok(std::fs::File::create(name(nth))?.into()));
    let files: Vec<OwnedFd> = files.collect::<Result<_, Fault>>()?;
    let wanted: Vec<usize> = (0..100).filter(|nth| nth % 3 == 0).collect();
    let tests = wanted.iter().map(|&nth| match nth % 2 {
        0 => TextTest::Equals(name(nth).into_bytes()),
        _ => TextTest::StartsWith(name(nth).into_bytes()),
    });
    let mut running = watch_flock(Predicate::Text { field: PATH, any: tests.collect() })?;
    let expected: Vec<String> = wanted.into_iter().map(name).collect();
    assert_eq!(seen(&mut running, &files)?, expected);
    Ok(())
}

/// Programs that interrupt and preempt each other each work in their own memory.
fn threads_do_not_mix_their_paths() -> Outcome {
    const ROUNDS: usize = 2000;
    let mut running = watch_flock(Predicate::True)?;
    let folder = tempfile::tempdir()?;
    let folder = folder.path().canonicalize()?;
    // All files are open before the first thread runs: a descriptor that is closed early gets a second path.
    let files: Vec<(String, std::fs::File)> = (0..8)
        .map(|nth| {
            let path = folder.join(format!("{nth}").repeat(20 * (nth + 1)));
            let file = std::fs::File::create(&path)?;
            Ok((path.to_string_lossy().into_owned(), file))
        })
        .collect::<Result<_, Fault>>()?;
    let threads: Vec<(String, i64, std::thread::JoinHandle<()>)> = files
        .into_iter()
        .map(|(path, file)| {
            let fd = i64::from(file.as_raw_fd());
            let run = move || (0..ROUNDS).for_each(|_| touch(&file));
            (path, fd, std::thread::spawn(run))
        })
        .collect();
    let mut counts = vec![0; threads.len()];
    let mut check = |events: Vec<Event>| {
        for event in events {
            let nth =
                threads.iter().position(|(_, fd, _)| event.signed("fd") == Some(*fd)).expect("a thread's");
            assert_eq!(string(&event, "path"), threads[nth].0);
            counts[nth] += 1;
        }
    };
    while threads.iter().any(|(_, _, thread)| !thread.is_finished()) {
        check(running.events()?);
    }
    check(running.events()?);
    assert_eq!(running.drops(DropReason::RingFull { event_idx: 0 })?, 0);
    let busy = usize::try_from(running.drops(DropReason::ScratchBusy)?)?;
    assert_eq!(counts.iter().sum::<usize>() + busy, 8 * ROUNDS);
    threads.into_iter().for_each(|(_, _, thread)| thread.join().expect("the thread ran to its end"));
    Ok(())
}

/// A ring that nobody reads fills up, and every record that found no room is counted.
fn a_flood_is_counted_to_the_last_record() -> Outcome {
    const CALLS: u64 = 20_000;
    let options = Options { volume_ring_bytes: 4096, ..Options::default() };
    let mut running = flock_sensor(Predicate::True)?.run_with(&options)?;
    let file = std::fs::File::open("/")?;
    for _ in 0..CALLS {
        touch(&file);
    }
    let kept = u64::try_from(running.events()?.len())?;
    let lost = running.drops(DropReason::RingFull { event_idx: 0 })?;
    let busy = running.drops(DropReason::ScratchBusy)?;
    assert!(kept > 10 && lost > 0, "{kept} kept, {lost} lost");
    assert_eq!(kept + lost + busy, CALLS);
    Ok(())
}
