//! Debian's package tools: what is installed, what can be had, and getting it.
//!
//! Only root on a machine with apt installs anything; everybody else gets a typed reason.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use nonna_testkit::Skip;

/// Programs that tests, guests and benchmarks may need, with the package that holds them.
pub const TOOLS: &[(&str, &str)] = &[
    ("bash", "bash"),
    ("bpftool", "bpftool"),
    ("bpftrace", "bpftrace"),
    ("clang", "clang"),
    ("clang-14", "clang-14"),
    ("clang-19", "clang-19"),
    ("curl", "curl"),
    ("dpkg-deb", "dpkg"),
    ("ip", "iproute2"),
    ("llvm-objdump", "llvm"),
    ("llvm-objdump-14", "llvm-14"),
    ("llvm-objdump-19", "llvm-19"),
    ("mount", "mount"),
    ("ping", "iputils-ping"),
    ("python3", "python3"),
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("setcap", "libcap2-bin"),
    ("tar", "tar"),
    ("tc", "iproute2"),
    ("xz", "xz-utils"),
    ("zcat", "gzip"),
    ("zstd", "zstd"),
];

/// Whether a program is on the `PATH`, or in the folders of system tools that an ordinary user's `PATH` leaves out.
pub fn has_tool(name: &str) -> bool {
    find_tool(name).is_some()
}

/// Where a program lies.
pub fn find_tool(name: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Whether this user may install packages here.
pub fn can_install() -> bool {
    has_tool("apt-get") && is_root()
}

/// Whether this user is root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Makes sure that programs are there, installing their packages where that is possible. What stays missing is the result.
///
/// # Errors
///
/// If apt itself fails.
pub fn ensure_tools(names: &[&str]) -> Result<Vec<Skip>> {
    let missing: Vec<&str> = names.iter().copied().filter(|name| !has_tool(name)).collect();
    if !missing.is_empty() && can_install() {
        let package = |name: &&str| TOOLS.iter().find(|(tool, _)| tool == name).map(|(_, package)| *package);
        let mut packages: Vec<&str> = missing.iter().filter_map(package).collect();
        packages.sort_unstable();
        packages.dedup();
        install(&packages)?;
    }
    let found = if is_root() {
        "it is not on the PATH, and no package of it could be installed"
    } else {
        "it is not on the PATH, and only root may install it"
    };
    let left = missing.into_iter().filter(|name| !has_tool(name));
    Ok(left.map(|name| Skip::new(format!("tool {name}"), found)).collect())
}

fn install(packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    println!("installing {}", packages.join(", "));
    if !apt_install(packages)? {
        update()?;
        if !apt_install(packages)? {
            bail!("apt-get install {} failed", packages.join(" "));
        }
    }
    Ok(())
}

fn apt_install(packages: &[&str]) -> Result<bool> {
    let status = Command::new("apt-get")
        .args(["-q", "-y", "--no-install-recommends", "install"])
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdout(Stdio::null())
        .status()
        .context("run apt-get install")?;
    Ok(status.success())
}

/// Renews apt's lists.
pub fn update() -> Result<()> {
    let status = Command::new("apt-get").args(["-q", "update"]).stdout(Stdio::null()).status();
    anyhow::ensure!(status.context("run apt-get update")?.success(), "apt-get update failed");
    Ok(())
}

/// Names of packages that apt knows and that a regular expression matches.
pub fn search(pattern: &str) -> Result<Vec<String>> {
    let output = Command::new("apt-cache").args(["search", "--names-only", pattern]).output();
    let output = output.context("run apt-cache search")?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

/// Downloads a package and unpacks it into a folder, which appears only when it is whole.
pub fn unpack(package: &str, folder: &Path) -> Result<()> {
    let parent = folder.parent().context("a folder with a parent")?;
    std::fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
    let work =
        tempfile::Builder::new().prefix("unpack-").tempdir_in(parent).context("a folder to unpack in")?;
    // Root's apt would otherwise warn that its sandbox user cannot write here.
    let status = Command::new("apt-get")
        .args(["-q", "-o", "APT::Sandbox::User=root", "download", package])
        .current_dir(work.path())
        .stdout(Stdio::null())
        .status()
        .context("run apt-get download")?;
    anyhow::ensure!(status.success(), "apt-get download {package} failed");
    let archive = std::fs::read_dir(work.path())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|e| e == "deb"))
        .with_context(|| format!("apt-get download {package} left no package"))?;
    let content = work.path().join("content");
    let status =
        Command::new("dpkg-deb").arg("-x").arg(&archive).arg(&content).status().context("run dpkg-deb")?;
    anyhow::ensure!(status.success(), "dpkg-deb could not unpack {}", archive.display());
    match std::fs::rename(&content, folder) {
        // Somebody else was faster.
        Err(_) if folder.is_dir() => Ok(()),
        other => other.with_context(|| format!("move {package} to {}", folder.display())),
    }
}
