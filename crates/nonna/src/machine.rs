//! What formatting asks of the running machine: symbols, names, clocks.
//!
//! Everything is read when it is first asked for: most scripts ask for nothing.

use std::cell::{OnceCell, RefCell};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nonna_agent::accounts::Accounts;
use nonna_kernel::{Frame, Symbolizer, cgroup_root};
use nonna_script::{Clock, Machine, Symbol};
use rustix::time::{ClockId, clock_gettime};

/// The machine that this program runs on.
#[derive(Default)]
pub struct RunningMachine {
    symbolizer: RefCell<Option<Symbolizer>>,
    accounts: OnceCell<Accounts>,
}

impl RunningMachine {
    fn frame(&self, look_up: impl FnOnce(&mut Symbolizer) -> Vec<Frame>) -> Option<Symbol> {
        let mut symbolizer = self.symbolizer.borrow_mut();
        let frame = look_up(symbolizer.get_or_insert_with(Symbolizer::new)).into_iter().next()?;
        let module = frame.module.map(String::from).unwrap_or_default();
        Some(Symbol { name: frame.symbol?.into(), offset: frame.offset, module })
    }
}

fn now(clock: ClockId) -> i128 {
    let time = clock_gettime(clock);
    i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
}

impl Machine for RunningMachine {
    fn kernel_symbol(&self, address: u64) -> Option<Symbol> {
        self.frame(|symbolizer| symbolizer.kernel(&[address]))
    }

    fn user_symbol(&self, pid: u32, address: u64) -> Option<Symbol> {
        self.frame(|symbolizer| symbolizer.user(pid, &[address]))
    }

    fn user_name(&self, uid: u32) -> Option<String> {
        self.accounts.get_or_init(Accounts::read).user(uid).map(str::to_owned)
    }

    fn cgroup_path(&self, id: u64) -> Option<String> {
        let root = cgroup_root()?;
        let found = find_inode(&root, id)?;
        let path = found.strip_prefix(&root).ok()?.to_string_lossy().into_owned();
        Some(format!("/{path}"))
    }

    fn syscall_name(&self, number: u64) -> Option<String> {
        let number = usize::try_from(number).ok()?;
        syscalls::x86_64::Sysno::new(number).map(|syscall| syscall.name().to_owned())
    }

    fn clock_start_ns(&self, clock: Clock) -> i128 {
        match clock {
            Clock::Monotonic => now(ClockId::Realtime) - now(ClockId::Monotonic),
            Clock::Boot => now(ClockId::Realtime) - now(ClockId::Boottime),
            // Atomic time runs ahead of Unix time by the leap seconds since 1970, 37 since 2017.
            Clock::Tai => -37_000_000_000,
        }
    }

    fn time_zone(&self) -> jiff::tz::TimeZone {
        jiff::tz::TimeZone::system()
    }

    fn now_ns(&self) -> i128 {
        now(ClockId::Realtime)
    }
}

/// The folder of a cgroup: its id is its inode number.
fn find_inode(folder: &Path, inode: u64) -> Option<PathBuf> {
    if std::fs::metadata(folder).is_ok_and(|m| m.ino() == inode) {
        return Some(folder.to_owned());
    }
    let entries = std::fs::read_dir(folder).ok()?;
    let folders = entries.filter_map(Result::ok).filter(|e| e.file_type().is_ok_and(|t| t.is_dir()));
    folders.map(|entry| entry.path()).find_map(|path| find_inode(&path, inode))
}
