//! Names of cgroups: any path has a container or none.

use nonna_agent::container::Container;

/// The target.
///
/// # Panics
///
/// On a finding.
pub fn run(input: &[u8]) {
    let path = String::from_utf8_lossy(input);
    if let Some(container) = Container::from_cgroup_path(&path) {
        assert!(!container.id.is_empty() && path.contains(&container.id), "an id that is not in {path:?}");
    }
}

/// A path of each runtime.
pub fn seeds() -> Vec<Vec<u8>> {
    let id = "0123456789abcdef".repeat(4);
    let uid = "2f8c1c5e-8a8e-4d39-9d8b-0c3c4d5e6f70";
    let flat = uid.replace('-', "_");
    [
        format!("/docker/{id}"),
        format!("/system.slice/docker-{id}.scope"),
        format!("/kubepods/burstable/pod{uid}/{id}"),
        format!("/kubepods.slice/kubepods-burstable-pod{flat}.slice/cri-containerd-{id}.scope/init.scope"),
        format!("/machine.slice/libpod-{id}.scope/container"),
        "/lxc.payload.web/system.slice/ssh.service".to_owned(),
        "/machine.slice/machine-web.scope/payload".to_owned(),
        "/user.slice/user-1000.slice/session-2.scope".to_owned(),
    ]
    .map(String::into_bytes)
    .to_vec()
}
