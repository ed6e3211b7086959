//! Observations as rules ask about them: which type of event each is, and the values of fields.
//!
//! Names, kinds of values and what is missing when are those of Falco (`userspace/libsinsp/sinsp_filtercheck_*.cpp` in falcosecurity/libs); where
//! the kernel knows better than a table that is kept beside it, the kernel is believed. This module decides nothing.

mod event;
mod file;
mod network;
mod process;
mod push_down;

use std::borrow::Cow;
use std::rc::Rc;

use nonna_event::{COMPAT_CALLS, Event, Value};
use nonna_rules::evaluate::{Fact, FieldArgument, FieldUse};
use nonna_rules::fields::{self, Origin};
use nonna_rules::{EventType, EventTypes};

pub use push_down::{Shares, predicate, shares};

use crate::observation::Observation;
use crate::process::Process;

/// The call of a request in a ring (`io_uring_enter(2)`): what is opened so is opened as by `openat2`.
const RING_CALL: u64 = 426;

/// An observation with what rules may ask beyond it.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'o> {
    observation: &'o Observation,
    /// Counts the events of a run, from 1.
    number: u64,
    event_type: EventType,
}

impl<'o> Facts<'o> {
    /// The facts of an observation that rules can ask about; `None` for those that are no event of theirs.
    pub fn new(observation: &'o Observation, number: u64) -> Option<Facts<'o>> {
        let event_type = event_type(&observation.event)?;
        Some(Facts { observation, number, event_type })
    }

    fn event(&self) -> &'o Event {
        &self.observation.event
    }

    fn process(&self) -> &'o Process {
        &self.observation.process
    }

    fn text(&self, field: &str) -> Option<&'o [u8]> {
        self.event().text(field).map(|text| text.bytes.as_slice())
    }

    fn result(&self) -> Option<i64> {
        self.observation.signed("result")
    }

    /// The process `distance` above, 1 for the parent.
    fn ancestor(&self, distance: u32) -> Option<&'o Process> {
        match distance {
            0 => Some(self.process()),
            1 => self.observation.parent.as_deref(),
            _ => self.observation.ancestors.get(distance as usize - 1).map(Rc::as_ref),
        }
    }

    /// One value for a process above that is named by its distance, or those of all of them.
    fn of_ancestors(
        &self,
        argument: Option<&FieldArgument>,
        value: impl Fn(&'o Process) -> Option<Fact<'o>>,
    ) -> Option<Fact<'o>> {
        match argument {
            Some(FieldArgument::Index(distance)) => value(self.ancestor(*distance)?),
            Some(FieldArgument::Key(_)) => None,
            None => {
                let all = self.observation.ancestors.iter().filter_map(|process| value(process));
                Some(Fact::Many(all.collect()))
            }
        }
    }
}

impl nonna_rules::evaluate::Facts for Facts<'_> {
    fn event_type(&self) -> EventType {
        self.event_type
    }

    fn get(&self, field: &FieldUse) -> Option<Fact<'_>> {
        let (name, argument) = (field.field.name, field.argument.as_ref());
        let (prefix, rest) = name.split_once('.')?;
        match prefix {
            "evt" | "syscall" => self.of_event(rest, argument),
            "proc" => self.of_process(rest, argument),
            "thread" => self.of_thread(rest),
            "user" | "group" => self.of_account(name),
            "container" | "k8s" => self.of_container(name),
            "fd" => self.of_descriptor(rest),
            "fs" => self.of_paths(rest),
            _ => None,
        }
    }
}

/// Types of events by what the sensors call them, for those that are not told by a single system call.
const WITHOUT_CALL: [(&str, &str); 2] = [("process_exec", "execve"), ("process_exit", "procexit")];

