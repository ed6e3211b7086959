//! Sentences about rights: who becomes whom, and what is added to the core of the system.

use super::{shown_or, told, words};
use crate::observation::Observation;

fn user(observation: &Observation, field: &str) -> String {
    match observation.unsigned(field) {
        Some(0) => "root, who may do everything".to_owned(),
        Some(uid) => format!("user {uid}"),
        None => "another user".to_owned(),
    }
}

pub(super) fn user_change(observation: &Observation) -> String {
    if observation.failed() {
        // What it wanted is not known: the fields tell what it still is.
        return told(observation, "", "tried to change", "its user");
    }
    let (real, used) = (observation.unsigned("identity.uid"), observation.unsigned("identity.euid"));
    let files = observation.unsigned("identity.fsuid");
    if files.is_some() && files != used {
        let what = format!("files with the rights of {}", user(observation, "identity.fsuid"));
        return told(observation, "now opens", "", &what);
    }
    if used.is_some() && used != real {
        let rights = match used {
            Some(0) => "the rights of root, who may do everything".to_owned(),
            _ => format!("the rights of {}", user(observation, "identity.euid")),
        };
        return told(observation, "took", "", &rights);
    }
    told(observation, "became", "", &user(observation, "identity.uid"))
}

pub(super) fn group_change(observation: &Observation) -> String {
    let group = match observation.unsigned("identity.egid").or_else(|| observation.unsigned("identity.gid")) {
        Some(gid) if !observation.failed() => format!("group {gid}"),
        _ => "another group".to_owned(),
    };
    told(observation, "joined", "tried to join", &group)
}

pub(super) fn groups_change(observation: &Observation) -> String {
    let what = match observation.unsigned("identity.group_count") {
        Some(0) => return told(observation, "left", "tried to leave", "all its other groups"),
        Some(1) => "one other group".to_owned(),
        Some(count) => format!("{count} other groups"),
        None => "other groups".to_owned(),
    };
    told(observation, "joined", "tried to join", &what)
}

pub(super) fn capability_use(observation: &Observation) -> String {
    let number = observation.unsigned("capability").unwrap_or(u64::MAX);
    let right = match words::capability(number) {
        Some(words) => format!("its right to {words}"),
        None => format!("its special right {number}"),
    };
    told(observation, "used", "tried to use", &right)
}

pub(super) fn module_load(observation: &Observation) -> String {
    let name = shown_or(observation, "module.name", "a part");
    if observation.failed() {
        return told(observation, "", "tried to add", &format!("{name} to the core of the system"));
    }
    told(observation, "added", "", &format!("{name} to the core of the system, where nothing stops it"))
}

pub(super) fn module_unload(observation: &Observation) -> String {
    let name = shown_or(observation, "module.name", "a part");
    told(observation, "took", "tried to take", &format!("{name} out of the core of the system"))
}

pub(super) fn bpf_load(observation: &Observation) -> String {
    let what = "code into the core of the system";
    if observation.failed() {
        return told(observation, "", "tried to put", what);
    }
    told(observation, "put", "", &format!("{what}, where it can see a lot"))
}

pub(super) fn namespace_change(observation: &Observation) -> String {
    let separate = words::separate(observation.unsigned("namespace.flags").unwrap_or(0));
    told(observation, "moved into", "tried to move into", &separate)
}

pub(super) fn page_fault_handler(observation: &Observation) -> String {
    told(observation, "asked to hear", "tried to hear", "of holes in its memory")
}
