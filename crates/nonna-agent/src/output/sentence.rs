//! Sentences: what happened, in plain words.
//!
//! One function per event, found by its name in [`SENTENCES`]. They are written for somebody who does not know the kernel:
//! who did what to what, and why it matters if it does. A test holds each to a reading grade and to a list of words to
//! avoid.

use nonna_event::escape;

use crate::observation::Observation;

/// What an event of one kind reads like, without its subject: `read /etc/shadow`.
type Predicate = fn(&Observation) -> String;

/// Every event that has words of its own, by name.
pub const SENTENCES: &[(&str, Predicate)] = &[
    ("process_exec", process_exec),
    ("process_exec_failed", process_exec_failed),
    ("process_fork", process_fork),
    ("process_exit", process_exit),
    ("file_open", file_open),
    ("file_delete", file_delete),
    ("file_rename", file_rename),
    ("file_link", file_link),
    ("file_symlink", file_symlink),
    ("directory_create", directory_create),
    ("file_chmod", file_chmod),
    ("file_chown", file_chown),
    ("mount", mount),
    ("unmount", unmount),
    ("connect", connect),
    ("accept", accept),
    ("listen", listen),
    ("bind", bind),
    ("udp_send", udp_send),
    ("dns_question", dns_question),
    ("dns_answer", dns_answer),
    ("user_change", user_change),
    ("group_change", group_change),
    ("capability_use", capability_use),
    ("ptrace", ptrace),
    ("module_load", module_load),
    ("bpf_load", bpf_load),
    ("namespace_change", namespace_change),
    ("kill", kill),
];

/// Files whose contents are worth a word, with that word.
const KNOWN_FILES: &[(&str, &str)] = &[
    ("/etc/shadow", "which holds the password hashes"),
    ("/etc/gshadow", "which holds the group password hashes"),
    ("/etc/sudoers", "which says who may act as root"),
    ("/etc/passwd", "which lists the users"),
    ("/etc/ssh/ssh_host_", "which is a secret key of this machine"),
    ("/root/.ssh/", "which holds root's keys"),
    ("/etc/kubernetes/", "which holds cluster secrets"),
    ("/.ssh/id_", "which is a secret key"),
    ("/.aws/credentials", "which holds cloud passwords"),
];

/// The whole sentence, with its full stop.
pub fn sentence(observation: &Observation) -> String {
    let words = SENTENCES.iter().find(|(name, _)| *name == observation.name());
    let predicate = words.map_or_else(|| generic(observation), |(_, words)| words(observation));
    format!("{} {predicate}.", subject(observation))
}

/// `cat (pid 812, started by bash)`
fn subject(observation: &Observation) -> String {
    let process = &observation.process;
    let name = escape(process.short_name());
    let name = if name.is_empty() { "Somebody" } else { name.as_str() };
    let pid = process.exec_id.process.pid;
    match &observation.parent {
        Some(parent) => {
            let parent = escape(parent.short_name());
            format!("{name} (pid {pid}, started by {parent})")
        }
        None => format!("{name} (pid {pid})"),
    }
}

/// ` but it was not allowed to`, ` but it failed: …`, or nothing where it worked.
fn outcome(observation: &Observation) -> &'static str {
    match observation.errno() {
        None if observation.failed() => ", but it failed",
        None => "",
        Some("EACCES" | "EPERM") => ", but it was not allowed to",
        Some("ENOENT") => ", but there is no such file",
        Some("ECONNREFUSED") => ", but nobody answered there",
        Some("ETIMEDOUT") => ", but no answer came in time",
        Some("ENETUNREACH" | "EHOSTUNREACH") => ", but there is no way to get there",
        Some("EINPROGRESS") => " and waits for an answer",
        Some("EADDRINUSE") => ", but another program has that port",
        Some("EEXIST") => ", but it is there already",
        Some("EROFS") => ", but that disk can only be read",
        Some(_) => ", but it failed",
    }
}

/// `tried to open` or `opened`, by how it went.
fn verb<'a>(observation: &Observation, done: &'a str, tried: &'a str) -> &'a str {
    if observation.failed() && observation.errno() != Some("EINPROGRESS") { tried } else { done }
}

fn generic(observation: &Observation) -> String {
    let shown = |name: &str| format!("{name} {}", observation.shown(name));
    let fields = observation.event.schema.fields.iter().map(|f| f.name.as_str());
    let own: Vec<String> = fields.filter(|f| !super::json::PROCESS_FIELDS.contains(f)).map(shown).collect();
    let event = observation.name();
    if own.is_empty() {
        format!("made the event {event}")
    } else {
        format!("made the event {event}: {}", own.join(", "))
    }
}

