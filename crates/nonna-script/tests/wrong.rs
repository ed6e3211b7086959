//! Wrong scripts and what is said about them: the place, the reason, the help.

mod support;

use std::collections::BTreeSet;

use nonna_script::SLUGS;
use support::{compiled, complaints};

/// Name of the case and its script. Each kind of diagnostic has at least one.
const CASES: &[(&str, &str)] = &[
    ("missing_semicolon", "BEGIN { printf(\"hello\") exit(); }"),
    ("unclosed_brace", "BEGIN { if (pid) { exit(); \ninterval:s:1 { exit(); }"),
    ("unterminated_string", "BEGIN { printf(\"hello); exit(); }"),
    ("bad_escape_and_number", "BEGIN { printf(\"50\\%\"); $x = 12kb; }"),
    ("macro", "macro one() { 1 }\nBEGIN { exit(); }"),
    ("too_deep", include_str!("data/deep.bt")),
    ("unknown_probe_kind", "tracepont:sched:sched_switch { @ = count(); }"),
    ("malformed_interval", "interval:1 { exit(); }"),
    ("no_such_tracepoint", "tracepoint:sched:sched_swich { @ = count(); }"),
    ("no_such_raw_tracepoint", "rawtracepoint:sched_process_exe { @ = count(); }"),
    ("no_such_function", "kprobe:vfs_raed { @ = count(); }"),
    (
        "body_of_a_missing_function",
        "kprobe:vfs_raed { @[pd] = cuont(); printf(\"%d\\n\", arg9 + retval + args.x); }",
    ),
    ("no_probes", "// nothing yet\n#define ONE 1\n"),
    ("text_that_is_none", "BEGIN { printf(\"%d\\n\", strlen(pid)); @ = cgroupid(\"/etc\"); }"),
    ("pointer_to_pointers", "BEGIN { $x = (struct task_struct *****************)0; }"),
    ("one_of_two_functions", "kprobe:vfs_read, kprobe:vfs_raed { @ = count(); }"),
    ("no_such_user_function", "uprobe:/bin/bash:readlin { @ = count(); }"),
    ("no_such_binary", "uprobe:/bin/bsh:readline { @ = count(); }"),
    ("nothing_matches", "tracepoint:net:* { @ = count(); }"),
    ("unknown_name", "BEGIN { printf(\"%d\\n\", pidd); }"),
    ("unknown_function", "BEGIN { print_f(\"hello\\n\"); }"),
    ("unknown_task_field", "BEGIN { printf(\"%d\\n\", curtask->real_parent->tgidd); }"),
    ("unknown_argument", "tracepoint:sched:sched_switch { @[args.prev_pidd] = count(); }"),
    ("field_of_a_number", "kprobe:vfs_read { printf(\"%d\\n\", arg0->f_flags); }"),
    ("unknown_type", "kprobe:vfs_read { $f = (struct fil *)arg0; }"),
    ("unset_variable", "BEGIN { $total = 1; printf(\"%d\\n\", $totl); }"),
    ("unset_map", "interval:s:1 { @count = count(); print(@cuont); }"),
    ("declared_twice", "BEGIN { let $x = 1; let $x = 2; }"),
    ("number_and_string", "kprobe:vfs_read /pid == \"nginx\"/ { @ = count(); }"),
    ("string_in_arithmetic", "BEGIN { $x = 1 + \"a\"; if (comm) { exit(); } }"),
    ("two_types_in_a_map", "BEGIN { @x = count(); }\nEND { @x = \"text\"; }"),
    ("two_kinds_of_keys", "BEGIN { @x[1] = 1; @x[1, 2] = 2; @y[1] = 1; @y[\"a\"] = 1; @z = 1; @z[1] = 1; }"),
    ("not_assignable", "BEGIN { pid = 1; curtask->pid = 2; }"),
    ("too_few_arguments", "BEGIN { @ = lhist(5, 10); clear(); strftime(\"%H\"); }"),
    ("wrong_argument", "BEGIN { @x = count(); $s = ntop(\"localhost\"); zero(pid); clear(@x[1]); }"),
    ("format_and_values", "BEGIN { printf(\"%d %s\\n\", pid); printf(\"%d\\n\", comm); printf(\"x\", 1); }"),
    ("bad_format", "BEGIN { printf(\"100%!\\n\"); }"),
    ("not_a_constant", "BEGIN { $n = 10; @ = lhist(5, 0, $n, 1); unroll($n) { exit(); } }"),
    ("not_here", "interval:s:1 { printf(\"%d %d %d\\n\", retval, arg0, args.x); }"),
    ("misplaced", "BEGIN { $x = count(); break; $y = exit(); printf(\"%d\", args); }"),
    ("needs_unsafe", "BEGIN { system(\"reboot\"); signal(\"KILL\"); }"),
    ("division_by_zero", "BEGIN { @ = pid / 0; }"),
    ("two_events", "BEGIN { emit hello { a: 1 } }\nEND { emit hello { b: \"x\" } }"),
    ("not_a_field", "BEGIN { emit hello { task: *curtask, pid: pid, pid: tid } }"),
    ("unknown_setting", "config = { max_strlenn = 64; max_map_keys = many }\nBEGIN { exit(); }"),
    (
        "too_large",
        "config = { max_strlen = 1000000 }\nBEGIN { unroll(1000) { exit(); } @ = lhist(1, 0, 1000000, 1); }",
    ),
    (
        "many_at_once",
        "tracepoint:sched:sched_switch {\n  $x = args.prev_pi;\n  @a[comm] = cuont();\n  printf(\"%d %d\\n\", pid);\n  \
         if ($y > 3) { print(@b); }\n}\n",
    ),
];

#[test]
fn every_mistake_is_explained() {
    for (name, text) in CASES {
        insta::assert_snapshot!(*name, complaints(text));
    }
}

#[test]
fn every_kind_of_diagnostic_has_a_case() {
    let seen: BTreeSet<&str> = CASES
        .iter()
        .flat_map(|(_, text)| compiled(text, &nonna_script::Options::default()).1)
        .map(|diagnostic| diagnostic.slug.name)
        .collect();
    let missing: Vec<&str> = SLUGS.iter().map(|slug| slug.name).filter(|name| !seen.contains(name)).collect();
    assert!(missing.is_empty(), "no case for {missing:?}");
}

#[test]
fn headlines_are_short_and_point_somewhere() {
    for (name, text) in CASES {
        let (_, diagnostics, _) = compiled(text, &nonna_script::Options::default());
        assert!(!diagnostics.is_empty(), "{name}");
        for diagnostic in diagnostics {
            let message = &diagnostic.message;
            assert!(message.chars().count() <= 72, "{name}: {message}");
            assert!(!message.ends_with('.'), "{name}: {message}");
            assert!(diagnostic.primary().is_some(), "{name}: {message}");
        }
    }
}
