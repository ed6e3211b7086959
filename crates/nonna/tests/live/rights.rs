//! `nonna watch` about rights, signals and the tree of files.

use std::os::fd::AsFd;
use std::process::{Command, Stdio};

use nonna_bpf::Feature;
use nonna_testkit::{KernelTest, Need, Outcome, Suite};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, UnmountFlags};
use rustix::process::{Pid, PidfdFlags, Signal, Uid};
use rustix::{fs, mount, process, thread};
use serde_json::{Value, json};

use crate::all;
use crate::files::watched;
use crate::watch::{Watch, objects};

const NEEDS: &[Need] =
    &[Need::Root, Need::Feature(Feature::RawTracepoint), Need::Feature(Feature::RingBuffer)];

/// Adds the tests of this file.
pub fn tests(suite: Suite) -> Suite {
    let sleep = [NEEDS, &[Need::Tool("sleep")]].concat();
    suite
        .test(KernelTest::new("rights_are_told_when_used", NEEDS, rights_are_told_when_used))
        .test(KernelTest::new("signals_are_told_with_their_target", &sleep, signals_are_told))
        .test(KernelTest::new("new_mounts_are_told", NEEDS, new_mounts_are_told))
        .test(KernelTest::new("groups_and_roots_are_told", NEEDS, groups_and_roots_are_told))
}

/// By whatever way this kernel has to see them.
fn rights_are_told_when_used() -> Outcome {
    let file = tempfile::NamedTempFile::new()?;
    let watch = Watch::start(&["-f", "json", "--event", "capability_use"])?;
    fs::fchown(&file, Some(Uid::from_raw(12)), None)?;
    let output = watch.stop()?;
    let told = objects(&output)?;
    let mine = told.iter().filter(|e| e["process"]["pid"] == std::process::id());
    let rights: Vec<&Value> = mine.map(|event| &event["capability"]).collect();
    assert!(rights.contains(&&json!("CAP_CHOWN")), "{rights:?} {}", all(&output));
    assert!(told.iter().all(|e| e["event"] == "capability_use" || e["event"] == "summary"));
    Ok(())
}

fn signals_are_told() -> Outcome {
    let mut child = Command::new("sleep").arg("100").stdin(Stdio::null()).spawn()?;
    let id = child.id();
    let pid = Pid::from_raw(i32::try_from(id)?).ok_or("a child has a pid")?;
    let seen = watched(|| {
        process::kill_process(pid, Signal::URG)?;
        let handle = process::pidfd_open(pid, PidfdFlags::empty())?;
        process::pidfd_send_signal(&handle, Signal::KILL)?;
        child.wait()?;
        Ok(())
    })?;
    for signal in ["SIGURG", "SIGKILL"] {
        let kill = seen.one("kill", "/signal", signal);
        assert_eq!((&kill["target"]["pid"], &kill["result"]), (&json!(id), &json!(0)), "{signal}");
        assert_eq!(kill["target"]["name"], "sleep", "{signal}");
    }
    Ok(())
}

fn new_mounts_are_told() -> Outcome {
    let base = tempfile::tempdir()?;
    let path = base.path().canonicalize()?;
    let target = path.join("target");
    std::fs::create_dir(&target)?;
    let target = target.to_str().ok_or("the path is text")?;
    let folder = std::fs::File::open(&path)?;
    let seen = watched(|| {
        let context = mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        mount::fsconfig_create(&context)?;
        let ready = mount::fsmount(
            &context,
            FsMountFlags::FSMOUNT_CLOEXEC,
            MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_RDONLY,
        )?;
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        mount::move_mount(&ready, "", folder.as_fd(), "target", flags)?;
        mount::unmount(target, UnmountFlags::DETACH)?;
        assert!(mount::unmount(target, UnmountFlags::empty()).is_err());
        Ok(())
    })?;
    let told = seen.one("mount", "/mount/target", target);
    assert_eq!((&told["mount"]["type"], &told["result"]), (&json!("tmpfs"), &json!(0)));
    let flags = told["mount"]["flags"].as_array().ok_or("flags are a list")?;
    assert!(flags.contains(&json!("MS_RDONLY")) && flags.contains(&json!("MS_NOSUID")), "{flags:?}");
    assert_eq!(seen.one("unmount", "/errno", "EINVAL")["mount"]["target"], target);
    assert_eq!(seen.one("unmount", "/mount/target", target)["result"], 0);
    Ok(())
}

fn groups_and_roots_are_told() -> Outcome {
    let seen = watched(|| {
        thread::set_thread_groups(&[process::Gid::from_raw(7), process::Gid::from_raw(8)])?;
        process::chdir("/")?;
        process::chroot(".")?;
        Ok(())
    })?;
    assert_eq!(seen.one("root_change", "/file/path", "/")["result"], 0);
    let groups = seen.events.iter().find(|e| e["event"] == "groups_change").ok_or("groups changed")?;
    assert_eq!((&groups["identity"]["group_count"], &groups["result"]), (&json!(2), &json!(0)));
    Ok(())
}
