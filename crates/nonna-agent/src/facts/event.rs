//! `evt.`: the event itself, its arguments and how it went.

use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use nonna_event::{FieldType, NameSet, Named, Value};
use nonna_rules::evaluate::{Fact, FieldArgument};

use super::{Facts, file, is_absent, owned, text};

/// Arguments of calls by the names that rules know them under: the event of the sensors, the argument and the field.
const ARGUMENTS: &[(&str, &[(&str, &str)])] = &[
    (
        "process_exec",
        &[
            ("exe", "exe"),
            ("args", "args"),
            ("filename", "exe"),
            ("cwd", "cwd"),
            ("uid", "uid"),
            ("loginuid", "loginuid"),
        ],
    ),
    ("process_exec_failed", &[("filename", "file.path"), ("pathname", "file.path")]),
    ("process_exit", &[("status", "exit_code"), ("ret", "exit_code"), ("sig", "signal")]),
    (
        "file_open",
        &[("fd", "result"), ("name", "file.raw_path"), ("flags", "file.flags"), ("mode", "file.mode")],
    ),
    ("file_open_failed", &[("fd", "result"), ("name", "file.raw_path"), ("flags", "file.flags")]),
    ("file_delete", &[("path", "file.path"), ("name", "file.path")]),
    ("file_rename", &[("oldpath", "file.path"), ("newpath", "file.new_path")]),
    ("file_link", &[("oldpath", "file.target"), ("newpath", "file.path")]),
    ("file_symlink", &[("target", "file.target"), ("linkpath", "file.path")]),
    ("directory_create", &[("path", "file.path"), ("mode", "file.mode")]),
    ("special_file_create", &[("path", "file.path"), ("mode", "file.mode")]),
    ("file_chmod", &[("filename", "file.path"), ("mode", "file.mode")]),
    (
        "file_chown",
        &[("path", "file.path"), ("pathname", "file.path"), ("uid", "file.uid"), ("gid", "file.gid")],
    ),
    ("file_truncate", &[("path", "file.path"), ("length", "file.size_bytes")]),
    (
        "mount",
        &[("dev", "mount.source"), ("dir", "mount.target"), ("type", "mount.type"), ("flags", "mount.flags")],
    ),
    ("unmount", &[("name", "mount.target")]),
    ("root_change", &[("path", "file.path"), ("new_root", "file.path")]),
    ("connect", &[("fd", "fd")]),
    ("accept", &[("fd", "result")]),
    ("listen", &[("fd", "fd"), ("backlog", "network.backlog")]),
    ("bind", &[("fd", "fd")]),
    ("udp_send", &[("fd", "fd"), ("size", "result")]),
    (
        "socket_create",
        &[
            ("domain", "network.family"),
            ("type", "network.type"),
            ("proto", "network.protocol_number"),
            ("fd", "result"),
        ],
    ),
    ("descriptor_copy", &[("oldfd", "fd"), ("newfd", "result")]),
    ("user_change", &[("uid", "identity.uid"), ("ruid", "identity.uid"), ("euid", "identity.euid")]),
    ("group_change", &[("gid", "identity.gid"), ("rgid", "identity.gid"), ("egid", "identity.egid")]),
    ("ptrace", &[("request", "ptrace.request"), ("pid", "target.pid")]),
    ("bpf_load", &[("cmd", "bpf.command")]),
    ("namespace_change", &[("flags", "namespace.flags"), ("nstype", "namespace.flags")]),
    ("kill", &[("pid", "target.pid"), ("sig", "signal")]),
    ("module_load", &[("uargs", "module.parameters"), ("name", "file.path")]),
    ("module_unload", &[("name", "module.name")]),
];

