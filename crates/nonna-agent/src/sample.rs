//! Sample observations: what an event of a schema may look like.
//!
//! The documentation shows them, and tests hold the sentences made from them to a reading grade. Values are found by the
//! field's name, else by its type. Nothing here is used while events are told.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use jiff::Timestamp;
use nonna_event::{COMPAT_CALLS, Event, EventSchema, Field, FieldType, NameSet, Named, Text, Value};

use crate::container::{Container, ContainerRuntime};
use crate::facts;
use crate::observation::{Node, Observation};
use crate::process::{ExecId, Process, ProcessId};

/// Marks around sample values, so that a reader can tell them from the words of a sentence; empty for none.
pub type Marks = (&'static str, &'static str);

/// Texts by field.
const TEXTS: &[(&str, &str)] = &[
    ("file.path", "/home/anna/notes.txt"),
    ("file.new_path", "/home/anna/old.txt"),
    ("file.target", "/home/anna/letter.txt"),
    ("module.parameters", "debug=1"),
    ("mount.source", "/dev/sdb1"),
    ("mount.target", "/mnt/photos"),
    ("mount.type", "ext4"),
    ("dns.name", "example.com"),
    ("module.name", "wireguard"),
    ("target.name", "nginx"),
    ("target.exe", "/usr/sbin/nginx"),
    ("network.remote_name", "example.com"),
];

/// Texts that choose between words and are never marked.
const CHOICES: &[(&str, &str)] = &[("dns.type", "A"), ("dns.rcode", "NOERROR")];

/// Numbers by field, where the type alone would say nothing.
const NUMBERS: &[(&str, u64)] = &[
    ("time_ns", 3_600_000_000_000),
    ("pid", 812),
    ("tid", 812),
    ("ppid", 700),
    ("start_time_ns", 3_599_500_000_000),
    ("exec_sequence", 12),
    ("child.pid", 813),
    ("child.start_time_ns", 3_600_000_000_000),
    ("child.exec_sequence", 12),
    ("target.pid", 900),
    ("duration_ns", 1_250_000_000),
    ("peak_memory_bytes", 8_388_608),
    ("file.flags", 0o1101),
    ("file.access", 1),
    ("file.created", 0),
    ("file.mode", 0o640),
    ("file.uid", 33),
    ("file.gid", 33),
    ("file.type", 0x2000),
    ("file.size_bytes", 4096),
    ("device.major", 1),
    ("device.minor", 3),
    ("memory.access", 0),
    ("network.family", 2),
    ("network.protocol", 6),
    ("network.local_port", 51_324),
    ("network.remote_port", 443),
    ("network.backlog", 128),
    ("identity.uid", 33),
    ("identity.euid", 33),
    ("identity.gid", 33),
    ("identity.egid", 33),
    ("identity.fsuid", 33),
    ("identity.fsgid", 33),
    ("identity.group_count", 2),
    ("namespace.flags", 0x4000_0000),
    ("ptrace.request", 16),
    ("bpf.program_type", 2),
    ("capability", 12),
];

/// An observation of an event as it is told.
pub fn observation(schema: &EventSchema, marks: Marks) -> Observation {
    let name = schema.name.as_str();
    let exec_id = |pid, start_ns| ExecId { process: ProcessId { pid, start_ns }, sequence: 12 };
    let text = |text: &str| marked(text, marks);
    let (program, args, parent): (_, &[&str], _) = match name {
        "process_exec" => ("/usr/bin/cat", &["cat", "notes.txt"], "/usr/bin/bash"),
        "connect" | "udp_send" | "dns_question" | "dns_answer" => {
            ("/usr/bin/curl", &["curl"], "/usr/bin/bash")
        }
        "accept" | "listen" | "bind" => ("/usr/sbin/nginx", &["nginx"], "/usr/lib/systemd/systemd"),
        "memory_access" => ("/usr/bin/gdb", &["gdb"], "/usr/bin/bash"),
        "mount" | "unmount" => ("/usr/bin/mount", &["mount"], "/usr/bin/bash"),
        "module_load" | "module_unload" => ("/usr/bin/kmod", &["modprobe"], "/usr/lib/systemd/systemd"),
        _ => ("/usr/bin/bash", &["bash"], "/usr/sbin/sshd"),
    };
    let process_of = |id, exe: &str, args: &[&str]| {
        let (folder, file) = exe.rsplit_once('/').unwrap_or(("", exe));
        Process {
            ppid: 700,
            name: text(file),
            exe: [folder.as_bytes(), b"/", &text(file)].concat(),
            args: args.iter().map(|arg| text(arg)).collect(),
            cwd: b"/home/anna".to_vec(),
            uid: 1000,
            gid: 1000,
            euid: 1000,
            loginuid: Some(1000),
            tty: Some("pts/0".to_owned()),
            capabilities: Some(0),
            cgroup_id: 4211,
            namespaces: [4_026_531_841, 4_026_531_836, 4_026_531_840, 4_026_531_837],
            ..Process::unknown(id)
        }
    };
    let parent = process_of(exec_id(700, 3_000_000_000_000), parent, &["-bash"]);
    let mut process = process_of(exec_id(812, 3_599_500_000_000), program, args);
    process.parent = Some(parent.exec_id);
    let user: Arc<str> = String::from_utf8_lossy(&text("anna")).into();
    let values = schema.fields.iter().map(|field| value(name, field, marks)).collect();
    Observation {
        node: Arc::new(Node {
            name: "kitchen".to_owned(),
            boot_id: "6b3fcb2c-59d7-4e0e-9d6c-5f2d3e7a1b90".to_owned(),
        }),
        time: Timestamp::constant(1_767_225_600, 123_456_789),
        event: Event { schema: Arc::new(schema.clone()), generation: 0, values },
        process: Rc::new(process),
        tid: Some(812),
        parent: Some(Rc::new(parent)),
        ancestors: Vec::new(),
        group: None,
        user: Some(Arc::clone(&user)),
        login_user: Some(user),
    }
}

