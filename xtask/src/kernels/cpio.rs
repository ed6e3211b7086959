//! Writes an initramfs: a cpio archive in the `newc` form.
//!
//! The form is described in the kernel's `Documentation/driver-api/early-userspace/buffer-format.rst`: a header of hexadecimal fields, the name ended
//! by a zero byte, the content, each padded to four bytes; an entry named `TRAILER!!!` ends it.

use std::collections::BTreeSet;
use std::io::{self, Write};

const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;
const CHARACTER_DEVICE: u32 = 0o020_000;

/// An archive that is being written.
pub struct Archive<W: Write> {
    out: W,
    next_inode: u32,
    names: BTreeSet<String>,
}

impl<W: Write> Archive<W> {
    /// An empty archive.
    pub fn new(out: W) -> Self {
        Self { out, next_inode: 1, names: BTreeSet::new() }
    }

    /// A folder, and those above it. One that exists stays as it is.
    pub fn folder(&mut self, path: &str) -> io::Result<()> {
        let path = path.trim_matches('/');
        if path.is_empty() || self.names.contains(path) {
            return Ok(());
        }
        self.parents(path)?;
        self.entry(path, FOLDER | 0o755, (0, 0), b"")
    }

    /// A file with these permission bits. A path that is taken stays as it is.
    pub fn file(&mut self, path: &str, permissions: u32, content: &[u8]) -> io::Result<()> {
        self.leaf(path, FILE | permissions, (0, 0), content)
    }

    /// A symbolic link. A path that is taken stays as it is.
    pub fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
        self.leaf(path, LINK | 0o777, (0, 0), target.as_bytes())
    }

    /// A character device with its major and minor number.
    pub fn device(&mut self, path: &str, numbers: (u32, u32)) -> io::Result<()> {
        self.leaf(path, CHARACTER_DEVICE | 0o600, numbers, b"")
    }

    /// Ends the archive and returns what it was written to.
    pub fn finish(mut self) -> io::Result<W> {
        self.names.remove("TRAILER!!!");
        self.entry("TRAILER!!!", 0, (0, 0), b"")?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn leaf(&mut self, path: &str, mode: u32, device: (u32, u32), content: &[u8]) -> io::Result<()> {
        let path = path.trim_matches('/');
        if self.names.contains(path) {
            return Ok(());
        }
        self.parents(path)?;
        self.entry(path, mode, device, content)
    }

    fn parents(&mut self, path: &str) -> io::Result<()> {
        match path.rsplit_once('/') {
            Some((parent, _)) => self.folder(parent),
            None => Ok(()),
        }
    }

    fn entry(&mut self, name: &str, mode: u32, device: (u32, u32), content: &[u8]) -> io::Result<()> {
        let size = u32::try_from(content.len()).map_err(|_| {
            io::Error::new(io::ErrorKind::FileTooLarge, format!("{name} does not fit a cpio archive"))
        })?;
        let name_size =
            u32::try_from(name.len() + 1).map_err(|_| io::Error::from(io::ErrorKind::InvalidFilename))?;
        let links = if mode & FOLDER == FOLDER { 2 } else { 1 };
        // inode, mode, user, group, links, time, size, device of the file, device it is, name's size, checksum
        let fields = [self.next_inode, mode, 0, 0, links, 0, size, 0, 0, device.0, device.1, name_size, 0];
        self.next_inode += 1;
        let mut header = String::from("070701");
        for field in fields {
            header.push_str(&format!("{field:08x}"));
        }
        self.out.write_all(header.as_bytes())?;
        self.out.write_all(name.as_bytes())?;
        self.out.write_all(&[0])?;
        self.pad(header.len() + name.len() + 1)?;
        self.out.write_all(content)?;
        self.pad(content.len())?;
        self.names.insert(name.to_owned());
        Ok(())
    }

    fn pad(&mut self, len: usize) -> io::Result<()> {
        self.out.write_all(&[0; 3][..len.next_multiple_of(4) - len])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_aligned_and_parents_made_once() {
        let mut archive = Archive::new(Vec::new());
        archive.file("/a/b/c", 0o755, b"hello").unwrap();
        archive.file("a/b/c", 0o755, b"taken").unwrap();
        archive.link("/a/d", "b/c").unwrap();
        archive.device("/dev/console", (5, 1)).unwrap();
        let bytes = archive.finish().unwrap();
        assert_eq!(bytes.len() % 4, 0);
        let text = String::from_utf8_lossy(&bytes);
        let mut names = Vec::new();
        let mut at = 0;
        while let Some(header) = text.get(at..at + 110).filter(|h| h.starts_with("070701")) {
            let field = |n: usize| usize::from_str_radix(&header[6 + 8 * n..14 + 8 * n], 16).unwrap();
            let (size, name_size) = (field(6), field(11));
            names.push(text[at + 110..at + 110 + name_size - 1].to_owned());
            at = (at + 110 + name_size).next_multiple_of(4);
            at = (at + size).next_multiple_of(4);
        }
        assert_eq!(names, ["a", "a/b", "a/b/c", "a/d", "dev", "dev/console", "TRAILER!!!"]);
        assert!(text.contains("hello") && !text.contains("taken"));
    }
}
