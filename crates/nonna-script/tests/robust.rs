//! Right scripts give valid modules; no text makes the compiler panic.

mod support;

use nonna_script::Options;
use proptest::prelude::*;
use support::{compiled, module};

const RIGHT: &[&str] = &[
    "BEGIN { printf(\"ciao %d %s\\n\", 42, comm); exit(); }",
    "rawtracepoint:sched_process_exec { @[comm] = count(); @n = count(); @[comm] = count(); }",
    "tracepoint:sched:sched_switch { @x[args.prev_pid, args.prev_comm]++; @y += 2; @z = sum(args.prev_state); }",
    "interval:s:1 { @h = hist(nsecs); @l = lhist(pid, 0, 100, 10); @k[pid] = hist(nsecs, 3); print(@h); clear(@k); }",
    "BEGIN { @a[1] = 1; for ($kv : @a) { @t += $kv.1; } $i = 0; while ($i < 9) { $i++; if ($i == 4) { break; } } }",
    "BEGIN { $s = 0; for ($i : 0..1000) { $s += $i; if ($s > 9) { return; } } unroll(3) { $s++; } print(($s, \"x\")); }",
    "rawtracepoint:sched_process_exec { emit critical exec { exe: path(args.p->mm->exe_file), args: args(curtask), \
     home: env(curtask, \"HOME\"), name: comm, low: curtask->fields.low, old: args.old_pid } }",
    "tracepoint:syscalls:sys_enter_connect { emit c { to: addr(args.uservaddr), port: port(args.uservaddr) } }",
    "tracepoint:syscalls:sys_enter_execve { join(args.argv); }",
    "tracepoint:syscalls:sys_enter_openat /str(args.filename) == \"/etc/passwd\"/ { @[str(args.filename)] = count(); }",
    "tracepoint:sched:sched_process_exec { printf(\"%s %r\\n\", args.filename, buf(args.filename, 4)); }",
    "kprobe:vfs_read { @s[tid] = nsecs; } kretprobe:vfs_read /@s[tid]/ { @ = avg(nsecs - @s[tid]); delete(@s[tid]); }",
    "fentry:vfs_read { @[kstack(3), ustack(2)] = stats(args.count); @f[func, probe] = max(arg1); }",
    "uprobe:/bin/bash:readline { printf(\"%s\\n\", str(arg0)); } iter:task { printf(\"%d\\n\", ctx->task->pid); }",
];

#[test]
fn right_scripts_give_valid_modules() {
    for text in RIGHT {
        assert!(module(text, &Options::default()).contains("program"), "{text}");
        // Events of sensors carry fields of the task that the small machine does not have.
        if !text.contains("emit") {
            module(text, &Options { sensors: true, ..Options::default() });
        }
    }
}

#[test]
fn long_texts_end_quickly() {
    let levels = |open: &str, close: &str| {
        format!("BEGIN {{ $x = {}1{}; }}", open.repeat(10_000), close.repeat(10_000))
    };
    let texts = [
        levels("(", ")"),
        levels("!", ""),
        levels("1 ? ", " : 0"),
        format!("BEGIN {}", "{ if (1) ".repeat(10_000)),
        format!("BEGIN {{ $x = (struct task_struct {})0; }}", "*".repeat(100_000)),
        format!("struct a {{ {} int x; }}", "struct {".repeat(10_000)),
        "\0".repeat(3 << 20),
        "BEGIN { exit(); }\n".repeat(100_000),
    ];
    for text in texts {
        let (result, found, _) = compiled(&text, &Options::default());
        assert!(result.is_none() && !found.is_empty(), "{}", &text[..40]);
    }
}

proptest! {
    #[test]
    fn pieces_of_scripts_make_nothing_panic(pieces in prop::collection::vec((0..RIGHT.len(), 0..400_usize, 0..60_usize), 1..8)) {
        // Pieces of several scripts, one behind the other: words meet where none expects them.
        let text: String = pieces
            .iter()
            .map(|(which, at, len)| {
                let text = RIGHT[*which];
                let start = at % text.len();
                &text[start..(start + len).min(text.len())]
            })
            .collect();
        compiled(&format!("BEGIN {{ {text}"), &Options::default());
        compiled(&text, &Options::default());
    }

    #[test]
    fn changed_scripts_make_nothing_panic(
        which in 0..RIGHT.len(), at in 0..400_usize, len in 0..12_usize, put in "[ -~]{0,6}"
    ) {
        let text = RIGHT[which];
        let start = at % text.len();
        let end = (start + len).min(text.len());
        let changed = format!("{}{put}{}", &text[..start], &text[end..]);
        let (result, _, _) = compiled(&changed, &Options::default());
        if let Some(result) = result {
            prop_assert!(nonna_ir::validate(&result.module).is_ok(), "{}", changed);
        }
    }
}
