//! Sentences about programs: how they start, end, and what they do to each other.

use nonna_event::escape;

use super::{container, name, outcome::outcome, shown_or, told, words};
use crate::observation::Observation;
use crate::process::Process;

/// Characters of a command line that are shown; the rest is in the JSON.
const COMMAND_CHARS: usize = 300;

/// ``bash started `cat /etc/shadow` as root (pid 812, in container web)``
pub(super) fn exec(observation: &Observation) -> String {
    let process = &*observation.process;
    let command = command(process);
    let user = observation.user.as_deref().map(|user| format!(" as {}", escape(user.as_bytes())));
    let user = user.unwrap_or_default();
    let pid = process.exec_id.process.pid;
    let place = container(process);
    let what = match &observation.parent {
        Some(parent) => format!("{} started `{command}`{user} (pid {pid}{place})", name(parent)),
        None => format!("`{command}` was started{user} (pid {pid}{place})"),
    };
    format!("{what}{}", remarks(process))
}

/// What is strange about a program: where it comes from, or that it hides its name.
fn remarks(process: &Process) -> String {
    if process.exe_memfd {
        return "; it runs from memory with no file on disk, as programs do that want to hide".to_owned();
    }
    let other_name = process.args.first().is_some_and(|first| {
        let called = file_name(first);
        let called = called.strip_prefix(b"-").unwrap_or(called);
        !process.exe.is_empty() && called != file_name(&process.exe)
    });
    let really =
        if other_name { format!("; the program is {}", escape(&process.exe)) } else { String::new() };
    if process.exe_overlay_upper && process.container.is_some() {
        return format!("{really}; it was put there after the container was made");
    }
    really
}

fn file_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

/// The command line as a shell would take it, cut where it is long.
fn command(process: &Process) -> String {
    if process.args.is_empty() {
        return escape(&process.exe).into_owned();
    }
    let mut line = String::new();
    for arg in &process.args {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&quoted(arg));
        if line.len() > 4 * COMMAND_CHARS {
            break;
        }
    }
    match line.char_indices().nth(COMMAND_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// An argument as a shell would want it.
fn quoted(arg: &[u8]) -> String {
    let text = escape(arg);
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,@%+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.into_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

pub(super) fn exec_failed(observation: &Observation) -> String {
    let what = shown_or(observation, "file.path", "a program");
    told(observation, "started", "tried to start", &what)
}

pub(super) fn fork(observation: &Observation) -> String {
    let pid = observation.unsigned("child.pid").map(|pid| format!(" (pid {pid})"));
    let copy = format!("a copy of itself{}", pid.unwrap_or_default());
    told(observation, "made", "tried to make", &copy)
}

pub(super) fn exit(observation: &Observation) -> String {
    let ran = observation.unsigned("duration_ns").map(|ns| format!(" ran for {}, then", words::duration(ns)));
    let signal = observation.unsigned("signal").unwrap_or(0);
    let how = match (signal, observation.signed("exit_code").unwrap_or(0)) {
        (0, 0) => "ended".to_owned(),
        (0, code) => format!("ended with error {code}"),
        (signal, _) => words::ended_by(signal),
    };
    format!("{}{} {how}", super::subject(observation), ran.unwrap_or_default())
}

/// `nginx (pid 812)`, as far as it is known.
fn target(observation: &Observation) -> String {
    let name = observation.shown("target.name");
    let Some(pid) = observation.signed("target.pid") else { return "another program".to_owned() };
    match pid {
        0 => "its whole group".to_owned(),
        -1 => "every program that it can reach".to_owned(),
        pid if pid < 0 => format!("the programs of group {}", pid.unsigned_abs()),
        pid if name.is_empty() => format!("the program with pid {pid}"),
        pid => format!("{name} (pid {pid})"),
    }
}

pub(super) fn kill(observation: &Observation) -> String {
    let signal = observation.unsigned("signal").unwrap_or(0);
    let (done, tried) = words::sent(signal, &target(observation));
    let verb = if observation.failed() { tried } else { done };
    format!("{} {verb}{}", super::subject(observation), outcome(observation))
}

pub(super) fn ptrace(observation: &Observation) -> String {
    // `PTRACE_TRACEME`
    if observation.unsigned("ptrace.request") == Some(0) {
        return told(observation, "asked", "tried to ask", "the program that started it to hold it");
    }
    let what = format!("{}, and can read and change its memory", target(observation));
    if observation.failed() {
        return told(observation, "", "tried to take hold of", &target(observation));
    }
    told(observation, "took hold of", "", &what)
}

pub(super) fn memory_access(observation: &Observation) -> String {
    let whose = format!("the memory of {}", target(observation));
    match observation.unsigned("memory.access") {
        Some(0) => told(observation, "read", "tried to read", &whose),
        _ => told(observation, "changed", "tried to change", &whose),
    }
}
