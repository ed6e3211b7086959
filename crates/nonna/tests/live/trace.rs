//! `nonna trace`.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nonna_bpf::Feature;
use nonna_testkit::{KernelTest, Need, Outcome, Suite};

use crate::{NONNA, all, nonna, stdout};

const NEEDS: &[Need] =
    &[Need::Root, Need::Feature(Feature::RawTracepoint), Need::Feature(Feature::RingBuffer)];

/// Adds the tests of this file.
pub fn tests(suite: Suite) -> Suite {
    let with = |need| [NEEDS, &[need]].concat();
    let clock = with(Need::Feature(Feature::PerfEvent));
    // Libraries are found by the linker's cache.
    let uprobe =
        [NEEDS, &[Need::Feature(Feature::Uprobe), Need::Path("/etc/ld.so.cache"), Need::Tool("sh")]].concat();
    let with_true = with(Need::Tool("true"));
    suite
        .test(KernelTest::new("begin_prints_and_exits", NEEDS, begin_prints_and_exits))
        .test(KernelTest::new("maps_print_at_the_end", &clock, maps_print_at_the_end))
        .test(KernelTest::new("maps_print_as_json", &clock, maps_print_as_json))
        .test(KernelTest::new(
            "exec_of_a_command_has_the_right_parent",
            &with_true,
            exec_has_the_right_parent,
        ))
        .test(KernelTest::new("user_functions_are_found_by_name", &uprobe, user_functions_are_found))
        .test(KernelTest::new("exit_codes_are_the_scripts", NEEDS, exit_codes_are_the_scripts))
        .test(KernelTest::new("wrong_scripts_end_with_1", NEEDS, wrong_scripts_end_with_1))
        .test(KernelTest::new("duration_ends_a_script", NEEDS, duration_ends_a_script))
        .test(KernelTest::new("a_killed_trace_leaves_nothing", &clock, a_killed_trace_leaves_nothing))
        .test(KernelTest::new("objects_are_written", NEEDS, objects_are_written))
        .test(KernelTest::new("a_reader_that_goes_ends_a_script", NEEDS, a_reader_that_goes_ends_a_script))
        .test(KernelTest::new(
            "iterators_end_by_themselves",
            &with(Need::Feature(Feature::TaskIter)),
            iterators_end_by_themselves,
        ))
        .test(KernelTest::new("what_never_fires_is_refused", NEEDS, what_never_fires_is_refused))
}

