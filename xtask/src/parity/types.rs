//! The types of a packaged kernel, taken out of its bootable image.
//!
//! Objects are compiled and relocated for the kernel whose verdicts they are compared with, which need not be the running one. The image is a
//! loader followed by a compressed ELF file (Documentation/arch/x86/boot.rst, "payload_offset").

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use object::{Object as _, ObjectSection as _};

/// Compressions that Debian uses: how the payload begins, and what unpacks it. The size that follows the data is no part of it.
const COMPRESSIONS: &[(&[u8], &[&str])] = &[
    (&[0x28, 0xb5, 0x2f, 0xfd], &["zstd", "--decompress", "--stdout", "--quiet"]),
    (&[0xfd, b'7', b'z', b'X', b'Z'], &["xz", "--decompress", "--stdout", "--single-stream"]),
];
/// Bytes after the compressed data that say how large it will be.
const SIZE_BYTES: usize = 4;

/// The `.BTF` section of the kernel in a bootable image.
///
/// # Errors
///
/// If it is no such image, or one without types.
pub fn of_image(path: &Path) -> Result<Vec<u8>> {
    let image = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    let payload = payload(&image).with_context(|| format!("{} is no bootable image", path.display()))?;
    let (_, command) = COMPRESSIONS
        .iter()
        .find(|(magic, _)| payload.starts_with(magic))
        .with_context(|| format!("{} is compressed in an unknown way", path.display()))?;
    let kernel = unpack(command, payload)?;
    let elf = object::File::parse(&*kernel).context("the kernel in the image")?;
    let section = elf.section_by_name(".BTF").context("the kernel has no types (.BTF)")?;
    Ok(section.data().context("the kernel's types")?.to_vec())
}

/// The compressed kernel, without the size behind it.
fn payload(image: &[u8]) -> Option<&[u8]> {
    const SETUP_SECTORS: usize = 0x1f1;
    const MAGIC: usize = 0x202;
    const PAYLOAD_OFFSET: usize = 0x248;
    const PAYLOAD_LENGTH: usize = 0x24c;
    const SECTOR_BYTES: usize = 512;
    let number = |at: usize| Some(u32::from_le_bytes(*image.get(at..)?.first_chunk::<4>()?) as usize);
    if !image.get(MAGIC..)?.starts_with(b"HdrS") {
        return None;
    }
    let start = (usize::from(*image.get(SETUP_SECTORS)?) + 1) * SECTOR_BYTES + number(PAYLOAD_OFFSET)?;
    let end = start.checked_add(number(PAYLOAD_LENGTH)?)?.checked_sub(SIZE_BYTES)?;
    image.get(start..end)
}

fn unpack(command: &[&str], packed: &[u8]) -> Result<Vec<u8>> {
    let mut child = Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {}", command[0]))?;
    let mut input = child.stdin.take().context("a pipe to the unpacker")?;
    // The unpacker writes before it has read all, so the two ends need a thread each.
    let output = std::thread::scope(|scope| {
        scope.spawn(move || input.write_all(packed));
        child.wait_with_output()
    });
    let output = output.with_context(|| format!("run {}", command[0]))?;
    anyhow::ensure!(output.status.success(), "{} could not unpack the kernel", command[0]);
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_lies_behind_the_setup_code() {
        let mut image = vec![0; 4096];
        image[0x1f1] = 2;
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x248] = 8;
        image[0x24c] = 9;
        image[1544..1553].copy_from_slice(b"kernel\0\0\0");
        assert_eq!(payload(&image), Some(&b"kerne"[..]));
        image[0x24f] = 1;
        assert_eq!(payload(&image), None);
        assert_eq!(payload(b"short"), None);
    }
}
