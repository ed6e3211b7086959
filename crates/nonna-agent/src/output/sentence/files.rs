//! Sentences about files, folders and disks.

use super::{shown_or, told};
use crate::observation::Observation;

/// A file that is worth a word more.
struct KnownFile {
    place: Place,
    /// A clause that begins with `which` or `where`.
    words: &'static str,
    /// Only worth it where the file is changed, not where it is read.
    changes_only: bool,
}

/// How a path is recognised.
enum Place {
    /// This path.
    Is(&'static str),
    /// A path that begins so.
    Below(&'static str),
    /// A path that holds this.
    Holds(&'static str),
    /// A path that ends so.
    Ends(&'static str),
}

const fn secret(place: Place, words: &'static str) -> KnownFile {
    KnownFile { place, words, changes_only: false }
}

const fn steering(place: Place, words: &'static str) -> KnownFile {
    KnownFile { place, words, changes_only: true }
}

/// Files with their words; the first that fits counts.
const KNOWN_FILES: &[KnownFile] = &[
    secret(Place::Is("/etc/shadow"), "which holds the password hashes"),
    secret(Place::Is("/etc/gshadow"), "which holds the password hashes of groups"),
    secret(Place::Below("/etc/sudoers"), "which says who may act as root"),
    secret(Place::Below("/etc/ssh/ssh_host_"), "which is a secret key of this machine"),
    secret(Place::Ends("/.ssh/authorized_keys"), "which says whose keys open this account"),
    secret(Place::Holds("/.ssh/id_"), "which is a secret key"),
    secret(Place::Below("/root/.ssh/"), "which holds the keys of root"),
    secret(Place::Below("/etc/kubernetes/"), "which holds secrets of the cluster"),
    secret(Place::Below("/var/lib/kubelet/pki/"), "which holds keys of the cluster"),
    secret(Place::Below("/run/secrets/kubernetes.io/"), "which holds a key of the cluster"),
    secret(Place::Ends("/.kube/config"), "which opens the cluster"),
    secret(Place::Ends("/.aws/credentials"), "which holds cloud passwords"),
    secret(Place::Ends("/.netrc"), "which holds passwords"),
    secret(Place::Holds("/.gnupg/"), "which holds secret keys"),
    secret(Place::Is("/dev/mem"), "which is the whole memory of the machine"),
    secret(Place::Is("/proc/kcore"), "which is the whole memory of the machine"),
    steering(Place::Is("/etc/passwd"), "which lists the users"),
    steering(Place::Is("/etc/group"), "which lists the groups"),
    steering(Place::Is("/etc/hosts"), "which gives names to addresses"),
    steering(Place::Is("/etc/ld.so.preload"), "which is loaded into every program"),
    steering(Place::Below("/etc/pam.d/"), "which decides how people log in"),
    steering(Place::Below("/etc/cron"), "which says what runs at set times"),
    steering(Place::Below("/var/spool/cron/"), "which says what runs at set times"),
    steering(Place::Below("/etc/systemd/system/"), "which says what runs when the machine starts"),
    steering(Place::Below("/usr/lib/systemd/system/"), "which says what runs when the machine starts"),
    steering(Place::Below("/etc/profile"), "which runs at each login"),
    steering(Place::Ends("/.bashrc"), "which runs in each new terminal"),
    steering(Place::Ends("/.profile"), "which runs at each login"),
    steering(Place::Below("/boot/"), "where the system starts from"),
    steering(Place::Below("/bin/"), "where the system keeps its programs"),
    steering(Place::Below("/sbin/"), "where the system keeps its programs"),
    steering(Place::Below("/usr/bin/"), "where the system keeps its programs"),
    steering(Place::Below("/usr/sbin/"), "where the system keeps its programs"),
];

impl KnownFile {
    fn is(&self, path: &str) -> bool {
        match self.place {
            Place::Is(whole) => path == whole,
            Place::Below(beginning) => path.starts_with(beginning),
            Place::Holds(part) => path.contains(part),
            Place::Ends(end) => path.ends_with(end),
        }
    }
}

/// A path with what is known about the file.
fn file(observation: &Observation, field: &str, changes: bool) -> String {
    let path = shown_or(observation, field, "a file");
    let known = KNOWN_FILES.iter().find(|known| known.is(&path) && (changes || !known.changes_only));
    match known {
        Some(known) => format!("{path}, {}", known.words),
        None => path,
    }
}

/// The same, for the middle of a sentence.
fn file_within(observation: &Observation, field: &str) -> String {
    let mut file = file(observation, field, true);
    if file.contains(", wh") {
        file.push(',');
    }
    file
}

pub(super) fn open(observation: &Observation) -> String {
    let created = observation.unsigned("file.created") == Some(1) && !observation.failed();
    let access = observation.unsigned("file.access").map(|access| access & 3);
    let changes = created || matches!(access, Some(1 | 2));
    let (done, tried) = match access {
        _ if created => ("made", "tried to make"),
        Some(1 | 2) if !observation.failed() => {
            let what = format!("{} for writing", file_within(observation, "file.path"));
            return told(observation, "opened", "", &what);
        }
        Some(1 | 2) => ("", "tried to write to"),
        _ => ("read", "tried to read"),
    };
    told(observation, done, tried, &file(observation, "file.path", changes))
}

pub(super) fn delete(observation: &Observation) -> String {
    let path = observation.shown("file.path");
    let log = if path.starts_with("/var/log/") { ", which kept a record of what happened" } else { "" };
    let what = file(observation, "file.path", true) + log;
    told(observation, "removed", "tried to remove", &what)
}

pub(super) fn rename(observation: &Observation) -> String {
    let from = shown_or(observation, "file.path", "a file");
    let what = format!("{from} to {}", file(observation, "file.new_path", true));
    told(observation, "renamed", "tried to rename", &what)
}

pub(super) fn link(observation: &Observation) -> String {
    let path = shown_or(observation, "file.path", "another one");
    let what = format!("{path}, a second name for {}", file(observation, "file.target", false));
    told(observation, "made", "tried to make", &what)
}

pub(super) fn symlink(observation: &Observation) -> String {
    let path = shown_or(observation, "file.path", "a link");
    let what = format!("{path}, a link to {}", file(observation, "file.target", false));
    told(observation, "made", "tried to make", &what)
}

pub(super) fn directory_create(observation: &Observation) -> String {
    let what = match observation.shown("file.path") {
        path if path.is_empty() => "a folder".to_owned(),
        path => format!("the folder {path}"),
    };
    told(observation, "made", "tried to make", &what)
}

pub(super) fn special_file_create(observation: &Observation) -> String {
    let path = shown_or(observation, "file.path", "a file");
    let what = match observation.shown("file.type").as_str() {
        "pipe" => format!("{path}, a pipe between programs"),
        "socket" => format!("{path}, where programs can call it"),
        "character_device" | "block_device" => format!("{path}, a way to talk to a device"),
        _ => path,
    };
    told(observation, "made", "tried to make", &what)
}

pub(super) fn truncate(observation: &Observation) -> String {
    let path = file(observation, "file.path", true);
    if observation.signed("file.size_bytes") == Some(0) {
        return told(observation, "emptied", "tried to empty", &path);
    }
    told(observation, "changed", "tried to change", &format!("the length of {path}"))
}

pub(super) fn root_change(observation: &Observation) -> String {
    let folder = shown_or(observation, "file.path", "one folder");
    let what = format!("to see only what is in {folder}");
    told(observation, "chose", "tried", &what)
}

pub(super) fn chmod(observation: &Observation) -> String {
    const SET_USER_ID: u64 = 0o4000;
    const SET_GROUP_ID: u64 = 0o2000;
    const RUN: u64 = 0o111;
    const OTHERS_WRITE: u64 = 0o002;
    let mode = observation.unsigned("file.mode").unwrap_or(0);
    let path = file(observation, "file.path", true);
    let lent = match mode {
        mode if mode & RUN == 0 => None,
        mode if mode & SET_USER_ID != 0 => Some("owner"),
        mode if mode & SET_GROUP_ID != 0 => Some("group"),
        _ => None,
    };
    if let Some(lender) = lent {
        let what = format!("the rights of its {lender} to all who run {path}");
        return told(observation, "gave", "tried to give", &what);
    }
    if mode & OTHERS_WRITE != 0 {
        return told(observation, "let everybody change", "tried to let everybody change", &path);
    }
    let rights = observation.shown("file.mode");
    told(observation, "set", "tried to set", &format!("the access rights {rights} on {path}"))
}

pub(super) fn chown(observation: &Observation) -> String {
    // The highest number leaves the owner or the group as it is (chown(2)).
    let named = |field: &str| observation.unsigned(field).filter(|id| *id != u64::from(u32::MAX));
    let user = named("file.uid").map(|uid| match uid {
        0 => "root".to_owned(),
        uid => format!("user {uid}"),
    });
    let group = named("file.gid").map(|gid| format!("group {gid}"));
    let to = match (user, group) {
        (Some(user), Some(group)) => format!("{user} and {group}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => "the same owner".to_owned(),
    };
    let what = format!("{to} the file {}", file(observation, "file.path", true));
    told(observation, "gave", "tried to give", &what)
}

pub(super) fn mount(observation: &Observation) -> String {
    let source = match observation.shown("mount.source") {
        source if source.is_empty() => "a disk".to_owned(),
        source => format!("the disk {source}"),
    };
    let folder = match observation.shown("mount.target") {
        target if target.is_empty() => "a folder".to_owned(),
        target => format!("the folder {target}"),
    };
    let what = format!("{source} to {folder}");
    told(observation, "attached", "tried to attach", &what)
}

pub(super) fn unmount(observation: &Observation) -> String {
    let what = format!("the disk at {}", shown_or(observation, "mount.target", "a folder"));
    told(observation, "took away", "tried to take away", &what)
}
