//! Tracefs: numbers and formats of tracepoints.
//!
//! Where it is not mounted, a mount of our own is made that has no place in the file tree: only this process's descriptor leads to
//! it, nobody else sees it, and it goes when the descriptor is closed.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use nonna_bpf::{TracepointField, TracepointFormat, TracepointSource};
use rustc_hash::FxHashMap;
use rustix::fs::{Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

use crate::error::{Context, Error};
use crate::kernel::Kernel;

/// Where it is mounted, best first.
const PLACES: &[&str] = &["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// What one read of tracefs gives at most.
const PAGE_BYTES: usize = 4096;

/// The root of tracefs.
#[derive(Debug)]
pub(crate) struct Tracefs {
    root: OwnedFd,
}

impl Tracefs {
    /// Opens what is mounted, or mounts it privately.
    pub fn open() -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        for place in PLACES {
            let Ok(root) = rustix::fs::open(*place, flags, Mode::empty()) else { continue };
            if rustix::fs::statat(&root, "events", rustix::fs::AtFlags::empty()).is_ok() {
                return Ok(Self { root });
            }
        }
        let context = rustix::mount::fsopen("tracefs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        rustix::mount::fsconfig_create(&context)?;
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        let root = rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
        Ok(Self { root })
    }

    fn read(&self, path: &str) -> io::Result<String> {
        let fd = rustix::fs::openat(&self.root, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        // Such files say no size; a page at a time spares most of the reads that a guess from nothing takes.
        let mut text = String::with_capacity(PAGE_BYTES);
        File::from(fd).read_to_string(&mut text)?;
        Ok(text)
    }

    /// The text of a file.
    pub fn text(&self, path: &str) -> Result<String, Error> {
        self.read(path).context(|| format!("read {path} of tracefs"))
    }

    fn event_file(&self, category: &str, event: &str, file: &str) -> io::Result<String> {
        let outside = |name: &str| name.is_empty() || name.contains('/') || name.starts_with('.');
        if outside(category) || outside(event) {
            return Err(io::Error::from_raw_os_error(libc::ENOENT));
        }
        self.read(&format!("events/{category}/{event}/{file}"))
    }

    /// The number of a tracepoint for perf_event_open(2).
    pub fn id(&self, category: &str, event: &str) -> Result<u32, Error> {
        let text = self.event_file(category, event, "id");
        text.and_then(|text| text.trim().parse().map_err(io::Error::other))
            .context(|| format!("find the tracepoint `{category}:{event}`"))
    }
}

/// Tracepoints of the running kernel, opened when the first is asked for; a format is read once.
pub(crate) struct MachineTracepoints {
    kernel: Kernel,
    formats: Mutex<FxHashMap<String, Option<TracepointFormat>>>,
}

impl MachineTracepoints {
    pub fn new(kernel: Kernel) -> Self {
        Self { kernel, formats: Mutex::default() }
    }
}

impl TracepointSource for MachineTracepoints {
    fn format(&self, category: &str, event: &str) -> Option<TracepointFormat> {
        // A panic elsewhere cannot leave half an entry.
        let mut formats = self.formats.lock().unwrap_or_else(PoisonError::into_inner);
        let read = || parse_format(&self.kernel.tracefs().ok()?.event_file(category, event, "format").ok()?);
        formats.entry(format!("{category}/{event}")).or_insert_with(read).clone()
    }

    fn list(&self) -> Vec<(String, String)> {
        let Ok(text) = self.kernel.tracefs().and_then(|t| t.text("available_events")) else {
            return Vec::new();
        };
        let mut events: Vec<_> = text
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(category, event)| (category.to_owned(), event.to_owned()))
            .collect();
        events.sort_unstable();
        events
    }
}

/// Reads a format file: `ID: 637` and lines such as `field:char comm[16];  offset:8;  size:16;  signed:0;`.
fn parse_format(text: &str) -> Option<TracepointFormat> {
    let id = text.lines().find_map(|line| line.strip_prefix("ID:"))?.trim().parse().ok()?;
    let fields = text.lines().filter_map(|line| parse_field(line.trim())).collect();
    Some(TracepointFormat { id, fields })
}

fn parse_field(line: &str) -> Option<TracepointField> {
    let mut parts = line.strip_prefix("field:")?.split(';').map(str::trim);
    let (c_type, name) = split_declaration(parts.next()?)?;
    let (mut offset, mut size, mut signed) = (None, None, false);
    for part in parts {
        match part.split_once(':') {
            Some(("offset", n)) => offset = n.parse().ok(),
            Some(("size", n)) => size = n.parse().ok(),
            Some(("signed", n)) => signed = n == "1",
            _ => {}
        }
    }
    Some(TracepointField { name: name.to_owned(), c_type, offset: offset?, size: size?, signed })
}

/// `char comm[16]` is of type `char[16]` and called `comm`.
fn split_declaration(declaration: &str) -> Option<(String, &str)> {
    let (declared, array) = match declaration.strip_suffix(']').and_then(|d| d.rfind('[')) {
        // The brackets of `__data_loc char[] name` belong to the type already.
        Some(at) => declaration.split_at(at),
        None => (declaration, ""),
    };
    let at = declared.rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))?;
    let (c_type, name) = declared.split_at(at + 1);
    (!name.is_empty()).then(|| (format!("{}{array}", c_type.trim_end()), name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: &str = "name: sys_enter_openat\nID: 637\nformat:\n\
        \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\n\
        \tfield:const char * filename;\toffset:24;\tsize:8;\tsigned:0;\n\
        \tfield:char comm[16];\toffset:32;\tsize:16;\tsigned:0;\n\
        \tfield:__data_loc char[] name;\toffset:48;\tsize:4;\tsigned:0;\n\
        \tfield:unsigned long args[6];\toffset:56;\tsize:48;\tsigned:0;\n\
        \tfield:int prev;\toffset:104;\tsize:4;\tsigned:1;\n\nprint fmt: \"field: x;\"\n";

    #[test]
    fn formats_are_read() {
        let format = parse_format(FORMAT).unwrap();
        assert_eq!(format.id, 637);
        let have: Vec<_> =
            format.fields.iter().map(|f| (f.name.as_str(), f.c_type.as_str(), f.offset)).collect();
        assert_eq!(
            have,
            [
                ("common_type", "unsigned short", 0),
                ("filename", "const char *", 24),
                ("comm", "char[16]", 32),
                ("name", "__data_loc char[]", 48),
                ("args", "unsigned long[6]", 56),
                ("prev", "int", 104),
            ]
        );
        assert!(format.fields[5].signed && !format.fields[0].signed);
        assert_eq!(parse_format("nothing"), None);
    }

    #[test]
    fn the_running_kernel_has_tracepoints_even_where_nothing_is_mounted() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let tracepoints = MachineTracepoints::new(Kernel::new());
        let list = tracepoints.list();
        assert!(list.len() > 500 && list.is_sorted(), "{}", list.len());
        let format = tracepoints.format("sched", "sched_process_exec").unwrap();
        assert!(format.fields.iter().any(|f| f.name == "pid" && f.size == 4));
        assert_eq!(tracepoints.format("sched", "no_such"), None);
        assert_eq!(tracepoints.format("..", "sched"), None);
    }
}
