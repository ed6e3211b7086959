//! Files and standard input as bytes, of a size that memory bears.

use std::io::Read;
use std::path::Path;

use anyhow::Context;
use nonna_diag::{Diagnostic, Sources};
use nonna_sandbox::slugs::UNREADABLE_OBJECT;

use crate::outcome::Trouble;

/// The longest input: a program of a million instructions takes 8 MiB, and in hex six times that.
const MAX_BYTES: u64 = 64 << 20;

/// The bytes of a file, or of standard input for `-`, and the name that diagnostics give them.
///
/// # Errors
///
/// Where it cannot be read, or is too long.
pub fn read(file: &Path) -> Result<(String, Vec<u8>), Trouble> {
    let is_stdin = file.as_os_str() == "-";
    let name = if is_stdin { "<stdin>".to_owned() } else { file.display().to_string() };
    let mut bytes = Vec::new();
    let mut read = || -> std::io::Result<u64> {
        if is_stdin {
            return Ok(std::io::stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut bytes)? as u64);
        }
        let opened = std::fs::File::open(file)?;
        let length = opened.metadata()?.len();
        if length > MAX_BYTES {
            return Ok(length);
        }
        Ok(opened.take(MAX_BYTES + 1).read_to_end(&mut bytes)? as u64)
    };
    if read().with_context(|| format!("read {name}"))? > MAX_BYTES {
        let message = format!("{name} is longer than {} MiB, more than any program", MAX_BYTES >> 20);
        let diagnostic = Diagnostic::new(&UNREADABLE_OBJECT, message);
        return Err(Trouble::Diagnostics(vec![diagnostic], Sources::new()));
    }
    Ok((name, bytes))
}
