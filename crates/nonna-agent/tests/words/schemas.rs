//! Schemas of every event that has a sentence, made by hand.

use nonna_event::{EventSchema, Field, FieldType, NameSet, Ring};

/// Fields that every event has.
const ORIGIN: &str = "time_ns:u64 pid:u32 tid:u32 start_time_ns:u64 exec_sequence:u64";

/// Events with their own fields.
const EVENTS: &[(&str, &str)] = &[
    (
        "process_exec",
        "ppid:u32 parent.start_time_ns:u64 parent.exec_sequence:u64 name:text exe:path args:list cwd:path uid:u32 gid:u32 \
         euid:u32 loginuid:u32 tty:text capabilities:capability_set cgroup:text cgroup_id:u64 exe_memfd:bool \
         exe_overlay_upper:bool namespaces.mnt:u32 namespaces.pid:u32 namespaces.net:u32 namespaces.user:u32",
    ),
    ("process_exec_failed", "file.path:path result:i64"),
    ("process_fork", "child.pid:u32 child.start_time_ns:u64 child.exec_sequence:u64"),
    ("process_exit", "exit_code:u8 signal:signal duration_ns:u64 peak_memory_bytes:u64"),
    ("kill", "signal:signal target.pid:i32 result:i64"),
    ("ptrace", "ptrace.request:ptrace_request target.pid:u32 result:i64"),
    (
        "file_open",
        "file.path:path file.flags:open_flags file.access:open_access file.created:bool file.mode:file_mode result:i64",
    ),
    (
        "file_open_failed",
        "file.path:path file.base:path file.flags:open_flags file.access:open_access result:i64",
    ),
    ("file_delete", "file.path:path file.base:path result:i64"),
    ("file_rename", "file.path:path file.base:path file.new_path:path file.new_base:path result:i64"),
    ("file_link", "file.path:path file.base:path file.target:path file.target_base:path result:i64"),
    ("file_symlink", "file.path:path file.base:path file.target:path result:i64"),
    ("directory_create", "file.path:path file.base:path file.mode:file_mode result:i64"),
    ("file_chmod", "file.path:path file.base:path file.mode:file_mode result:i64"),
    ("file_chown", "file.path:path file.base:path file.uid:u32 file.gid:u32 result:i64"),
    (
        "special_file_create",
        "file.path:path file.base:path file.type:file_type file.mode:file_mode device.major:u32 device.minor:u32 result:i64",
    ),
    ("file_truncate", "file.path:path file.base:path file.size_bytes:i64 result:i64"),
    ("root_change", "file.path:path file.base:path result:i64"),
    ("memory_access", "memory.access:open_access target.pid:i32 result:i64"),
    ("groups_change", "identity.group_count:u32 result:i64"),
    ("module_unload", "module.name:text result:i64"),
    (
        "mount",
        "mount.source:path mount.target:path mount.base:path mount.type:text mount.flags:mount_flags result:i64",
    ),
    ("unmount", "mount.target:path mount.base:path result:i64"),
    (
        "connect",
        "network.family:address_family network.protocol:ip_protocol network.local_address:inet network.local_port:u16 \
         network.remote_address:inet network.remote_port:u16 result:i64",
    ),
    (
        "accept",
        "network.family:address_family network.protocol:ip_protocol network.local_address:inet network.local_port:u16 \
         network.remote_address:inet network.remote_port:u16 result:i64",
    ),
    (
        "listen",
        "network.family:address_family network.protocol:ip_protocol network.local_address:inet network.local_port:u16 \
         network.backlog:i32 result:i64",
    ),
    (
        "bind",
        "network.family:address_family network.protocol:ip_protocol network.local_address:inet network.local_port:u16 \
         result:i64",
    ),
    (
        "udp_send",
        "network.family:address_family network.protocol:ip_protocol network.remote_address:inet network.remote_port:u16 \
         result:i64",
    ),
    ("socket_create", "network.family:address_family result:i64"),
    (
        "descriptor_copy",
        "network.family:address_family network.protocol:ip_protocol network.local_address:inet network.local_port:u16 \
         network.remote_address:inet network.remote_port:u16 result:i64",
    ),
    ("page_fault_handler", "result:i64"),
    ("dns_packet", "network.protocol:ip_protocol dns.payload:bytes"),
    ("user_change", "identity.uid:u32 identity.euid:u32 identity.fsuid:u32 result:i64"),
    ("group_change", "identity.gid:u32 identity.egid:u32 identity.fsgid:u32 result:i64"),
    ("capability_use", "capability:capability result:i64"),
    ("module_load", "module.name:text file.path:path module.parameters:text result:i64"),
    ("bpf_load", "bpf.program_type:bpf_program_type result:i64"),
    ("namespace_change", "namespace.flags:clone_flags result:i64"),
];

/// The schemas as the programs send them.
pub fn sent() -> Vec<EventSchema> {
    let schema = |(id, (name, own)): (u32, &(&str, &str))| {
        let fields = ORIGIN.split_whitespace().chain(own.split_whitespace()).map(field).collect();
        EventSchema { id, name: (*name).to_owned(), fields, ring: Ring::Volume }
    };
    (1..).zip(EVENTS).map(schema).collect()
}

/// The schemas as they are told.
pub fn told() -> Vec<EventSchema> {
    nonna_agent::refine::told(&sent())
}

/// The schema of one event as it is told.
pub fn named(name: &str) -> EventSchema {
    told().into_iter().find(|schema| schema.name == name).unwrap()
}

fn field(text: &str) -> Field {
    let (name, kind) = text.split_once(':').unwrap();
    let field_type = match kind {
        "u8" => FieldType::Unsigned { bytes: 1 },
        "u16" => FieldType::Unsigned { bytes: 2 },
        "u32" => FieldType::Unsigned { bytes: 4 },
        "u64" => FieldType::Unsigned { bytes: 8 },
        "i32" => FieldType::Signed { bytes: 4 },
        "i64" => FieldType::Signed { bytes: 8 },
        "bool" => FieldType::Bool,
        "text" => FieldType::Text { max_bytes: 256 },
        "path" => FieldType::Path,
        "list" => FieldType::TextList { max_bytes: 8192 },
        "bytes" => FieldType::Bytes { max_bytes: 512 },
        "inet" => FieldType::Inet,
        set => FieldType::Named { set: NameSet::by_function(set).unwrap(), bytes: 8 },
    };
    Field { name: name.to_owned(), field_type, description: String::new() }
}
