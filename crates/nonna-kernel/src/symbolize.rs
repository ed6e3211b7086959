//! Addresses to names: frames of kernel and user stacks.
//!
//! The work is done by blazesym, over `/proc/kallsyms` and the files that a process has mapped; here lies the memory of what was
//! looked up, since the same few addresses come again and again, and a process may be gone when its stack is shown.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use blazesym::symbolize::source::{Kernel, Process, Source};
use blazesym::symbolize::{Input, Symbolized};
use blazesym::{MaybeDefault, Pid};
use rustc_hash::FxHashMap;

/// Frames that are remembered before all are forgotten: about 8 MB.
const REMEMBERED: usize = 64 * 1024;

/// An address with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The address.
    pub address: u64,
    /// The function that it lies in; `None` where nobody knows.
    pub symbol: Option<Box<str>>,
    /// Bytes from the function's start; 0 without a function.
    pub offset: u64,
    /// The file or kernel module that the function is from, where it is known.
    pub module: Option<Box<str>>,
}

/// Turns addresses into names. It belongs to one thread.
pub struct Symbolizer {
    symbolizer: blazesym::symbolize::Symbolizer,
    kernel: FxHashMap<u64, Frame>,
    user: FxHashMap<(u32, u64), Frame>,
    processes: FxHashMap<u32, ProcessImage>,
}

/// What tells a process and the program in it from another with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ProcessImage {
    start_time_ticks: u64,
    exe_device: u64,
    exe_inode: u64,
}

impl Default for Symbolizer {
    fn default() -> Self {
        Self::new()
    }
}

impl Symbolizer {
    /// One that knows nothing yet. Names are read when the first address comes.
    pub fn new() -> Self {
        let symbolizer = blazesym::symbolize::Symbolizer::builder().enable_code_info(false).build();
        Self {
            symbolizer,
            kernel: FxHashMap::default(),
            user: FxHashMap::default(),
            processes: FxHashMap::default(),
        }
    }

    /// Names kernel addresses, in the order given. Reading the kernel's symbols takes tens of milliseconds, once.
    pub fn kernel(&mut self, addresses: &[u64]) -> Vec<Frame> {
        let unknown = missing(addresses, |address| self.kernel.contains_key(&address));
        if !unknown.is_empty() {
            make_room(&mut self.kernel);
            let source = Source::Kernel(Kernel {
                // A kernel image is rarely there, and never needed for function names.
                vmlinux: MaybeDefault::None,
                debug_syms: false,
                ..Kernel::default()
            });
            for frame in look_up(&self.symbolizer, &source, &unknown) {
                self.kernel.insert(frame.address, frame);
            }
        }
        addresses.iter().map(|a| self.kernel.get(a).cloned().unwrap_or_else(|| nameless(*a))).collect()
    }

    /// Names addresses of a process, in the order given. What was named while the process lived is known after its end.
    pub fn user(&mut self, pid: u32, addresses: &[u64]) -> Vec<Frame> {
        let image = process_image(pid);
        if let Some(image) = image
            && self.processes.insert(pid, image) != Some(image)
        {
            // Another process, or another program in it.
            self.user.retain(|(of, _), _| *of != pid);
        }
        let unknown = missing(addresses, |address| self.user.contains_key(&(pid, address)));
        if !unknown.is_empty() && image.is_some() {
            if make_room(&mut self.user) {
                self.processes.retain(|of, _| *of == pid);
            }
            let source = Source::Process(Process { debug_syms: false, ..Process::new(Pid::from(pid)) });
            for frame in look_up(&self.symbolizer, &source, &unknown) {
                self.user.insert((pid, frame.address), frame);
            }
        }
        addresses.iter().map(|a| self.user.get(&(pid, *a)).cloned().unwrap_or_else(|| nameless(*a))).collect()
    }
}

impl std::fmt::Debug for Symbolizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Symbolizer").finish_non_exhaustive()
    }
}

