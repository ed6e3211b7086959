//! `nonna watch` about files: which file a call means, whichever way it names it.

use std::fs::File;
use std::os::fd::AsFd;

use nonna_bpf::Feature;
use nonna_testkit::{KernelTest, Need, Outcome, Suite};
use rustix::fs::{self, AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, ResolveFlags};
use serde_json::{Value, json};

use crate::all;
use crate::watch::{Watch, objects};

const NEEDS: &[Need] =
    &[Need::Root, Need::Feature(Feature::RawTracepoint), Need::Feature(Feature::RingBuffer)];

/// Adds the tests of this file.
pub fn tests(suite: Suite) -> Suite {
    suite
        .test(KernelTest::new("paths_count_from_their_folders", NEEDS, paths_count_from_their_folders))
        .test(KernelTest::new("numbers_of_files_have_paths", NEEDS, numbers_of_files_have_paths))
        .test(KernelTest::new("opens_tell_what_was_asked_for", NEEDS, opens_tell_what_was_asked_for))
        .test(KernelTest::new("failed_opens_tell_their_folder", NEEDS, failed_opens_tell_their_folder))
}

/// What this process did while everything was watched.
pub fn watched(action: impl FnOnce() -> Outcome) -> Result<Seen, Box<dyn std::error::Error + Send + Sync>> {
    let watch = Watch::start(&["-f", "json", "--all"])?;
    action()?;
    let output = watch.stop()?;
    let mine = |event: &Value| event["process"]["pid"] == std::process::id();
    let events = objects(&output)?.into_iter().filter(mine).collect();
    Ok(Seen { events, printed: all(&output) })
}

/// What was told of this process.
pub struct Seen {
    /// The events.
    pub events: Vec<Value>,
    printed: String,
}

impl Seen {
    /// The one event of a name for which a field has a value.
    #[track_caller]
    pub fn one(&self, event: &str, pointer: &str, value: &str) -> &Value {
        let found =
            self.events.iter().find(|e| e["event"] == event && e.pointer(pointer) == Some(&json!(value)));
        let near: Vec<String> =
            self.events.iter().filter(|e| e["event"] == event).map(ToString::to_string).collect();
        found.unwrap_or_else(|| panic!("no {event} with {pointer} {value}: {near:#?}\n{}", self.printed))
    }
}

/// A folder with its true path, open.
fn folder(path: &std::path::Path) -> Result<(String, File), Box<dyn std::error::Error + Send + Sync>> {
    std::fs::create_dir(path)?;
    let path = path.canonicalize()?;
    Ok((path.to_str().ok_or("the path is text")?.to_owned(), File::open(&path)?))
}

fn paths_count_from_their_folders() -> Outcome {
    let base = tempfile::tempdir()?;
    let (one, one_fd) = folder(&base.path().join("one"))?;
    let (two, two_fd) = folder(&base.path().join("two"))?;
    let seen = watched(|| {
        fs::openat(&one_fd, "a", OFlags::CREATE | OFlags::WRONLY, Mode::RUSR)?;
        fs::mkdirat(&one_fd, "folder", Mode::RWXU)?;
        fs::symlinkat("a", &one_fd, "link")?;
        fs::linkat(&one_fd, "a", &two_fd, "b", AtFlags::empty())?;
        fs::chmodat(&one_fd, "a", Mode::RWXU, AtFlags::empty())?;
        fs::chownat(&one_fd, "a", None, None, AtFlags::empty())?;
        fs::mknodat(&one_fd, "pipe", FileType::Fifo, Mode::RUSR, 0)?;
        fs::renameat_with(&one_fd, "a", &two_fd, "./c", RenameFlags::empty())?;
        fs::unlinkat(&two_fd, "../two/c", AtFlags::empty())?;
        fs::unlinkat(CWD, format!("{two}/b"), AtFlags::empty())?;
        fs::unlinkat(&one_fd, "folder", AtFlags::REMOVEDIR)?;
        Ok(())
    })?;
    let path = "/file/path";
    seen.one("file_open", path, &format!("{one}/a"));
    seen.one("directory_create", path, &format!("{one}/folder"));
    let link = seen.one("file_symlink", path, &format!("{one}/link"));
    assert_eq!(link["file"]["target"], "a");
    let link = seen.one("file_link", path, &format!("{two}/b"));
    assert_eq!(link["file"]["target"], format!("{one}/a"));
    for event in ["file_chmod", "file_chown"] {
        let changed = seen.one(event, path, &format!("{one}/a"));
        assert_eq!(changed["file"]["path_racy"], true);
    }
    let pipe = seen.one("special_file_create", path, &format!("{one}/pipe"));
    assert_eq!((&pipe["file"]["type"], &pipe["file"]["mode"]), (&json!("pipe"), &json!("0400")));
    let rename = seen.one("file_rename", path, &format!("{one}/a"));
    assert_eq!(rename["file"]["new_path"], format!("{two}/c"));
    for gone in [format!("{two}/c"), format!("{two}/b"), format!("{one}/folder")] {
        let gone = seen.one("file_delete", path, &gone);
        assert_eq!((&gone["result"], &gone["file"]["path_racy"]), (&json!(0), &json!(true)));
    }
    Ok(())
}

