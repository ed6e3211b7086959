//! `fd.` of files and `fs.path.`: what is opened, and the paths that a call names.

use nonna_rules::evaluate::Fact;

use super::{Facts, filled, owned, text};

/// Events whose file is an open one.
const OPENS: [&str; 2] = ["file_open", "file_open_failed"];
/// `O_DIRECTORY`
pub(super) const DIRECTORY: u64 = 0o200_000;

/// Flags of `open(2)` by Falco's names (`driver/ppm_events_public.h` in falcosecurity/libs); the kernel's bits.
const OPEN_FLAGS: [(u64, &str); 14] = [
    (0o100, "O_CREAT"),
    (0o2000, "O_APPEND"),
    (0o10000, "O_DSYNC"),
    (0o200, "O_EXCL"),
    (0o4000, "O_NONBLOCK"),
    (0o4_000_000, "O_SYNC"),
    (0o1000, "O_TRUNC"),
    (0o40000, "O_DIRECT"),
    (0o200_000, "O_DIRECTORY"),
    (0o100_000, "O_LARGEFILE"),
    (0o2_000_000, "O_CLOEXEC"),
    (0o400_000, "O_NOFOLLOW"),
    (0o20_000_000, "O_TMPFILE"),
    (0o10_000_000, "O_PATH"),
];

/// Bits of a file's mode by their names, as Falco tells them.
const MODES: [(u64, &str); 12] = [
    (0o1, "S_IXOTH"),
    (0o2, "S_IWOTH"),
    (0o4, "S_IROTH"),
    (0o10, "S_IXGRP"),
    (0o20, "S_IWGRP"),
    (0o40, "S_IRGRP"),
    (0o100, "S_IXUSR"),
    (0o200, "S_IWUSR"),
    (0o400, "S_IRUSR"),
    (0o1000, "S_ISVTX"),
    (0o2000, "S_ISGID"),
    (0o4000, "S_ISUID"),
];

/// Flags of `open(2)` as rules compare them.
pub(super) fn open_flags(flags: u64) -> String {
    let access = match flags & 3 {
        0 => "O_RDONLY",
        1 => "O_WRONLY",
        _ => "O_RDWR",
    };
    let set = OPEN_FLAGS.iter().filter(|(bit, _)| flags & bit == *bit).map(|(_, name)| *name);
    set.chain([access]).collect::<Vec<_>>().join("|")
}

/// Rights of a file as rules compare them.
pub(super) fn mode(mode: u64) -> String {
    let set: Vec<&str> = MODES.iter().filter(|(bit, _)| mode & bit != 0).map(|(_, name)| *name).collect();
    if set.is_empty() { "0".to_owned() } else { set.join("|") }
}

impl<'o> Facts<'o> {
    pub(super) fn is_of_file(&self) -> bool {
        OPENS.contains(&self.observation.name())
            || matches!(self.event_type.name(), "fchmod" | "fchown" | "finit_module")
    }

    pub(super) fn of_file(&self, name: &str) -> Option<Fact<'o>> {
        let path = self.text("file.path")?;
        match name {
            "name" => filled(path),
            "nameraw" => self.text("file.raw_path").map_or_else(|| filled(path), filled),
            "directory" => directory(path),
            "filename" => text(path.rsplit(|byte| *byte == b'/').next()?),
            "num" => Some(Fact::Signed(self.result().filter(|result| *result >= 0).unwrap_or(-1))),
            "type" => text(if self.is_directory() { b"directory" } else { b"file" }),
            "typechar" => text(if self.is_directory() { b"d" } else { b"f" }),
            _ => None,
        }
    }

    fn is_directory(&self) -> bool {
        self.observation.unsigned("file.flags").is_some_and(|flags| flags & DIRECTORY != 0)
    }

    /// The paths that a call names, for calls that name any.
    pub(super) fn of_paths(&self, name: &str) -> Option<Fact<'o>> {
        let (source, target) = match self.observation.name() {
            "file_rename" => (self.text("file.path"), self.text("file.new_path")),
            "file_link" => (self.text("file.target"), self.text("file.path")),
            "file_symlink" => (self.text("file.target"), self.text("file.path")),
            "mount" => (self.text("mount.source"), self.text("mount.target")),
            _ => (None, None),
        };
        match name {
            "path.name" | "path.nameraw" => {
                let unmounted = || self.text("mount.target");
                if source.is_some() || self.observation.name() == "process_exec" {
                    return None;
                }
                filled(self.text("file.path").or_else(unmounted)?)
            }
            "path.source" | "path.sourceraw" => filled(source?),
            "path.target" | "path.targetraw" => filled(target?),
            _ => None,
        }
    }
}

fn directory(path: &[u8]) -> Option<Fact<'_>> {
    let slash = path.iter().rposition(|byte| *byte == b'/')?;
    if slash == 0 { owned("/".to_owned()) } else { text(&path[..slash]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_rights_have_the_names_that_rules_use() {
        assert_eq!(open_flags(0o1101), "O_CREAT|O_TRUNC|O_WRONLY");
        assert_eq!(open_flags(0), "O_RDONLY");
        assert_eq!(mode(0o4755), "S_IXOTH|S_IROTH|S_IXGRP|S_IRGRP|S_IXUSR|S_IWUSR|S_IRUSR|S_ISUID");
    }

    #[test]
    fn the_root_is_the_directory_of_its_files() {
        assert_eq!(directory(b"/etc/shadow"), text(b"/etc"));
        assert_eq!(directory(b"/x"), text(b"/"));
        assert_eq!(directory(b"x"), None);
    }
}
