//! Containers by the names of their cgroups.
//!
//! Container runtimes put every container in a cgroup of its own and write the container's id into its name. Only names
//! are looked at here; the path itself is found by `resolve`, and what the container is called by `details`.

mod details;
mod resolve;

use serde::{Deserialize, Serialize};

pub use resolve::Containers;

/// Runtimes whose cgroup names are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ContainerRuntime {
    /// Docker.
    Docker,
    /// containerd, also under Kubernetes.
    Containerd,
    /// CRI-O.
    CriO,
    /// Podman.
    Podman,
    /// LXC.
    Lxc,
    /// systemd-nspawn.
    Nspawn,
    /// The id is a container's but the name does not say whose.
    Unknown,
}

impl ContainerRuntime {
    /// Name in events.
    pub const fn name(self) -> &'static str {
        match self {
            ContainerRuntime::Docker => "docker",
            ContainerRuntime::Containerd => "containerd",
            ContainerRuntime::CriO => "cri-o",
            ContainerRuntime::Podman => "podman",
            ContainerRuntime::Lxc => "lxc",
            ContainerRuntime::Nspawn => "systemd-nspawn",
            ContainerRuntime::Unknown => "unknown",
        }
    }
}

/// A container.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Container {
    /// Id as the runtime gave it.
    pub id: String,
    /// Who runs it.
    pub runtime: ContainerRuntime,
    /// Name that people gave it.
    pub name: Option<String>,
    /// Name of its image.
    pub image: Option<String>,
    /// Its pod.
    pub pod: Option<Pod>,
}

/// A pod of Kubernetes, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Pod {
    /// Uid.
    pub uid: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// Namespace in the sense of Kubernetes.
    pub namespace: Option<String>,
}

/// Prefixes of scope names under systemd, with their runtimes.
const SCOPES: &[(&str, ContainerRuntime)] = &[
    ("docker-", ContainerRuntime::Docker),
    ("cri-containerd-", ContainerRuntime::Containerd),
    ("crio-", ContainerRuntime::CriO),
    ("libpod-", ContainerRuntime::Podman),
];

/// Bytes of a container's id in hexadecimal digits.
const ID_DIGITS: usize = 64;

impl Container {
    /// The container that a cgroup path belongs to, the innermost one first.
    ///
    /// The path is relative to the root of the hierarchy, such as `/kubepods/burstable/pod<uid>/<id>` or
    /// `/system.slice/docker-<id>.scope`.
    pub fn from_cgroup_path(path: &str) -> Option<Container> {
        let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
        let (position, id, runtime) =
            (0..parts.len()).rev().find_map(|n| container_part(&parts, n).map(|(id, rt)| (n, id, rt)))?;
        let pod = parts[..position].iter().rev().find_map(|part| pod_uid(part));
        let pod = pod.map(|uid| Pod { uid: Some(uid), ..Pod::default() });
        Some(Container { id, runtime, name: None, image: None, pod })
    }
}

fn container_part(parts: &[&str], n: usize) -> Option<(String, ContainerRuntime)> {
    let part = parts[n];
    let above = |name: &str| parts[..n].contains(&name);
    let stem = part.strip_suffix(".scope").unwrap_or(part);
    for (prefix, runtime) in SCOPES {
        if let Some(id) = stem.strip_prefix(prefix).filter(|id| is_id(id)) {
            return Some((id.to_owned(), *runtime));
        }
    }
    if is_id(part) {
        let runtime = if above("docker") {
            ContainerRuntime::Docker
        } else if parts[..n].iter().any(|p| p.starts_with("kubepods")) {
            ContainerRuntime::Containerd
        } else {
            ContainerRuntime::Unknown
        };
        return Some((part.to_owned(), runtime));
    }
    let named = |prefix: &str| stem.strip_prefix(prefix).filter(|name| !name.is_empty());
    if let Some(name) = named("lxc.payload.") {
        return Some((name.to_owned(), ContainerRuntime::Lxc));
    }
    if part.ends_with(".scope") || part.ends_with(".service") {
        let stem = stem.strip_suffix(".service").unwrap_or(stem);
        let nspawn = stem.strip_prefix("machine-").or_else(|| stem.strip_prefix("systemd-nspawn@"));
        return nspawn
            .filter(|name| !name.is_empty())
            .map(|name| (name.to_owned(), ContainerRuntime::Nspawn));
    }
    None
}

fn is_id(text: &str) -> bool {
    text.len() == ID_DIGITS && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// `pod<uid>`, or `kubepods-burstable-pod<uid with underscores>.slice`.
fn pod_uid(part: &str) -> Option<String> {
    let stem = part.strip_suffix(".slice").unwrap_or(part);
    let at = stem.rfind("pod").filter(|&at| at == 0 || stem.starts_with("kubepods"))?;
    let uid = stem[at + 3..].replace('_', "-");
    let plausible = uid.len() >= 32 && uid.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    plausible.then_some(uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const UID: &str = "2f8c1c5e-8a8e-4d39-9d8b-0c3c4d5e6f70";

    #[track_caller]
    fn check(path: &str, id: &str, runtime: ContainerRuntime, pod_uid: Option<&str>) {
        let container = Container::from_cgroup_path(path).unwrap();
        assert_eq!((container.id.as_str(), container.runtime), (id, runtime));
        assert_eq!(container.pod.and_then(|pod| pod.uid).as_deref(), pod_uid);
    }

    #[test]
    fn runtimes_are_told_by_their_cgroups() {
        check(&format!("/docker/{ID}"), ID, ContainerRuntime::Docker, None);
        check(&format!("/system.slice/docker-{ID}.scope"), ID, ContainerRuntime::Docker, None);
        check(&format!("/libpod_parent/libpod-{ID}"), ID, ContainerRuntime::Podman, None);
        check(&format!("/machine.slice/libpod-{ID}.scope/container"), ID, ContainerRuntime::Podman, None);
        check(&format!("/kubepods/burstable/pod{UID}/{ID}"), ID, ContainerRuntime::Containerd, Some(UID));
        let slice = format!("kubepods-burstable-pod{}.slice", UID.replace('-', "_"));
        let path = format!("/kubepods.slice/kubepods-burstable.slice/{slice}/cri-containerd-{ID}.scope");
        check(&path, ID, ContainerRuntime::Containerd, Some(UID));
        let path = format!("/kubepods.slice/{slice}/crio-{ID}.scope");
        check(&path, ID, ContainerRuntime::CriO, Some(UID));
        check("/lxc.payload.web/init.scope", "web", ContainerRuntime::Lxc, None);
        check("/machine.slice/machine-web.scope", "web", ContainerRuntime::Nspawn, None);
    }

    #[test]
    fn hosts_are_no_containers() {
        for path in
            ["/", "", "/user.slice/user-0.slice/session-1.scope", "/system.slice/ssh.service", "/kubepods"]
        {
            assert_eq!(Container::from_cgroup_path(path), None, "{path}");
        }
    }
}