/// The kernel's own path needs no mark; a text does, also an empty one.
fn numbers_of_files_have_paths() -> Outcome {
    let base = tempfile::tempdir()?;
    let (one, one_fd) = folder(&base.path().join("one"))?;
    let file = format!("{one}/file");
    let opened = File::create(&file)?;
    let seen = watched(|| {
        fs::fchmod(&opened, Mode::RUSR | Mode::WUSR)?;
        fs::fchown(
            &opened,
            Some(rustix::process::Uid::from_raw(12)),
            Some(rustix::process::Gid::from_raw(34)),
        )?;
        fs::chownat(one_fd.as_fd(), "", Some(rustix::process::Uid::from_raw(56)), None, AtFlags::EMPTY_PATH)?;
        assert!(fs::chownat(one_fd.as_fd(), "", None, None, AtFlags::empty()).is_err());
        Ok(())
    })?;
    let chmod = seen.one("file_chmod", "/file/path", &file);
    assert_eq!((&chmod["file"]["mode"], &chmod["file"]["path_racy"]), (&json!("0600"), &Value::Null));
    let chown = seen.one("file_chown", "/file/path", &file);
    assert_eq!((&chown["file"]["uid"], &chown["file"]["gid"]), (&json!(12), &json!(34)));
    assert_eq!(chown["file"]["path_racy"], Value::Null);
    let empty = seen.one("file_chown", "/file/path", &one);
    assert_eq!((&empty["file"]["uid"], &empty["file"]["path_racy"]), (&json!(56), &json!(true)));
    let failed = seen.one("file_chown", "/file/path", "");
    assert_eq!(failed["errno"], "ENOENT");
    Ok(())
}

/// The kernel keeps no flags that only matter while it opens; they are the call's.
fn opens_tell_what_was_asked_for() -> Outcome {
    let base = tempfile::tempdir()?;
    let (one, one_fd) = folder(&base.path().join("one"))?;
    let asked = OFlags::CREATE | OFlags::EXCL | OFlags::TRUNC | OFlags::RDWR | OFlags::CLOEXEC;
    let seen = watched(|| {
        fs::openat(&one_fd, "a", asked, Mode::RWXU)?;
        fs::openat2(&one_fd, "b", asked, Mode::RWXU, ResolveFlags::BENEATH)?;
        fs::openat(&one_fd, "b", OFlags::WRONLY, Mode::empty())?;
        Ok(())
    })?;
    let flags = json!(["O_RDWR", "O_CREAT", "O_EXCL", "O_TRUNC", "O_CLOEXEC"]);
    for name in ["a", "b"] {
        let open = seen.one("file_open", "/file/path", &format!("{one}/{name}"));
        assert_eq!(open["file"]["flags"], flags, "{name}");
        assert_eq!((&open["file"]["created"], &open["file"]["access"]), (&json!(true), &json!("readwrite")));
    }
    let last = seen.events.iter().rfind(|e| e["event"] == "file_open").ok_or("there was an open")?;
    assert_eq!((&last["file"]["flags"], &last["file"]["created"]), (&json!(["O_WRONLY"]), &json!(false)));
    Ok(())
}

fn failed_opens_tell_their_folder() -> Outcome {
    let base = tempfile::tempdir()?;
    let (one, one_fd) = folder(&base.path().join("one"))?;
    let seen = watched(|| {
        let flags = OFlags::WRONLY | OFlags::TRUNC;
        assert!(fs::openat(&one_fd, "a", flags, Mode::empty()).is_err());
        assert!(fs::openat2(&one_fd, "../one/b", flags, Mode::empty(), ResolveFlags::empty()).is_err());
        Ok(())
    })?;
    for name in ["a", "b"] {
        let failed = seen.one("file_open_failed", "/file/path", &format!("{one}/{name}"));
        assert_eq!(failed["file"]["flags"], json!(["O_WRONLY", "O_TRUNC"]));
        assert_eq!((&failed["errno"], &failed["file"]["access"]), (&json!("ENOENT"), &json!("write")));
    }
    Ok(())
}
