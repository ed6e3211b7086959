//! Probes that only load a program, and the loading that all probes share.

use std::fmt::Write;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nonna_bpf::{AttachType, IsaLevel, Probe, ProgramType, assemble, encode_slots};
use nonna_btf::{BtfBuilder, IntEncoding, Kind, Linkage, Param, TypeId};

use super::{Execution, Step};
use crate::error::words;
use crate::kernel::Kernel;
use crate::map::kernel_name;
use crate::sys::{self, FuncInfoRecord, ProgInfo, ProgramSpec};

/// Bytes of the log that a refusal is read from; probes are a few instructions long.
const LOG_BYTES: usize = 16 * 1024;
/// Does nothing.
pub(super) const NOTHING: &str = "r0 = 0\nexit";

/// A program to try.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trial<'a> {
    pub program_type: ProgramType,
    pub attach_type: Option<AttachType>,
    pub attach_btf_id: Option<TypeId>,
    pub text: &'a str,
    pub functions: Option<(BorrowedFd<'a>, &'a [FuncInfoRecord])>,
}

impl<'a> Trial<'a> {
    pub fn new(program_type: ProgramType, text: &'a str) -> Self {
        Self { program_type, attach_type: None, attach_btf_id: None, text, functions: None }
    }

    pub fn typed(program_type: ProgramType, attach_type: AttachType, id: TypeId, text: &'a str) -> Self {
        let attach_type = Some(attach_type);
        Self { attach_type, attach_btf_id: Some(id), ..Self::new(program_type, text) }
    }

    /// Loads the program.
    pub fn load(&self) -> Step<OwnedFd> {
        let bug = |what: String| Probe::CannotTell(format!("the probe itself is wrong: {what}"));
        let insns = assemble(self.text).map_err(|e| bug(format!("{e:?}")))?;
        let slots = encode_slots(&insns).map_err(|e| bug(e.to_string()))?;
        let spec = ProgramSpec {
            program_type: self.program_type.number(),
            attach_type: self.attach_type.map_or(0, AttachType::number),
            insns: &slots,
            license: c"GPL",
            name: kernel_name("nonna_probe"),
            flags: 0,
            btf: self.functions.map(|(btf, _)| btf),
            func_info: self.functions.map_or(&[], |(_, info)| info),
            line_info: &[],
            attach_btf_id: self.attach_btf_id.map_or(0, |id| id.0),
            attach_btf: None,
            fd_array: &[],
        };
        if let Ok(fd) = sys::program_load(&spec) {
            return Ok(fd);
        }
        let (result, log) = sys::program_load_logged(&spec, 1, LOG_BYTES);
        result.map_err(|error| refusal(&error, &String::from_utf8_lossy(&log.text)))
    }
}

/// What a refused load means. A log is a verdict; its absence is the environment's, which is a no only where this process has every
/// right to ask.
fn refusal(error: &io::Error, log: &str) -> Probe {
    let verdict =
        log.lines().map(str::trim).rfind(|line| !line.is_empty() && !line.starts_with("processed "));
    match verdict {
        Some(verdict) => Probe::No(format!("the kernel says: {verdict}")),
        None => failure("load such a program", error),
    }
}

/// What a failed call means.
pub(super) fn failure(what: &str, error: &io::Error) -> Probe {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) if !is_privileged() => {
            Probe::CannotTell(format!("this process has no right to {what}"))
        }
        Some(libc::EPERM | libc::EACCES) => Probe::No(format!(
            "this machine does not let anybody {what} and gives no reason ({})",
            words(error)
        )),
        Some(libc::ENOMEM | libc::EMFILE | libc::ENFILE | libc::EAGAIN | libc::ENOSPC) => {
            Probe::CannotTell(format!("out of something while trying to {what} ({})", words(error)))
        }
        _ => Probe::No(format!("cannot {what} ({})", words(error))),
    }
}

/// Whether the process has what eBPF asks for: `CAP_SYS_ADMIN`, or `CAP_BPF` and `CAP_PERFMON`.
fn is_privileged() -> bool {
    const SYS_ADMIN: u64 = 1 << 21;
    const PERFMON_AND_BPF: u64 = (1 << 38) | (1 << 39);
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return false };
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    effective & SYS_ADMIN != 0 || effective & PERFMON_AND_BPF == PERFMON_AND_BPF
}

