//! Events of programs that start: paths, arguments, environment.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nonna_bpf::Hook;
use nonna_event::{ARGS_MAX_BYTES, Event, FieldType, Ring, Value};
use nonna_ir::{DataDecl, FieldSource, PathSource, Space};
use nonna_testkit::{KernelTest, Need, Outcome};

use crate::elf;
use crate::kit::{Builder, Fault, Running, string, text};

pub fn tests() -> Vec<KernelTest> {
    vec![
        crate::test(
            "a_program_comes_with_path_arguments_and_environment",
            &[],
            a_program_comes_with_path_arguments_and_environment,
        ),
        crate::test(
            "a_deep_path_is_whole_and_a_deeper_one_keeps_its_end",
            &[],
            a_deep_path_is_whole_and_a_deeper_one_keeps_its_end,
        ),
        crate::test("too_many_arguments_are_cut_and_counted", &[], too_many_arguments_are_cut_and_counted),
        crate::test(
            "mounts_are_crossed_and_roots_end_paths",
            &[Need::Tool("chroot")],
            mounts_are_crossed_and_roots_end_paths,
        ),
        crate::test("a_deleted_program_says_so", &[], a_deleted_program_says_so),
    ]
}

/// Watches programs start: everything that an exec sensor reads.
fn watch_exec() -> Result<Running, Fault> {
    let mut builder = Builder::new()?;
    let fields = [
        ("pid", FieldType::Unsigned { bytes: 4 }),
        ("exe", FieldType::Path),
        ("args", FieldType::TextList { max_bytes: ARGS_MAX_BYTES }),
        ("cwd", FieldType::Path),
        ("marker", FieldType::Text { max_bytes: 64 }),
        ("comm", FieldType::Text { max_bytes: 16 }),
    ];
    let event = builder.event("exec", Ring::Critical, &fields);
    let name = builder.module.data.push(DataDecl {
        name: "marker_name".to_owned(),
        bytes: b"NONNA_MARKER".to_vec(),
        align: 1,
        mutable: false,
    });
    let hook = Hook::RawTracepoint { event: "sched_process_exec".to_owned() };
    builder.program("exec", hook, |body| {
        let pid = body.pid();
        let task = body.task();
        let memory = body.follow(task, "task_struct", "mm", "mm_struct");
        let exe = body.follow(memory, "mm_struct", "exe_file", "file");
        let fs = body.follow(task, "task_struct", "fs", "fs_struct");
        let cwd = body.member(fs, "fs_struct", "pwd", "path");
        let comm = body.member(task, "task_struct", "comm", "task_struct");
        body.b.emit(
            event,
            vec![
                FieldSource::Scalar(pid),
                FieldSource::Path { source: PathSource::File, pointer: exe },
                FieldSource::TaskArgs { task, max_bytes: ARGS_MAX_BYTES },
                FieldSource::Path { source: PathSource::Path, pointer: cwd },
                FieldSource::TaskEnv { task, name, max_bytes: 64 },
                FieldSource::Text { space: Space::Kernel, pointer: comm, max_bytes: 16 },
            ],
        );
    });
    builder.run()
}

fn exec_of(running: &mut Running, command: &mut Command) -> Result<Event, Fault> {
    let mut child = command.spawn()?;
    let pid = u64::from(child.id());
    child.wait()?;
    running.find(|event| event.unsigned("pid") == Some(pid))
}

fn args(event: &Event) -> Vec<String> {
    match event.get("args") {
        Some(Value::TextList { items, .. }) => {
            items.iter().map(|item| String::from_utf8_lossy(item).into_owned()).collect()
        }
        other => panic!("args are {other:?}"),
    }
}

fn a_program_comes_with_path_arguments_and_environment() -> Outcome {
    let mut running = watch_exec()?;
    let folder = tempfile::tempdir()?;
    let folder = folder.path().canonicalize()?;
    let program = folder.join("program");
    elf::write_64(&program, elf::EXIT_64)?;
    let mut command = Command::new(&program);
    command.args(["one", "", "three and four"]).env("NONNA_MARKER", "found").current_dir(&folder);
    let event = exec_of(&mut running, &mut command)?;
    assert_eq!(string(&event, "exe"), program.to_string_lossy());
    assert_eq!(string(&event, "cwd"), folder.to_string_lossy());
    assert_eq!(args(&event)[1..], ["one", "", "three and four"]);
    assert_eq!(string(&event, "marker"), "found");
    assert_eq!(string(&event, "comm"), "program");
    assert!(text(&event, "marker").racy && !text(&event, "exe").racy);

    let mut bare = Command::new(&program);
    let event = exec_of(&mut running, bare.env_clear().env("NOT_NONNA_MARKER", "1").current_dir("/"))?;
    assert_eq!(event.get("marker"), Some(&Value::Absent));
    assert_eq!(string(&event, "cwd"), "/");
    Ok(())
}

