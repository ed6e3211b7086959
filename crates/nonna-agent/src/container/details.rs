//! What a container is called, from files that its runtime keeps on this machine.
//!
//! One small file is read when a container is seen for the first time; no runtime is asked over a socket. What a runtime
//! does not write down stays unknown.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Container, ContainerRuntime, Pod};

/// Most bytes of a file that are read.
const MOST_BYTES: u64 = 8 << 20;
/// Where containerd keeps the bundles of running containers, by its own namespaces.
const CONTAINERD: &str = "run/containerd/io.containerd.runtime.v2.task";
/// containerd's namespaces in which a container is looked for.
const CONTAINERD_NAMESPACES: &[&str] = &["k8s.io", "default", "moby"];
/// Lists of the containers of Podman and CRI-O, which share a library for storage.
const STORAGE: &[&str] = &[
    "var/lib/containers/storage/overlay-containers/containers.json",
    "run/containers/storage/overlay-containers/volatile-containers.json",
];

/// What a runtime's file says of one container.
#[derive(Debug, Default, PartialEq, Eq)]
struct Details {
    name: Option<String>,
    image: Option<String>,
    pod: Option<Pod>,
}

/// Fills in what the runtime's files under `root` say.
pub(super) fn complete(container: &mut Container, root: &Path) {
    let id = container.id.as_str();
    let of = |runtime| match runtime {
        ContainerRuntime::Docker => docker(root, id),
        ContainerRuntime::Podman | ContainerRuntime::CriO => storage(root, id),
        ContainerRuntime::Containerd => containerd(root, id),
        ContainerRuntime::Lxc | ContainerRuntime::Nspawn | ContainerRuntime::Unknown => None,
    };
    let candidates = match container.runtime {
        ContainerRuntime::Unknown => {
            &[ContainerRuntime::Docker, ContainerRuntime::Containerd, ContainerRuntime::Podman][..]
        }
        known => &[known],
    };
    let found = candidates.iter().find_map(|&runtime| Some((runtime, of(runtime)?)));
    let Some((runtime, details)) = found else { return };
    container.runtime = runtime;
    container.name = details.name;
    container.image = details.image;
    let Some(said) = details.pod else { return };
    let pod = container.pod.get_or_insert_default();
    pod.uid = pod.uid.take().or(said.uid);
    pod.name = said.name;
    pod.namespace = said.namespace;
}

fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let mut text = Vec::new();
    File::open(path).ok()?.take(MOST_BYTES).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

fn docker(root: &Path, id: &str) -> Option<Details> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct File {
        name: Option<String>,
        config: Option<Config>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Config {
        image: Option<String>,
    }
    let file: File = read(&root.join("var/lib/docker/containers").join(id).join("config.v2.json"))?;
    // Docker writes its names with a slash in front.
    let name = file.name.map(|name| name.trim_start_matches('/').to_owned());
    Some(Details { name, image: file.config.and_then(|config| config.image), pod: None })
}

fn containerd(root: &Path, id: &str) -> Option<Details> {
    #[derive(Deserialize)]
    struct Bundle {
        #[serde(default)]
        annotations: HashMap<String, String>,
    }
    let bundles = root.join(CONTAINERD);
    let path = |namespace: &&str| bundles.join(namespace).join(id).join("config.json");
    let mut bundle: Bundle = CONTAINERD_NAMESPACES.iter().find_map(|namespace| read(&path(namespace)))?;
    let mut take = |key: &str| bundle.annotations.remove(&format!("io.kubernetes.cri.{key}"));
    let pod =
        Pod { uid: take("sandbox-uid"), name: take("sandbox-name"), namespace: take("sandbox-namespace") };
    Some(Details {
        name: take("container-name"),
        image: take("image-name"),
        pod: (pod != Pod::default()).then_some(pod),
    })
}

fn storage(root: &Path, id: &str) -> Option<Details> {
    #[derive(Deserialize)]
    struct Entry {
        id: String,
        #[serde(default)]
        names: Vec<String>,
        #[serde(default)]
        metadata: String,
    }
    /// Text of JSON within the JSON.
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "kebab-case", default)]
    struct Metadata {
        name: Option<String>,
        image_name: Option<String>,
        pod_name: Option<String>,
        namespace: Option<String>,
        uid: Option<String>,
    }
    let lists = STORAGE.iter().filter_map(|list| read::<Vec<Entry>>(&root.join(list)));
    let entry = lists.flatten().find(|entry| entry.id == id)?;
    let metadata: Metadata = serde_json::from_str(&entry.metadata).unwrap_or_default();
    let pod = metadata.namespace.map(|namespace| Pod {
        uid: metadata.uid,
        name: metadata.pod_name,
        namespace: Some(namespace),
    });
    Some(Details {
        name: metadata.name.or_else(|| entry.names.into_iter().next()),
        image: metadata.image_name,
        pod,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn seen(runtime: ContainerRuntime, file: &str, text: &str) -> Container {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        let mut container = Container { id: ID.to_owned(), runtime, name: None, image: None, pod: None };
        complete(&mut container, root.path());
        container
    }

    #[test]
    fn docker_tells_name_and_image() {
        let file = format!("var/lib/docker/containers/{ID}/config.v2.json");
        let text = r#"{"State":{"Running":true},"Name":"/web","Config":{"Image":"nginx:1.25","Tty":false}}"#;
        for runtime in [ContainerRuntime::Docker, ContainerRuntime::Unknown] {
            let container = seen(runtime, &file, text);
            assert_eq!(
                (container.name.as_deref(), container.image.as_deref()),
                (Some("web"), Some("nginx:1.25"))
            );
            assert_eq!(container.runtime, ContainerRuntime::Docker);
        }
    }

    #[test]
    fn podman_tells_name_and_image() {
        let metadata = r#"{\"image-name\":\"docker.io/library/nginx:latest\",\"name\":\"web\"}"#;
        let text = format!(r#"[{{"id":"x"}},{{"id":"{ID}","names":["w"],"metadata":"{metadata}"}}]"#);
        let container = seen(ContainerRuntime::Podman, STORAGE[0], &text);
        assert_eq!(container.name.as_deref(), Some("web"));
        assert_eq!(container.image.as_deref(), Some("docker.io/library/nginx:latest"));
        assert_eq!(container.pod, None);
    }

    #[test]
    fn containerd_tells_the_pod_too() {
        let file = format!("{CONTAINERD}/k8s.io/{ID}/config.json");
        let text = r#"{"ociVersion":"1.1","annotations":{"io.kubernetes.cri.container-name":"app",
            "io.kubernetes.cri.image-name":"shop:3","io.kubernetes.cri.sandbox-name":"shop-0",
            "io.kubernetes.cri.sandbox-namespace":"store"}}"#;
        let container = seen(ContainerRuntime::Containerd, &file, text);
        assert_eq!((container.name.as_deref(), container.image.as_deref()), (Some("app"), Some("shop:3")));
        let pod = Pod { uid: None, name: Some("shop-0".to_owned()), namespace: Some("store".to_owned()) };
        assert_eq!(container.pod, Some(pod));
    }

    #[test]
    fn what_is_not_written_down_stays_unknown() {
        let file = format!("var/lib/docker/containers/{ID}/config.v2.json");
        let container = seen(ContainerRuntime::Docker, &file, "no json");
        assert_eq!((container.name, container.image), (None, None));
        let container = seen(ContainerRuntime::Unknown, "empty", "");
        assert_eq!(container.runtime, ContainerRuntime::Unknown);
    }
}
