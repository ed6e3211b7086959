//! `proc.`, `thread.`, `user.`, `group.`, `container.` and `k8s.`: who did it.

use nonna_event::{NameSet, Named};
use nonna_rules::evaluate::{Fact, FieldArgument};

use super::{Facts, filled, joined, owned, text};
use crate::process::Process;

/// Letters of a container's id that are shown.
const SHORT_ID: usize = 12;

impl<'o> Facts<'o> {
    pub(super) fn of_process(&self, name: &str, argument: Option<&FieldArgument>) -> Option<Fact<'o>> {
        let process = self.process();
        let parent = || self.observation.parent.as_deref();
        match name {
            "name" => filled(&process.name),
            "pname" => filled(&parent()?.name),
            "aname" => self.of_ancestors(argument, |process| filled(&process.name)),
            "exe" => exe(process),
            "pexe" => exe(parent()?),
            "aexe" => self.of_ancestors(argument, exe),
            "exepath" => filled(&process.exe),
            "pexepath" => filled(&parent()?.exe),
            "aexepath" => self.of_ancestors(argument, |process| filled(&process.exe)),
            "args" => match argument {
                Some(FieldArgument::Index(n)) => text(process.args.get(*n as usize + 1)?),
                _ => Some(arguments(process)),
            },
            "aargs" => self.of_ancestors(argument, |process| Some(arguments(process))),
            "cmdline" => Some(command_line(process)),
            "pcmdline" => Some(command_line(parent()?)),
            "acmdline" => self.of_ancestors(argument, |process| Some(command_line(process))),
            "exeline" => Some(joined(&process.args)),
            "cmdnargs" => Some(Fact::Unsigned(process.args.len().saturating_sub(1) as u64)),
            "cmdlenargs" => {
                Some(Fact::Unsigned(process.args.iter().skip(1).map(|argument| argument.len() as u64).sum()))
            }
            "cwd" => with_slash(&process.cwd),
            "pid" => Some(Fact::Signed(process.exec_id.process.pid.into())),
            "ppid" => Some(Fact::Signed(process.ppid.into())),
            "apid" => {
                self.of_ancestors(argument, |process| Some(Fact::Signed(process.exec_id.process.pid.into())))
            }
            "tty" => Some(Fact::Unsigned(process.tty.as_deref().map_or(0, terminal_number))),
            "duration" => self.age(process),
            "ppid.duration" => self.age(parent()?),
            "pid.ts" => Some(Fact::Unsigned(self.started(process)?)),
            "ppid.ts" => Some(Fact::Unsigned(self.started(parent()?)?)),
            "is_exe_from_memfd" => Some(Fact::Bool(process.exe_memfd)),
            "is_exe_upper_layer" => Some(Fact::Bool(process.exe_overlay_upper)),
            "vpid" => Some(Fact::Signed(process.virtual_pid.unwrap_or(process.exec_id.process.pid).into())),
            "sid" => Some(Fact::Signed(process.session?.into())),
            "pgid" | "vpgid" => Some(Fact::Signed(process.group?.into())),
            "is_sid_leader" => self.leads(process.session),
            "is_pgid_leader" | "is_vpgid_leader" => self.leads(process.group),
            "sname" => filled(&self.leader(process.session)?.name),
            "sid.exe" => exe(self.leader(process.session)?),
            "sid.exepath" => filled(&self.leader(process.session)?.exe),
            "pgid.name" | "vpgid.name" => filled(&self.leader(process.group)?.name),
            "pgid.exe" | "vpgid.exe" => exe(self.leader(process.group)?),
            "pgid.exepath" | "vpgid.exepath" => filled(&self.leader(process.group)?.exe),
            _ => None,
        }
    }

    pub(super) fn of_thread(&self, name: &str) -> Option<Fact<'o>> {
        let pid = self.process().exec_id.process.pid;
        match name {
            "tid" => Some(Fact::Signed(self.observation.tid.unwrap_or(pid).into())),
            "ismain" => Some(Fact::Bool(self.observation.tid.is_none_or(|tid| tid == pid))),
            "cap_effective" => {
                let Named::Many { names, .. } = NameSet::CapabilitySet.names(self.process().capabilities?)
                else {
                    return None;
                };
                let names: Vec<String> = names.iter().map(|name| name.to_ascii_uppercase()).collect();
                owned(names.join(" "))
            }
            _ => None,
        }
    }

    pub(super) fn of_account(&self, name: &str) -> Option<Fact<'o>> {
        let process = self.process();
        match name {
            "user.uid" => Some(Fact::Unsigned(process.uid.into())),
            "user.name" => text(self.observation.user.as_ref()?.as_bytes()),
            "user.loginuid" => Some(Fact::Signed(process.loginuid.map_or(-1, i64::from))),
            "user.loginname" => match &self.observation.login_user {
                Some(name) => text(name.as_bytes()),
                None => text(b"<NA>"),
            },
            "group.gid" => Some(Fact::Unsigned(process.gid.into())),
            "group.name" => text(self.observation.group.as_ref()?.as_bytes()),
            _ => None,
        }
    }

    pub(super) fn of_container(&self, name: &str) -> Option<Fact<'o>> {
        let Some(container) = &self.process().container else {
            return match name {
                "container.id" | "container.full_id" | "container.name" | "container.type" => text(b"host"),
                _ => None,
            };
        };
        let pod = container.pod.as_ref();
        let image = || container.image.as_deref();
        match name {
            "container.id" => text(container.id.get(..SHORT_ID).unwrap_or(&container.id).as_bytes()),
            "container.full_id" => text(container.id.as_bytes()),
            "container.type" => text(container.runtime.name().as_bytes()),
            "container.name" => text(container.name.as_ref()?.as_bytes()),
            "container.image" => text(image()?.as_bytes()),
            "container.image.repository" => text(repository_and_tag(image()?).0.as_bytes()),
            "container.image.tag" => text(repository_and_tag(image()?).1?.as_bytes()),
            "k8s.ns.name" => text(pod?.namespace.as_ref()?.as_bytes()),
            "k8s.pod.name" => text(pod?.name.as_ref()?.as_bytes()),
            "k8s.pod.id" | "k8s.pod.uid" => text(pod?.uid.as_ref()?.as_bytes()),
            _ => None,
        }
    }

    /// When a process started, in nanoseconds since 1970.
    fn started(&self, process: &Process) -> Option<u64> {
        let now = u64::try_from(self.observation.time.as_nanosecond()).ok()?;
        now.checked_sub(self.age_ns(process)?)
    }

    fn age(&self, process: &Process) -> Option<Fact<'o>> {
        self.age_ns(process).map(Fact::Unsigned)
    }

    fn age_ns(&self, process: &Process) -> Option<u64> {
        crate::inventory::time_ns(self.event()).checked_sub(process.exec_id.process.start_ns)
    }

    fn leads(&self, group: Option<u32>) -> Option<Fact<'o>> {
        Some(Fact::Bool(group? == self.process().exec_id.process.pid))
    }

    /// The process that leads a group or session: the process itself or one above.
    fn leader(&self, group: Option<u32>) -> Option<&'o Process> {
        let pid = group?;
        let own = (self.process().exec_id.process.pid == pid).then(|| self.process());
        let above = || self.observation.ancestors.iter().find(|process| process.exec_id.process.pid == pid);
        own.or_else(|| above().map(AsRef::as_ref))
    }
}