fn a_deep_path_is_whole_and_a_deeper_one_keeps_its_end() -> Outcome {
    let mut running = watch_exec()?;
    let folder = tempfile::tempdir()?;
    let root = folder.path().canonicalize()?;
    let mut deep = root.clone();
    (0..60).for_each(|nth| deep.push(format!("directory_{nth}")));
    std::fs::create_dir_all(&deep)?;
    let program = deep.join("program");
    elf::write_64(&program, elf::EXIT_64)?;
    let event = exec_of(&mut running, Command::new(&program).current_dir(&deep))?;
    assert_eq!(string(&event, "exe"), program.to_string_lossy());
    assert_eq!(text(&event, "exe").truncated_from, None);

    // Longer than any path that a system call takes: entered step by step.
    let name = "n".repeat(200);
    std::env::set_current_dir(&deep)?;
    for _ in 0..40 {
        std::fs::create_dir(&name)?;
        std::env::set_current_dir(&name)?;
    }
    elf::write_64(Path::new("program"), elf::EXIT_64)?;
    let event = exec_of(&mut running, &mut Command::new("./program"))?;
    std::env::set_current_dir("/")?;
    let exe = text(&event, "exe");
    let whole = deep.as_os_str().len() + 40 * 201 + "/program".len();
    assert_eq!(exe.truncated_from, Some(u32::try_from(whole)?));
    let kept = String::from_utf8(exe.bytes.clone())?;
    assert_eq!(kept, format!("/{name}").repeat(20) + "/program");
    Ok(())
}

fn too_many_arguments_are_cut_and_counted() -> Outcome {
    let mut running = watch_exec()?;
    let folder = tempfile::tempdir()?;
    let program = folder.path().join("program");
    elf::write_64(&program, elf::EXIT_64)?;
    let many: Vec<String> = (0..3000).map(|n| n.to_string()).collect();
    let event = exec_of(&mut running, Command::new(&program).args(&many))?;
    let whole = program.as_os_str().len() + 1 + many.iter().map(|arg| arg.len() + 1).sum::<usize>();
    let Some(Value::TextList { items, truncated_from }) = event.get("args") else { panic!("{event:?}") };
    assert_eq!(*truncated_from, Some(u32::try_from(whole)?));
    let kept: usize = items.iter().map(|item| item.len() + 1).sum();
    // The last one is cut, and has no end.
    assert_eq!(kept - 1, ARGS_MAX_BYTES as usize - 1);
    Ok(())
}

fn mounts_are_crossed_and_roots_end_paths() -> Outcome {
    let mut running = watch_exec()?;
    let folder = tempfile::tempdir()?;
    let folder = folder.path().canonicalize()?;
    let (source, place) = (folder.join("source"), folder.join("place"));
    std::fs::create_dir_all(source.join("sub/inner"))?;
    std::fs::create_dir(&place)?;
    elf::write_64(&source.join("sub/inner/program"), elf::EXIT_64)?;
    rustix::mount::mount_bind(&source, &place)?;
    let through = place.join("sub/inner/program");
    let event = exec_of(&mut running, Command::new(&through).current_dir(&place))?;
    assert_eq!(string(&event, "exe"), through.to_string_lossy());
    assert_eq!(string(&event, "cwd"), place.to_string_lossy());

    for (root, program) in [("", "/sub/inner/program"), ("sub/inner", "/program")] {
        let mut child = Command::new("chroot").arg(place.join(root)).arg(program).spawn()?;
        child.wait()?;
        let event = running.find(|event| string(event, "comm") == "program")?;
        assert_eq!((string(&event, "exe"), string(&event, "cwd")), (program.to_owned(), "/".to_owned()));
    }

    // A mount that is gone from the tree: its files have paths from its own root.
    std::env::set_current_dir(&place)?;
    rustix::mount::unmount(&place, rustix::mount::UnmountFlags::DETACH)?;
    let event = exec_of(&mut running, Command::new("./inner/program").current_dir("sub"));
    std::env::set_current_dir("/")?;
    let event = event?;
    assert_eq!((string(&event, "exe"), string(&event, "cwd")), ("/sub/inner/program".into(), "/sub".into()));
    Ok(())
}

fn a_deleted_program_says_so() -> Outcome {
    let mut running = watch_exec()?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().canonicalize()?.join("program");
    elf::write_64(&path, elf::EXIT_64)?;
    let file = std::fs::File::open(&path)?;
    std::fs::remove_file(&path)?;
    let by_descriptor = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
    let mut command = Command::new(by_descriptor);
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty())?;
    let event = exec_of(&mut running, command.arg0("gone"))?;
    assert_eq!(string(&event, "exe"), format!("{} (deleted)", path.display()));
    Ok(())
}
