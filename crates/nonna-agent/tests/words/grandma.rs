//! The Grandma Benchmark over every sentence about an event, in all its forms.

use std::rc::Rc;

use nonna_agent::observation::Observation;
use nonna_agent::output::sentence::{FOLDED, SENTENCES, repeats, sentence};
use nonna_agent::process::Process;
use nonna_agent::sample;
use nonna_event::{Text, Value};
use nonna_testkit::readability::{HIGHEST_GRADE, grade, jargon};

use crate::schemas;

const MARKS: sample::Marks = ("⟨", "⟩");
/// How many forms there are of what has many: errors, signals.
#[derive(Clone, Copy)]
enum Forms {
    /// All of them.
    All,
    /// Enough to see how they read.
    Some,
}

impl Forms {
    fn errors(self) -> Vec<i64> {
        match self {
            Forms::All => (1..=134).collect(),
            // Not allowed, in progress.
            Forms::Some => vec![13, 115],
        }
    }

    fn known_paths(self) -> &'static [&'static str] {
        match self {
            Forms::All => KNOWN_PATHS,
            Forms::Some => &["/etc/shadow", "/var/log/x"],
        }
    }

    fn signals(self) -> Vec<u64> {
        match self {
            Forms::All => (0..=64).collect(),
            Forms::Some => vec![0, 1, 2, 9, 11, 15, 19, 31, 40],
        }
    }
}

fn with(mut observation: Observation, field: &str, value: Value) -> Observation {
    let idx = observation.event.schema.field_idx(field).unwrap();
    observation.event.values[idx] = value;
    observation
}

fn with_process(mut observation: Observation, change: impl FnOnce(&mut Process)) -> Observation {
    let mut process = Process::clone(&observation.process);
    change(&mut process);
    observation.process = Rc::new(process);
    observation
}

fn text(text: &str) -> Value {
    Value::Text(Text { bytes: text.as_bytes().to_vec(), ..Text::default() })
}

fn plain(event: &str) -> Observation {
    sample::observation(&schemas::named(event), MARKS)
}

/// An event with each of these numbers in a field.
fn each(event: &str, field: &str, numbers: impl IntoIterator<Item = u64>) -> Vec<Observation> {
    numbers.into_iter().map(|number| with(plain(event), field, Value::Unsigned(number))).collect()
}

/// An event about each of these texts.
fn about(event: &str, field: &str, texts: &[&str]) -> Vec<Observation> {
    texts.iter().map(|t| with(plain(event), field, text(t))).collect()
}

/// Paths of files that have words of their own.
const KNOWN_PATHS: &[&str] = &[
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/sudoers.d/x",
    "/etc/ssh/ssh_host_x",
    "/home/x/.ssh/authorized_keys",
    "/home/x/.ssh/id_x",
    "/root/.ssh/x",
    "/etc/kubernetes/x",
    "/var/lib/kubelet/pki/x",
    "/run/secrets/kubernetes.io/x",
    "/root/.kube/config",
    "/root/.aws/credentials",
    "/root/.netrc",
    "/root/.gnupg/x",
    "/dev/mem",
    "/etc/passwd",
    "/etc/group",
    "/etc/hosts",
    "/etc/ld.so.preload",
    "/etc/pam.d/x",
    "/etc/crontab",
    "/var/spool/cron/x",
    "/etc/systemd/system/x",
    "/etc/profile.d/x",
    "/root/.bashrc",
    "/root/.profile",
    "/boot/x",
    "/usr/bin/x",
    "/var/log/x",
];