/// A path with what is known about the file.
fn file(observation: &Observation, field: &str) -> String {
    let path = observation.shown(field);
    if path.is_empty() {
        return "a file".to_owned();
    }
    let known = KNOWN_FILES.iter().find(|(name, _)| {
        path == *name || (name.ends_with(['/', '_']) && path.contains(name)) || path.ends_with(name)
    });
    match known {
        Some((_, what)) => format!("{path}, {what}"),
        None => path,
    }
}

fn process_exec(observation: &Observation) -> String {
    let process = &observation.process;
    let args: Vec<String> = process.args.iter().map(|arg| quoted(arg)).collect();
    let exe = escape(&process.exe);
    let command = if args.is_empty() { exe.clone() } else { args.join(" ") };
    let user = observation.user.as_deref().map(|user| format!(" as {user}")).unwrap_or_default();
    let source = if process.exe_memfd { " from memory, with no file on disk" } else { "" };
    format!("started{user}{source}: {command}")
}

/// An argument as a shell would want it.
fn quoted(arg: &[u8]) -> String {
    let text = escape(arg);
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,@%+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn process_exec_failed(observation: &Observation) -> String {
    format!("tried to start {}{}", observation.shown("file.path"), outcome(observation))
}

fn process_fork(observation: &Observation) -> String {
    format!("made a copy of itself: pid {}", observation.shown("child.pid"))
}

fn process_exit(observation: &Observation) -> String {
    let signal = observation.unsigned("signal").unwrap_or(0);
    let after = observation.unsigned("duration_ns").map(|ns| format!(" after {}", duration(ns)));
    let after = after.unwrap_or_default();
    if signal != 0 {
        return format!("was ended by {}{after}", observation.shown("signal"));
    }
    match observation.signed("exit_code").unwrap_or(0) {
        0 => format!("ended{after}"),
        code => format!("ended with error code {code}{after}"),
    }
}

fn duration(nanoseconds: u64) -> String {
    match nanoseconds {
        0..1_000_000 => "less than a millisecond".to_owned(),
        1_000_000..1_000_000_000 => format!("{} ms", nanoseconds / 1_000_000),
        1_000_000_000..120_000_000_000 => {
            format!("{}.{} s", nanoseconds / 1_000_000_000, nanoseconds / 100_000_000 % 10)
        }
        _ => format!("{} min", nanoseconds / 60_000_000_000),
    }
}

fn file_open(observation: &Observation) -> String {
    let created = observation.unsigned("file.created") == Some(1) && !observation.failed();
    let what = file(observation, "file.path");
    let (done, tried) = match observation.unsigned("file.access").map(|access| access & 3) {
        _ if created => ("made", "tried to make"),
        Some(1) => ("opened for writing", "tried to write to"),
        Some(2) => ("opened for reading and writing", "tried to write to"),
        _ => ("read", "tried to read"),
    };
    format!("{} {what}{}", verb(observation, done, tried), outcome(observation))
}

fn file_delete(observation: &Observation) -> String {
    let path = file(observation, "file.path");
    format!("{} {path}{}", verb(observation, "removed", "tried to remove"), outcome(observation))
}

fn file_rename(observation: &Observation) -> String {
    let (from, to) = (observation.shown("file.path"), file(observation, "file.new_path"));
    format!("{} {from} to {to}{}", verb(observation, "renamed", "tried to rename"), outcome(observation))
}

fn file_link(observation: &Observation) -> String {
    let (path, target) = (observation.shown("file.path"), file(observation, "file.target"));
    let verb = verb(observation, "gave", "tried to give");
    format!("{verb} a second name, {path}, to {target}{}", outcome(observation))
}

fn file_symlink(observation: &Observation) -> String {
    let (path, target) = (observation.shown("file.path"), file(observation, "file.target"));
    let verb = verb(observation, "made", "tried to make");
    format!("{verb} the link {path} to {target}{}", outcome(observation))
}

fn directory_create(observation: &Observation) -> String {
    let verb = verb(observation, "made", "tried to make");
    format!("{verb} the folder {}{}", observation.shown("file.path"), outcome(observation))
}

fn file_chmod(observation: &Observation) -> String {
    let verb = verb(observation, "set", "tried to set");
    let (mode, path) = (observation.shown("file.mode"), file(observation, "file.path"));
    format!("{verb} the access rights {mode} on {path}{}", outcome(observation))
}

fn file_chown(observation: &Observation) -> String {
    let verb = verb(observation, "gave", "tried to give");
    let path = file(observation, "file.path");
    let (uid, gid) = (observation.shown("file.uid"), observation.shown("file.gid"));
    format!("{verb} {path} to user {uid} and group {gid}{}", outcome(observation))
}

fn mount(observation: &Observation) -> String {
    let verb = verb(observation, "attached", "tried to attach");
    let (source, target) = (observation.shown("mount.source"), observation.shown("mount.target"));
    let source = if source.is_empty() { "a disk".to_owned() } else { source };
    format!("{verb} {source} at {target}{}", outcome(observation))
}

fn unmount(observation: &Observation) -> String {
    let verb = verb(observation, "took away", "tried to take away");
    format!("{verb} the disk at {}{}", observation.shown("mount.target"), outcome(observation))
}

/// `address port 443`, for either side of a connection.
fn endpoint(observation: &Observation, address: &str, port: &str) -> String {
    let address = observation.shown(address);
    match observation.unsigned(port) {
        Some(port) if port != 0 => format!("{address} port {port}"),
        _ => address,
    }
}

fn remote(observation: &Observation) -> String {
    endpoint(observation, "network.remote_address", "network.remote_port")
}

fn local(observation: &Observation) -> String {
    endpoint(observation, "network.local_address", "network.local_port")
}

fn connect(observation: &Observation) -> String {
    let verb = verb(observation, "connected", "tried to connect");
    let waits = observation.errno() == Some("EINPROGRESS");
    let verb = if waits { "calls" } else { verb };
    let to = if waits { "" } else { " to" };
    format!("{verb}{to} {}{}", remote(observation), outcome(observation))
}

fn accept(observation: &Observation) -> String {
    format!("took a call from {}{}", remote(observation), outcome(observation))
}

fn listen(observation: &Observation) -> String {
    let verb = verb(observation, "waits", "tried to wait");
    format!("{verb} for calls on {}{}", local(observation), outcome(observation))
}

fn bind(observation: &Observation) -> String {
    let verb = verb(observation, "took", "tried to take");
    format!("{verb} the address {}{}", local(observation), outcome(observation))
}

fn udp_send(observation: &Observation) -> String {
    let verb = verb(observation, "sent", "tried to send");
    format!("{verb} a message to {}{}", remote(observation), outcome(observation))
}

fn dns_question(observation: &Observation) -> String {
    format!("asked for the address of {}", observation.shown("dns.name"))
}

fn dns_answer(observation: &Observation) -> String {
    let name = observation.shown("dns.name");
    match observation.shown("dns.address") {
        address if address.is_empty() => format!("was told that {name} has no address"),
        address => format!("was told that {name} is at {address}"),
    }
}

fn user_change(observation: &Observation) -> String {
    let verb = verb(observation, "became", "tried to become");
    format!("{verb} user {}{}", observation.shown("identity.uid"), outcome(observation))
}

fn group_change(observation: &Observation) -> String {
    let verb = verb(observation, "joined", "tried to join");
    format!("{verb} group {}{}", observation.shown("identity.gid"), outcome(observation))
}

fn capability_use(observation: &Observation) -> String {
    format!("used the special right {}", observation.shown("capability"))
}

fn ptrace(observation: &Observation) -> String {
    let verb = verb(observation, "looked into", "tried to look into");
    let (name, pid) = (observation.shown("target.name"), observation.shown("target.pid"));
    format!("{verb} the memory of {name} (pid {pid}){}", outcome(observation))
}

fn module_load(observation: &Observation) -> String {
    let verb = verb(observation, "added", "tried to add");
    format!(
        "{verb} the part {} to the heart of the system{}",
        observation.shown("module.name"),
        outcome(observation)
    )
}

fn bpf_load(observation: &Observation) -> String {
    let verb = verb(observation, "put", "tried to put");
    let kind = observation.shown("bpf.program_type");
    format!("{verb} a small program of kind {kind} into the system{}", outcome(observation))
}

fn namespace_change(observation: &Observation) -> String {
    let verb = verb(observation, "moved", "tried to move");
    format!(
        "{verb} into a room of its own ({}){}",
        observation.shown("namespace.flags"),
        outcome(observation)
    )
}

fn kill(observation: &Observation) -> String {
    let verb = verb(observation, "sent", "tried to send");
    let (signal, pid) = (observation.shown("signal"), observation.shown("target.pid"));
    format!("{verb} {signal} to pid {pid}{}", outcome(observation))
}
