//! Fields of containers and of the pods that they belong to.

use super::Argument::Key;
use super::FieldType::{Bool, Duration, Text, Time};
use super::Origin::{Derived, Inventory, Unavailable};
use super::{Field, NOT_FILLED, field};

const ASK_THE_POD: &str = "nothing fills it: ask for `k8s.ns.name`, `k8s.pod.name` or `k8s.pod.label[…]`";

pub(super) const FIELDS: &[Field] = &[
    field(
        "container.id",
        Text,
        Inventory,
        "The first twelve letters of the container's id; `host` outside of containers.",
    ),
    field("container.full_id", Text, Inventory, "The whole id of the container."),
    field("container.name", Text, Inventory, "The name of the container."),
    field("container.image", Text, Inventory, "The image as it was asked for."),
    field("container.image.id", Text, Unavailable, "The id of the image."),
    field("container.image.repository", Text, Inventory, "The image without its tag."),
    field("container.image.tag", Text, Inventory, "The tag of the image."),
    field("container.image.digest", Text, Unavailable, "The digest of the image."),
    field(
        "container.type",
        Text,
        Inventory,
        "What runs the container: `docker`, `containerd`, `podman` and others; `host` outside of containers.",
    ),
    field("container.privileged", Bool, Inventory, "Whether the container may do what the machine may."),
    field("container.mounts", Text, Unavailable, "What is mounted into the container."),
    field("container.mount", Text, Unavailable, "One mount of the container, by number or pattern.")
        .with(Key),
    field("container.mount.source", Text, Unavailable, "Where a mount comes from.").with(Key),
    field("container.mount.dest", Text, Unavailable, "Where a mount is in the container.").with(Key),
    field("container.mount.mode", Text, Unavailable, "How a mount may be used.").with(Key),
    field("container.mount.rdwr", Text, Unavailable, "Whether a mount may be written.").with(Key),
    field("container.mount.propagation", Text, Unavailable, "How mounts below a mount are passed on.")
        .with(Key),
    field("container.healthcheck", Text, Unavailable, "How the health of the container is checked.")
        .instead(NOT_FILLED),
    field("container.liveness_probe", Text, Unavailable, "How it is found out whether the container lives.")
        .instead(NOT_FILLED),
    field(
        "container.readiness_probe",
        Text,
        Unavailable,
        "How it is found out whether the container is ready.",
    )
    .instead(NOT_FILLED),
    field("container.start_ts", Time, Inventory, "When the container started."),
    field("container.duration", Duration, Derived, "How long the container runs already."),
    field("container.ip", Text, Unavailable, "The address of the container."),
    field("container.cni.json", Text, Unavailable, "What the network plugin said of the container."),
    field("container.host_pid", Bool, Inventory, "Whether the container sees all processes of the machine."),
    field(
        "container.host_network",
        Bool,
        Inventory,
        "Whether the container uses the network of the machine.",
    ),
    field("container.host_ipc", Bool, Inventory, "Whether the container shares memory with the machine."),
    field("container.label", Text, Unavailable, "A label of the container.").with(Key),
    field("container.labels", Text, Unavailable, "All labels of the container."),
    field("container.info", Text, Derived, "The id and the name of the container.")
        .instead("write `container.id` and `container.name`"),
    field("k8s.pod.name", Text, Inventory, "The name of the pod."),
    field("k8s.pod.id", Text, Inventory, "The id of the pod."),
    field("k8s.pod.uid", Text, Inventory, "The id of the pod."),
    field("k8s.pod.sandbox_id", Text, Unavailable, "The first letters of the id of the pod's sandbox."),
    field("k8s.pod.full_sandbox_id", Text, Unavailable, "The id of the pod's sandbox."),
    field("k8s.pod.label", Text, Inventory, "A label of the pod.").with(Key),
    field("k8s.pod.labels", Text, Inventory, "All labels of the pod."),
    field("k8s.pod.ip", Text, Unavailable, "The address of the pod."),
    field("k8s.pod.cni.json", Text, Unavailable, "What the network plugin said of the pod."),
    field("k8s.ns.name", Text, Inventory, "The namespace of the pod."),
    field("k8s.ns.id", Text, Unavailable, "The id of the namespace.").instead(ASK_THE_POD),
    field("k8s.ns.label", Text, Unavailable, "A label of the namespace.").with(Key).instead(ASK_THE_POD),
    field("k8s.ns.labels", Text, Unavailable, "All labels of the namespace.").instead(ASK_THE_POD),
    field("k8s.rc.name", Text, Unavailable, "The name of the pod's replication controller.")
        .instead(ASK_THE_POD),
    field("k8s.rc.id", Text, Unavailable, "The id of the pod's replication controller.").instead(ASK_THE_POD),
    field("k8s.rc.label", Text, Unavailable, "A label of the pod's replication controller.")
        .with(Key)
        .instead(ASK_THE_POD),
    field("k8s.rc.labels", Text, Unavailable, "All labels of the pod's replication controller.")
        .instead(ASK_THE_POD),
    field("k8s.rs.name", Text, Unavailable, "The name of the pod's replica set.").instead(ASK_THE_POD),
    field("k8s.rs.id", Text, Unavailable, "The id of the pod's replica set.").instead(ASK_THE_POD),
    field("k8s.rs.label", Text, Unavailable, "A label of the pod's replica set.")
        .with(Key)
        .instead(ASK_THE_POD),
    field("k8s.rs.labels", Text, Unavailable, "All labels of the pod's replica set.").instead(ASK_THE_POD),
    field("k8s.svc.name", Text, Unavailable, "The name of the pod's service.").instead(ASK_THE_POD),
    field("k8s.svc.id", Text, Unavailable, "The id of the pod's service.").instead(ASK_THE_POD),
    field("k8s.svc.label", Text, Unavailable, "A label of the pod's service.").with(Key).instead(ASK_THE_POD),
    field("k8s.svc.labels", Text, Unavailable, "All labels of the pod's service.").instead(ASK_THE_POD),
    field("k8s.deployment.name", Text, Unavailable, "The name of the pod's deployment.").instead(ASK_THE_POD),
    field("k8s.deployment.id", Text, Unavailable, "The id of the pod's deployment.").instead(ASK_THE_POD),
    field("k8s.deployment.label", Text, Unavailable, "A label of the pod's deployment.")
        .with(Key)
        .instead(ASK_THE_POD),
    field("k8s.deployment.labels", Text, Unavailable, "All labels of the pod's deployment.")
        .instead(ASK_THE_POD),
];