fn all(which: Forms) -> Vec<Observation> {
    let mut forms = Vec::new();
    for schema in schemas::told() {
        let plain = sample::observation(&schema, MARKS);
        let mut absent = plain.clone();
        absent.event.values.fill(Value::Absent);
        absent.parent = None;
        let inside = with_process(plain.clone(), |p| p.container = Some(sample::container(MARKS).into()));
        forms.extend([plain.clone(), absent, inside]);
        if schema.field_idx("result").is_some() {
            let failed = |errno: i64| with(plain.clone(), "result", Value::Signed(-errno));
            forms.extend(which.errors().into_iter().map(failed));
        }
    }
    forms.extend(about("file_open", "file.path", KNOWN_PATHS));
    for event in ["file_delete", "file_chmod", "file_chown"] {
        forms.extend(about(event, "file.path", which.known_paths()));
    }
    forms.extend(each("file_open", "file.access", 0..=3));
    forms.push(with(plain("file_open"), "file.created", Value::Bool(true)));
    forms.push(with(
        with(plain("file_open"), "file.path", text("/etc/shadow")),
        "file.access",
        Value::Unsigned(0),
    ));
    forms.extend(about("file_rename", "file.new_path", which.known_paths()));
    forms.extend(about("file_symlink", "file.target", which.known_paths()));
    forms.extend(each("file_chmod", "file.mode", [0o644, 0o755, 0o4755, 0o2755, 0o777]));
    forms.extend(each("file_chown", "file.uid", [0, 33, 0xffff_ffff]));
    forms.extend(each("process_exit", "signal", which.signals()));
    forms.extend(each("process_exit", "exit_code", [0, 1, 127]));
    forms.extend(each("process_exit", "duration_ns", (0..15).map(|n| 10_u64.pow(n))));
    forms.extend(each("kill", "signal", which.signals()));
    forms.extend([-5, -1, 0, 7].map(|pid| with(plain("kill"), "target.pid", Value::Signed(pid))));
    forms.extend(each("capability_use", "capability", 0..=64));
    forms.extend(each("namespace_change", "namespace.flags", [0, 0x2000_0000, 0x7e02_0080]));
    forms.extend(each("socket_create", "network.family", [1, 2, 17, 16]));
    forms.extend(each("user_change", "identity.euid", [0, 7]));
    forms.extend(each("user_change", "identity.uid", [0]));
    forms.extend(each("user_change", "identity.fsuid", [0, 7]));
    forms.extend(each("groups_change", "identity.group_count", 0..3));
    forms.extend(each("memory_access", "memory.access", 0..2));
    forms.extend(each("special_file_create", "file.type", [0, 0x1000, 0x2000, 0x6000, 0xc000]));
    forms.extend([0, 9].map(|size| with(plain("file_truncate"), "file.size_bytes", Value::Signed(size))));
    for event in ["listen", "bind"] {
        for address in ["0.0.0.0", "::1", "192.0.2.1"] {
            forms.push(with(plain(event), "network.local_address", Value::Inet(address.parse().unwrap())));
        }
    }
    forms.extend(each("connect", "network.remote_port", [0, 22, 25, 53, 80, 123, 443, 5432, 6000]));
    forms.push(with(plain("connect"), "network.remote_address", Value::Family(1)));
    forms.push(with(plain("connect"), "network.remote_name", Value::Absent));
    for event in ["dns_question", "dns_answer"] {
        forms.extend(about(event, "dns.type", &["A", "AAAA", "PTR", "MX", "TXT"]));
    }
    forms.extend(about("dns_answer", "dns.rcode", &["NOERROR", "NXDOMAIN", "SERVFAIL"]));
    let list = |n: usize| Value::TextList { items: vec![b"192.0.2.1".to_vec(); n], truncated_from: None };
    forms.extend([0, 1, 5].map(|n| with(plain("dns_answer"), "dns.addresses", list(n))));
    forms.extend(strange_programs());
    forms
}

fn strange_programs() -> Vec<Observation> {
    let changes: [fn(&mut Process); 5] = [
        |process| process.exe_memfd = true,
        |process| process.args[0] = b"harmless".to_vec(),
        |process| process.args[0] = b"-cat".to_vec(),
        |process| {
            process.exe_overlay_upper = true;
            process.container = Some(sample::container(MARKS).into());
        },
        |process| process.args = vec![b"it's".to_vec(); 10_000],
    ];
    changes.into_iter().map(|change| with_process(plain("process_exec"), change)).collect()
}

#[test]
fn every_sentence_can_be_read_and_has_no_jargon() {
    let mut bad = std::collections::BTreeSet::new();
    for observation in all(Forms::All) {
        let sentence = sentence(&observation);
        let (grade, jargon) = (grade(&sentence), jargon(&sentence));
        if grade > HIGHEST_GRADE || !jargon.is_empty() {
            bad.insert(format!("{grade:.1} {jargon:?} {sentence}"));
        }
    }
    assert!(bad.is_empty(), "{} sentences:\n{}", bad.len(), bad.into_iter().collect::<Vec<_>>().join("\n"));
}

#[test]
fn sentences_about_many_files_can_be_read() {
    for (event, _) in FOLDED {
        for n in [1, 2, 1000] {
            let sentence = repeats(&plain(event), n, "⟨/home/anna/notes⟩".as_bytes());
            assert!(grade(&sentence) <= HIGHEST_GRADE, "{sentence}");
            assert_eq!(jargon(&sentence), Vec::<String>::new(), "{sentence}");
        }
    }
}

#[test]
fn every_event_has_a_sentence_and_every_sentence_an_event() {
    let mut told: Vec<String> = schemas::told().into_iter().map(|schema| schema.name).collect();
    let mut said: Vec<String> = SENTENCES.iter().map(|(name, _)| (*name).to_owned()).collect();
    told.sort();
    said.sort();
    assert_eq!(told, said);
}

#[test]
fn sentences_read_like_this() {
    let mut lines: Vec<String> = all(Forms::Some)
        .into_iter()
        .map(|mut observation| {
            observation.event.values.iter_mut().for_each(unmark);
            format!("{:<20} {}", observation.name(), sentence(&observation).replace(['⟨', '⟩'], ""))
        })
        .map(|line| {
            if line.len() > 400 { format!("{}…", line.chars().take(200).collect::<String>()) } else { line }
        })
        .collect();
    lines.sort();
    lines.dedup();
    insta::assert_snapshot!(lines.join("\n"));
}

fn unmark(value: &mut Value) {
    if let Value::Text(text) = value {
        text.bytes = String::from_utf8_lossy(&text.bytes).replace(['⟨', '⟩'], "").into_bytes();
    }
}