fn exe(process: &Process) -> Option<Fact<'_>> {
    process.args.first().map_or_else(|| filled(&process.name), |first| text(first))
}

fn arguments(process: &Process) -> Fact<'static> {
    joined(process.args.get(1..).unwrap_or_default())
}

fn command_line(process: &Process) -> Fact<'static> {
    let mut line = process.name.clone();
    for argument in process.args.iter().skip(1) {
        line.push(b' ');
        line.extend_from_slice(argument);
    }
    Fact::Text(line.into())
}

/// A folder as Falco writes it: with a slash at its end.
fn with_slash(path: &[u8]) -> Option<Fact<'_>> {
    if path.is_empty() || path.ends_with(b"/") {
        return filled(path);
    }
    let mut path = path.to_vec();
    path.push(b'/');
    Some(Fact::Text(path.into()))
}

/// The kernel's number of a terminal (Documentation/admin-guide/devices.txt): major in the second byte, minor in the first.
fn terminal_number(name: &str) -> u64 {
    let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
    let minor: u64 = digits.parse().unwrap_or(0);
    match name.strip_suffix(digits).unwrap_or(name).trim_start_matches("/dev/") {
        "pts/" | "pts" => 136 << 8 | minor,
        "ttyS" => 4 << 8 | (64 + minor),
        "tty" => 4 << 8 | minor,
        "console" => 5 << 8 | 1,
        _ => 1,
    }
}

/// An image's name and its tag.
fn repository_and_tag(image: &str) -> (&str, Option<&str>) {
    let image = image.split('@').next().unwrap_or(image);
    match image.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (image, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_and_images_are_read() {
        assert_eq!(terminal_number("pts/3"), 34816 + 3);
        assert_eq!(terminal_number("tty1"), 1025);
        assert_eq!(
            repository_and_tag("docker.io/library/nginx:1.27"),
            ("docker.io/library/nginx", Some("1.27"))
        );
        assert_eq!(repository_and_tag("localhost:5000/nginx"), ("localhost:5000/nginx", None));
        assert_eq!(repository_and_tag("nginx@sha256:00"), ("nginx", None));
    }
}