impl<'o> Facts<'o> {
    pub(super) fn of_event(&self, name: &str, argument: Option<&FieldArgument>) -> Option<Fact<'o>> {
        match name {
            "num" => Some(Fact::Unsigned(self.number)),
            "count" => Some(Fact::Unsigned(1)),
            "type" => text(self.event_type.name().as_bytes()),
            "type.is" => match argument {
                Some(FieldArgument::Key(name)) => {
                    Some(Fact::Unsigned(u64::from(name == self.event_type.name())))
                }
                _ => None,
            },
            "dir" => text(b"<"),
            "source" => text(b"syscall"),
            "category" => text(self.category().as_bytes()),
            "hostname" => text(self.observation.node.name.as_bytes()),
            "res" => match self.result() {
                Some(result) if result < 0 => self.observation.errno().and_then(|name| text(name.as_bytes())),
                _ => text(b"SUCCESS"),
            },
            "rawres" => Some(Fact::Signed(self.result().unwrap_or(0))),
            "failed" => Some(Fact::Bool(self.observation.failed())),
            "count.error" => self.observation.failed().then_some(Fact::Unsigned(1)),
            "is_open_read" => self.opened(|access| access != 1),
            "is_open_write" => self.opened(|access| access != 0),
            "is_open_create" => Some(Fact::Bool(self.observation.unsigned("file.created") == Some(1))),
            "is_open_exec" => Some(Fact::Bool(self.is_open_exec())),
            "is_async" => Some(Fact::Bool(false)),
            "arg" => match argument? {
                FieldArgument::Key(key) => self.argument(key),
                FieldArgument::Index(_) => None,
            },
            "rawarg" => match argument? {
                FieldArgument::Key(key) => self.raw_argument(key),
                FieldArgument::Index(_) => None,
            },
            "args" | "info" => Some(self.all_arguments()),
            _ => self.of_time(name),
        }
    }

    fn of_time(&self, name: &str) -> Option<Fact<'o>> {
        let time = self.observation.time;
        let ns = u64::try_from(time.as_nanosecond()).unwrap_or(0);
        let formatted =
            |format: &str, zone: TimeZone| strtime::format(format, &time.to_zoned(zone)).ok().and_then(owned);
        match name {
            "time" | "outputtime" => formatted("%H:%M:%S.%9f", TimeZone::system()),
            "time.s" => formatted("%H:%M:%S", TimeZone::system()),
            "time.iso8601" => formatted("%Y-%m-%dT%H:%M:%S.%9f+0000", TimeZone::UTC),
            "datetime" => formatted("%Y-%m-%d %H:%M:%S.%9f", TimeZone::system()),
            "datetime.s" => formatted("%Y-%m-%d %H:%M:%S", TimeZone::system()),
            "rawtime" => Some(Fact::Unsigned(ns)),
            "rawtime.s" => Some(Fact::Unsigned(ns / 1_000_000_000)),
            "rawtime.ns" => Some(Fact::Unsigned(ns % 1_000_000_000)),
            _ => None,
        }
    }

    fn category(&self) -> &'static str {
        match self.observation.name().split_once('_').map_or(self.observation.name(), |(first, _)| first) {
            "file" | "directory" | "special" | "mount" | "unmount" | "root" => "file",
            "connect" | "accept" | "listen" | "bind" | "udp" | "socket" => "net",
            "process" => "process",
            "user" | "group" | "groups" => "user",
            "kill" => "signal",
            _ => "system",
        }
    }

    /// Whether a file was to be opened so; false for other events, as it is in Falco.
    fn opened(&self, fits: impl Fn(u64) -> bool) -> Option<Fact<'o>> {
        let access = self.observation.unsigned("file.access");
        Some(Fact::Bool(access.is_some_and(fits)))
    }

    fn is_open_exec(&self) -> bool {
        let mode = self.observation.unsigned("file.mode").unwrap_or(0);
        self.observation.unsigned("file.created") == Some(1) && mode & 0o111 != 0
    }

    fn argument_field(&self, name: &str) -> Option<usize> {
        let event = self.event();
        let (_, arguments) = ARGUMENTS.iter().find(|(known, _)| *known == event.schema.name)?;
        let (_, field) = arguments.iter().find(|(known, _)| *known == name)?;
        event.schema.field_idx(field).filter(|idx| !is_absent(&event.values[*idx]))
    }

    pub(super) fn argument(&self, name: &str) -> Option<Fact<'o>> {
        if name == "res" {
            let result = self.result()?;
            return match self.observation.errno() {
                Some(errno) => owned(errno.to_owned()),
                None => owned(result.to_string()),
            };
        }
        let event = self.event();
        let idx = self.argument_field(name)?;
        let field = &event.schema.fields[idx];
        match (&event.values[idx], &field.field_type) {
            (Value::Unsigned(number), FieldType::Named { set, .. }) => self.named(*set, *number),
            // Users are compared by name as well as by number.
            (Value::Unsigned(number), _) if matches!(name, "uid" | "ruid" | "euid") => self.user_of(*number),
            (Value::Text(found), _) => text(&found.bytes),
            (Value::TextList { items, .. }, _) => Some(super::joined(items)),
            (Value::Unsigned(number), _) => owned(number.to_string()),
            (Value::Signed(number), _) => owned(number.to_string()),
            (Value::Bool(yes), _) => owned(yes.to_string()),
            (Value::Inet(address), _) => owned(address.to_string()),
            _ => None,
        }
    }

    /// A number's names as rules know them.
    fn named(&self, set: NameSet, number: u64) -> Option<Fact<'o>> {
        match set {
            NameSet::OpenFlags => owned(file::open_flags(number)),
            NameSet::FileMode => owned(file::mode(number)),
            _ => owned(match set.names(number) {
                Named::One(name) => name.map_or_else(|| number.to_string(), str::to_owned),
                Named::Many { names, .. } => names.join("|"),
                Named::Octal(digits) => digits,
            }),
        }
    }

    fn user_of(&self, uid: u64) -> Option<Fact<'o>> {
        let own = u64::from(self.process().uid) == uid;
        match (&self.observation.user, own) {
            (Some(name), true) => text(name.as_bytes()),
            _ if uid == 0 => text(b"root"),
            _ => owned(uid.to_string()),
        }
    }

    fn raw_argument(&self, name: &str) -> Option<Fact<'o>> {
        if name == "res" {
            return self.result().map(Fact::Signed);
        }
        match self.event().values[self.argument_field(name)?] {
            Value::Unsigned(number) => Some(Fact::Unsigned(number)),
            Value::Signed(number) => Some(Fact::Signed(number)),
            Value::Bool(yes) => Some(Fact::Bool(yes)),
            _ => None,
        }
    }

    fn all_arguments(&self) -> Fact<'o> {
        let event = self.event();
        let known = ARGUMENTS.iter().find(|(name, _)| *name == event.schema.name);
        let mut said: Vec<u8> = Vec::new();
        if let Some(result) = self.argument("res") {
            let Fact::Text(result) = result else { return Fact::Text(said.into()) };
            said.extend_from_slice(b"res=");
            said.extend_from_slice(&result);
        }
        let mut seen: Vec<&str> = Vec::new();
        for (name, field) in known.map_or(&[][..], |(_, arguments)| arguments) {
            if seen.contains(field) {
                continue;
            }
            seen.push(field);
            if let Some(Fact::Text(value)) = self.argument(name) {
                if !said.is_empty() {
                    said.push(b' ');
                }
                said.extend_from_slice(name.as_bytes());
                said.push(b'=');
                said.extend_from_slice(&value);
            }
        }
        Fact::Text(said.into())
    }
}