/// The system calls that each event of the sensors stands for.
const CALLS: &[(&str, &[&str])] = &[
    ("process_exec", &["execve", "execveat"]),
    ("process_exec_failed", &["execve", "execveat"]),
    ("process_exit", &["procexit"]),
    ("file_open", &["openat", "open", "openat2", "creat"]),
    ("file_open_failed", &["openat", "open", "openat2", "creat"]),
    ("file_delete", &["unlink", "unlinkat", "rmdir"]),
    ("file_rename", &["rename", "renameat", "renameat2"]),
    ("file_link", &["link", "linkat"]),
    ("file_symlink", &["symlink", "symlinkat"]),
    ("directory_create", &["mkdir", "mkdirat"]),
    ("special_file_create", &["mknod", "mknodat"]),
    ("file_chmod", &["chmod", "fchmod", "fchmodat", "fchmodat2"]),
    ("file_chown", &["chown", "lchown", "fchown", "fchownat"]),
    ("file_truncate", &["truncate"]),
    ("mount", &["mount", "move_mount"]),
    ("unmount", &["umount", "umount2"]),
    ("root_change", &["chroot", "pivot_root"]),
    ("connect", &["connect"]),
    ("accept", &["accept", "accept4"]),
    ("listen", &["listen"]),
    ("bind", &["bind"]),
    ("udp_send", &["sendto", "sendmsg", "sendmmsg"]),
    ("socket_create", &["socket"]),
    ("descriptor_copy", &["dup", "dup2", "dup3"]),
    ("user_change", &["setuid", "setreuid", "setresuid", "setfsuid"]),
    ("group_change", &["setgid", "setregid", "setresgid", "setfsgid"]),
    ("groups_change", &["setgroups"]),
    ("ptrace", &["ptrace"]),
    ("memory_access", &["process_vm_readv", "process_vm_writev"]),
    ("bpf_load", &["bpf"]),
    ("page_fault_handler", &["userfaultfd"]),
    ("namespace_change", &["unshare", "setns"]),
    ("kill", &["kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal"]),
    ("module_load", &["finit_module", "init_module"]),
    ("module_unload", &["delete_module"]),
];

/// The system calls that an event of the sensors stands for, the most usual first; none for those that are no event for rules.
pub(crate) fn calls(event: &str) -> &'static [&'static str] {
    CALLS.iter().find(|(name, _)| *name == event).map_or(&[], |(_, calls)| calls)
}

/// The types of events that an event of the sensors can be; none for those that are no event for rules.
pub fn event_types(event: &str) -> EventTypes {
    calls(event).iter().filter_map(|name| EventType::find(name)).collect()
}

/// All types of events that rules are asked about here.
pub fn supplied_event_types() -> EventTypes {
    CALLS.iter().fold(EventTypes::NONE, |all, (event, _)| all.or(event_types(event)))
}

/// Whether an event of this machine can have a value for a field.
pub fn is_supplied(field: &fields::Field) -> bool {
    field.origin != Origin::Unavailable
}

fn event_type(event: &Event) -> Option<EventType> {
    let name = event.schema.name.as_str();
    if let Some((_, name)) = WITHOUT_CALL.iter().find(|(own, _)| *own == name) {
        return EventType::find(name);
    }
    let call = event.unsigned("call")?;
    if call == RING_CALL {
        return EventType::find("openat2");
    }
    match call.checked_sub(COMPAT_CALLS) {
        None => EventType::of_system_call(u32::try_from(call).ok()?),
        Some(call) => EventType::of_system_call_of_32_bits(u32::try_from(call).ok()?),
    }
}

fn text(bytes: &[u8]) -> Option<Fact<'_>> {
    Some(Fact::Text(Cow::Borrowed(bytes)))
}

/// Text that is there only if it is not empty.
fn filled(bytes: &[u8]) -> Option<Fact<'_>> {
    (!bytes.is_empty()).then_some(Fact::Text(Cow::Borrowed(bytes)))
}

fn owned(text: String) -> Option<Fact<'static>> {
    Some(Fact::Text(Cow::Owned(text.into_bytes())))
}

fn joined(items: &[Vec<u8>]) -> Fact<'static> {
    Fact::Text(Cow::Owned(items.join(&b' ')))
}

fn is_absent(value: &Value) -> bool {
    matches!(value, Value::Absent)
}
