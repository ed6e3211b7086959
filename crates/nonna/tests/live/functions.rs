//! `nonna trace` on functions of the kernel, its security hooks and its iterators.
//!
//! Each test runs several scripts of one family and names every one that printed something else.

use nonna_bpf::Feature;
use nonna_testkit::{KernelTest, Need, Outcome, Suite};

use crate::{all, nonna, stdout};

const NEEDS: &[Need] =
    &[Need::Root, Need::Feature(Feature::RawTracepoint), Need::Feature(Feature::RingBuffer)];

/// A command that opens and reads one file.
const READ: &str = "cat /etc/nonna-test";

/// A script and texts that its output must hold.
type Case = (&'static str, &'static [&'static str]);

/// Adds the tests of this file.
pub fn tests(suite: Suite) -> Suite {
    let with = |feature| [NEEDS, &[Need::Feature(feature), Need::Tool("cat")]].concat();
    suite
        .test(KernelTest::new("kprobe_scripts_run", &with(Feature::Kprobe), kprobes))
        .test(KernelTest::new("fentry_scripts_run", &with(Feature::Fentry), fentry))
        .test(KernelTest::new("lsm_scripts_run", &with(Feature::Lsm), security))
        .test(KernelTest::new("iterator_scripts_run", &with(Feature::TaskIter), iterators))
}

/// Runs each script around a command and collects what is not as it should be.
fn run(cases: &[Case]) -> Outcome {
    std::fs::write("/etc/nonna-test", "forty-two bytes of text that is read once\n")?;
    let mut wrong = String::new();
    for (script, expected) in cases {
        let output = nonna(&["trace", "--unsafe", "--duration", "10s", "-c", READ, "-e", script])?;
        let text = stdout(&output);
        let missing: Vec<_> = expected.iter().filter(|part| !text.contains(**part)).collect();
        if !missing.is_empty() || !output.status.success() {
            wrong.push_str(&format!("--- {script}\n--- lacks {missing:?}\n{}\n", all(&output)));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    Ok(())
}

fn kprobes() -> Outcome {
    run(&[
        (
            r#"kprobe:do_sys_openat2 /pid == cpid/ { printf("%s %s %s\n", probe, func, str(uptr(arg1))); }"#,
            &["kprobe:do_sys_openat2 do_sys_openat2 /etc/nonna-test"],
        ),
        (
            r#"kprobe:do_sys_openat2 /pid == cpid/ { printf("%s %s\n", str(arg1), str(arg1, 4)); }"#,
            &["/etc/nonna-test /etc"],
        ),
        (
            r#"kprobe:vfs_open /pid == cpid/ {
                printf("opens %s\n", str(((struct path *)arg0)->dentry->d_name.name)); }"#,
            &["opens nonna-test"],
        ),
        (
            r#"kprobe:vfs_read /pid == cpid/ { $f = (struct file *)arg0;
                if (str($f->f_path.dentry->d_name.name) == "nonna-test") { @wants = max(arg2); } }"#,
            &["@wants: 131072"],
        ),
        ("kretprobe:vfs_read /pid == cpid && retval == 42/ { @reads = count(); }", &["@reads: 1"]),
        (
            "kprobe:vfs_read /pid == cpid/ { @at[tid] = nsecs; }
             kretprobe:vfs_read /@at[tid]/ { @ns = hist(nsecs - @at[tid]); delete(@at[tid]); }",
            &["@ns:", "|@@"],
        ),
        (
            "kprobe:vfs_read /pid == cpid/ { @ip[ksym(reg(\"ip\"))] = count(); @[kstack(3)] = count(); }",
            &["@ip[vfs_read]: ", "@[\n        vfs_read+"],
        ),
        ("kprobe:vfs_rea* /pid == cpid/ { @[func] = count(); }", &["@[vfs_read]: "]),
        ("k:vfs_read /pid == cpid/ { @[probe] = count(); }", &["@[kprobe:vfs_read]: "]),
        (
            "kprobe:vfs_read, kprobe:vfs_write /pid == cpid/ { @[probe] = count(); }",
            &["@[kprobe:vfs_write]: "],
        ),
        ("kprobe:vfs_read+0 /pid == cpid/ { @ = count(); }", &["@: "]),
    ])
}

fn fentry() -> Outcome {
    run(&[
        (
            r#"fentry:security_file_open /pid == cpid/ { printf("%s opens %s\n", comm, path(args.file->f_path)); }"#,
            &["cat opens /etc/nonna-test"],
        ),
        (
            r#"fentry:vfs_open /pid == cpid/ { printf("%s\n", str(args->path->dentry->d_name.name)); }"#,
            &["nonna-test"],
        ),
        (
            r#"fexit:do_sys_openat2 /pid == cpid/ {
                printf("%s: %d %d %s\n", str(args.filename), retval, args.how->flags & 3, func); }"#,
            &["/etc/nonna-test: 3 0 do_sys_openat2"],
        ),
        ("fexit:vfs_read /pid == cpid && retval == 42/ { @[args.count] = count(); }", &["@[131072]: 1"]),
        (
            "kfunc:vfs_read /pid == cpid/ { @[probe, args->count] = count(); }",
            &["@[fentry:vfs_read, 131072]"],
        ),
        ("kretfunc:vfs_read /pid == cpid/ { @ = sum(retval); }", &["@: "]),
        (
            "f:vfs_read /pid == cpid/ { @[kstack(2)] = count(); @f[args.file] = count(); }",
            &["vfs_read+", "@f[0x"],
        ),
        ("fentry:vfs_rea* /pid == cpid/ { @[func] = count(); }", &["@[vfs_read]: "]),
        (r#"fentry:vmlinux:vfs_read /pid == cpid/ { @[arg2] = count(); }"#, &["@[131072]: "]),
    ])
}

fn security() -> Outcome {
    run(&[
        (
            r#"lsm:file_open /pid == cpid/ { printf("%s opens %s\n", comm, path(args.file->f_path)); }"#,
            &["cat opens /etc/nonna-test"],
        ),
        ("lsm:bprm_check_security /pid == cpid/ { @[str(args.bprm->filename)] = count(); }", &["cat]: 1"]),
        (
            "lsm:file_open /pid == cpid/ { @[probe, func] = count(); return 0; }",
            &["@[lsm:file_open, file_open]: "],
        ),
    ])
}

fn iterators() -> Outcome {
    run(&[
        (r#"iter:task { printf("%s:%d\n", ctx->task->comm, ctx->task->pid); }"#, &["nonna:", "kthreadd:2"]),
        (
            r#"iter:task_file { printf("%s %d %s\n", ctx.task.comm, ctx.fd, path(ctx.file.f_path)); }"#,
            &["nonna 0 /dev/null"],
        ),
        (
            r#"iter:task_vma { if (ctx.vma.vm_file != 0) {
                printf("%s %s\n", ctx.task.comm, str(ctx.vma.vm_file.f_path.dentry.d_name.name)); } }"#,
            &["nonna nonna"],
        ),
        (r#"iter:bpf_map { @[str(ctx.map->name)] = count(); }"#, &["@["]),
        ("iter:task { @ = count(); } END { printf(\"done\\n\"); }", &["@: ", "done"]),
    ])
}
