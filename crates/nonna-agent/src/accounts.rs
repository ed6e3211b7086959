//! User and group names from `/etc/passwd` and `/etc/group`.
//!
//! The files are read directly, since a static binary has no name service switch. Names that come from elsewhere
//! (LDAP, systemd) stay numbers.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rustc_hash::FxHashMap;

/// Names by number, read again when the file changes.
#[derive(Debug, Default)]
struct NameFile {
    names: FxHashMap<u32, Arc<str>>,
    modified: Option<SystemTime>,
}

impl NameFile {
    /// Reads the file where it changed since the last time; a file that cannot be read leaves what is known.
    fn refresh(&mut self, path: &Path) {
        let modified = std::fs::metadata(path).and_then(|m| m.modified()).ok();
        let changed = modified.is_some() && modified != self.modified;
        if let Some(bytes) = changed.then(|| std::fs::read(path).ok()).flatten() {
            self.names = parse(&String::from_utf8_lossy(&bytes));
            self.modified = modified;
        }
    }
}

/// The accounts of this machine.
#[derive(Debug, Default)]
pub struct Accounts {
    users: NameFile,
    groups: NameFile,
}

impl Accounts {
    /// Reads the machine's files.
    pub fn read() -> Self {
        let mut accounts = Self::default();
        accounts.refresh();
        accounts
    }

    /// Reads again what changed.
    pub fn refresh(&mut self) {
        self.users.refresh(Path::new("/etc/passwd"));
        self.groups.refresh(Path::new("/etc/group"));
    }

    /// Name of a user.
    pub fn user(&self, uid: u32) -> Option<&str> {
        self.users.names.get(&uid).map(AsRef::as_ref)
    }

    /// Name of a user, shared with whoever keeps it.
    pub fn shared_user(&self, uid: u32) -> Option<Arc<str>> {
        self.users.names.get(&uid).cloned()
    }

    /// Name of a group, shared with whoever keeps it.
    pub fn shared_group(&self, gid: u32) -> Option<Arc<str>> {
        self.groups.names.get(&gid).cloned()
    }

    /// Name of a group.
    pub fn group(&self, gid: u32) -> Option<&str> {
        self.groups.names.get(&gid).map(AsRef::as_ref)
    }
}

/// `name:password:number:…` a line; the first name of a number counts (passwd(5), group(5)).
fn parse(text: &str) -> FxHashMap<u32, Arc<str>> {
    let mut names = FxHashMap::default();
    for line in text.lines() {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty() && !name.starts_with(['#', '+', '-']));
        if let (Some(name), Some(Ok(number))) = (name, fields.nth(1).map(str::parse)) {
            names.entry(number).or_insert_with(|| name.into());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn the_first_name_of_a_number_counts_and_nonsense_is_skipped() {
        let names = parse("root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0\n#c:x:1:1\n+::\nweb:x:33\nbad:x:y\n\n");
        assert_eq!(names.len(), 2);
        assert_eq!((&*names[&0], &*names[&33]), ("root", "web"));
    }
}