fn begin_prints_and_exits() -> Outcome {
    let output = nonna(&["trace", "-e", r#"BEGIN { printf("ciao\n"); exit(); }"#])?;
    assert!(output.status.success(), "{}", all(&output));
    assert_eq!(stdout(&output), "ciao\n", "{}", all(&output));
    Ok(())
}

fn maps_print_at_the_end() -> Outcome {
    let script = "rawtracepoint:sys_enter { @[comm] = count(); } interval:ms:300 { exit(); }";
    let output = nonna(&["trace", "-e", script])?;
    let text = stdout(&output);
    let entries: Vec<(&str, u64)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("@[")?.split_once("]: "))
        .filter_map(|(key, count)| Some((key, count.parse().ok()?)))
        .collect();
    assert!(entries.iter().any(|(key, count)| *key == "nonna" && *count > 0), "{}", all(&output));
    assert!(entries.is_sorted_by_key(|(_, count)| *count), "{}", all(&output));
    Ok(())
}

fn maps_print_as_json() -> Outcome {
    let script = "rawtracepoint:sys_enter { @n = count(); @h = hist(5); @a[pid, comm] = sum(1); } \
                  interval:ms:300 { exit(); }";
    let output = nonna(&["trace", "-f", "json", "-e", script])?;
    let lines: Vec<serde_json::Value> =
        stdout(&output).lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let types: Vec<&str> = lines.iter().filter_map(|line| line["type"].as_str()).collect();
    assert_eq!(types, ["attached_probes", "map", "hist", "map"], "{}", all(&output));
    assert_eq!(lines[0]["data"]["probes"], 2);
    assert_eq!(lines[2]["data"]["@h"][0]["min"], 4);
    assert!(lines[3]["data"]["@n"].as_u64() > Some(0));
    Ok(())
}

fn exec_has_the_right_parent() -> Outcome {
    let script = r#"rawtracepoint:sched_process_exec /pid == cpid/ {
        printf("%d %d %s\n", pid, curtask->real_parent->tgid, comm); exit(); }"#;
    let child = Command::new(NONNA)
        .args(["trace", "-e", script, "-c", "true"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let parent = child.id();
    let output = child.wait_with_output()?;
    let text = stdout(&output);
    let words: Vec<&str> = text.split_whitespace().collect();
    assert_eq!(words.len(), 3, "{}", all(&output));
    assert_eq!((words[1], words[2]), (parent.to_string().as_str(), "true"), "{}", all(&output));
    Ok(())
}

fn user_functions_are_found() -> Outcome {
    let script = r#"uprobe:libc:getpid, uprobe:libc:getppid { printf("%s\n", func); exit(); }"#;
    let output = nonna(&["trace", "--duration", "5s", "-e", script, "-c", "sh -c 'exec true'"])?;
    let text = stdout(&output);
    assert!(text.contains("getp"), "{}", all(&output));
    Ok(())
}

fn exit_codes_are_the_scripts() -> Outcome {
    let output = nonna(&["trace", "-e", "BEGIN { exit(7); }"])?;
    assert_eq!(output.status.code(), Some(7), "{}", all(&output));
    Ok(())
}

fn wrong_scripts_end_with_1() -> Outcome {
    let output = nonna(&["trace", "-e", "BEGIN { prinft(\"x\"); @a = $b; }"])?;
    assert_eq!(output.status.code(), Some(1), "{}", all(&output));
    assert!(stdout(&output).is_empty());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("printf") && text.contains("$b"), "{}", all(&output));
    Ok(())
}

fn duration_ends_a_script() -> Outcome {
    let output = nonna(&["trace", "--duration", "300ms", "-e", "rawtracepoint:sys_enter { @ = count(); }"])?;
    assert!(output.status.success() && stdout(&output).contains("@: "), "{}", all(&output));
    Ok(())
}

fn a_killed_trace_leaves_nothing() -> Outcome {
    let before: Vec<u32> = nonna_kernel::programs()?.iter().map(|p| p.id).collect();
    let script = "rawtracepoint:sys_enter { @ = count(); } interval:s:1 { @n++; }";
    let mut child = Command::new(NONNA)
        .args(["trace", "-e", script])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let new = || -> Result<usize, nonna_kernel::Error> {
        Ok(nonna_kernel::programs()?.iter().filter(|p| !before.contains(&p.id)).count())
    };
    let mut tries = 0;
    while new()? < 2 {
        tries += 1;
        assert!(tries < 500, "the script never ran");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill()?;
    child.wait()?;
    let mut tries = 0;
    while new()? > 0 {
        tries += 1;
        assert!(tries < 500, "programs stayed behind");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn objects_are_written() -> Outcome {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("x.bpf.o");
    let file = file.to_str().ok_or("the path is text")?;
    let output = nonna(&["build", "-e", "rawtracepoint:sys_enter { @[comm] = count(); }", "-o", file])?;
    assert!(output.status.success(), "{}", all(&output));
    assert!(std::fs::read(file)?.starts_with(b"\x7fELF"));
    Ok(())
}

fn a_reader_that_goes_ends_a_script() -> Outcome {
    let script = r#"BEGIN { for ($i : 0..10000) { printf("line %d of many\n", $i); } } interval:ms:10 { printf("x\n"); }"#;
    let mut child = Command::new(NONNA)
        .args(["trace", "--duration", "60s", "-e", script])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    drop(child.stdout.take());
    let started = Instant::now();
    let output = child.wait_with_output()?;
    assert!(output.status.success(), "{}", all(&output));
    assert!(started.elapsed() < Duration::from_secs(30), "it ran on without a reader");
    Ok(())
}

fn iterators_end_by_themselves() -> Outcome {
    let started = Instant::now();
    let script = r#"iter:task { printf("%d %s\n", ctx.task.pid, ctx.task.comm); } END { printf("end\n"); }"#;
    let output = nonna(&["trace", "--duration", "60s", "-e", script])?;
    assert!(started.elapsed() < Duration::from_secs(30), "it waited for nothing");
    let text = stdout(&output);
    assert!(text.lines().any(|line| line.ends_with(" nonna")), "{}", all(&output));
    // The kernel's last call, without a task, is none of the script's business.
    assert!(text.lines().all(|line| !line.starts_with("0 ")), "{}", all(&output));
    assert_eq!(text.lines().last(), Some("end"), "{}", all(&output));
    Ok(())
}

fn what_never_fires_is_refused() -> Outcome {
    let output = nonna(&["trace", "-e", "self:signal:SIGUSR1 { exit(); }"])?;
    assert_eq!(output.status.code(), Some(2), "{}", all(&output));
    assert!(String::from_utf8_lossy(&output.stderr).contains("self:signal:SIGUSR1"), "{}", all(&output));
    Ok(())
}
