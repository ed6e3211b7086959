//! A file that alerts are appended to. It is begun anew when it is full, or when somebody moved it away.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::{Line, Rotation, Shared, Write};

pub(super) struct File {
    path: PathBuf,
    file: fs::File,
    rotation: Rotation,
    bytes: Vec<u8>,
}

impl File {
    pub(super) fn open(path: &Path, rotation: Rotation) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: open(path)?, rotation, bytes: Vec::new() })
    }

    fn append(&mut self) -> io::Result<()> {
        let mut at = self.file.metadata()?;
        // Somebody put the file away: what follows belongs into a new one.
        let is_ours = |now: fs::Metadata| now.ino() == at.ino() && now.dev() == at.dev();
        if !fs::metadata(&self.path).is_ok_and(is_ours) {
            self.file = open(&self.path)?;
            at = self.file.metadata()?;
        }
        let is_full = |most: u64| at.len() > 0 && at.len() + self.bytes.len() as u64 > most;
        if self.rotation.most_bytes.is_some_and(is_full) {
            self.rotate()?;
            at = self.file.metadata()?;
        }
        self.file.write_all(&self.bytes).inspect_err(|_| {
            // A part of a line would spoil the next one; where even this fails, the reader sees it.
            let _ = self.file.set_len(at.len());
        })
    }

    /// `file.2` becomes `file.3`, `file.1` becomes `file.2`, the file becomes `file.1`; the oldest goes.
    fn rotate(&mut self) -> io::Result<()> {
        for n in (1..self.rotation.n_kept.max(1)).rev() {
            match fs::rename(numbered(&self.path, n), numbered(&self.path, n + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, numbered(&self.path, 1))?;
        self.file = open(&self.path)?;
        Ok(())
    }
}

impl Write for File {
    fn write(&mut self, lines: &[Line], _shared: &Shared, lost: &mut dyn FnMut(&str, u64)) {
        self.bytes.clear();
        for line in lines {
            self.bytes.extend_from_slice(line.text.as_bytes());
            self.bytes.push(b'\n');
        }
        if let Err(error) = self.append() {
            lost(&error.kind().to_string(), lines.len() as u64);
        }
    }
}

/// Alerts may name what others must not read.
fn open(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn numbered(path: &Path, n: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{n}"));
    name.into()
}
