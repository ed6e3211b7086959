//! Finds and unpacks the newest kernel of a series.
//!
//! Debian's cloud flavour is the smallest that has BTF and BPF LSM, and boots without a driver from a disk.

use std::path::{Path, PathBuf};

use anyhow::Result;
use nonna_testkit::Skip;

use super::unavailable;
use crate::packages;
use crate::workspace::Workspace;

/// Series that the project holds itself to.
pub const SERIES: &[&str] = &["6.1", "6.12"];
const FOLDER: &str = "target/kernels/packages";

/// An unpacked kernel package.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// The series it was looked up for.
    pub series: &'static str,
    /// What `uname -r` will say.
    pub release: String,
    /// The bootable image.
    pub image: PathBuf,
    /// The folder with its modules.
    pub modules: PathBuf,
}

impl Kernel {
    /// The newest kernel of a series, downloaded unless it is there already.
    ///
    /// # Errors
    ///
    /// If a download or an unpacked package is broken. A machine without apt is no error but a [`Skip`].
    pub fn find(workspace: &Workspace, series: &'static str) -> Result<std::result::Result<Self, Skip>> {
        let folder = workspace.root.join(FOLDER);
        let Some(package) = newest_offered(series)?.or_else(|| newest_cached(&folder, series)) else {
            return Ok(Err(unavailable(series, "apt offers none, and none was downloaded before")));
        };
        let unpacked = folder.join(&package);
        if !unpacked.is_dir() {
            println!("downloading {package}");
            packages::unpack(&package, &unpacked)?;
        }
        let release = package.trim_start_matches("linux-image-").to_owned();
        let image = unpacked.join(format!("boot/vmlinuz-{release}"));
        let modules = unpacked.join(format!("lib/modules/{release}"));
        anyhow::ensure!(image.is_file(), "{package} holds no {}", image.display());
        Ok(Ok(Self { series, release, image, modules }))
    }
}

fn newest_offered(series: &str) -> Result<Option<String>> {
    if !packages::has_tool("apt-cache") || !packages::has_tool("apt-get") {
        return Ok(None);
    }
    let pattern = format!(r"^linux-image-{}\..*-cloud-amd64$", series.replace('.', r"\."));
    let mut names = packages::search(&pattern)?;
    if names.is_empty() && packages::can_install() {
        packages::update()?;
        names = packages::search(&pattern)?;
    }
    Ok(newest(names))
}

fn newest_cached(folder: &Path, series: &str) -> Option<String> {
    let entries = std::fs::read_dir(folder).ok()?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    newest(names.filter(|name| name.starts_with(&format!("linux-image-{series}."))).collect())
}

/// The name with the highest numbers, compared one after the other.
fn newest(names: Vec<String>) -> Option<String> {
    let numbers = |name: &String| -> Vec<u64> {
        name.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
    };
    names.into_iter().max_by_key(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        let names = [
            "linux-image-6.1.0-9-cloud-amd64",
            "linux-image-6.1.0-56-cloud-amd64",
            "linux-image-6.1.0-47-cloud-amd64",
        ];
        assert_eq!(newest(names.map(str::to_owned).to_vec()).unwrap(), names[1]);
        assert_eq!(newest(Vec::new()), None);
    }
}