/// A type of the kernel by name.
pub(super) fn find(kernel: &Kernel, kind: Kind, name: &str) -> Step<TypeId> {
    let btf = kernel.btf().map_err(|e| Probe::No(format!("there is no type information: {e}")))?;
    btf.find(kind, name).ok_or_else(|| Probe::No(format!("the kernel has no {} `{name}`", kind.word())))
}

pub(super) fn typed_tracepoint(kernel: &Kernel) -> Step {
    let id = find(kernel, Kind::Typedef, "btf_trace_sched_process_exec")?;
    Trial::typed(ProgramType::Tracing, AttachType::TraceRawTp, id, NOTHING).load().map(drop)
}

/// A call of `bpf_loop` with a callback, which wants functions with types.
pub(super) fn bpf_loop() -> Step {
    const TEXT: &str = "r1 = 1\nr2 = subprog[callback]\nr3 = 0\nr4 = 0\ncall bpf_loop#181\nr0 = 0\nexit\n\
                        callback: r0 = 0\nexit";
    let mut types = BtfBuilder::new();
    let int = types.add_int("int", 4, IntEncoding::Signed);
    let long = types.add_int("long", 8, IntEncoding::Signed);
    let param = |name, type_id| Param { name, type_id };
    let main = types.add_func_proto(int, &[]);
    let main = types.add_func("main", main, Linkage::Global);
    let callback = types.add_func_proto(int, &[param("index", int), param("context", long)]);
    let callback = types.add_func("callback", callback, Linkage::Static);
    let bytes = types.finish().map_err(|e| Probe::CannotTell(format!("the probe itself is wrong: {e}")))?;
    let btf = sys::btf_load(&bytes, &mut []).map_err(|e| failure("load types", &e))?;
    // The callback begins behind 8 slots: the address of a function takes two.
    let info = [
        FuncInfoRecord { insn_off: 0, type_id: main.0 },
        FuncInfoRecord { insn_off: 8, type_id: callback.0 },
    ];
    let trial = Trial::new(ProgramType::RawTracepoint, TEXT);
    Trial { functions: Some((btf.as_fd(), &info)), ..trial }.load().map(drop)
}

/// A pair of functions that every kind of program may call where there are such at all.
pub(super) fn kfuncs(kernel: &Kernel) -> Step {
    let lock = find(kernel, Kind::Func, "bpf_rcu_read_lock")?;
    let unlock = find(kernel, Kind::Func, "bpf_rcu_read_unlock")?;
    let mut text = String::new();
    for id in [lock, unlock] {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "call kernel-function#{}", id.0);
    }
    text.push_str(NOTHING);
    Trial::new(ProgramType::SchedCls, &text).load().map(drop)
}

/// Loaded only: nothing is sent.
pub(super) fn send_signal() -> Step {
    const TEXT: &str = "r1 = 9\ncall bpf_send_signal#109\nr0 = 0\nexit";
    Trial::new(ProgramType::RawTracepoint, TEXT).load().map(drop)
}

/// Loaded only: attaching would interrupt a network device.
pub(super) fn xdp() -> Step {
    Trial::new(ProgramType::Xdp, "r0 = 2\nexit").load().map(drop)
}

/// Tries one instruction of each version that the one before it has not, and looks at what became of the program.
pub(super) fn execution() -> Execution {
    const NEWEST_FIRST: [(IsaLevel, &str); 4] = [
        (IsaLevel::V4, "r1 = 1\nr0 = (s8)r1\nr0 = 0\nexit"),
        (IsaLevel::V3, "w1 = 1\nif w1 < 2 goto +0\nr0 = 0\nexit"),
        (IsaLevel::V2, "r1 = 1\nif r1 < 2 goto +0\nr0 = 0\nexit"),
        (IsaLevel::V1, NOTHING),
    ];
    let load = |text| Trial::new(ProgramType::SocketFilter, text).load().ok();
    let mut taken = NEWEST_FIRST.into_iter().filter_map(|(isa, text)| Some((isa, load(text)?)));
    match taken.next() {
        Some((isa, program)) => {
            let info = sys::object_info::<ProgInfo>(program.as_fd());
            Execution { isa, is_native: info.is_ok_and(|info| info.jited_prog_len > 0) }
        }
        None => Execution { isa: IsaLevel::V1, is_native: false },
    }
}
