//! Sentences: what happened, in plain words.
//!
//! One function per event, found by its name in [`SENTENCES`]. They are written for somebody who does not know the system
//! inside: who did what to what, and why it matters if it does. A test holds each to a reading grade and to a list of
//! words to avoid.

mod files;
mod network;
mod outcome;
mod processes;
mod rights;
mod words;

use std::borrow::Cow;

use nonna_event::escape;

use crate::observation::Observation;
use crate::output::json::is_process_field;
use crate::process::Process;

/// A whole sentence without its full stop.
type Sentence = fn(&Observation) -> String;

/// Every event that has words of its own, by name.
pub const SENTENCES: &[(&str, Sentence)] = &[
    ("process_exec", processes::exec),
    ("process_exec_failed", processes::exec_failed),
    ("process_fork", processes::fork),
    ("process_exit", processes::exit),
    ("kill", processes::kill),
    ("ptrace", processes::ptrace),
    ("memory_access", processes::memory_access),
    ("file_open", files::open),
    ("file_open_failed", files::open),
    ("file_delete", files::delete),
    ("file_rename", files::rename),
    ("file_link", files::link),
    ("file_symlink", files::symlink),
    ("directory_create", files::directory_create),
    ("special_file_create", files::special_file_create),
    ("file_truncate", files::truncate),
    ("root_change", files::root_change),
    ("file_chmod", files::chmod),
    ("file_chown", files::chown),
    ("mount", files::mount),
    ("unmount", files::unmount),
    ("connect", network::connect),
    ("accept", network::accept),
    ("listen", network::listen),
    ("bind", network::bind),
    ("udp_send", network::udp_send),
    ("socket_create", network::socket_create),
    ("descriptor_copy", network::descriptor_copy),
    ("dns_question", network::dns_question),
    ("dns_answer", network::dns_answer),
    ("user_change", rights::user_change),
    ("group_change", rights::group_change),
    ("capability_use", rights::capability_use),
    ("groups_change", rights::groups_change),
    ("module_load", rights::module_load),
    ("module_unload", rights::module_unload),
    ("bpf_load", rights::bpf_load),
    ("namespace_change", rights::namespace_change),
    ("page_fault_handler", rights::page_fault_handler),
];

/// Events of which many about one folder are told at once, with how that is said around their number and before the folder.
pub const FOLDED: &[(&str, (&str, &str))] = &[
    ("file_open", ("opened", "more files for writing in")),
    ("file_open_failed", ("failed to open", "more files in")),
    ("file_delete", ("removed", "more files from")),
    ("file_rename", ("renamed", "more files in")),
    ("file_link", ("gave new names to", "more files in")),
    ("file_symlink", ("made", "more links in")),
    ("directory_create", ("made", "more folders in")),
    ("file_chmod", ("set the access rights of", "more files in")),
    ("file_chown", ("gave away", "more files in")),
];

/// Digits of a container's id that people see.
const ID_DIGITS: usize = 12;

/// The whole sentence, with its full stop. It holds no character that steers a display.
pub fn sentence(observation: &Observation) -> String {
    let words = SENTENCES.iter().find(|(name, _)| *name == observation.name());
    let mut sentence = words.map_or_else(|| generic(observation), |(_, words)| words(observation));
    sentence.push('.');
    sentence
}

/// A sentence about `n` more events like this one, all about files of one folder.
pub fn repeats(observation: &Observation, n: u64, folder: &[u8]) -> String {
    let words = FOLDED.iter().find(|(event, _)| *event == observation.name());
    let (verb, files) = words.map_or(("did the same with", "more files in"), |(_, words)| *words);
    // Reading is only told of files that matter.
    let reads = observation.name() == "file_open" && observation.unsigned("file.access") == Some(0);
    let (verb, files) = if reads { ("read", "more files in") } else { (verb, files) };
    let files = if n == 1 {
        files.replace("files", "file").replace("links", "link").replace("folders", "folder")
    } else {
        files.to_owned()
    };
    format!("{} {verb} {n} {files} {}.", subject(observation), escape(folder))
}

/// `cat (pid 812, started by bash, in container web)`
fn subject(observation: &Observation) -> String {
    let name = name(&observation.process);
    let pid = observation.process.exec_id.process.pid;
    let parent = observation.parent.as_ref().map(|parent| format!(", started by {}", self::name(parent)));
    format!("{name} (pid {pid}{}{})", parent.unwrap_or_default(), container(&observation.process))
}

/// What people call a program.
fn name(process: &Process) -> Cow<'_, str> {
    match escape(process.short_name()) {
        name if name.is_empty() => Cow::Borrowed("a program"),
        name => name,
    }
}

/// `, in container web`, or nothing.
fn container(process: &Process) -> String {
    let Some(container) = &process.container else { return String::new() };
    let id = container.id.get(..ID_DIGITS).unwrap_or(&container.id);
    let name = container.name.as_deref().unwrap_or(id);
    format!(", in container {}", escape(name.as_bytes()))
}

/// A sentence about what the program did or tried, with how it went: `cat (pid 812) tried to read x, but …`.
fn told(observation: &Observation, done: &str, tried: &str, what: &str) -> String {
    let verb = if observation.failed() { tried } else { done };
    format!("{} {verb} {what}{}", subject(observation), outcome::outcome(observation))
}

/// A field as text for people, or other words where it holds nothing.
fn shown_or(observation: &Observation, field: &str, otherwise: &str) -> String {
    match observation.shown(field) {
        shown if shown.is_empty() => otherwise.to_owned(),
        shown => shown,
    }
}

/// An event without words of its own: its name and its fields.
fn generic(observation: &Observation) -> String {
    let fields = observation.event.schema.fields.iter().map(|field| field.name.as_str());
    let own = fields.filter(|field| !is_process_field(field));
    let own: Vec<String> = own.map(|field| format!("{field} {}", observation.shown(field))).collect();
    let told = escape(observation.name().as_bytes());
    let fields = if own.is_empty() { String::new() } else { format!(": {}", own.join(", ")) };
    format!("{} made the event {told}{fields}", subject(observation))
}