fn missing(addresses: &[u64], known: impl Fn(u64) -> bool) -> Vec<u64> {
    let mut unknown: Vec<u64> = addresses.iter().copied().filter(|&a| !known(a)).collect();
    unknown.sort_unstable();
    unknown.dedup();
    unknown
}

/// Forgets everything where too much is remembered.
fn make_room<K>(remembered: &mut FxHashMap<K, Frame>) -> bool {
    let full = remembered.len() >= REMEMBERED;
    if full {
        remembered.clear();
    }
    full
}

fn look_up(
    symbolizer: &blazesym::symbolize::Symbolizer,
    source: &Source<'_>,
    addresses: &[u64],
) -> Vec<Frame> {
    let Ok(symbols) = symbolizer.symbolize(source, Input::AbsAddr(addresses)) else { return Vec::new() };
    let text = |module: &OsStr| module.to_string_lossy().into_owned().into_boxed_str();
    addresses
        .iter()
        .zip(symbols)
        .map(|(&address, symbol)| match symbol {
            Symbolized::Sym(symbol) => Frame {
                address,
                symbol: Some(symbol.name.into_owned().into_boxed_str()),
                offset: symbol.offset as u64,
                module: symbol.module.as_deref().map(text),
            },
            Symbolized::Unknown(_) => nameless(address),
        })
        .collect()
}

fn nameless(address: u64) -> Frame {
    Frame { address, symbol: None, offset: 0, module: None }
}

fn process_image(pid: u32) -> Option<ProcessImage> {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
    // The name may hold anything, so fields are counted from its closing parenthesis: start time is the 22nd of all.
    let start_time_ticks = stat[stat.rfind(')')? + 2..].split(' ').nth(19)?.parse().ok()?;
    let exe = std::fs::metadata(folder.join("exe")).ok()?;
    Some(ProcessImage { start_time_ticks, exe_device: exe.dev(), exe_inode: exe.ino() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn a_place_to_be_named() -> u32 {
        std::hint::black_box(7)
    }

    #[test]
    fn a_function_of_this_process_has_a_name() {
        let place = a_place_to_be_named as *const () as u64;
        let mut symbolizer = Symbolizer::new();
        let frames = symbolizer.user(std::process::id(), &[place + 1, 16, place]);
        assert!(frames[0].symbol.as_ref().unwrap().contains("a_place_to_be_named"), "{frames:?}");
        assert_eq!(frames[0].offset, 1);
        assert!(frames[0].module.is_some());
        assert_eq!(frames[1], nameless(16));
        assert_eq!(frames[2].offset, 0);
        assert_eq!(symbolizer.user(std::process::id(), &[place + 1])[0], frames[0]);
    }

    #[test]
    fn a_process_that_is_gone_keeps_its_names() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = child.id();
        // The child is this program until it has become another and has loaded its libraries.
        let start = loop {
            let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
            let mut code = maps.lines().filter(|l| l.contains("r-xp") && l.contains("libc"));
            if let (true, Some(line)) = (maps.contains("/sleep"), code.next()) {
                break u64::from_str_radix(line.split('-').next().unwrap(), 16).unwrap();
            }
            std::thread::yield_now();
        };
        let addresses: Vec<u64> = (0..2000).map(|i| start + i * 64).collect();
        let mut symbolizer = Symbolizer::new();
        let alive = symbolizer.user(pid, &addresses);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(alive.iter().filter(|f| f.symbol.is_some()).count() > 100);
        assert_eq!(symbolizer.user(pid, &addresses), alive);
        assert_eq!(symbolizer.user(pid, &[1]), [nameless(1)]);
    }

    #[test]
    fn kernel_addresses_have_names() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let Some(address) = crate::Kernel::new().symbol_address("do_exit").unwrap() else { return };
        let frame = &Symbolizer::new().kernel(&[address + 4])[0];
        assert_eq!((frame.symbol.as_deref(), frame.offset), (Some("do_exit"), 4));
    }
}
