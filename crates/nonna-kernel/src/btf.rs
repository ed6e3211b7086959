//! BTF of the running kernel and of its modules.
//!
//! The kernel's own BTF has 5 MB, of which a start reads little: it is mapped where the kernel allows that (6.16 and later) and read
//! elsewhere.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use nonna_btf::{Btf, Kind, TypeId};

use crate::error::{Context, Error};
use crate::sys::{self, KernelFile, ObjectKind};

const FOLDER: &str = "/sys/kernel/btf";

/// Opens `/sys/kernel/btf/vmlinux`.
pub(crate) fn open_vmlinux() -> Result<Btf, Error> {
    let path = Path::new(FOLDER).join("vmlinux");
    let parsed = match KernelFile::map(&path) {
        Ok(file) => Btf::parse(file),
        Err(_) => Btf::parse(std::fs::read(&path).context(|| format!("read {}", path.display()))?),
    };
    parsed.map_err(|e| unreadable(&path, e))
}

/// Maps the kernel's BTF and lets it go: whether the kernel allows that.
pub(crate) fn map_vmlinux() -> io::Result<()> {
    KernelFile::map(&Path::new(FOLDER).join("vmlinux")).map(drop)
}

/// A module's BTF with the descriptor by which the kernel knows it.
#[derive(Debug)]
pub(crate) struct ModuleBtf {
    pub btf: Btf,
    pub fd: OwnedFd,
}

/// Looks a type up in the modules, one after the other.
pub(crate) fn find_in_modules(
    base: &Btf,
    kind: Kind,
    name: &str,
) -> Result<Option<(ModuleBtf, TypeId)>, Error> {
    let mut id = 0;
    while let Some(next) = sys::next_id(ObjectKind::Btf, id).context(|| "list BTF objects".to_owned())? {
        id = next;
        let Some(module) = open_module(base, id)? else { continue };
        if let Some(type_id) = module.btf.find(kind, name).filter(|t| *t >= module.btf.first_own()) {
            return Ok(Some((module, type_id)));
        }
    }
    Ok(None)
}

/// Opens the BTF object with this id if it is a module's.
fn open_module(base: &Btf, id: u32) -> Result<Option<ModuleBtf>, Error> {
    let Some(fd) = sys::fd_by_id(ObjectKind::Btf, id).context(|| format!("open BTF object {id}"))? else {
        return Ok(None);
    };
    use std::os::fd::AsFd;
    let (info, name) = sys::btf_info(fd.as_fd()).context(|| format!("ask about BTF object {id}"))?;
    if info.kernel_btf == 0 || name == "vmlinux" || name.contains('/') {
        return Ok(None);
    }
    let path = Path::new(FOLDER).join(&name);
    let parsed = match KernelFile::map(&path) {
        Ok(file) => Btf::parse_split(file, base),
        Err(_) => match std::fs::read(&path) {
            Ok(bytes) => Btf::parse_split(bytes, base),
            // The module went away.
            Err(_) => return Ok(None),
        },
    };
    let btf = parsed.map_err(|e| unreadable(&path, e))?;
    Ok(Some(ModuleBtf { btf, fd }))
}

fn unreadable(path: &Path, error: nonna_btf::Error) -> Error {
    Error::System {
        operation: format!("understand {}", path.display()),
        source: io::Error::new(io::ErrorKind::InvalidData, error),
    }
}