/// A container, for observations from inside of one.
pub fn container(marks: Marks) -> Container {
    let name = String::from_utf8_lossy(&marked("web", marks)).into_owned();
    Container {
        id: "0123456789abcdef".repeat(4),
        runtime: ContainerRuntime::Docker,
        name: Some(name),
        image: Some("nginx:1.29".to_owned()),
        pod: None,
    }
}

fn marked(text: &str, (open, close): Marks) -> Vec<u8> {
    format!("{open}{text}{close}").into_bytes()
}

/// The number of the call that is most often told as this event.
fn call_of(event: &str) -> u64 {
    let name = facts::calls(event).first().copied();
    (0..COMPAT_CALLS).find(|number| NameSet::SystemCall.names(*number) == Named::One(name)).unwrap_or(0)
}

fn value(event: &str, field: &Field, marks: Marks) -> Value {
    let name = field.name.as_str();
    let by_name =
        |table: &[(&'static str, &'static str)]| table.iter().find(|(n, _)| *n == name).map(|(_, t)| *t);
    let text = |bytes| Value::Text(Text { bytes, ..Text::default() });
    let number = match name {
        // A file's number where there is one, else 0 for success.
        "result" if event == "file_open" => 3,
        "result" if event == "memory_access" => 512,
        "signal" if event == "kill" => 15,
        _ => NUMBERS.iter().find(|(n, _)| *n == name).map_or(0, |(_, number)| *number),
    };
    let failed: i64 = match event {
        "file_open_failed" => -13,
        "process_exec_failed" => -2,
        _ => 0,
    };
    match &field.field_type {
        FieldType::Named { set: NameSet::SystemCall, .. } => Value::Unsigned(call_of(event)),
        FieldType::Signed { .. } if name == "result" && failed != 0 => Value::Signed(failed),
        FieldType::Unsigned { .. } | FieldType::Named { .. } => Value::Unsigned(number),
        FieldType::Signed { .. } => Value::Signed(number.cast_signed()),
        FieldType::Bool => Value::Bool(number != 0),
        FieldType::Inet => {
            let is_local = name.contains("local");
            Value::Inet(IpAddr::from(if is_local { [192, 0, 2, 10] } else { [192, 0, 2, 80] }))
        }
        FieldType::Text { .. } | FieldType::Path => match by_name(CHOICES) {
            Some(choice) => text(choice.as_bytes().to_vec()),
            // A part of the kernel comes from a file of its own.
            None if event == "module_load" && name == "file.path" => {
                text(marked("/lib/modules/wireguard.ko", marks))
            }
            None => text(marked(by_name(TEXTS).unwrap_or("text"), marks)),
        },
        FieldType::TextList { .. } => {
            let item = if name == "dns.addresses" { "192.0.2.80" } else { "text" };
            Value::TextList { items: vec![marked(item, marks)], truncated_from: None }
        }
        FieldType::Bytes { .. } | FieldType::Blob { .. } => Value::Bytes(marked("bytes", marks)),
        FieldType::KernelStack { .. } | FieldType::UserStack { .. } => {
            Value::Stack(vec![0xffff_ffff_8100_0000])
        }
    }
}
