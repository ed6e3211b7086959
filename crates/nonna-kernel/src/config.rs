//! Values of the kernel's configuration, for objects that read them (`extern … __kconfig`).
//!
//! The configuration is in `/proc/config.gz` or `/boot/config-<release>`, where the kernel was built or packaged so; names that begin
//! with `LINUX_` are no configuration but what libbpf promises to know (`bpf_object__resolve_externs`).

use std::io::Read;

use rustc_hash::FxHashMap;

use crate::kernel::Kernel;

const COMPRESSED: &str = "/proc/config.gz";
/// More than any configuration has, so that a wrong file cannot fill the memory.
const MAX_BYTES: u64 = 16 << 20;

/// Values by name, as the file writes them.
#[derive(Debug, Default)]
pub(crate) struct KernelConfig {
    values: FxHashMap<Box<str>, Box<str>>,
}

impl KernelConfig {
    /// Reads the running kernel's; empty where it is not to be had.
    pub fn read() -> Self {
        Self::parse(&text().unwrap_or_default())
    }

    fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| line.starts_with("CONFIG_"));
        let values = lines.filter_map(|line| line.split_once('='));
        Self { values: values.map(|(name, value)| (name.into(), value.into())).collect() }
    }
}

fn text() -> Option<String> {
    let mut text = String::new();
    if let Ok(file) = std::fs::File::open(COMPRESSED) {
        flate2::read::GzDecoder::new(file).take(MAX_BYTES).read_to_string(&mut text).ok()?;
        return Some(text);
    }
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    std::fs::read_to_string(format!("/boot/config-{release}")).ok()
}

/// The number that `KERNEL_VERSION` makes of `6.12.3-1-generic`.
fn version_code(release: &str) -> Option<u32> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let (major, minor) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    let patch = numbers.next().and_then(Result::ok).unwrap_or(0);
    Some((major << 16) | (minor << 8) | patch.min(255))
}

impl Kernel {
    /// A value of the configuration as the file writes it, or a fact about the kernel by libbpf's name for it.
    pub(crate) fn setting(&self, name: &str) -> Option<String> {
        let yes_or_no = |yes: bool| Some(if yes { "y" } else { "n" }.to_owned());
        match name {
            "LINUX_KERNEL_VERSION" => version_code(&rustix::system::uname().release().to_string_lossy())
                .map(|code| code.to_string()),
            "LINUX_HAS_BPF_COOKIE" => yes_or_no(true),
            "LINUX_HAS_SYSCALL_WRAPPER" => {
                let wrapped = if cfg!(target_arch = "aarch64") { "__arm64_sys_bpf" } else { "__x64_sys_bpf" };
                yes_or_no(self.symbol_address(wrapped).ok().flatten().is_some())
            }
            _ => self.config().values.get(name).map(ToString::to_string),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_the_file_and_facts() {
        let config = KernelConfig::parse("# CONFIG_A is not set\nCONFIG_HZ=250\nCONFIG_NAME=\"a=b\"\n");
        assert_eq!(config.values.len(), 2);
        assert_eq!(config.values["CONFIG_NAME"].as_ref(), "\"a=b\"");
        assert_eq!(version_code("6.12.3-1-generic"), Some(0x06_0c03));
        assert_eq!(version_code("6.1-rc1"), Some(0x06_0100));
        assert_eq!(version_code("x"), None);
        assert!(Kernel::new().setting("LINUX_KERNEL_VERSION").is_some());
        assert_eq!(Kernel::new().setting("CONFIG_NO_SUCH"), None);
    }
}
